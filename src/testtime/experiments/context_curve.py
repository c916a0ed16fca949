"""How good a fitted classifier is on rows it never saw, against the number of context rows.

One function measures everything a report shows, plain and adapted: scores with their errors, calibration, and
seconds per prediction.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.results import Result

if TYPE_CHECKING:
    from testtime.estimators.classifier import TTTClassifier

__all__ = ["CalibrationBin", "CurvePoint", "Evaluation", "curve_sizes", "evaluate", "hold_out"]

MAX_CONTEXT = 1024  # the embedded model was pretrained up to about this many context rows
MAX_SCORED = 2000  # rows that are scored: the error of a mean loss is then about one hundredth
_TINY = 1e-15
_BINS = 10


@dataclass(frozen=True)
class CurvePoint(Result):
    """Scores at one context length.

    Attributes
    ----------
    n_context
        Context rows.
    adapted
        False for the frozen model.
    log_loss, log_loss_error
        Mean in nats and its standard error over the rows.
    accuracy
        Share of rows whose most probable class is right.
    auc
        Area under the ROC curve, for more than two classes the mean of one-against-rest; NaN if undefined.
    seconds_per_row
        Wall time of the prediction divided by its rows.
    """

    n_context: int
    adapted: bool
    log_loss: float
    log_loss_error: float
    accuracy: float
    auc: float
    seconds_per_row: float


@dataclass(frozen=True)
class CalibrationBin(Result):
    """Rows whose most probable class has a probability in one interval.

    Attributes
    ----------
    adapted
        False for the frozen model.
    confidence, accuracy
        Mean probability of the predicted class, and how often it is right.
    rows
        Number of rows.
    """

    adapted: bool
    confidence: float
    accuracy: float
    rows: int


@dataclass(frozen=True)
class Evaluation(Result):
    """What was measured on held-out rows.

    Attributes
    ----------
    source
        Where the rows come from.
    n_rows
        Rows scored.
    n_context
        Context length that is served.
    difference, difference_error
        Log loss of the served model minus that of the frozen one at the same length, row by row, and its
        standard error.
    points
        Scores at each length.
    calibration
        Bins of the served model and of the frozen one at the served length.
    """

    source: str
    n_rows: int
    n_context: int
    difference: float
    difference_error: float
    points: tuple[CurvePoint, ...]
    calibration: tuple[CalibrationBin, ...]


def hold_out(
    labels: Any, share: float, random_state: int, *, most: int = 5000
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows into those to fit and those to score, with the class shares of the table.

    Parameters
    ----------
    labels
        Class of each row.
    share
        Share of rows to hold out; each class keeps at least two rows to fit.
    random_state
        Seed.
    most
        Rows to hold out at most: more would not sharpen the scores.

    Returns
    -------
    fitted, held_out
        Row numbers in ascending order.

    >>> fitted, held = hold_out(["a"] * 8 + ["b"] * 2, 0.25, 0)
    >>> len(fitted), len(held)
    (8, 2)
    """
    codes = pd.factorize(pd.Series(labels), use_na_sentinel=False)[0]
    counts = np.bincount(codes)
    wanted = min(share, most / max(1, len(codes))) * counts
    quotas = np.floor(wanted).astype(np.int64)
    rest = np.argsort(quotas - wanted, kind="stable")  # the classes that rounding has cut most get one more
    quotas[rest[: round(wanted.sum()) - quotas.sum()]] += 1
    quotas = np.clip(quotas, 0, np.maximum(counts - 2, 0))
    rng = np.random.default_rng(random_state)
    held = [rng.permutation(np.flatnonzero(codes == code))[:quota] for code, quota in enumerate(quotas)]
    chosen = np.sort(np.concatenate(held)) if held else np.zeros(0, dtype=np.int64)
    return np.setdiff1d(np.arange(len(codes)), chosen), chosen


def curve_sizes(n_context: int, n_classes: int, n_available: int) -> list[int]:
    """Return the context lengths to measure: powers of two, the served length, and all rows up to a limit.

    >>> curve_sizes(128, 2, 1000)
    [16, 32, 64, 128, 256, 512, 1000]
    """
    longest = min(n_available, MAX_CONTEXT)
    powers = [2**k for k in range(4, 11) if max(n_classes, 16) <= 2**k < longest]
    return sorted({*powers, n_context, longest})


