r"""The step from data: exact line search on the training rows, its bias, and a better rule.

Lengths :math:`\rho=2\eta|u|^2` are dimensionless in u: :math:`\theta=Wu` moves to :math:`\theta+\rho X^\top
e`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from testtime.errors import InputError, sentence
from testtime.theory.checks import (
    as_count,
    as_covariance,
    as_finite,
    as_matrix,
    as_number,
    as_ratio,
    as_variance,
)
from testtime.theory.linear.answers import answers
from testtime.theory.linear.bias_variance import alignment
from testtime.theory.linear.matrices import apply
from testtime.theory.linear.results import LineSearch
from testtime.theory.linear.setting import Setting

__all__ = [
    "fresh_length_factor",
    "line_search",
    "line_search_bias_limit",
    "line_search_means",
    "practical_length",
]


@answers
def line_search(inputs: Any, residuals: Any) -> float:
    r"""Length that minimises the squared error on the training rows themselves.

    .. math:: \hat\rho=|g|^2/|X_tg|^2,\qquad g=X_t^\top e,\ e=y_t-X_tWu

    It is too short by up to 20% without noise (it fits the rows it is measured on) and too long when there
    is only noise.

    Reference: this project; derivation in docs/theory/linear.

    Parameters
    ----------
    inputs
        Training rows :math:`X_t`, ``(k, d)``.
    residuals
        :math:`e`, ``(k,)``, in units of y.

    Returns
    -------
    float
        The length; 0 when the gradient vanishes. The step is :math:`\eta=\hat\rho/(2|u|^2)`.

    >>> line_search([[2.0, 0.0], [0.0, 1.0]], [1.0, 0.0])
    0.25
    """
    rows, errors = as_finite(inputs, "inputs"), as_finite(residuals, "residuals")
    if rows.ndim != 2 or errors.shape != rows.shape[:1]:
        raise InputError(
            sentence(
                f"inputs {rows.shape} and residuals {errors.shape}",
                expected="shapes (k, d) and (k,)",
                remedy="Pass one residual per row",
            )
        )
    gradient = rows.T @ errors
    image = rows @ gradient
    bottom = float(image @ image)
    return float(gradient @ gradient) / bottom if bottom > 0 else 0.0


@answers
def practical_length(residuals: Any, dim: int, noise_var: float = 0.0) -> float:
    r"""Length from the size of the residuals, for white inputs; better than :func:`line_search`.

    .. math:: \hat\varepsilon=\max(|e|^2/k-\sigma^2,0),\qquad
        \rho=\frac{\hat\varepsilon}{(k+d+1)\hat\varepsilon+d\sigma^2}

    Without noise it is :math:`1/(k+d+1)` and needs no estimate. For fresh contexts multiply by
    :func:`fresh_length_factor`.

    Reference: this project; derivation in docs/theory/linear.

    Parameters
    ----------
    residuals
        :math:`e=y_t-X_tWu` on the k training rows, ``(k,)``.
    dim
        :math:`d`.
    noise_var
        :math:`\sigma^2`.

    >>> practical_length([1.0, -1.0], dim=7)
    0.1
    """
    errors = as_finite(residuals, "residuals").ravel()
    d = as_number(as_count(dim, "dim", minimum=1), "dim")
    noise = as_number(as_variance(noise_var, "noise_var"), "noise_var")
    if not errors.size:
        return 0.0
    excess = max(float(errors @ errors) / errors.size - noise, 0.0)
    bottom = (errors.size + d + 1.0) * excess + d * noise
    return excess / bottom if bottom else 1.0 / (errors.size + d + 1.0)


@answers
def line_search_means(
    residual: Any, n_train: int, input_cov: Any = 1.0, noise_var: float = 0.0
) -> LineSearch:
    r"""Mean numerator and denominator of the line search, and the length it should find.

    With :math:`r=\beta-Wu` fixed and :math:`S=\Sigma`,

    .. math:: E|g|^2=k[(k+1)r^\top S^2r+\mathrm{tr}S\,r^\top Sr+\sigma^2\mathrm{tr}S]

    .. math:: E|X_tg|^2=k[(k^2+3k+4)r^\top S^3r+2(k+1)\mathrm{tr}S\,r^\top S^2r
        +((k+1)\mathrm{tr}S^2+(\mathrm{tr}S)^2)r^\top Sr]
        +\sigma^2[k(k+1)\mathrm{tr}S^2+k(\mathrm{tr}S)^2]

    .. math:: \rho^*=\frac{r^\top S^2r}{(k+1)r^\top S^3r+\mathrm{tr}(S^2)(r^\top Sr+\sigma^2)}

    The means and :math:`\rho^*` are exact; that the line search is near the ratio of the means, and the
    risk it loses, are limits (5% off at d = 100).

    Reference: this project; derivation in docs/theory/linear.

    Parameters
    ----------
    residual
        :math:`r`, ``(d,)``.
    n_train
        :math:`k`.
    input_cov
        :math:`\Sigma`: number, eigenvalues or matrix.
    noise_var
        :math:`\sigma^2`.

    >>> found = line_search_means(np.ones(1000), n_train=1000)
    >>> round(found.ratio / found.best_length, 2)
    0.8
    """
    r = as_finite(residual, "residual")
    if r.ndim != 1:
        raise InputError(
            sentence(f"residual has shape {r.shape}", expected="(d,)", remedy="Pass beta - W u, one vector")
        )
    k = as_number(as_count(n_train, "n_train"), "n_train")
    noise = as_number(as_variance(noise_var, "noise_var"), "noise_var")
    cov = as_matrix(as_covariance(input_cov, "input_cov", singular=True), "input_cov", len(r))
    once = apply(cov, r)
    twice = apply(cov, once)
    one, two, three = float(r @ once), float(once @ once), float(once @ twice)
    trace = float(cov.sum() if cov.ndim == 1 else np.trace(cov))
    trace2 = float(np.sum(cov**2))
    top = k * ((k + 1) * two + trace * one + noise * trace)
    signal = (k * k + 3 * k + 4) * three + 2 * (k + 1) * trace * two + ((k + 1) * trace2 + trace**2) * one
    bottom = k * signal + noise * (k * (k + 1) * trace2 + k * trace**2)
    bend = (k + 1) * three + trace2 * (one + noise)
    ratio, best = (top / bottom if bottom else 0.0), (two / bend if bend else 0.0)
    return LineSearch(top, bottom, ratio, best, k * bend * (ratio - best) ** 2)


@answers
def line_search_bias_limit(train_ratio: Any) -> Any:
    r"""Line search over best length, without noise, isotropic, in the limit.

    .. math:: (1+\gamma)^2/(1+3\gamma+\gamma^2)

    :math:`\gamma=k/d` is `train_ratio`. Smallest, 0.8, at :math:`\gamma=1`.

    Reference: this project; derivation in docs/theory/linear.

    >>> line_search_bias_limit(1.0)
    0.8
    """
    gamma = as_ratio(train_ratio, "train_ratio")
    return (1 + gamma) ** 2 / (1 + 3 * gamma + gamma**2)


@answers
def fresh_length_factor(setting: Setting, start: Any = "warm") -> Any:
    r"""By how much a length that is best on its own context must be shortened for fresh contexts; a limit,
    isotropic.

    .. math:: A/[\kappa(A+B)],\qquad\kappa=\frac{n|\beta|^2}{n|\beta|^2+ds}

    with :math:`A,B` of :func:`alignment`; :math:`d/n` for pretrained weights without noise.

    Reference: this project; derivation in docs/theory/linear.

    >>> round(fresh_length_factor(Setting(n_context=300, n_train=100, dim=100, task=1.0)), 2)
    0.34
    """
    if not setting.isotropic:
        raise InputError(
            sentence(
                "covariances that are not numbers",
                expected="an isotropic setting",
                why="the factor is known for white inputs",
                remedy="Whiten the inputs",
            )
        )
    if np.any(np.asarray(setting.n_context) == 0):
        raise InputError(
            sentence(
                "n_context=0",
                expected="at least 1 row",
                why="without a context a step changes nothing, whatever its length",
                remedy="Pass a longer context",
            )
        )
    fit = alignment(setting, start)
    norm = setting.task_norm if setting.task is not None else setting.dim * setting.test_task_covariance
    signal = setting.input_cov * np.asarray(norm, dtype=float)
    strong = setting.n_context * signal
    share = strong / (strong + setting.dim * (signal + setting.noise_var))
    value = fit.A / (share * (fit.A + fit.B))
    return value if np.ndim(value) else float(value)
