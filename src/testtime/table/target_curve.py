r"""Monotone curves that make a skewed target even: logarithm, signed power, ranks.

A monotone curve maps quantiles to quantiles, so that those of the target are the curve's inverse of those that are
predicted, exactly. Which curve helps is measured elsewhere; here is what each does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

__all__ = ["CURVES", "IDENTITY", "Curve", "is_skewed"]

_MOST_KNOTS = 1001
_BEYOND = 0.5  # of the range of the targets
_SKEWED, _HEAVY = 1.0, 3.0  # skewness and excess kurtosis from which another curve than the identity is tried


@dataclass(frozen=True, eq=False)
class Curve:
    """The identity, and what the other curves are variations of.

    Attributes
    ----------
    numbers
        What was learned from the targets of fit; nothing for the identity.
    """

    name: ClassVar[str] = "as it is"
    numbers: NDArray[np.float64]

    @classmethod
    def fit(cls, y: NDArray[np.float64]) -> Curve | None:
        """Learn the curve from targets ``(N,)``; None where it is not defined for them."""
        return cls(np.empty(0))

    @property
    def valid(self) -> bool:
        """Whether `numbers` are some that :meth:`fit` can have given."""
        return self.numbers.shape == (0,)

    def forward(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bend targets."""
        return y

    def inverse(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Bend them back."""
        return z


class Logarithm(Curve):
    """The natural logarithm, for positive targets: predictions are positive, too.

    They end half the range of the targets above the largest one: on a logarithm that is a small step, and a few
    quantiles beyond it would decide the mean.

    >>> curve = Logarithm.fit(np.array([1.0, 3.0]))
    >>> curve.forward(np.array([1.0, np.e])).tolist(), curve.inverse(np.array([-50.0])) > 0
    ([0.0, 1.0], array([ True]))
    >>> curve.inverse(np.array([9.0])).tolist()
    [4.0]
    """

    name = "as its logarithm"

    @classmethod
    def fit(cls, y: NDArray[np.float64]) -> Curve | None:
        """Learn where predictions end; None unless all targets are positive."""
        with np.errstate(over="ignore"):
            most = y.max() + _BEYOND * (y.max() - y.min())
        return cls(np.array([most])) if y.min() > 0 and np.isfinite(most) else None

    @property
    def valid(self) -> bool:
        """Whether there is an end; models that were saved before there was one have none."""
        ends = self.numbers.shape in ((0,), (1,))
        return ends and bool((np.isfinite(self.numbers) & (self.numbers > 0)).all())

    def forward(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the logarithm."""
        return np.log(y)

    def inverse(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the exponential, up to the end."""
        return np.minimum(np.exp(np.minimum(z, 700.0)), self.numbers.min(initial=np.inf))


class SignedPower(Curve):
    r"""Both tails drawn in: :math:`\mathrm{sign}(u)\,(\sqrt{1 + |u|} - 1)` of :math:`u = (y - m) / s`.

    :math:`m` is the median and :math:`s` the median distance to it (or the mean one, where more than half of the
    targets are equal). Reference: John and Draper (1980), "An Alternative Family of Transformations", Applied
    Statistics 29.

    >>> curve = SignedPower.fit(np.array([0.0, 1.0, 2.0, 9.0]))
    >>> bent = curve.forward(np.array([1.5, 4.5])); bent.tolist()
    [0.0, 1.0]
    >>> curve.inverse(bent).tolist()
    [1.5, 4.5]
    """

    name = "as its signed square root about the median"

    @classmethod
    def fit(cls, y: NDArray[np.float64]) -> Curve | None:
        """Learn middle and spread; None where they are no positive finite numbers."""
        middle = float(np.median(y))
        apart = np.abs(y - middle)
        curve = cls(np.array([middle, float(np.median(apart)) or float(apart.mean())]))
        return curve if curve.valid else None

    @property
    def valid(self) -> bool:
        """Whether there are a middle and a spread."""
        return self.numbers.shape == (2,) and bool(np.isfinite(self.numbers).all()) and self.numbers[1] > 0

    def forward(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Draw the tails in."""
        u = (y - self.numbers[0]) / self.numbers[1]
        return np.sign(u) * np.abs(u) / (np.sqrt(1.0 + np.abs(u)) + 1.0)  # without the loss of digits near 0

    def inverse(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Let them out again."""
        return self.numbers[0] + self.numbers[1] * np.sign(z) * np.abs(z) * (np.abs(z) + 2.0)


class Ranks(Curve):
    """Normal scores of the ranks, linear between those of fit; predictions stay within the targets of fit.

    >>> curve = Ranks.fit(np.arange(5.0))
    >>> curve.forward(np.arange(5.0)).round(2).tolist(), curve.inverse(np.array([-9.0, 0.0, 9.0])).tolist()
    ([-1.28, -0.52, 0.0, 0.52, 1.28], [0.0, 2.0, 4.0])
    """

    name = "by its ranks"

    @classmethod
    def fit(cls, y: NDArray[np.float64]) -> Curve | None:
        """Learn quantiles; None for fewer than three different ones."""
        knots = np.sort(y)
        if len(knots) > _MOST_KNOTS:
            knots = np.quantile(knots, np.linspace(0, 1, _MOST_KNOTS))
        distinct, first, counts = np.unique(knots, return_index=True, return_counts=True)
        scores = ndtri((first + counts / 2) / len(knots))  # equal targets share the middle of their ranks
        return cls(np.concatenate([distinct, scores])) if len(distinct) > 2 else None

    @property
    def valid(self) -> bool:
        """Whether there are rising targets and rising scores."""
        length = len(self.numbers) // 2
        if self.numbers.ndim != 1 or len(self.numbers) != 2 * length or not 3 <= length <= _MOST_KNOTS:
            return False
        rising = np.diff(self.numbers.reshape(2, length), axis=1) > 0
        return bool(np.isfinite(self.numbers).all() and rising.all())

    def forward(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return normal scores."""
        targets, scores = self.numbers.reshape(2, -1)
        return np.interp(y, targets, scores)

    def inverse(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return targets."""
        targets, scores = self.numbers.reshape(2, -1)
        return np.interp(z, scores, targets)


CURVES: tuple[type[Curve], ...] = (Curve, Logarithm, SignedPower, Ranks)
"""All curves; a saved model names its own by position."""

IDENTITY = Curve(np.empty(0))


def is_skewed(y: NDArray[np.float64]) -> bool:
    """Tell whether numbers ``(N,)`` of mean 0 and deviation 1 are uneven or heavy-tailed enough to try curves.

    >>> even = np.linspace(-1.7, 1.7, 50)
    >>> is_skewed(even), is_skewed((np.exp(even) - 1.4) / 1.3)
    (False, True)
    """
    skewness, excess = float((y**3).mean()), float((y**4).mean()) - 3.0
    return abs(skewness) > _SKEWED or excess > _HEAVY
