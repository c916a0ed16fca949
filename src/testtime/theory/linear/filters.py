r"""Several full-batch steps on one context, exact for white inputs, judged on that context or on fresh ones.

On one context every path of steps keeps the weights :math:`W+hu^\top/|u|^2`: it is gradient descent on
least squares in :math:`\theta=Wu`, with lengths :math:`\rho_t=2\eta_t|u|^2`. After T steps
:math:`h=H(S)X^\top e`, where :math:`1-xH(x)=\prod_t(1-\rho_tx)` and :math:`S=X^\top X`. The lengths are
prescribed and the step is divided by :math:`|u|^2`, so that H is the same on every context.

The training rows do not know the contexts, and S has no preferred direction, so that given the residual
:math:`r=\beta-Wu` their average is :math:`E\,h=\phi r` and :math:`E\,|h|^2=\psi|r|^2+\sigma^2d\chi` with
three sums of Wishart moments. What is left are the averages over contexts of one step (:class:`Reading`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial

from testtime.errors import InputError, sentence
from testtime.theory.checks import as_count, as_finite, as_number, check_word
from testtime.theory.linear.answers import answers
from testtime.theory.linear.pretraining import icl_risk
from testtime.theory.linear.results import BestFilter, SeveralSteps
from testtime.theory.linear.setting import Setting
from testtime.theory.linear.step import step_parts
from testtime.theory.linear.wishart import wishart_moments

__all__ = [
    "Reading",
    "best_filter",
    "best_first_length",
    "convolved",
    "count_steps",
    "decayed",
    "filter_coefficients",
    "reading",
    "several_steps",
    "white",
]

_MOST_STEPS = 12
_MOST_LENGTHS = 100_000


@dataclass(frozen=True)
class Reading:
    r"""How a filtered change of the weights shows in the risk, for inputs of variance 1.

    .. math:: L=L_0-2B\phi+F\psi+N\chi,\qquad
        \phi=\sum_ih_im_{i+1},\ \psi=\sum_i(h*h)_im_{i+2},\ \chi=\sum_i(h*h)_im_{i+1}

    with :math:`B=E[(u^\top v/|u|^2)\,r_v^\top r]`, :math:`F=E[(u^\top v/|u|^2)^2|r|^2]`,
    :math:`N=\sigma^2d\,E[(u^\top v/|u|^2)^2]`: the coefficients of one step. On the same context v = u and
    B = F is the excess risk.

    Attributes
    ----------
    before, linear, square, noise
        :math:`L_0`, B, F and N.
    dim
        Inputs, d.
    """

    before: Any
    linear: Any
    square: Any
    noise: Any
    dim: int

    def risk(self, h: Sequence[Any], m: Sequence[Any]) -> Any:
        """Risk of the filter with coefficients `h`, for moments `m` of order up to twice its length."""
        double = convolved(h)
        phi = sum(c * m[i + 1] for i, c in enumerate(h))
        psi = sum(c * m[i + 2] for i, c in enumerate(double))
        chi = sum(c * m[i + 1] for i, c in enumerate(double))
        return self.before - 2 * self.linear * phi + self.square * psi + self.noise * chi


def reading(setting: Setting, start: Any, context: str) -> Reading:
    """Return what the averages over contexts leave of a filter."""
    check_word(context, "context", ("fresh", "same"))
    power = Fraction(white(setting))
    if not setting.n_context:  # nothing to write along
        return Reading(Fraction(icl_risk(setting, start)), 0, 0, 0, setting.dim)
    if context == "same":  # u'v/|u|^2 is 1
        before, noise = Fraction(icl_risk(setting, start)), Fraction(setting.noise_var)
        return Reading(before, before - noise, before - noise, noise * setting.dim, setting.dim)
    risk, parts = step_parts(setting, start, context, "normalized")
    square = Fraction(float(parts.square)) / power**2
    extra = Fraction(float(parts.noise)) / power**2  # d (F + sigma^2 E[...])
    linear = Fraction(float(parts.linear)) / power
    return Reading(Fraction(float(risk)), linear, square, extra - setting.dim * square, setting.dim)


def white(setting: Setting) -> float:
    """Return the variance of the inputs, refusing inputs that are not white."""
    if np.ndim(setting.input_cov) or setting.shape:
        raise InputError(
            sentence(
                "several steps with an input_cov that is not a number, or an array of settings",
                expected="a single setting with a scalar input_cov",
                why="only white inputs have known moments of several steps",
                remedy="Whiten the inputs",
            )
        )
    return float(setting.input_cov)


@answers
def decayed(first: Any, decay: Any, n_steps: int) -> list[Any]:
    """Lengths ``first * decay**t`` for t = 0 to ``n_steps - 1``.

    Reference: Gozeten et al. (2025), Fig. 2c.

    >>> decayed(0.1, 0.5, 3)
    [0.1, 0.05, 0.025]
    """
    for value, name in ((first, "first"), (decay, "decay")):
        as_number(value, name)  # fractions stay fractions
    return [first * decay**t for t in range(count_steps(n_steps))]


def count_steps(n_steps: Any) -> int:
    """Return the number of steps, refusing fractions, negative numbers and more than a list can hold."""
    count = int(as_number(as_count(n_steps, "n_steps"), "n_steps"))
    if count > _MOST_LENGTHS:
        raise InputError(sentence(f"n_steps={count:.3g}", expected=f"at most {_MOST_LENGTHS:,}"))
    return count


def filter_coefficients(lengths: Sequence[Any]) -> list[Any]:
    r"""Coefficients of :math:`H`, lowest power first, from :math:`1-xH(x)=\prod_t(1-\rho_tx)`.

    >>> filter_coefficients([0.5, 0.25])
    [0.75, -0.125]
    """
    product: list[Any] = [1]
    for length in lengths:
        shifted = [0, *(-length * c for c in product)]
        product = [a + b for a, b in zip([*product, 0], shifted, strict=True)]
    return [-c for c in product[1:]]


@answers
def several_steps(
    setting: Setting,
    lengths: Sequence[float],
    start: Any = "warm",
    context: str = "same",
    scale: float = 1.0,
) -> SeveralSteps:
    r"""Risk after each of several full-batch steps on one context.

    .. math:: L=L_0-2B\sum_ih_im_{i+1}+F\sum_i(h*h)_im_{i+2}+N\sum_i(h*h)_im_{i+1},
        \qquad m_j=E\,\mathrm{tr}(S^j)/d

    :math:`h` are the coefficients of :math:`H` (:func:`filter_coefficients`); :math:`B,F,N` are averages over
    contexts. On the same context :math:`B=F=L_0-\sigma^2` and :math:`N=\sigma^2d`; on fresh ones they are those of
    :func:`one_step` with a normalised step. Exact for every n, k, d and any number of steps up to 12;
    ``input_cov`` must be a number. The sum cancels, so it is done in rational arithmetic.

    Reference: Gozeten et al. (2025), Fig. 2c; derivation in docs/theory/linear.

    Parameters
    ----------
    setting
        A single setting with a scalar ``input_cov``; the task and the task covariance may be anything.
    lengths
        :math:`\rho_t=2\eta_t|u|^2`, one per step.
    start
        The weights at the beginning, as in :func:`one_step`.
    context
        "same": judged on the context the steps were taken on; "fresh": on another one of as many rows (the mean of
        the ratios needs n > 2, a fixed task or no noise).
    scale
        c, to judge :math:`W+c(W_T-W)`: part of the way.

    >>> setting = Setting(n_context=50, n_train=60, dim=50, task=1.0)
    >>> [round(risk, 4) for risk in several_steps(setting, [1 / 111, 1 / 111]).risks]
    [0.505, 0.232, 0.1644]
    >>> [round(risk, 4) for risk in several_steps(setting, [1 / 222, 1 / 222], context="fresh").risks]
    [0.505, 0.4537, 0.4367]
    """
    power = Fraction(white(setting))
    exact = [Fraction(float(value)) * power for value in as_finite(lengths, "lengths").ravel()]
    moments, seen = _moments(setting, len(exact)), reading(setting, start, context)
    share = Fraction(as_number(scale, "scale"))
    risks = []
    for t in range(len(exact) + 1):
        h = [share * c for c in filter_coefficients(exact[:t])]
        risks.append(float(seen.risk(h, moments)))
    best = int(np.argmin(risks))
    return SeveralSteps(tuple(risks), best, risks[best])


def _moments(setting: Setting, n_steps: int) -> list[Fraction]:
    """m_0 to m_{2T} for inputs of variance 1."""
    if n_steps > _MOST_STEPS:
        raise InputError(
            sentence(
                f"{n_steps} steps",
                expected=f"at most {_MOST_STEPS}",
                why="the number of exact moments grows like the partitions of twice that",
                remedy="Use several_steps_limit, or converged_risk for the end of the path",
            )
        )
    whole = wishart_moments(int(setting.n_train), int(setting.dim), 2 * n_steps)
    return [Fraction(moment, setting.dim) for moment in whole]


def convolved(h: Sequence[Any]) -> list[Any]:
    """Coefficients of the square of a polynomial."""
    square: list[Any] = [0] * (2 * len(h) - 1 if h else 0)
    for i, x in enumerate(h):
        for j, y in enumerate(h):
            square[i + j] += x * y
    return square


@answers
def best_filter(setting: Setting, n_steps: int, start: Any = "warm", context: str = "same") -> BestFilter:
    r"""The least risk any path of `n_steps` steps on one context can reach.

    .. math:: L=L_0-b^\top M^{-1}b,\qquad M_{ij}=F\,m_{i+j+2}+N\,m_{i+j+1},\quad b_i=B\,m_{i+1}

    with i, j from 0 and :math:`B,F,N` as in :func:`several_steps`. The lengths that reach it are the inverse roots
    of :math:`1-xH(x)`. They may be complex; then steps of real length cannot reach the risk (steps with momentum
    can). Exact; conditions as for :func:`several_steps`. Derivation in docs/theory/linear.

    Reference: this project; derivation in docs/theory/linear.

    >>> found = best_filter(Setting(n_context=50, n_train=60, dim=50, task=1.0), 2)
    >>> round(found.risk, 4), [round(length, 5) for length in found.lengths]
    (0.1421, [0.00596, 0.01777])
    """
    n_steps = count_steps(n_steps)
    power, moments, seen = white(setting), _moments(setting, n_steps), reading(setting, start, context)
    if not seen.linear or not setting.n_train or not n_steps:
        return BestFilter(float(seen.before), (), (0.0,) * n_steps)
    rows = [
        [seen.square * moments[i + j + 2] + seen.noise * moments[i + j + 1] for j in range(n_steps)]
        + [seen.linear * moments[i + 1]]
        for i in range(n_steps)
    ]
    h = _solve(rows)
    risk = seen.before - seen.linear * sum(c * moments[i + 1] for i, c in enumerate(h))
    roots = np.roots([float(-c) for c in reversed(h)] + [1.0])
    lengths = np.sort_complex(1.0 / roots) / power
    real = bool(np.all(np.abs(lengths.imag) <= 1e-9 * np.abs(lengths)))
    return BestFilter(
        float(risk), tuple(float(c) for c in h), tuple(map(float, lengths.real)) if real else None
    )


def _solve(rows: list[list[Fraction]]) -> list[Fraction]:
    """Solve a positive definite system in exact arithmetic; the last column is the right side."""
    for at in range(len(rows)):
        pivot = rows[at][at]
        rows[at] = [value / pivot for value in rows[at]]
        for other in range(len(rows)):
            if other != at:
                factor = rows[other][at]
                rows[other] = [x - factor * y for x, y in zip(rows[other], rows[at], strict=True)]
    return [row[-1] for row in rows]


@answers
def best_first_length(
    setting: Setting, n_steps: int, decay: float = 1.0, start: Any = "warm", context: str = "same"
) -> SeveralSteps:
    r"""Several steps of lengths :math:`\rho_0c^t` with the first length that minimises the last risk.

    :math:`c` is `decay` and :math:`T` `n_steps`. The last risk is a polynomial of degree 2T in
    :math:`\rho_0`; its stationary points are compared. Conditions as for
    :func:`several_steps`.

    Reference: Gozeten et al. (2025), Fig. 2c; derivation in docs/theory/linear.

    >>> setting = Setting(n_context=50, n_train=60, dim=50, task=1.0)
    >>> [round(best_first_length(setting, t, decay=0.6).best_risk, 4) for t in (1, 2, 3)]
    [0.232, 0.1562, 0.1144]
    """
    n_steps, decay = count_steps(n_steps), as_number(decay, "decay")
    if not n_steps or not setting.n_train:
        return several_steps(setting, [0.0] * n_steps, start, context)
    power, moments, seen = white(setting), _moments(setting, n_steps), reading(setting, start, context)
    h = filter_coefficients(decayed(Fraction(1), Fraction(decay), n_steps))
    coefficients = _powers_of_length(h, moments, seen)
    unit = 1.0 / (setting.n_train + setting.dim + 1.0)
    risk = Polynomial([float(c * Fraction(unit) ** i) for i, c in enumerate(coefficients)])
    zeros = risk.deriv().roots()
    lengths = np.append(zeros.real[np.abs(zeros.imag) < 1e-6], 0.0)
    first = float(lengths[np.argmin(risk(lengths))]) * unit / power
    return several_steps(setting, decayed(first, decay, n_steps), start, context)


def _powers_of_length(h: list[Any], m: list[Fraction], seen: Reading) -> list[Fraction]:
    """The last risk as a polynomial in the first length, when `h` belongs to a first length of 1."""
    values = [seen.before] + [Fraction(0)] * (2 * len(h))
    for i, c in enumerate(h):
        values[i + 1] -= 2 * seen.linear * c * m[i + 1]
    for i, c in enumerate(convolved(h)):
        values[i + 2] += c * (seen.square * m[i + 2] + seen.noise * m[i + 1])
    return values
