r"""Coefficients of the step divided by :math:`|u|^2`, evaluated on a fresh context.

Moments of ratios come from :math:`1/q=\int_0^\infty e^{-tq}dt` and :math:`1/q^2=\int_0^\infty te^{-tq}dt`
with :math:`q=|u|^2`. With :math:`\theta=t\tau` the tilted law of u is Gaussian again: mean :math:`\tau Fa`,
covariance :math:`\tau VF`, :math:`F=(I+2\theta V)^{-1}`, weight :math:`|F|^{1/2}e^{-g\tau}`,
:math:`g=\theta a^\top Fa`, and

.. math:: E[\tau^pe^{-g\tau}]=2^p\,\frac{\Gamma(n/2+p)}{\Gamma(n/2)}\,(1+2g)^{-n/2-p}.

What is left is one smooth integral over :math:`\theta`, done by the trapezoid rule in :math:`\log\theta`,
whose error falls geometrically because the integrand is analytic around the positive axis.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.theory.linear.general import Coefficients, Step
from testtime.theory.linear.isotropic import ScalarStep
from testtime.theory.linear.matrices import apply
from testtime.theory.linear.quadratic_forms import FixedTask

__all__ = ["check_ratio_moments", "fresh_normalized", "fresh_normalized_clean", "fresh_normalized_scalar"]

Array = NDArray[np.float64]

_LOG_STEP = 0.2
_LOG_LOW, _LOG_HIGH = -40.0, 90.0
_NEGLIGIBLE = 45.0  # exp(-45) of the largest value


def check_ratio_moments(rows: Any, dim: Any, noise: Any) -> None:
    r"""Refuse settings where :math:`E[1/|u|^2]`-like moments are infinite.

    Without noise they need n > 2 and n + d > 5; with noise n > 2 and d > 2.
    """
    rows, dim, noise = np.broadcast_arrays(*(np.asarray(v, dtype=float) for v in (rows, dim, noise)))
    wrong = (rows <= 2) | np.where(noise > 0, dim <= 2, rows + dim <= 5)
    if np.any(wrong):
        n, d, v = (float(part[wrong].flat[0]) for part in (rows, dim, noise))
        raise InputError(
            sentence(
                f"n_context={n:g}, dim={d:g}, noise_var={v:g} with step='normalized' and context='fresh'",
                expected="n_context > 2 and, without noise, n_context + dim > 5; with noise, dim > 2",
                why="the step is divided by |u|^2 and its mean square is infinite otherwise",
                remedy="Use step='fixed' or a longer context",
            )
        )


def fresh_normalized_clean(step: ScalarStep) -> Coefficients:
    r"""Noise-free isotropic closed form, O(1).

    :math:`|u|^2=\beta^2BT^2`, :math:`\beta^\top u=\beta^2BT` with :math:`B\sim` Beta(n/2, (d-1)/2) and
    :math:`T\sim\chi^2_{n+d-1}` independent.
    """
    n, m, d, w, b = step.rows, step.eval_rows, step.dim, step.weight, step.norm
    free = n + d - 1.0
    inverse, inverse2, share = 1.0 / (free - 2.0), 1.0 / ((free - 2.0) * (free - 4.0)), n / free
    across = step.eval_shrinkage
    linear = m * b * ((across - w) * inverse + w**2 - w * across * share)
    square = (m + 1.0) * (inverse2 - 2.0 * w * share * inverse + w**2 * share)
    square = square + 1.0 / ((n - 2.0) * (free - 4.0)) - 2.0 * w * inverse + w**2
    square = square * m * b
    return Coefficients(linear, square, d * square, np.ones(()))


def fresh_normalized_scalar(step: ScalarStep) -> Coefficients:
    """Isotropic coefficients with noise: O(1) per node, and arrays broadcast."""
    step = ScalarStep(*(np.asarray(value, dtype=float)[..., None] for value in vars(step).values()))
    n, m, d, w, v, s, b = step.rows, step.eval_rows, step.dim, step.weight, step.noise, step.label, step.norm
    theta = np.exp(_grid()) / (step.trace(1) + (n + 2.0) * b)
    along, across = 1.0 / (1.0 + 2.0 * theta * v), 1.0 / (1.0 + 2.0 * theta * s)  # the eigenvalues of F
    log_weight = -0.5 * np.log1p(2.0 * theta * v) - 0.5 * (d - 1.0) * np.log1p(2.0 * theta * s)
    tilt = _Tilt(n, theta, b * along * theta, log_weight)
    mean, first, rest = b * along, v * along, s * across  # beta'F a, and the eigenvalues of V F
    cross1, cross2 = m * (step.eval_shrinkage * b - s * w), -m * s * w  # N' along the task and across it
    linear = tilt.ratio(
        1,
        lambda p: (
            cross1 * mean * p(1)
            - w * (cross1 * along * mean * p(2) + (cross1 * first + (d - 1.0) * cross2 * rest) * p(1))
        ),
    )
    toward, side = m * ((m + 1.0) * b + s), m * s

    def product(p: Callable[[int], Any]) -> Any:
        size1, size2 = toward * first + (d - 1.0) * side * rest, toward * along * mean
        spread = w**2 * (first + (d - 1.0) * rest)
        pull, push = 2.0 * w * mean, w**2 * along * mean
        value = size1 * (b * p(1) + (spread - pull) * p(2) + push * p(3))
        value = value + size2 * (b * p(2) + (spread - pull) * p(3) + push * p(4))
        value = value + 2.0 * w**2 * (toward * first**2 + (d - 1.0) * side * rest**2) * p(2)
        return value - 4.0 * w * toward * first * mean * (p(2) - w * along * p(3))

    square = tilt.ratio(2, product)
    size = tilt.ratio(
        2, lambda p: (toward * first + (d - 1.0) * side * rest) * p(1) + toward * along * mean * p(2)
    )
    dim, noise = d[..., 0], v[..., 0]
    return Coefficients(linear, square, dim * (square + noise * size), np.ones(()))


class _Tilt:
    """Weights of the integral over theta; the last axis holds the nodes."""

    def __init__(self, rows: Any, theta: Array, growth: Array, log_weight: Array) -> None:
        self.rows, self.theta, self.base = rows, theta, 1.0 + 2.0 * growth
        # log1p: the growth is O(1/n), and the n in front would magnify the rounding of 1 + growth
        self.log_weight = log_weight - 0.5 * rows * np.log1p(2.0 * growth)

    def ratio(self, order: int, terms: Callable[[Callable[[int], Any]], Any]) -> Any:
        """E[h / q^order], where `terms` writes E[h | tau] with p(j) in place of tau^j."""
        weight = np.exp(self.log_weight + order * np.log(self.theta))

        def power(exponent: int) -> Any:
            shifted = exponent - order
            return _gamma_ratio(self.rows, shifted) * self.base ** (-float(shifted))

        return _LOG_STEP * np.sum(terms(power) * weight, axis=-1)


def _gamma_ratio(n: Any, power: int) -> Any:
    """2^p Gamma(n/2 + p) / Gamma(n/2) for p >= -1."""
    if power < 0:
        return 1.0 / (n - 2.0)
    value = 1.0
    for step in range(power):
        value = value * (n + 2.0 * step)
    return value


def _grid() -> Array:
    return np.arange(_LOG_LOW, _LOG_HIGH, _LOG_STEP)


def fresh_normalized(step: Step, task: FixedTask) -> Coefficients:
    """Coefficients for any covariance, weights and left preconditioner; O(d^2) per node."""
    eigenbasis, start, n, m = step.eigenbasis, step.start, step.rows, step.eval_rows
    spectrum, beta = eigenbasis.spectrum, task.beta
    a = spectrum * beta
    label = float(beta @ a) + step.noise
    values, vectors = np.linalg.eigh(np.diag(label * spectrum) - np.outer(a, a))
    values = np.maximum(values, 0.0)
    once, twice, trace = step.metric()

    def turned(matrix: Array) -> Array:
        return vectors.T @ (matrix[:, None] * vectors if matrix.ndim == 1 else matrix @ vectors)

    target, weight = vectors.T @ beta, turned(start.weight)
    here = vectors.T @ a
    toward = m * apply(start.bias(spectrum, m + 1.0), beta)
    reading = np.outer(here, vectors.T @ toward) - m * label * turned(spectrum) @ weight.T  # N'
    reading = reading @ turned(once)  # N'S P S
    square = m * (m + 1.0) * np.outer(here, here) + m * label * turned(spectrum)
    tilt, shapes = _nodes(values, here, n)
    mean, spread = shapes * here, shapes * values  # rows: nodes; F a and the eigenvalues of V F

    def linear(p: Callable[[int], Any]) -> Any:
        inner = reading @ weight
        fixed = mean @ (reading @ target)
        drift = np.einsum("ti,ij,tj->t", mean, inner, mean, optimize=True)
        return fixed * p(1) - drift * p(2) - spread @ np.diagonal(inner) * p(1)

    def product(metric: Array) -> Callable[[Callable[[int], Any]], Any]:
        inner = weight.T @ metric @ weight
        pull = 2.0 * mean @ (weight.T @ metric @ target)
        push = np.einsum("ti,ij,tj->t", mean, inner, mean, optimize=True)
        size1, size2 = (
            spread @ np.diagonal(square),
            np.einsum("ti,ij,tj->t", mean, square, mean, optimize=True),
        )
        wide = spread @ np.diagonal(inner) - pull
        still = float(target @ metric @ target)
        double = np.einsum("ti,ij,tj->t", spread, square * inner.T, spread, optimize=True)
        half = (mean @ square) * spread  # a'F C V F
        fixed, drift = half @ (weight.T @ metric @ target), np.sum(half @ inner * mean, axis=1)

        def terms(p: Callable[[int], Any]) -> Any:
            value = size1 * (still * p(1) + wide * p(2) + push * p(3))
            value = value + size2 * (still * p(2) + wide * p(3) + push * p(4))
            return value + 2.0 * double * p(2) - 4.0 * (fixed * p(2) - drift * p(3))

        return terms

    size1, size2 = spread @ np.diagonal(square), np.einsum("ti,ij,tj->t", mean, square, mean, optimize=True)
    size = tilt.ratio(2, lambda p: size1 * p(1) + size2 * p(2))
    noise_part = tilt.ratio(2, product(turned(spectrum))) + step.noise * size
    return Coefficients(tilt.ratio(1, linear), tilt.ratio(2, product(turned(twice))), trace * noise_part, 1.0)


def _nodes(values: Array, here: Array, n: float) -> tuple[_Tilt, Array]:
    """Return the tilt and the eigenvalues of F at the nodes that carry weight."""
    theta = np.exp(_grid()) / (values.sum() + (n + 2.0) * float(here @ here))
    shapes = 1.0 / (1.0 + 2.0 * theta[:, None] * values)
    log_weight = -0.5 * np.log1p(2.0 * theta[:, None] * values).sum(axis=1)
    tilt = _Tilt(n, theta, theta * (shapes @ here**2), log_weight)
    # the integrands that decay most slowly: 1/q towards theta = 0, |u|^2/q^2 towards infinity
    size = tilt.base * (shapes @ values) + shapes**2 @ here**2
    near = tilt.log_weight + np.log(theta)
    far = near + np.log(theta) + np.log(size)
    kept = (near > near.max() - _NEGLIGIBLE) | (far > far.max() - _NEGLIGIBLE)
    theta, shapes = theta[kept], shapes[kept]
    return _Tilt(n, theta, theta * (shapes @ here**2), log_weight[kept]), shapes
