"""Whether probabilities and intervals mean what they say, and which rows are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.estimators.regressor import at_levels
from testtime.evaluation.influence import mean
from testtime.results import Result

__all__ = [
    "CalibrationBin",
    "Confusion",
    "Interval",
    "PredictedRow",
    "confusion",
    "intervals",
    "predicted_rows",
    "reliability",
]

_BINS = 10
_FEWEST_IN_BIN = 20
_SAME = 1e-9  # probabilities that differ by less are the same but for rounding
_COVERED = (0.5, 0.8, 0.9, 0.98)
_MOST_SHOWN = 400  # points of a drawing


@dataclass(frozen=True)
class CalibrationBin(Result):
    """Rows whose predicted probability is in one interval.

    Attributes
    ----------
    adapted
        False for the frozen model.
    promised, came_true, error
        Mean predicted probability, how often it came true, and the standard error of that.
    rows
        Number of rows.
    """

    adapted: bool
    promised: float
    came_true: float
    error: float
    rows: int


@dataclass(frozen=True)
class Interval(Result):
    """A central interval of the predicted distribution.

    Attributes
    ----------
    adapted
        False for the frozen model.
    level
        Share of targets that should be inside.
    share, error
        Share that is, and its standard error.
    width
        Mean width in the unit of the target.
    """

    adapted: bool
    level: float
    share: float
    error: float
    width: float


@dataclass(frozen=True)
class Confusion(Result):
    """Rows by true class (first axis) and predicted class (second), with each class's recall and precision.

    Attributes
    ----------
    classes
        Names in order.
    counts
        Rows of the matrix.
    recall, precision
        Shares with their standard errors as ``(share, error)``; a share of nothing is NaN.
    """

    classes: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    recall: tuple[tuple[float, float], ...]
    precision: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class PredictedRow(Result):
    """Predicted mean, 90% interval and actual value of one row."""

    predicted: float
    low: float
    high: float
    actual: float


def reliability(
    probabilities: NDArray[np.float64], codes: NDArray[np.int64], *, adapted: bool
) -> list[CalibrationBin]:
    """Cut rows into bins of about equal size by a probability, and count how often it came true.

    Of two classes it is the probability of the second; of more, that of the predicted class. Rows of one probability
    share a bin: parted by their place in the table, which may be sorted by class, they would look uncalibrated.
    """
    if probabilities.shape[1] == 2:
        promised, true = probabilities[:, 1], codes == 1
    else:
        promised, true = probabilities.max(axis=1), probabilities.argmax(axis=1) == codes
    n_bins = min(_BINS, max(1, len(codes) // _FEWEST_IN_BIN))
    order = np.argsort(promised, kind="stable")
    ends = np.cumsum([len(piece) for piece in np.array_split(order, n_bins)])[:-1]
    # A border within rows of one probability moves to the nearer end of them.
    in_order, at_border = promised[order], promised[order[ends]]
    first = np.searchsorted(in_order, at_border - _SAME, side="left")
    behind = np.searchsorted(in_order, at_border + _SAME, side="right")
    moved = np.where(ends - first <= behind - ends, first, behind)
    pieces = np.split(order, np.unique(moved[(moved > 0) & (moved < len(order))]))
    return [
        CalibrationBin(
            adapted,
            float(promised[rows].mean()),
            float(true[rows].mean()),
            # Not from the spread of the bin, which is zero where all are alike: a bin always says something uncertain.
            float(
                np.sqrt((true[rows].sum() + 1) * ((~true[rows]).sum() + 1) / (len(rows) + 2) ** 2 / len(rows))
            ),
            len(rows),
        )
        for rows in pieces
    ]


def intervals(
    quantiles: NDArray[np.float64],
    targets: NDArray[np.float64],
    groups: NDArray[np.int64] | None,
    *,
    adapted: bool,
) -> list[Interval]:
    """Count targets inside central intervals of predicted quantiles ``(q, A)``."""
    found = []
    for level in _COVERED:
        if (1 - level) / 2 < 1 / (quantiles.shape[1] + 1) - 1e-9:
            continue  # beyond the quantiles that are predicted
        low, high = at_levels(quantiles, ((1 - level) / 2, (1 + level) / 2)).T
        inside = mean((low <= targets) & (targets <= high))
        width = float((high - low).mean())
        found.append(Interval(adapted, level, inside.value, inside.error(groups), width))
    return found


def predicted_rows(
    quantiles: NDArray[np.float64], targets: NDArray[np.float64], seed: int
) -> list[PredictedRow]:
    """Return a draw of rows for a drawing of predicted against actual values."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(targets))[:_MOST_SHOWN])
    outermost = max(0.05, 1 / (quantiles.shape[1] + 1))
    low, high = at_levels(quantiles, (outermost, 1 - outermost)).T
    mean_of_row = quantiles.mean(axis=1)
    return [PredictedRow(*map(float, (mean_of_row[i], low[i], high[i], targets[i]))) for i in rows]


def confusion(predicted: NDArray[np.int64], codes: NDArray[np.int64], classes: Sequence[Any]) -> Confusion:
    """Count rows by true and predicted class."""
    counts = np.zeros((len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts, (codes, predicted), 1)
    right = np.diag(counts)

    def shares(totals: NDArray[np.int64]) -> tuple[tuple[float, float], ...]:
        return tuple(_share(int(hits), int(total)) for hits, total in zip(right, totals, strict=True))

    return Confusion(
        tuple(map(str, classes)),
        tuple(tuple(row) for row in counts.tolist()),
        shares(counts.sum(axis=1)),
        shares(counts.sum(axis=0)),
    )


def _share(hits: int, total: int) -> tuple[float, float]:
    if not total:
        return float("nan"), float("nan")
    share = hits / total
    smoothed = (hits + 1) / (total + 2)  # so that 5 of 5 is not said to be exact
    return share, float(np.sqrt(smoothed * (1 - smoothed) / total))
