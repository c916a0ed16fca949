"""What is predicted: classes or numbers, how they are scored, and how answers come back in the user's terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from testtime.adapt.task import Classes, Numbers, Task
from testtime.backbones.scaling import TargetScaler
from testtime.table.linear import LinearPart
from testtime.table.target_curve import IDENTITY, Curve

__all__ = ["ClassTarget", "NumericTarget", "Target"]


class Target(Protocol):
    """What is predicted, in the user's terms."""

    @property
    def task(self) -> Task:
        """What the engine predicts and how it is scored."""
        ...

    @property
    def unit(self) -> str:
        """Of the losses of a fit."""
        ...

    def inverse(self, answer: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn answers ``(q, A)`` for encoded rows ``(q, D)`` into the user's unit."""
        ...

    def with_levels(self, y: NDArray, x: NDArray[np.float64], places: NDArray[np.int64]) -> NDArray:
        """Return targets ``(M,)`` of rows ``(M, D)`` as modelled, but for levels of some columns not taken out."""
        ...


@dataclass(frozen=True)
class ClassTarget:
    """Class labels, sorted; answers are probabilities in their order."""

    classes: NDArray[Any]

    @property
    def task(self) -> Classes:
        """Classification."""
        return Classes(len(self.classes))

    @property
    def unit(self) -> str:
        """Of the log loss."""
        return self.task.unit

    def inverse(self, answer: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities as they are."""
        return answer

    def with_levels(
        self, y: NDArray[np.int64], x: NDArray[np.float64], places: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Return class codes as they are."""
        return y


@dataclass(frozen=True)
class NumericTarget:
    """Numbers and how a model sees them; answers are quantiles.

    Attributes
    ----------
    scaler
        The scale they are brought to.
    curve
        What evens them before that.
    linear
        What is taken out after that: the model sees what it leaves, brought to a deviation of 1.
    """

    scaler: TargetScaler
    curve: Curve = IDENTITY
    linear: LinearPart | None = None

    @property
    def task(self) -> Numbers:
        """Regression."""
        return Numbers()

    @property
    def unit(self) -> str:
        """Of the CRPS of what is modelled."""
        if self.linear is None:
            return self.task.unit
        return "standard deviations of what a ridge regression leaves of the target"

    def inverse(self, answer: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return quantiles in the unit of the target."""
        if self.linear is None:
            return self.straight(answer)
        return self.straight(self.linear.left * answer + self.linear.predict(x)[:, None])

    def with_levels(
        self, y: NDArray[np.float64], x: NDArray[np.float64], places: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """Return targets ``(M,)`` of rows ``(M, D)`` as modelled, but for levels of some columns not taken out.

        A new level adds nothing, and how far it may be off shows in what the others add.
        """
        return y if self.linear is None else y + self.linear.of_levels(x, places) / self.linear.left

    def straight(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return values with their linear part in the unit of the target."""
        return self.curve.inverse(self.scaler.inverse(y))

    def narrowed(self, bounds: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return bounds of `y`, ``(2,)``, that keep straight values within half their range beyond those of `y`, too.

        Half the range of logarithms is more than any value that was seen, times a large factor.
        """
        straight = self.straight(y)
        low, high = straight.min(), straight.max()
        with np.errstate(over="ignore", invalid="ignore"):  # a logarithm has no value below zero
            room = 0.5 * (high - low)
            ends = self.scaler.transform(self.curve.forward(np.array([low - room, high + room])))
        return np.array([np.fmax(bounds[0], ends[0]), np.fmin(bounds[1], ends[1])])

    def bent(self, curve: Curve, y: NDArray[np.float64]) -> tuple[NumericTarget, NDArray[np.float64]]:
        """Return the target on another curve, and the values that are `y` on this one; ``(N,)``, standardised."""
        values = curve.forward(self.straight(y))
        scaler = TargetScaler.fit(values)
        return NumericTarget(scaler, curve), scaler.transform(values)
