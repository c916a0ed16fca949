"""Everything a report shows about rows that were not fitted: scores, rivals on the same rows, calibration, importances.

What costs most comes last, and is left out and named when a time limit leaves no room for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.errors import InputError, sentence
from testtime.estimators.progress import progress
from testtime.evaluation.baselines import baselines
from testtime.evaluation.calibration import (
    CalibrationBin,
    Confusion,
    Interval,
    PredictedRow,
    confusion,
    intervals,
    predicted_rows,
    reliability,
)
from testtime.evaluation.curves import answers, lengths_to_measure, point
from testtime.evaluation.importance import Importance, column_importances
from testtime.evaluation.influence import mean
from testtime.evaluation.scores import ClassScorer, NumberScorer, Point, Score, Scorer, scored
from testtime.results import Result

if TYPE_CHECKING:
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

__all__ = ["Evaluation", "Rival", "decide", "evaluate"]

MAX_SCORED = 2000  # rows that are scored: the error of a mean loss is then about one hundredth
_PERMUTED = 200  # rows, and
_REPEATS = 3  # permutations of each column, in
_COLUMNS = 40  # columns at most, with
_CONTEXT = 256  # context rows


@dataclass(frozen=True)
class Rival(Result):
    """What could be used instead, on the same rows.

    Attributes
    ----------
    name
        In words.
    scores
        As in :class:`testtime.evaluation.scores.Point`.
    difference, error
        Its compared score minus that of what is served, row by row, and the standard error; below zero it is better.
    """

    name: str
    scores: dict[str, Score]
    difference: float
    error: float


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
    loss_name
        The loss: "log loss" in nats for classes, "CRPS" in units of the target for numbers.
    difference, error
        Loss of what is served minus that of the frozen model at the same length, row by row, and its standard error.
    points
        Scores at each length.
    compared
        Key of the score by which rivals are compared.
    rivals
        The frozen model, and models that were fitted to the same rows.
    calibration
        Bins of a probability for classes, central intervals for numbers; of what is served and of the frozen model.
    confusion, rows
        Of classes and of numbers; else None and empty.
    importances
        Of columns, with few context rows and members; the largest first.
    skipped
        What the time limit left out.
    n_fitted
        Scored rows that are equal to rows of the fit.
    """

    source: str
    n_rows: int
    n_context: int
    loss_name: str
    difference: float
    error: float
    points: tuple[Point, ...]
    compared: str
    rivals: tuple[Rival, ...]
    calibration: tuple[CalibrationBin | Interval, ...]
    confusion: Confusion | None = None
    rows: tuple[PredictedRow, ...] = ()
    importances: tuple[Importance, ...] = ()
    skipped: tuple[str, ...] = ()
    n_fitted: int = 0


def decide(probabilities: NDArray[np.float64], costs: Sequence[float] | None) -> NDArray[np.int64]:
    """Return the class of each row: the most probable, or with what missing each class costs, the cheapest.

    >>> decide(np.array([[0.7, 0.3]]), [1.0, 5.0]).tolist()
    [1]
    """
    return (probabilities * (1.0 if costs is None else np.asarray(costs))).argmax(axis=1)


def evaluate(
    estimator: TTTClassifier | TTTRegressor,
    X: Any,
    labels: Any,
    *,
    sizes: Sequence[int],
    source: str,
    fitted: tuple[Any, Any] | None = None,
    groups: NDArray[np.int64] | None = None,
    costs: Sequence[float] | None = None,
    importances: bool = True,
    random_state: int = 0,
    budget: Budget | None = None,
) -> Evaluation:
    """Score a fitted classifier or regressor on rows that it was not fitted on.

    Parameters
    ----------
    estimator
        Fitted.
    X, labels
        Held-out rows, in any form that the estimator predicts, and one label for each; at most 2,000 of them, drawn at
        random, are scored.
    sizes
        Context lengths; the served length is added.
    source
        Where the rows come from, for the record.
    fitted
        The rows of the fit and their targets, to which other models are fitted; None compares with the frozen one only.
    groups
        Group codes of the held-out rows; rows of one group count as one in errors.
    costs
        What missing a row of each class costs, for the confusion matrix.
    importances
        Whether to permute columns.
    random_state
        Seed of the draw.
    budget
        Time; what does not fit is left out.

    Raises
    ------
    InputError
        If a label is not one of the classes of the fit, a target is no number, there are no rows, or not as many
        labels.
    """
    X = _frame(estimator, X)
    labels = np.asarray(labels, dtype=object)
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if labels.shape != (len(X),):
        raise InputError(
            sentence(
                f"{len(X):,} held-out rows and labels of the shape {labels.shape}",
                expected="one label for each row",
            )
        )
    if len(labels) > MAX_SCORED:
        drawn = np.sort(np.random.default_rng(random_state).choice(len(labels), MAX_SCORED, replace=False))
        X, labels = X.iloc[drawn], labels[drawn]
        groups = None if groups is None else groups[drawn]
    return _Run(estimator, X, labels, groups, budget or Budget()).all(
        sizes, source, fitted, costs, importances, random_state
    )


