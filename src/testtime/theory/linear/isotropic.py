r"""Coefficients of one step when :math:`\Sigma=I` and :math:`W=wI`: O(1) per setting, and arrays broadcast.

:math:`V=sI-\beta\beta^\top` has the eigenvalue :math:`\sigma^2` along the task and s in the other
:math:`d-1` directions, so every trace of the general formulas is a sum of two terms. Nothing large is
subtracted, also when n >> d.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from testtime.theory.linear.general import Coefficients
from testtime.theory.linear.moments import tau_moment

__all__ = ["ScalarStep", "fresh_fixed", "same_fixed", "same_normalized"]


@dataclass(frozen=True)
class ScalarStep:
    """What an isotropic step depends on, the input variance being 1; every field may be an array."""

    rows: Any
    eval_rows: Any
    dim: Any
    norm: Any  # squared norm of the task
    noise: Any
    weight: Any
    bias: Any  # 1 - n w
    shrinkage: Any  # 1 - (n + 1) w
    eval_shrinkage: Any  # 1 - (n' + 1) w, n' rows of the evaluation context

    @property
    def label(self) -> Any:
        """Mean squared label s."""
        return self.norm + self.noise

    def trace(self, power: int) -> Any:
        """tr V^power."""
        return self.noise**power + (self.dim - 1.0) * self.label**power

    def residual(self, power: int) -> Any:
        """E[tau^power |r|^2]."""
        n, w = self.rows, self.weight
        value = self.norm * self.bias**2 * tau_moment(n, power)
        if power:
            value = value - 2.0 * self.norm * self.bias * w * tau_moment(n, power, 1)
        value = value + self.norm * w**2 * tau_moment(n, power, 2)
        return value + w**2 * self.trace(1) * tau_moment(n, power + 1)

    def crossed(self, power: int) -> Any:
        """E[tau^power beta'E[r | tau]] times w."""
        moment, drift = tau_moment(self.rows, power), tau_moment(self.rows, power, 1)
        return self.weight * self.norm * (self.bias * moment - self.weight * drift)


def fresh_fixed(step: ScalarStep) -> Coefficients:
    """A constant step, evaluated on an independent context of ``eval_rows`` rows."""
    n, m, d, w, v, s, b = step.rows, step.eval_rows, step.dim, step.weight, step.noise, step.label, step.norm
    along, across = step.shrinkage * b - s * w, step.eval_shrinkage * b - s * w
    linear = n * m * (along * across + (d - 1.0) * (s * w) ** 2)
    toward, rest = m * ((m + 1.0) * b + s), m * s  # E vv' along the task and across it
    size_trace, size_mean = toward * v + (d - 1.0) * rest * s, b * toward
    length = size_trace * n + size_mean * tau_moment(n, 2)
    gaussian = 2.0 * tau_moment(n, 2) * w**2 * (toward * v**2 + (d - 1.0) * rest * s**2)
    gaussian = gaussian - 4.0 * toward * v * step.crossed(2)
    square = size_trace * step.residual(1) + size_mean * step.residual(2) + gaussian
    return Coefficients(linear, square, d * (square + v * length), _length(step))


def same_fixed(step: ScalarStep) -> Coefficients:
    """A constant step, evaluated on the context it was trained with."""
    n, d, w, v, b = step.rows, step.dim, step.weight, step.noise, step.norm
    one, two, three = step.trace(1), step.trace(2), step.trace(3)
    m2, m3, m4 = (tau_moment(n, power) for power in (2, 3, 4))
    r1, r2, r3, r4 = (step.residual(power) for power in (1, 2, 3, 4))
    linear = one * r1 + b * r2 + 2.0 * m2 * w**2 * two - 4.0 * v * step.crossed(2)
    square = (one**2 + 2.0 * two) * r2 + (2.0 * one + 4.0 * v) * b * r3 + b**2 * r4
    square = square + 4.0 * w**2 * two * (one * m3 + b * m4)
    square = square - 8.0 * v * (one * step.crossed(3) + b * step.crossed(4)) - 16.0 * v**2 * step.crossed(3)
    square = square + 8.0 * w**2 * (m3 * three + m4 * b * v**2)
    size = (one**2 + 2.0 * two) * m2 + (2.0 * one + 4.0 * v) * b * m3 + b**2 * m4
    return Coefficients(linear, square, d * (square + v * size), _length(step))


def same_normalized(step: ScalarStep) -> Coefficients:
    """A step divided by |u|^2, evaluated on its own context: the excess risk is all that matters."""
    reads = np.asarray(step.rows > 0, dtype=float)  # without a context there is nothing to write along
    excess = step.residual(0)
    return Coefficients(reads * excess, reads * excess, reads * step.dim * (excess + step.noise), np.ones(()))


def _length(step: ScalarStep) -> Any:
    """E|u|^2."""
    return step.trace(1) * step.rows + step.norm * tau_moment(step.rows, 2)
