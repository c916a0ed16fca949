"""How good a fitted estimator is on rows it never saw, against the number of context rows.

One function measures everything a report shows, of the frozen model and of the mixture that is served: scores with
their errors, calibration, and seconds per prediction.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.adapt.mix import standard_error
from testtime.evaluation.scores import (
    CalibrationBin,
    ClassScorer,
    CoverageLevel,
    CurvePoint,
    NumberPoint,
    NumberScorer,
    Scorer,
)
from testtime.results import Result

if TYPE_CHECKING:
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

__all__ = ["Evaluation", "curve_sizes", "evaluate", "hold_out"]

MAX_CONTEXT = 1024  # the embedded model was pretrained up to about this many context rows
MAX_SCORED = 2000  # rows that are scored: the error of a mean loss is then about one hundredth


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
        Loss of what is served minus that of the frozen model at the same length, row by row, and its standard error,
        in which rows of one group count as one.
    points
        Scores at each length.
    calibration
        Of what is served and of the frozen model at the served length.
    loss_name
        The loss: "log loss" in nats for classes, "CRPS" in units of the target for numbers.
    """

    source: str
    n_rows: int
    n_context: int
    difference: float
    difference_error: float
    points: tuple[CurvePoint | NumberPoint, ...]
    calibration: tuple[CalibrationBin | CoverageLevel, ...]
    loss_name: str = "log loss"


def hold_out(
    labels: Any,
    share: float,
    random_state: int,
    *,
    groups: Any = None,
    time: NDArray[np.float64] | None = None,
    most: int = 5000,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows into those to fit and those to score.

    Parameters
    ----------
    labels
        Class of each row, whose shares both parts have; one class for all rows draws them uniformly.
    share
        Share of rows to hold out; each class keeps at least two rows to fit.
    random_state
        Seed.
    groups
        Group of each row, or None. Groups are held out whole, whatever their classes; a row without one stands alone.
    time
        Position of each row in time, or None. With it, the latest rows are held out, whatever their group.
    most
        Rows to hold out at most: more would not sharpen the scores.

    Returns
    -------
    fitted, held_out
        Row numbers in ascending order. Rows that are held out and of a class that no fitted row has are in neither.

    >>> fitted, held = hold_out(["a"] * 8 + ["b"] * 2, 0.25, 0)
    >>> len(fitted), len(held)
    (8, 2)
    >>> hold_out(["a"] * 4, 0.5, 0, time=np.array([3, 1, 2, 4]))[1].tolist()
    [0, 3]
    """
    codes = pd.factorize(pd.Series(labels), use_na_sentinel=False)[0]
    rng = np.random.default_rng(random_state)
    share = min(share, most / max(1, len(codes)))
    if time is not None:
        chosen = _latest(time, share)
    elif groups is not None:
        chosen = _whole_groups(_group_codes(groups), share, rng)
    else:
        chosen = _stratified(codes, share, rng)
    fitted = np.setdiff1d(np.arange(len(codes)), chosen)
    return fitted, chosen[np.isin(codes[chosen], codes[fitted])]


def _stratified(codes: NDArray[np.int64], share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    counts = np.bincount(codes)
    wanted = share * counts
    quotas = np.floor(wanted).astype(np.int64)
    rest = np.argsort(quotas - wanted, kind="stable")  # the classes that rounding has cut most get one more
    quotas[rest[: round(wanted.sum()) - quotas.sum()]] += 1
    quotas = np.clip(quotas, 0, np.maximum(counts - 2, 0))
    held = [rng.permutation(np.flatnonzero(codes == code))[:quota] for code, quota in enumerate(quotas)]
    return np.sort(np.concatenate(held)) if held else np.zeros(0, dtype=np.int64)


def _latest(time: NDArray[np.float64], share: float) -> NDArray[np.int64]:
    """Rows later than the others; rows of one moment stay together."""
    n_held = round(share * len(time))
    if not n_held:
        return np.zeros(0, dtype=np.int64)
    last_fitted = np.sort(time)[len(time) - n_held - 1]
    return np.flatnonzero(time > last_fitted)


def _group_codes(groups: Any) -> NDArray[np.int64]:
    """Number the groups; a row without one stands alone."""
    codes = pd.factorize(pd.Series(np.asarray(groups, dtype=object)))[0].astype(np.int64)
    codes[codes < 0] = codes.max() + 1 + np.arange(int((codes < 0).sum()))
    return codes


def _whole_groups(codes: NDArray[np.int64], share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Groups in random order, as many as fit in the share."""
    sizes = np.bincount(codes)
    order = rng.permutation(len(sizes))
    held = order[np.cumsum(sizes[order]) <= round(share * len(codes))]
    return np.flatnonzero(np.isin(codes, held))


def curve_sizes(n_context: int, n_classes: int, n_available: int) -> list[int]:
    """Return the context lengths to measure: powers of two, the served length, and all rows up to a limit.

    Where all rows are served, no longer context is there to compare with, and only the served length is measured.

    >>> curve_sizes(128, 2, 1000)
    [16, 32, 64, 128, 256, 512, 1000]
    >>> curve_sizes(1000, 2, 1000)
    [1000]
    """
    longest = min(n_available, MAX_CONTEXT)
    if n_context >= longest:
        return [n_context]
    powers = [2**k for k in range(4, 11) if max(n_classes, 16) <= 2**k < longest]
    return sorted({*powers, n_context, longest})


def evaluate(
    estimator: TTTClassifier | TTTRegressor,
    X: pd.DataFrame,
    labels: Any,
    *,
    sizes: Sequence[int],
    source: str,
    groups: Any = None,
    random_state: int = 0,
) -> Evaluation:
    """Score a fitted classifier or regressor on rows that it was not fitted on.

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
    groups
        Group of each row, or None.
    random_state
        Seed of the draw.

    Raises
    ------
    InputError
        If a label is not one of the classes of the fit, a target is no number, or there are no rows.
    """
    labels = np.asarray(labels, dtype=object)
    codes = None if groups is None else _group_codes(groups)
    if len(labels) > MAX_SCORED:
        drawn = np.sort(np.random.default_rng(random_state).choice(len(labels), MAX_SCORED, replace=False))
        X, labels, codes = X.iloc[drawn], labels[drawn], None if codes is None else codes[drawn]
    scorer = _scorer(estimator, labels)
    served = estimator.adaptation_.n_context
    points, calibration, losses = [], [], {}
    for n_context in sorted({*sizes, served}):
        for adapted in (False, True):
            if adapted and not estimator.adaptation_.kept:
                continue
            started = time.perf_counter()
            predicted = scorer.predict(X, n_context, adapted)
            seconds = time.perf_counter() - started
            points.append(scorer.point(n_context, adapted, predicted, seconds))
            if n_context == served:
                losses[adapted] = scorer.row_losses(predicted)
                calibration += scorer.calibration(predicted, adapted)
    difference = losses[True] - losses[False] if True in losses else np.zeros(scorer.n_rows)
    return Evaluation(
        source=source,
        n_rows=scorer.n_rows,
        n_context=served,
        difference=float(difference.mean()),
        difference_error=standard_error(difference, codes),
        points=tuple(points),
        calibration=tuple(calibration),
        loss_name=scorer.loss_name,
    )


def _scorer(estimator: Any, labels: NDArray[Any]) -> Scorer:
    return (
        ClassScorer(estimator, labels) if hasattr(estimator, "classes_") else NumberScorer(estimator, labels)
    )