def evaluate(
    estimator: TTTClassifier,
    X: pd.DataFrame,
    labels: Any,
    *,
    sizes: Sequence[int],
    source: str,
    random_state: int = 0,
) -> Evaluation:
    """Score a fitted classifier on rows that it was not fitted on.

    Parameters
    ----------
    estimator
        Fitted.
    X, labels
        Held-out rows; at most 2,000 of them, drawn at random, are scored.
    sizes
        Context lengths; the served length is added.
    source
        Where the rows come from, for the record.
    random_state
        Seed of the draw.

    Raises
    ------
    InputError
        If a label is not one of the classes of the fit, or there are no rows.
    """
    labels = np.asarray(labels, dtype=object)
    if len(labels) > MAX_SCORED:
        drawn = np.sort(np.random.default_rng(random_state).choice(len(labels), MAX_SCORED, replace=False))
        X, labels = X.iloc[drawn], labels[drawn]
    codes = _codes(labels, np.asarray(estimator.classes_).tolist())
    served = estimator.adaptation_.n_context
    points, bins, losses = [], [], {}
    for n_context in sorted({*sizes, served}):
        for adapted in (False, True):
            if adapted and not estimator.adaptation_.kept:
                continue
            started = time.perf_counter()
            probabilities = estimator.predict_proba_at(X, n_context, adapted=adapted)
            seconds = time.perf_counter() - started
            row_losses = -np.log(np.maximum(probabilities[np.arange(len(codes)), codes], _TINY))
            points.append(_point(n_context, adapted, probabilities, codes, row_losses, seconds))
            if n_context == served:
                losses[adapted] = row_losses
                bins += _calibration(probabilities, codes, adapted)
    difference = losses[True] - losses[False] if True in losses else np.zeros(len(codes))
    return Evaluation(
        source=source,
        n_rows=len(codes),
        n_context=served,
        difference=float(difference.mean()),
        difference_error=_standard_error(difference),
        points=tuple(points),
        calibration=tuple(bins),
    )


def _codes(labels: NDArray[Any], classes: list[Any]) -> NDArray[np.int64]:
    """Return the position of each label among the classes of the fit."""
    lookup = {label: code for code, label in enumerate(classes)}
    unknown = [label for label in labels if label not in lookup]
    if unknown or not len(labels):
        raise InputError(
            sentence(
                f"the held-out label {unknown[0]!r}" if unknown else "there are no held-out rows",
                expected="one of " + ", ".join(repr(label) for label in classes[:10]) if unknown else "",
                remedy="Leave out rows of other classes" if unknown else "Add some",
            )
        )
    return np.array([lookup[label] for label in labels], dtype=np.int64)


def _point(
    n_context: int,
    adapted: bool,
    probabilities: NDArray[np.float64],
    codes: NDArray[np.int64],
    row_losses: NDArray[np.float64],
    seconds: float,
) -> CurvePoint:
    return CurvePoint(
        n_context=n_context,
        adapted=adapted,
        log_loss=float(row_losses.mean()),
        log_loss_error=_standard_error(row_losses),
        accuracy=float((probabilities.argmax(axis=1) == codes).mean()),
        auc=_auc(probabilities, codes),
        seconds_per_row=seconds / len(codes),
    )


def _auc(probabilities: NDArray[np.float64], codes: NDArray[np.int64]) -> float:
    """Mean over classes of the one-against-rest area; classes without rows, or with all, do not count."""
    from sklearn.metrics import roc_auc_score

    columns = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = [
        roc_auc_score(codes == c, probabilities[:, c]) for c in columns if 0 < (codes == c).sum() < len(codes)
    ]
    return float(np.mean(areas)) if areas else float("nan")


def _calibration(
    probabilities: NDArray[np.float64], codes: NDArray[np.int64], adapted: bool
) -> list[CalibrationBin]:
    """Sort rows by the probability of the predicted class and cut them into bins of equal size."""
    confidence, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == codes
    pieces = np.array_split(np.argsort(confidence, kind="stable"), min(_BINS, max(1, len(codes) // 20)))
    return [
        CalibrationBin(adapted, float(confidence[rows].mean()), float(right[rows].mean()), len(rows))
        for rows in pieces
    ]


def _standard_error(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