class _Run:
    """One evaluation: what is served and the frozen model first, then rivals, curves and columns while time lasts."""

    def __init__(
        self,
        estimator: Any,
        X: pd.DataFrame,
        labels: NDArray,
        groups: NDArray[np.int64] | None,
        budget: Budget,
    ) -> None:
        self.estimator, self.X, self.budget = estimator, X, budget
        self.record = estimator.adaptation_
        self.classes = list(getattr(estimator, "classes_", ()))
        self.scorer: ClassScorer | NumberScorer = (
            ClassScorer(labels, self.classes, groups) if self.classes else NumberScorer(labels, groups)
        )
        self.points: list[Point] = []
        self.skipped: list[str] = []
        self.slowest = 0.0

    def all(
        self,
        sizes: Sequence[int],
        source: str,
        fitted: tuple[Any, Any] | None,
        costs: Sequence[float] | None,
        importances: bool,
        seed: int,
    ) -> Evaluation:
        served, kept = self.record.n_context, self.record.kept
        lengths = list(lengths_to_measure(sizes, served, kept=kept))
        with progress(False) as work:
            work.say("scoring")
            predicted = {adapted: self._measure(n, adapted) for n, adapted in lengths[: 1 + kept]}
            best = predicted[kept]
            frozen = [(f"frozen model, {served:,} context rows", predicted[False])] if kept else []
            longest = max(n for n, _ in lengths)
            if longest > served and self._fits("the frozen model with all rows", longest / served):
                frozen.append((f"frozen model, {longest:,} context rows", self._measure(longest, False)))
            rivals = [self._rival(name, one, best) for name, one in frozen]
            work.say("comparing with other models")
            rivals += self._fitted_rivals(fitted, best, seed)
            work.say("scoring")
            self._curve([pair for pair in lengths[1 + kept :] if pair != (longest, False)])
            work.say("permuting columns")
            columns = self._importances(seed) if importances else []
        difference = mean(self.scorer.row_losses(best) - self.scorer.row_losses(predicted[False]))
        return Evaluation(
            source=source,
            n_rows=self.scorer.n_rows,
            n_context=served,
            loss_name=self.scorer.loss_name,
            difference=difference.value,
            error=difference.error(self.scorer.groups),
            points=tuple(sorted(self.points, key=lambda one: (one.n_context, one.adapted))),
            compared=self.scorer.compared,
            rivals=tuple(rivals),
            importances=tuple(sorted(columns, key=lambda one: -one.increase)),
            skipped=tuple(self.skipped),
            **self._calibrated(predicted, best, costs, seed),
        )

    def _measure(self, n_context: int, adapted: bool) -> NDArray[np.float64]:
        measured, predicted = point(self.estimator, self.scorer, self.X, n_context, adapted=adapted)
        self.points.append(measured)
        self.slowest = max(self.slowest, measured.seconds_per_row * self.scorer.n_rows)
        return predicted

    def _fits(self, what: str, times_the_slowest: float) -> bool:
        """Whether something fits into the time that is left; else it is named."""
        if self.budget.fits(times_the_slowest * self.slowest):
            return True
        self.skipped.append(what)
        return False

    def _rival(self, name: str, predicted: NDArray[np.float64], best: NDArray[np.float64]) -> Rival:
        own, served = self.scorer.influences(predicted), self.scorer.influences(best)
        difference = own[self.scorer.compared] - served[self.scorer.compared]
        groups = self.scorer.groups
        return Rival(name, scored(own, groups), difference.value, difference.error(groups))

    def _fitted_rivals(
        self, fitted: tuple[Any, Any] | None, best: NDArray[np.float64], seed: int
    ) -> list[Rival]:
        if fitted is None:
            return []
        columns = self.estimator._table.encoding.columns
        described = columns.transform(_frame(self.estimator, fitted[0]))
        rows = columns.transform(self.X).x
        y = np.asarray(fitted[1])
        if self.classes:
            y = np.searchsorted(np.asarray(self.classes), y)
        rivals = []
        for model in baselines(described, y, len(self.classes), seed):
            if self.budget.fits(model.seconds):
                rivals.append(self._rival(model.name, model.fit(described.x, y)(rows), best))
            else:
                self.skipped.append(model.name)
        return rivals

    def _curve(self, lengths: list[tuple[int, bool]]) -> None:
        for n_context, adapted in lengths:
            which = "adapted" if adapted else "frozen"
            if self._fits(f"the {which} model with {n_context:,} context rows", 1.0):
                self._measure(n_context, adapted)

    def _importances(self, seed: int) -> list[Importance]:
        own = {str(name): name for name in self.X.columns}  # the record holds them as text
        names = [own[str(one["name"])] for one in self.record.columns if not one["left_out"]][:_COLUMNS]
        rows = np.random.default_rng(seed).permutation(len(self.X))[:_PERMUTED]
        frame, part = self.X.iloc[rows], _part(self.scorer, rows)
        cheap = _cheaper(self.estimator)

        def row_losses(changed: pd.DataFrame) -> NDArray[np.float64]:
            return part.row_losses(answers(cheap, changed))

        before = self.budget.clock()
        row_losses(frame)
        each = (self.budget.clock() - before) * _REPEATS
        found = []
        columns = column_importances(
            row_losses, frame, names, repeats=_REPEATS, seed=seed, groups=part.groups
        )
        for name in names:
            if not self.budget.fits(2 * each):
                self.skipped.append(f"the importance of {str(name)!r} and of later columns")
                break
            found.append(next(columns))
        return found

    def _calibrated(
        self,
        predicted: Mapping[bool, NDArray[np.float64]],
        best: NDArray[np.float64],
        costs: Sequence[float] | None,
        seed: int,
    ) -> dict[str, Any]:
        scorer = self.scorer
        if isinstance(scorer, ClassScorer):
            bins = [
                part
                for adapted, one in predicted.items()
                for part in reliability(one, scorer.codes, adapted=adapted)
            ]
            matrix = confusion(decide(best, costs), scorer.codes, self.classes)
            return {"calibration": tuple(bins), "confusion": matrix}
        inside = [
            part
            for adapted, one in predicted.items()
            for part in intervals(one, scorer.targets, scorer.groups, adapted=adapted)
        ]
        return {"calibration": tuple(inside), "rows": tuple(predicted_rows(best, scorer.targets, seed))}


def _frame(estimator: Any, X: Any) -> pd.DataFrame:
    """Rows with the names that the estimator has for its columns."""
    return X if isinstance(X, pd.DataFrame) else estimator._check_table(X, reset=False)


def _cheaper(estimator: Any) -> Any:
    """A twin with one frozen view, one adapter and a short context, which is read once for all columns."""
    twin, table = copy(estimator), estimator._table
    first = {member.state is not None: member for member in reversed(table.members)}
    weight = table.record.weight if len(first) > 1 else 1.0
    members = tuple(
        replace(member, weight=weight if adapted or len(first) == 1 else 1.0 - weight)
        for adapted, member in sorted(first.items())
    )
    record = replace(table.record, n_context=min(_CONTEXT, table.record.n_context))
    twin._table = replace(table, members=members, record=record)
    return twin


def _part(scorer: ClassScorer | NumberScorer, rows: NDArray[np.int64]) -> Scorer:
    """The scorer of some of the rows."""
    groups = None if scorer.groups is None else scorer.groups[rows]
    if isinstance(scorer, ClassScorer):
        return ClassScorer(scorer.codes[rows].tolist(), range(1 + int(scorer.codes.max())), groups)
    return NumberScorer(scorer.targets[rows], groups)
