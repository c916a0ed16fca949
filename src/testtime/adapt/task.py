"""What is predicted, asked in one place: the score of an answer, and what rows are stratified by.

A score is convex in the answer. An average of answers is therefore never worse than the average of their scores
(Jensen), which is what folds, members and mixtures rest on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["Classes", "Numbers", "Task"]

_SMALLEST = 1e-30  # a probability below it counts as this much, so that one row cannot make a mean infinite


class Task(Protocol):
    """Classification or regression."""

    @property
    def n_classes(self) -> int:
        """Number of classes, 0 for a numeric target."""
        ...

    @property
    def loss_name(self) -> str:
        """What the score is called."""
        ...

    @property
    def unit(self) -> str:
        """What the score is measured in."""
        ...

    def score(self, answer: NDArray[np.float64], y: NDArray) -> NDArray[np.float64]:
        """Return the loss of each row, ``(..., q, A), (q,) -> (..., q)``; convex in the answer."""
        ...

    def pooled(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the answer that is each of several with equal chance, ``(q, k, A) -> (q, A)``."""
        ...

    def strata(self, y: NDArray) -> NDArray[np.int64] | None:
        """Return what rows are stratified by, ``(N,)``, or None."""
        ...


@dataclass(frozen=True)
class Classes:
    """Classes ``0..n_classes - 1``; answers are probabilities, scored by the log loss.

    >>> Classes(2).score(np.array([[0.5, 0.5]]), np.array([1])).round(4).tolist()
    [0.6931]
    """

    n_classes: int
    loss_name = "log loss"
    unit = "nats"

    def score(self, answer: NDArray[np.float64], y: NDArray) -> NDArray[np.float64]:
        """Log loss of the true class in nats."""
        return -np.log(np.maximum(answer[..., np.arange(len(y)), y], _SMALLEST))

    def pooled(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean of the probabilities."""
        return answers.mean(axis=1)

    def strata(self, y: NDArray) -> NDArray[np.int64] | None:
        """The classes themselves."""
        return y


@dataclass(frozen=True)
class Numbers:
    """A numeric target in standard deviations; answers are quantiles at the levels ``k / (K + 1)``, scored by the CRPS.

    >>> Numbers().score(np.zeros((1, 3)), np.array([2.0])).tolist()
    [2.0]
    """

    n_classes: int = 0
    loss_name = "CRPS"
    unit = "standard deviations of the target"

    def score(self, answer: NDArray[np.float64], y: NDArray) -> NDArray[np.float64]:
        """Continuous ranked probability score: twice the pinball loss, averaged over the levels."""
        n_levels = answer.shape[-1]
        levels = np.arange(1, n_levels + 1) / (n_levels + 1)
        error = y[:, None] - answer
        return 2.0 * np.maximum(levels * error, (levels - 1.0) * error).mean(-1)

    def pooled(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Quantiles of the mixture.

        >>> Numbers().pooled(np.array([[[0.0, 1.0, 2.0], [10.0, 11.0, 12.0]]])).tolist()
        [[0.75, 6.0, 11.25]]
        """
        n_levels = answers.shape[-1]
        levels = np.arange(1, n_levels + 1) / (n_levels + 1)
        return np.quantile(answers.reshape(len(answers), -1), levels, axis=1, method="weibull").T

    def strata(self, y: NDArray) -> NDArray[np.int64] | None:
        """None: rows are drawn at random."""
        return None
