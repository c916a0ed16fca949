"""Several steps in the proportional limit, the end of the path, and one pass in mini-batches."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from testtime.errors import InputError, sentence
from testtime.theory.checks import as_count, as_finite, as_number, as_ratio, check_word
from testtime.theory.linear.answers import answers
from testtime.theory.linear.bias_variance import alignment
from testtime.theory.linear.filters import (
    Reading,
    convolved,
    count_steps,
    filter_coefficients,
    reading,
    white,
)
from testtime.theory.linear.pretraining import icl_risk
from testtime.theory.linear.results import SeveralSteps
from testtime.theory.linear.setting import Setting
from testtime.theory.linear.wishart import narayana

__all__ = [
    "best_filter_limit",
    "converged_risk",
    "mini_batch_risk",
    "one_pass_limit",
    "ridge_risk_limit",
    "several_steps_fresh_limit",
    "several_steps_limit",
]


@answers
def several_steps_limit(setting: Setting, lengths: Sequence[float], start: Any = "warm") -> SeveralSteps:
    r"""The answer of :func:`several_steps` with :math:`m_j` replaced by its limit :math:`d^jN_j(k/d)`.

    :math:`N_j` are the moments of :func:`~testtime.theory.wishart.narayana`. For any number of steps; the
    terms alternate in sign, so beyond about 20 steps digits are lost.

    Reference: Gozeten et al. (2025), Fig. 2c; derivation in docs/theory/linear.

    >>> setting = Setting(n_context=2000, n_train=2000, dim=2000, task=1.0)
    >>> [round(risk, 3) for risk in several_steps_limit(setting, [1 / 4000] * 2).risks]
    [0.5, 0.25, 0.188]
    """
    noise, dim, power = setting.noise_var, setting.dim, white(setting)
    scaled = [float(value) * dim * power for value in as_finite(lengths, "lengths").ravel()]
    moments = [narayana(j, setting.n_train / dim) for j in range(2 * len(scaled) + 1)]
    excess = icl_risk(setting, start) - noise
    # lengths in units of 1/d: the factor d of the noise term is used up by them
    seen = Reading(noise + excess, excess, excess, noise, dim)
    if not setting.n_context:  # nothing to write along
        seen = Reading(noise + excess, 0, 0, 0, dim)
    risks = tuple(float(seen.risk(filter_coefficients(scaled[:t]), moments)) for t in range(len(scaled) + 1))
    best = int(np.argmin(risks))
    return SeveralSteps(risks, best, risks[best])


@answers
def several_steps_fresh_limit(
    setting: Setting, lengths: Sequence[float], start: Any = "warm", scale: float = 1.0
) -> SeveralSteps:
    r"""Risk on fresh contexts after each of several steps that were taken on one context; a limit.

    .. math:: L=A+B+\sigma^2-2c\kappa A\phi+c^2\kappa^2[(A+B)\psi+\sigma^2\chi],\qquad
        \kappa=\frac{n|\beta|^2}{n|\beta|^2+ds},

    :math:`\phi=\sum h_im_{i+1}`, :math:`\psi=\sum(h*h)_im_{i+2}`, :math:`\chi=\sum(h*h)_im_{i+1}` in units
    where d = 1, for the weights :math:`W+c(W_T-W)`; :math:`c` is `scale`. On fresh contexts long paths
    over-fit the context they were trained on: stop at ``best_count``, or choose c < 1. The error is O(1/d)
    (2% at d = 50).

    Reference: Gozeten et al. (2025), Fig. 2c; derivation in docs/theory/linear.

    >>> setting = Setting(n_context=1500, n_train=4000, dim=1000, task=1.0)
    >>> found = several_steps_fresh_limit(setting, [1 / 5000] * 6)
    >>> found.best_count, round(found.best_risk, 3), round(found.risks[0], 3)
    (2, 0.343, 0.4)
    """
    power, noise, dim, scale = white(setting), setting.noise_var, setting.dim, as_number(scale, "scale")
    fit = alignment(setting, start)
    size = float(icl_risk(setting.replace(n_context=0))) - noise  # the signal variance
    share = setting.n_context * size / (setting.n_context * size + dim * (size + noise))
    scaled = [float(value) * dim * power for value in as_finite(lengths, "lengths").ravel()]
    moments = [narayana(j, setting.n_train / dim) for j in range(2 * len(scaled) + 1)]
    risks = []
    for t in range(len(scaled) + 1):
        h = filter_coefficients(scaled[:t])
        square = convolved(h)
        phi = sum(c * moments[i + 1] for i, c in enumerate(h))
        psi = sum(c * moments[i + 2] for i, c in enumerate(square))
        chi = sum(c * moments[i + 1] for i, c in enumerate(square))
        moved = scale * share
        bent = moved**2 * ((fit.A + fit.B) * psi + noise * chi)
        risks.append(float(fit.A + fit.B + noise - 2 * moved * fit.A * phi + bent))
    best = int(np.argmin(risks))
    return SeveralSteps(tuple(risks), best, risks[best])


@answers
def best_filter_limit(setting: Setting, n_steps: int, start: Any = "warm", context: str = "same") -> float:
    r"""Least risk after T steps without noise, in the limit.

    .. math:: \frac{\varepsilon}{1+\gamma+\dots+\gamma^T}\ (\text{same}),\qquad
        A+B-\frac{A^2}{A+B}\,\frac{\gamma+\dots+\gamma^T}{1+\gamma+\dots+\gamma^T}\ (\text{fresh})

    with :math:`T` `n_steps`, :math:`\gamma=k/d` and :math:`A,B` of :func:`alignment`.

    Reference: this project; derivation in docs/theory/linear.

    >>> round(best_filter_limit(Setting(n_context=500, n_train=500, dim=500, task=1.0), 3), 3)
    0.125
    """
    white(setting)
    if setting.noise_var > 0:
        raise InputError(
            sentence(
                f"noise_var={setting.noise_var:g}",
                expected="0",
                why="the limit is known without noise only",
                remedy="Use best_filter, which is exact",
            )
        )
    check_word(context, "context", ("fresh", "same"))
    gamma = setting.n_train / setting.dim
    powers = sum(gamma**t for t in range(1, count_steps(n_steps) + 1))
    fit = alignment(setting, start)
    risk = fit.A + fit.B
    if not setting.n_context:  # nothing to write along
        return risk
    return risk / (1 + powers) if context == "same" else risk - fit.A**2 / risk * powers / (1 + powers)


@answers
def converged_risk(setting: Setting, start: Any = "warm", context: str = "same") -> float:
    r"""Risk when the steps on one context are continued until they converge; exact.

    .. math:: L_0-2B\phi+F\phi+N\chi,\qquad
        k<d-1:\ \phi=\frac kd,\ \chi=\frac{k}{d(d-k-1)},\qquad
        k>d+1:\ \phi=1,\ \chi=\frac{1}{k-d-1}

    with :math:`B,F,N` as in :func:`several_steps`; on the same context this is
    :math:`\sigma^2+\varepsilon(1-k/d)+\sigma^2k/(d-k-1)` and :math:`\sigma^2+\sigma^2d/(k-d-1)`. Between, with noise,
    it is infinite. Without a context no step changes a prediction, and the risk stays :math:`L_0`. ``input_cov``
    must be a number, but without a context, or for k > d + 1 on the same one. Derivation in docs/theory/linear.

    Reference: this project; derivation in docs/theory/linear.

    >>> round(converged_risk(Setting(n_context=50, n_train=30, dim=60, task=1.0, noise_var=0.1)), 4)
    0.4904
    >>> over = Setting(n_context=180, n_train=300, dim=60, task=1.0)
    >>> round(converged_risk(over, context="fresh"), 2), round(icl_risk(over), 2)
    (0.3, 0.25)
    """
    noise, k, d = setting.noise_var, setting.n_train, setting.dim
    check_word(context, "context", ("fresh", "same"))
    if not setting.shape and not setting.n_context:
        return icl_risk(setting, start)
    if context == "same" and not setting.shape and k > d + 1:
        return noise + noise * d / (k - d - 1)
    white(setting)
    seen = reading(setting, start, context)
    reached = min(1.0, k / d)
    left = float(seen.before - 2 * seen.linear * Fraction(reached) + seen.square * Fraction(reached))
    if not seen.noise or not k:
        return left
    if d - 1 <= k <= d + 1:
        return float("inf")
    return left + float(seen.noise) * (k / d / (d - k - 1) if k < d else 1.0 / (k - d - 1))


@answers
def ridge_risk_limit(setting: Setting, start: Any = "warm") -> float:
    r"""Risk on the same context at the end of a path with the best ridge penalty
    :math:`\lambda=\sigma^2d/\varepsilon`; a limit.

    The risk is :math:`\sigma^2(1+x)` with :math:`lx^2+(l+\gamma-1)x-1=0`, :math:`l=\sigma^2/\varepsilon`,
    :math:`\gamma=k/d`. It is below every number of steps of any length. Without a context it is the risk before
    any step.

    Reference: this project; derivation in docs/theory/linear.

    >>> round(ridge_risk_limit(Setting(n_context=50, n_train=30, dim=60, task=1.0, noise_var=0.1)), 3)
    0.451
    """
    white(setting)
    noise, gamma = setting.noise_var, setting.n_train / setting.dim
    before = icl_risk(setting, start)
    if not setting.n_context:  # nothing to write along
        return before
    excess = before - noise
    # with z = noise x: z^2/excess + (noise/excess + gamma - 1) z - noise = 0, which also holds without noise
    middle = noise + (gamma - 1) * excess
    root = np.sqrt(middle**2 + 4 * excess * noise)
    return float(
        noise + ((root - middle) / 2 if middle < 0 else 2 * excess * noise / (root + middle) if root else 0.0)
    )


@answers
def mini_batch_risk(
    setting: Setting,
    batches: Sequence[int],
    lengths: Sequence[float] | None = None,
    start: Any = "warm",
    context: str = "same",
) -> SeveralSteps:
    r"""Risk after each step of one pass over the training rows in batches; exact.

    What is left of the residual after each batch of :math:`b` rows has mean :math:`a\,r` and mean square
    :math:`p|r|^2+q\sigma^2`, where

    .. math:: a\leftarrow a(1-\rho b),\quad p\leftarrow p\,g,\quad q\leftarrow q\,g+\rho^2bd,\qquad
        g=1-2\rho b+\rho^2b(b+1+d),

    and the risk is :math:`L_0-2B(1-a)+F(1-2a+p)+Nq/d` with :math:`B,F,N` as in :func:`several_steps`.
    ``setting.n_train`` is not used; ``input_cov`` must be a number. Derivation in docs/theory/linear.

    Reference: this project; derivation in docs/theory/linear.

    Parameters
    ----------
    setting, start, context
        As in :func:`several_steps`.
    batches
        Rows per batch.
    lengths
        :math:`\rho=2\eta|u|^2` per batch; when left out, each is the one that lowers the risk most.

    >>> setting = Setting(n_context=100, n_train=100, dim=100, task=1.0)
    >>> [round(mini_batch_risk(setting, [100 // m] * m).risks[-1], 3) for m in (1, 10, 100)]
    [0.252, 0.195, 0.188]
    """
    power, dim, seen = white(setting), setting.dim, reading(setting, start, context)
    before, linear, square, noise = (
        float(part) for part in (seen.before, seen.linear, seen.square, seen.noise)
    )
    sizes = as_count(batches, "batches").ravel()
    given = None if lengths is None else as_finite(lengths, "lengths").ravel()
    if given is not None and len(given) != len(sizes):
        raise InputError(
            sentence(
                f"{len(given)} lengths for {len(sizes)} batches",
                expected="one length per batch",
                remedy="Leave lengths out for the best ones",
            )
        )
    risks, mean, kept, added = [before], 1.0, 1.0, 0.0
    for at, size in enumerate(sizes):
        rest = square * kept + noise * added / dim
        bend = (size + 1 + dim) * rest + noise
        best = ((linear - square) * mean + rest) / bend if bend else 0.0
        length = best if given is None else given[at] * power
        shrink = 1.0 - 2.0 * length * size + length**2 * size * (size + 1 + dim)
        mean *= 1.0 - length * size
        kept, added = kept * shrink, added * shrink + length**2 * size * dim
        change = -2.0 * linear * (1.0 - mean) + square * (1.0 - 2.0 * mean + kept) + noise * added / dim
        risks.append(before + change)
    best_count = int(np.argmin(risks))
    return SeveralSteps(tuple(map(float, risks)), best_count, float(risks[best_count]))


@answers
def one_pass_limit(train_ratio: Any) -> Any:
    r"""Share of the risk that is left after one pass in many tiny batches without noise: :math:`e^{-\gamma}`.

    Between one step, :math:`1/(1+\gamma)`, and convergence, :math:`\max(0,1-\gamma)`; :math:`\gamma=k/d` is
    `train_ratio`.

    Reference: this project; derivation in docs/theory/linear.

    >>> round(one_pass_limit(1.0), 4)
    0.3679
    """
    value = np.exp(-as_ratio(train_ratio, "train_ratio"))
    return value if np.ndim(value) else float(value)
