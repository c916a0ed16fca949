r"""How much of the adapted models is served: the weight that is best on rows that no part was trained on.

.. math:: w^\star = \arg\min_{0 \le w \le 1}\
          \frac1n \sum_i \ell\big((1-w)\,\bar f(x_i) + w\,\bar a(x_i),\ y_i\big) - c(w)

:math:`\bar f` is the mean answer of frozen views, :math:`\bar a` of adapted models, both out of fold, and :math:`\ell`
a score that is convex in the answer. A row has been seen by most adapters, so that fewer can be averaged out of fold
than are served. The excess loss of a mean of ``P`` models over a mean of very many falls like ``1/P``; the term

.. math:: c(w) = w^2\, (\overline{\ell(a)} - \ell(\bar a))\,\tfrac{P}{P-1}\big(\tfrac1P - \tfrac1M\big)
          + (1-w)^2\, (\overline{\ell(f)} - \ell(\bar f))\,\tfrac{V}{V-1}\big(\tfrac1V - \tfrac1N\big)

takes it off for ``M`` served adapters and ``N`` served views. The correction may only move the weight as far as what
was measured without it stays at or below the frozen model: what is served is never above the frozen model out of fold.

A hundred rows hardly tell weights apart, and the losses that matter most, of confident errors, are rare among them.
With few rows the weight can therefore be kept at or below its posterior mean,

.. math:: \int w\, p(w)\, dw, \quad p(w) \propto (1-w)^{\text{doubt}}\, e^{-\sum_i \ell_i(w)}

which is where log losses put it for a prior that favours the frozen model, and which tends to the best weight as rows
become many.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtime.adapt.task import Task
from testtime.results import Result

__all__ = ["Mix", "fit_mix", "standard_error"]

_COARSE = np.linspace(0.0, 1.0, 21)
_FINE = np.linspace(-0.05, 0.05, 11)


@dataclass(frozen=True)
class Mix(Result):
    """What is served, and what it was worth on rows that no part was trained on.

    Attributes
    ----------
    weight
        Share of the adapted models.
    loss, frozen_loss, adapted_loss
        Mean score of the mixture, of the frozen views alone and of the adapted models alone, as measured out of fold.
    gain, standard_error
        ``frozen_loss - loss``, and its standard error from the paired rows, in which rows of one group count as one.
    expected_gain
        The gain when all members are averaged.
    n_rows
        Rows it was measured on.
    """

    weight: float
    loss: float
    frozen_loss: float
    adapted_loss: float
    gain: float
    standard_error: float
    expected_gain: float
    n_rows: int


def fit_mix(
    task: Task,
    frozen: NDArray[np.float64],
    adapted: NDArray[np.float64],
    y: NDArray,
    *,
    n_views: int,
    n_members: int,
    groups: NDArray[np.int64] | None = None,
    doubt: float | None = None,
) -> Mix:
    """Fit the weight of the adapted models.

    Parameters
    ----------
    frozen, adapted
        Out-of-fold answers of single views, ``(V, n, A)``, and of single adapters, ``(P, n, A)``, on the same rows.
    y
        What was to be predicted, ``(n,)``.
    n_views, n_members
        Views and adapters that will be averaged when served.
    groups
        Group of each row, ``(n,)``, or None.
    doubt
        Exponent of the prior of a posterior mean that the weight is kept below; None for no such bound.
    """
    parts = frozen.mean(0), adapted.mean(0)
    spread = [
        _spread(task, members, mean, y, served)
        for members, mean, served in ((frozen, parts[0], n_views), (adapted, parts[1], n_members))
    ]

    def score(weight: float) -> NDArray[np.float64]:
        return task.score((1.0 - weight) * parts[0] + weight * parts[1], y)

    def correction(weight: float) -> float:
        return (1.0 - weight) ** 2 * spread[0] + weight**2 * spread[1]

    before = score(0.0)
    measured = {float(w): float(score(w).mean()) for w in _COARSE}
    best = _best(measured, correction, float(before.mean()))
    measured |= {float(w): float(score(w).mean()) for w in np.clip(best + _FINE, 0.0, 1.0)}
    weight = _best(measured, correction, float(before.mean()))
    if doubt is not None:
        n_units = len(y) if groups is None else len(np.unique(groups))
        losses = np.array([measured[float(w)] for w in _COARSE])
        # The loss is convex in the weight: between 0 and the best one it is not above the frozen model either.
        weight = min(weight, _posterior_mean(n_units * losses, doubt))
    after = score(weight)
    gain = before - after
    return Mix(
        weight=weight,
        loss=float(after.mean()),
        frozen_loss=float(before.mean()),
        adapted_loss=measured[1.0],
        gain=float(gain.mean()),
        standard_error=standard_error(gain, groups),
        expected_gain=float(gain.mean()) - correction(0.0) + correction(weight),
        n_rows=len(y),
    )


def _best(measured: dict[float, float], correction: Callable[[float], float], most: float) -> float:
    """The weight with the smallest corrected loss among those that were not measured above `most`."""
    allowed = [weight for weight, loss in measured.items() if loss <= most]
    return min(allowed, key=lambda weight: (measured[weight] - correction(weight), weight))


def _posterior_mean(losses: NDArray[np.float64], doubt: float) -> float:
    """Mean of the weight under its posterior, from total losses at :data:`_COARSE`."""
    density = (1.0 - _COARSE) ** doubt * np.exp(losses.min() - losses)
    return float(density @ _COARSE / density.sum())


def _spread(
    task: Task, members: NDArray[np.float64], mean: NDArray[np.float64], y: NDArray, n_served: int
) -> float:
    """By how much the loss of the mean falls when `n_served` members are averaged instead of those that are here."""
    n_here = len(members)
    if n_here < 2 or n_served <= n_here:
        return 0.0
    excess = float(np.mean([task.score(member, y).mean() for member in members]) - task.score(mean, y).mean())
    return excess * n_here / (n_here - 1) * (1.0 / n_here - 1.0 / n_served)


def standard_error(
    values: NDArray[np.float64], groups: Sequence[int] | NDArray[np.int64] | None = None
) -> float:
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
