r"""Several full-batch steps on one context, exact for white inputs.

On one context every path of steps keeps the weights :math:`W+hu^\top/|u|^2`: it is gradient descent on
least squares in :math:`\theta=Wu`, with lengths :math:`\rho_t=2\eta_t|u|^2`. After T steps
:math:`\theta_T-\theta_0=H(S)X^\top e`, where :math:`1-xH(x)=\prod_t(1-\rho_tx)` and :math:`S=X^\top X`, so
the risk is a sum of Wishart moments. The lengths are prescribed and the step is divided by :math:`|u|^2`,
so that it is the same on every context.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial

from testtime.errors import InputError, sentence
from testtime.theory.checks import as_count, as_finite, as_number
from testtime.theory.linear.pretraining import icl_risk
from testtime.theory.linear.results import BestFilter, SeveralSteps
from testtime.theory.linear.setting import Setting
from testtime.theory.linear.wishart import wishart_moments

__all__ = [
    "best_filter",
    "best_first_length",
    "convolved",
    "count_steps",
    "decayed",
    "filter_coefficients",
    "filtered_risk",
    "several_steps",
]

_MOST_STEPS = 12


def decayed(first: Any, decay: Any, n_steps: int) -> list[Any]:
    """Lengths ``first * decay**t`` for t = 0 to ``n_steps - 1``.

    >>> decayed(0.1, 0.5, 3)
    [0.1, 0.05, 0.025]
    """
    return [first * decay**t for t in range(count_steps(n_steps))]


def count_steps(n_steps: Any) -> int:
    """Return the number of steps, refusing fractions and negative numbers."""
    return int(as_number(as_count(n_steps, "n_steps"), "n_steps"))


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


def several_steps(setting: Setting, lengths: Sequence[float], start: Any = "warm") -> SeveralSteps:
    r"""Risk on the same context after each of several full-batch steps.

    .. math:: L=\sigma^2+\varepsilon\,\Big[1-2\sum_ih_im_{i+1}+\sum_i(h*h)_im_{i+2}\Big]
        +\sigma^2d\sum_i(h*h)_im_{i+1},
        \qquad m_j=E\,\mathrm{tr}(S^j)/d

    :math:`h` are the coefficients of :math:`H` (:func:`filter_coefficients`),
    :math:`\varepsilon=L_0-\sigma^2` the risk to remove, :math:`k` ``n_train``. Exact for every n, k, d and
    any number of steps up to 12; ``input_cov`` must be a number. The sum cancels, so it is done in rational
    arithmetic. Derivation in docs/theory/linear.

    Parameters
    ----------
    setting
        A single setting with a scalar ``input_cov``; the task and the task covariance may be anything.
    lengths
        :math:`\rho_t=2\eta_t|u|^2`, one per step.
    start
        The weights at the beginning, as in :func:`one_step`.

    >>> setting = Setting(n_context=50, n_train=60, dim=50, task=1.0)
    >>> [round(risk, 4) for risk in several_steps(setting, [1 / 111, 1 / 111]).risks]
    [0.505, 0.232, 0.1644]
    """
    power = Fraction(setting.input_cov) if np.ndim(setting.input_cov) == 0 else Fraction(1)
    exact = [Fraction(float(value)) * power for value in as_finite(lengths, "lengths").ravel()]
    moments = _moments(setting, len(exact))
    excess, noise = _excess(setting, start), Fraction(setting.noise_var)
    risks = [
        float(filtered_risk(filter_coefficients(exact[:t]), moments, excess, noise, setting.dim))
        for t in range(len(exact) + 1)
    ]
    best = int(np.argmin(risks))
    return SeveralSteps(tuple(risks), best, risks[best])


def _moments(setting: Setting, n_steps: int) -> list[Fraction]:
    """m_0 to m_{2T} for inputs of variance 1."""
    if np.ndim(setting.input_cov) or setting.shape:
        raise InputError(
            sentence(
                "several steps with an input_cov that is not a number, or an array of settings",
                expected="a single setting with a scalar input_cov",
                why="only white inputs have known moments of several steps",
                remedy="Whiten the inputs",
            )
        )
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


def _excess(setting: Setting, start: Any) -> Fraction:
    """The part of the risk that steps can remove."""
    return Fraction(icl_risk(setting, start)) - Fraction(setting.noise_var)


def filtered_risk(h: Sequence[Any], m: Sequence[Any], excess: Any, noise: Any, dim: int) -> Any:
    """Risk of the filter with coefficients `h`, for moments `m` of order up to twice its length."""
    square = convolved(h)
    kept = (
        1 - 2 * sum(c * m[i + 1] for i, c in enumerate(h)) + sum(c * m[i + 2] for i, c in enumerate(square))
    )
    return noise + excess * kept + noise * dim * sum(c * m[i + 1] for i, c in enumerate(square))


def convolved(h: Sequence[Any]) -> list[Any]:
    """Coefficients of the square of a polynomial."""
    square: list[Any] = [0] * (2 * len(h) - 1 if h else 0)
    for i, x in enumerate(h):
        for j, y in enumerate(h):
            square[i + j] += x * y
    return square


def best_filter(setting: Setting, n_steps: int, start: Any = "warm") -> BestFilter:
    r"""The least risk any path of `n_steps` steps on the same context can reach.

    .. math:: L=\sigma^2+\varepsilon(1-b^\top M^{-1}b),\qquad
        M_{ij}=m_{i+j+2}+(\sigma^2d/\varepsilon)\,m_{i+j+1},\quad b_i=m_{i+1}

    with i, j from 0. The lengths that reach it are the inverse roots of :math:`1-xH(x)`. With noise they
    may be complex; then steps of real length cannot reach the risk (steps with momentum can). Exact;
    conditions as for :func:`several_steps`.

    >>> found = best_filter(Setting(n_context=50, n_train=60, dim=50, task=1.0), 2)
    >>> round(found.risk, 4), [round(length, 5) for length in found.lengths]
    (0.1421, [0.00596, 0.01777])
    """
    n_steps = count_steps(n_steps)
    moments, excess, noise = _moments(setting, n_steps), _excess(setting, start), Fraction(setting.noise_var)
    if not excess or not setting.n_train or not n_steps:
        return BestFilter(float(noise + excess), (), (0.0,) * n_steps)
    ratio = noise * setting.dim / excess
    rows = [
        [moments[i + j + 2] + ratio * moments[i + j + 1] for j in range(n_steps)] + [moments[i + 1]]
        for i in range(n_steps)
    ]
    h = _solve(rows)
    risk = noise + excess * (1 - sum(c * moments[i + 1] for i, c in enumerate(h)))
    roots = np.roots([float(-c) for c in reversed(h)] + [1.0])
    lengths = np.sort_complex(1.0 / roots) / setting.input_cov
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


def best_first_length(
    setting: Setting, n_steps: int, decay: float = 1.0, start: Any = "warm"
) -> SeveralSteps:
    r"""Several steps of lengths :math:`\rho_0c^t` with the first length that minimises the last risk.

    :math:`c` is `decay` and :math:`T` `n_steps`. The last risk is a polynomial of degree 2T in
    :math:`\rho_0`; its stationary points are compared. Conditions as for
    :func:`several_steps`.

    >>> setting = Setting(n_context=50, n_train=60, dim=50, task=1.0)
    >>> [round(best_first_length(setting, t, decay=0.6).best_risk, 4) for t in (1, 2, 3)]
    [0.232, 0.1562, 0.1144]
    """
    n_steps, decay = count_steps(n_steps), as_number(decay, "decay")
    if not n_steps or not setting.n_train:
        return several_steps(setting, [0.0] * n_steps, start)
    excess, noise, moments = _excess(setting, start), Fraction(setting.noise_var), _moments(setting, n_steps)
    h = filter_coefficients(decayed(Fraction(1), Fraction(decay), n_steps))
    coefficients = _powers_of_length(h, moments, excess, noise, setting.dim)
    unit = 1.0 / (setting.n_train + setting.dim + 1.0)
    risk = Polynomial([float(c * Fraction(unit) ** i) for i, c in enumerate(coefficients)])
    zeros = risk.deriv().roots()
    lengths = np.append(zeros.real[np.abs(zeros.imag) < 1e-6], 0.0)
    first = float(lengths[np.argmin(risk(lengths))]) * unit / setting.input_cov
    return several_steps(setting, decayed(first, decay, n_steps), start)


def _powers_of_length(h: list[Any], m: list[Fraction], excess: Any, noise: Any, dim: int) -> list[Fraction]:
    """The last risk as a polynomial in the first length, when `h` belongs to a first length of 1."""
    values = [noise + excess] + [Fraction(0)] * (2 * len(h))
    for i, c in enumerate(h):
        values[i + 1] -= 2 * excess * c * m[i + 1]
    for i, c in enumerate(convolved(h)):
        values[i + 2] += c * (excess * m[i + 2] + noise * dim * m[i + 1])
    return values
