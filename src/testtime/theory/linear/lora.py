r"""Low rank: frozen factors, random factors, and the best left preconditioner.

A LoRA :math:`W+BA` with A frozen and B trained from zero is one step with :math:`Q=A^\top A`; with B frozen
and A trained it is one with :math:`P=BB^\top`. On one context :math:`A=u^\top/|u|` loses nothing: the full
step has rank one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.results import OneStep
from testtime.theory.checks import as_count, as_finite, as_number, check_word
from testtime.theory.linear.answers import answers
from testtime.theory.linear.eigenbasis import Eigenbasis
from testtime.theory.linear.general import Coefficients
from testtime.theory.linear.matrices import multiply, product_trace, transpose
from testtime.theory.linear.pretraining import is_scalar_start, matrix_risk, resolve_start
from testtime.theory.linear.quadratic_forms import FixedTask
from testtime.theory.linear.setting import Setting
from testtime.theory.linear.step import assemble, one_step, scalar_parts

__all__ = ["best_left", "best_left_risk", "lora_step", "random_lora_step", "residual_covariance"]

Array = NDArray[np.float64]


@answers
def lora_step(
    setting: Setting, start: Any = "warm", context: str = "fresh", *, down: Any = None, up: Any = None
) -> OneStep:
    r"""One step on the trained factor of a LoRA :math:`W+BA` whose other factor is frozen; exact.

    Reference: this project; derivation in docs/theory/linear.

    Parameters
    ----------
    setting, start, context
        As in :func:`one_step`.
    down
        Frozen :math:`A`, shape ``(r, d)``; B, which starts at zero, is trained.
    up
        Frozen :math:`B`, shape ``(d, r)``; A, which starts at zero, is trained. Give exactly one of the two.

    >>> setting = Setting(n_context=20, n_train=30, task=np.full(4, 0.5))
    >>> full, half = (lora_step(setting, down=np.eye(4)[:rank]).gain for rank in (4, 2))
    >>> bool(np.isclose(full, one_step(setting).gain)), half < full
    (True, True)
    """
    if (down is None) == (up is None):
        raise InputError(
            sentence(
                "both factors" if down is not None else "no frozen factor",
                expected="exactly one of down and up",
                remedy="Pass the factor that is not trained",
            )
        )
    factor = as_finite(down if up is None else up, "down" if up is None else "up")
    axis = 1 if up is None else 0
    if factor.ndim != 2 or factor.shape[axis] != setting.dim:
        raise InputError(
            sentence(
                f"the frozen factor has shape {factor.shape}",
                expected=f"(r, {setting.dim})" if up is None else f"({setting.dim}, r)",
                why="it maps inputs to r numbers" if up is None else "it maps r numbers to weights",
                remedy="Transpose it, or change dim",
            )
        )
    if up is None:
        return one_step(setting, start, context, right=factor.T @ factor)
    return one_step(setting, start, context, left=factor @ factor.T)


@answers
def random_lora_step(
    setting: Setting, rank: int, train: str = "up", start: Any = "warm", context: str = "fresh"
) -> OneStep:
    r"""One step of a LoRA whose frozen factor has independent :math:`N(0,1/r)` entries, averaged over it;
    isotropic.

    ``train="up"`` freezes A (r x d) and trains B; ``train="down"`` freezes B (d x r) and trains A. The
    slope is that of the full step. The curvature grows: training A multiplies :math:`c_1,c_2` by
    :math:`1+(d+1)/r`; training B multiplies them by :math:`1+2/r` on the same context and, on fresh ones,
    replaces :math:`C=E\,vv^\top` by :math:`(1+1/r)C+\mathrm{tr}(C)I/r`. So train B: its loss stays bounded
    in d.

    Reference: this project; derivation in docs/theory/linear.

    >>> setting = Setting(n_context=100, n_train=100, dim=100, task=1.0)
    >>> full = one_step(setting).gain
    >>> [round(random_lora_step(setting, 8, train).gain / full, 3) for train in ("up", "down")]
    [0.621, 0.073]
    """
    check_word(train, "train", ("up", "down"))
    check_word(context, "context", ("fresh", "same"))
    r = as_number(as_count(rank, "rank", minimum=1), "rank")
    if not setting.isotropic or not is_scalar_start(setting, start):
        raise InputError(
            sentence(
                "a random frozen factor with covariances or weights that are not numbers",
                expected="an isotropic setting",
                why="only that average has a formula",
                remedy="Pass scalar covariances, or draw a factor and use lora_step",
            )
        )
    weights = resolve_start(setting, start)
    before, full = scalar_parts(setting, weights, context, "fixed", None)
    d, noise = setting.dim, np.asarray(setting.noise_var, dtype=float)
    if train == "down" or context == "same":
        factor = 1.0 + ((d + 1.0) if train == "down" else 2.0) / r
        changed = Coefficients(full.linear, full.square * factor, full.noise * factor, full.length)
        return assemble(before, changed, setting.n_train)
    # E q|r|^2 is the slope coefficient of the same context, and tr C = E|u|^2
    _, same = scalar_parts(setting, weights, "same", "fixed", None)
    power = setting.input_cov
    spread = full.length * same.linear * power / r
    square = full.square * (1.0 + 1.0 / r) + spread
    labels = full.length**2 / r * power**2
    extra = full.noise * (1.0 + 1.0 / r) + d * (spread + noise * labels)
    return assemble(before, Coefficients(full.linear, square, extra, full.length), setting.n_train)


@answers
def residual_covariance(setting: Setting, start: Any = "warm") -> Array:
    r"""What the context leaves to learn: :math:`R=E\,rr^\top` with :math:`r=\beta-Wu`.

    .. math:: R=\delta\delta^\top+n\,W(s\Sigma+aa^\top)W^\top

    averaged over the task when it is random. The risk is :math:`\sigma^2+\mathrm{tr}(\Sigma R)`. Exact.

    Reference: this project; derivation in docs/theory/linear.

    Returns
    -------
    array
        ``(d, d)``.

    >>> round(float(np.trace(residual_covariance(Setting(10, 0, dim=5, task=np.ones(5))))), 4)
    1.875
    """
    return _square(*_residual(setting, start))


def _residual(setting: Setting, start: Any) -> tuple[Any, Array]:
    if setting.task is not None and np.ndim(setting.task) == 0:
        raise InputError(
            sentence(
                f"task={setting.task:g}, a squared norm",
                expected="a task vector or a random task",
                why="a matrix depends on the direction of the task",
                remedy="Pass the vector",
            )
        )
    eigenbasis = Eigenbasis.of(setting)
    weights, spectrum = resolve_start(setting, start, eigenbasis), eigenbasis.spectrum
    n = float(setting.n_context)
    bias, read = weights.bias(spectrum, n), weights.weight
    task = eigenbasis.task
    cov = np.outer(task.beta, task.beta) if isinstance(task, FixedTask) else task.covariance
    label = product_trace((spectrum, cov)) + setting.noise_var
    inner = label * spectrum
    rest = multiply(multiply(spectrum, cov), spectrum)
    inner = _full(inner) + _full(rest)
    spread = multiply(multiply(read, inner), transpose(read))
    return eigenbasis, multiply(multiply(bias, _full(cov)), transpose(bias)) + n * _full(spread)


def _full(matrix: Array) -> Array:
    return np.diag(matrix) if matrix.ndim == 1 else matrix


def _square(eigenbasis: Eigenbasis, matrix: Array) -> Array:
    return matrix if eigenbasis.vectors is None else eigenbasis.vectors @ matrix @ eigenbasis.vectors.T


@answers
def best_left(setting: Setting, start: Any = "warm") -> Array:
    r"""The left preconditioner that minimises the risk of a normalised step on the same context.

    .. math:: P^*=R\,[(k+1)\Sigma R+(\mathrm{tr}\,\Sigma R+\sigma^2)I]^{-1},\qquad 2\eta|u|^2=1

    It is the pretraining optimum with :math:`(\Sigma_\beta,n)` replaced by :math:`(R,k)`: the step acts as
    a second layer of in-context learning on the residual. R is :func:`residual_covariance`; k is
    ``n_train``. Exact.

    Reference: this project; derivation in docs/theory/linear.

    Returns
    -------
    array
        ``(d, d)``; pass it as ``left`` to :func:`one_step` with ``context="same", step="normalized"``.

    >>> setting = Setting(30, 20, input_cov=[1.0, 2.0, 0.5], task=[1.0, 1.0, 1.0])
    >>> better = one_step(setting, context="same", step="normalized", left=best_left(setting))
    >>> bool(np.isclose(better.best_step, 0.5)), bool(np.isclose(better.best_risk, best_left_risk(setting)))
    (True, True)
    """
    eigenbasis, residual = _residual(setting, start)
    return _square(eigenbasis, _ideal(setting, eigenbasis.spectrum, residual))


def _ideal(setting: Setting, spectrum: Array, residual: Array) -> Array:
    total = float(spectrum @ np.diagonal(residual)) + setting.noise_var
    system = (setting.n_train + 1.0) * spectrum[:, None] * residual + total * np.eye(len(spectrum))
    return np.linalg.solve(system.T, residual.T).T


@answers
def best_left_risk(setting: Setting, start: Any = "warm") -> float:
    r"""Risk after the step with the preconditioner of :func:`best_left`.

    .. math:: L_0-k\,\mathrm{tr}(P^*\Sigma R\Sigma)

    Symbols and conditions as there.

    Reference: this project; derivation in docs/theory/linear.
    """
    eigenbasis, residual = _residual(setting, start)
    spectrum = eigenbasis.spectrum
    ideal = _ideal(setting, spectrum, residual)
    before = matrix_risk(
        setting, eigenbasis, resolve_start(setting, start, eigenbasis), float(setting.n_context)
    )
    pulled = multiply(multiply(spectrum, residual), spectrum)
    return before - setting.n_train * product_trace((ideal, pulled))
