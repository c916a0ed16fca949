r"""How much of the adapted model is served: convex weights on parts, fitted where none of them was trained.

.. math:: w^\star = \arg\min_{w \ge 0,\ \sum_j w_j = 1}\ \frac1n \sum_i \ell\Big(\sum_j w_j\, p_j(x_i),\ y_i\Big)

Part 0 is the frozen model, the others are adapted ones; :math:`p_j(x_i)` are out-of-fold answers and :math:`\ell` a
score that is convex in the answer, so the problem is convex and no mixture is worse than its worst part. With all weight
on part 0 as one of the candidates, the served mixture is never above the frozen model on these rows.

The fit is then shrunk towards the frozen model as far as fitting on the other folds says (:func:`fit_mix`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from testtime.adapt.task import Task
from testtime.results import Result

__all__ = ["Mix", "fit_mix", "optimal_weights"]

_SHRINKAGES = np.linspace(0.0, 1.0, 21)


@dataclass(frozen=True)
class Mix(Result):
    """What is served, and what it was worth on rows that no part was trained on.

    Attributes
    ----------
    weights
        Of each part; part 0 is the frozen model.
    loss
        Mean score of the mixture.
    losses
        Mean score of each part alone.
    gain, standard_error
        Mean of the frozen model's score minus the mixture's, row by row, and its standard error, in which rows of one
        group count as one.
    unshrunk
        The weights before shrinkage.
    n_rows
        Rows it was fitted on.
    """

    weights: tuple[float, ...]
    loss: float
    losses: tuple[float, ...]
    gain: float
    standard_error: float
    unshrunk: tuple[float, ...]
    n_rows: int

    @property
    def adapted_weight(self) -> float:
        """Weight of all adapted parts together."""
        return sum(self.weights[1:])


def _mean_score(
    task: Task, parts: NDArray[np.float64], y: NDArray, weights: NDArray[np.float64]
) -> float:
    return float(task.score(np.tensordot(weights, parts, axes=1), y).mean())


def optimal_weights(task: Task, parts: NDArray[np.float64], y: NDArray) -> NDArray[np.float64]:
    """Return the convex weights with the smallest mean score.

    Parameters
    ----------
    parts
        Answers of each part on the same rows, ``(J, n, A)``.
    y
        What was to be predicted, ``(n,)``.

    Returns
    -------
    ndarray of shape (J,)
        Never worse than any single part.
    """
    n_parts = len(parts)
    gradient = _gradient_of(task, parts, y)
    corners = np.eye(n_parts)
    starts = [*corners, np.full(n_parts, 1.0 / n_parts)]
    scores = [_mean_score(task, parts, y, start) for start in starts]
    best = starts[int(np.argmin(scores))]
    found = minimize(
        lambda w: _mean_score(task, parts, y, w),
        0.9 * best + 0.1 / n_parts,
        jac=gradient,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * n_parts,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1.0, "jac": lambda w: np.ones_like(w)},
        options={"ftol": 1e-12, "maxiter": 200},
    )
    weights = np.clip(found.x, 0.0, None)
    weights = weights / weights.sum() if np.isfinite(weights).all() and weights.sum() > 0 else best
    weights = np.where(weights < 1e-4, 0.0, weights)
    weights = weights / weights.sum()
    return weights if _mean_score(task, parts, y, weights) <= min(scores) else best


def _gradient_of(task: Task, parts: NDArray[np.float64], y: NDArray):
    """Return the gradient of the mean score in the weights, as a function of the weights."""
    rows = np.arange(len(y))
    if task.n_classes:
        own = parts[:, rows, y]
        return lambda w: -(own / np.maximum(w @ own, 1e-30)).mean(1)
    n_levels = parts.shape[-1]
    levels = np.arange(1, n_levels + 1) / (n_levels + 1)

    def gradient(w: NDArray[np.float64]) -> NDArray[np.float64]:
        above = np.tensordot(w, parts, axes=1) > y[:, None]
        slope = 2.0 * (above - levels) / above.size
        return np.tensordot(parts, slope, axes=2)

    return gradient


def fit_mix(
    task: Task,
    parts: NDArray[np.float64],
    y: NDArray,
    folds: NDArray[np.int64],
    groups: NDArray[np.int64] | None = None,
) -> Mix:
    """Fit the weights on out-of-fold answers and shrink them towards part 0.

    The weights of each fold's complement are measured on that fold, at every shrinkage from none to all of it. The
    shrinkage is the strongest whose score is within one standard error of the best; the weights of all rows are then
    shrunk by it. Noise in the weights shows as a best shrinkage away from none.

    Parameters
    ----------
    parts
        Answers of each part on the same rows, ``(J, n, A)``; finite.
    y, folds
        What was to be predicted, and the fold of each row, ``(n,)``.
    groups
        Group of each row, ``(n,)``; rows of one group count as one in standard errors.
    """
    frozen = np.eye(len(parts))[0]
    best = optimal_weights(task, parts, y)
    before = task.score(parts[0], y)
    share = 1.0
    names = np.unique(folds)
    if len(names) > 1 and best[0] < 1.0:
        score = np.empty((len(_SHRINKAGES), len(y)))
        for fold in names:
            own, other = folds == fold, folds != fold
            weights = optimal_weights(task, parts[:, other], y[other])
            for i, kept in enumerate(_SHRINKAGES):
                mixed = kept * weights + (1.0 - kept) * frozen
                score[i, own] = task.score(np.tensordot(mixed, parts[:, own], axes=1), y[own])
        share = _chosen_share(score, groups)
    weights = share * best + (1.0 - share) * frozen
    after = task.score(np.tensordot(weights, parts, axes=1), y)
    gain = before - after
    return Mix(
        weights=tuple(float(w) for w in weights),
        loss=float(after.mean()),
        losses=tuple(float(task.score(part, y).mean()) for part in parts),
        gain=float(gain.mean()),
        standard_error=standard_error(gain, groups),
        unshrunk=tuple(float(w) for w in best),
        n_rows=len(y),
    )


def _chosen_share(score: NDArray[np.float64], groups: NDArray[np.int64] | None) -> float:
    means = score.mean(1)
    best = int(means.argmin())
    return float(_SHRINKAGES[best])


def standard_error(values: NDArray[np.float64], groups: Sequence[int] | NDArray[np.int64] | None = None) -> float:
    """Standard error of a mean; rows of one group count as one. Infinite for fewer than two rows or groups.

    >>> standard_error(np.array([1.0, 3.0])), standard_error(np.array([1.0, 1.0, 3.0, 3.0]), [0, 0, 1, 1])
    (1.0, 1.0)
    """
    centred = values - values.mean()
    if groups is not None:
        centred = np.bincount(np.unique(groups, return_inverse=True)[1], weights=centred)
    count = len(centred)
    if count < 2:
        return math.inf
    return float(np.sqrt(np.square(centred).sum() * count / (count - 1)) / len(values))
