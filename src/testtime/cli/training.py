"""What ``testtime adapt`` does: read a table, hold rows out, fit, score, save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime import TTTClassifier, TTTRegressor
from testtime.adapt.budget import Budget
from testtime.cli.tables import asked_kinds, kept_ids, readable
from testtime.cli.target import REGRESS, TargetColumn, class_costs, take_target
from testtime.errors import InputError, nearest, sentence
from testtime.estimators.beside import group_codes, moments
from testtime.estimators.saved import save
from testtime.evaluation.curves import curve_sizes
from testtime.evaluation.evaluate import evaluate
from testtime.evaluation.splits import hold_out, hold_out_groups, hold_out_latest
from testtime.tasks.files import FileFacts, read_table
from testtime.tasks.summary import summarise

__all__ = ["Done", "Request", "adapt_table"]

_FEWEST_TO_HOLD_OUT = 200  # rows; below, every row is worth more for the fit than for a score
_SHARE_OF_FIT = 0.7  # of the time limit; the rest is for scores


@dataclass(frozen=True)
class Request:
    """What was asked on the command line; `arguments` are those of the estimator."""

    train: Path
    target: str
    task: str
    asked: Mapping[str, Sequence[str]]
    keep_ids: bool
    groups: str | None
    time: str | None
    cost: Sequence[str]
    threshold: float | None
    held_out: float
    max_rows: int
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Done:
    """What came of it: the estimator, its scores, and what is to be said about the data."""

    estimator: Any
    task: str
    facts: FileFacts
    training: dict[str, Any]
    evaluation: dict[str, Any] | None
    said: tuple[str, ...]

    def save(self, out: Path, notes: Sequence[str], *, overwrite: bool) -> None:
        """Write the model with its documents, all or nothing."""
        documents = {"training": self.training | {"notes": [*self.said, *notes]}}
        if self.evaluation is not None:
            documents["evaluation"] = self.evaluation
        save(self.estimator, out, documents=documents, overwrite=overwrite)


def adapt_table(request: Request) -> Done:
    """Read, fit and score.

    Raises
    ------
    InputError
        If the table or an option cannot be used.
    """
    with readable(request.train) as path:
        frame, facts = read_table(
            path, max_rows=request.max_rows, random_state=request.arguments["random_state"]
        )
    # The size of a file is not known before it is read, so the limit begins here; the help says so.
    budget = Budget(request.arguments["time_limit"])
    target = take_target(frame, request.target, request.task, str(request.train))
    kinds = asked_kinds(list(frame.columns), request.target, dict(request.asked))
    for option, name in (("--groups", request.groups), ("--time", request.time)):
        if name is not None and name not in frame:
            raise InputError(
                sentence(f"{option} {name}: there is no such column", remedy=nearest(name, frame.columns))
            )
    if request.groups is not None:
        kinds.setdefault(request.groups, "id")  # who a row belongs to is not known of new rows
    frame = frame.drop(columns=request.target).iloc[target.rows].reset_index(drop=True)
    if request.keep_ids:
        kinds = kept_ids(frame, kinds)
    costs, decision = _costs(request, target)
    rows = _Rows(frame, target.values, request)
    fitted, scored = rows.split()
    estimator = _fit(request, target.task, kinds, rows, fitted, bool(len(scored)), budget)
    evaluation = None
    if len(scored):
        evaluation = _score(estimator, rows, fitted, scored, costs, budget)
    carried = [one["name"] for one in estimator.adaptation_.columns if one["kind"] == "id"]
    training = {
        "file": facts.to_dict(),
        "target": request.target,
        "task": target.task,
        "carried": carried,
        "costs": costs,
        "table": summarise(
            frame.iloc[fitted], target.values.iloc[fitted], numeric=target.task == REGRESS
        ).to_dict(),
    }
    said = [facts.explain(), *target.notes, rows.explain(len(scored)), *([decision] if decision else [])]
    return Done(estimator, target.task, facts, training, evaluation, tuple(said))


def _costs(request: Request, target: TargetColumn) -> tuple[dict[str, float] | None, str]:
    if target.task == REGRESS:
        if request.cost or request.threshold is not None:
            option = "--cost" if request.cost else "--threshold"
            raise InputError(
                sentence(f"{option} and a target of numbers", expected="classes", remedy="Pass --task classify")
            )
        return None, ""
    return class_costs(request.cost, request.threshold, target.values)


class _Rows:
    """Rows with a target, and how they may be split."""

    def __init__(self, frame: pd.DataFrame, values: pd.Series, request: Request) -> None:
        self.frame, self.values, self.request = frame, values, request
        self.groups = None if request.groups is None else group_codes(frame[request.groups], len(frame))
        self.time = None if request.time is None else moments(frame[request.time], len(frame))

    def split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows to fit and rows to score."""
        request = self.request
        share = request.held_out if len(self.frame) >= _FEWEST_TO_HOLD_OUT else 0.0
        if self.time is not None:
            return hold_out_latest(self.time, share)
        seed = request.arguments["random_state"]
        if self.groups is not None:
            return hold_out_groups(self.groups, share, seed)
        numbers = pd.api.types.is_float_dtype(self.values.dtype) or self.values.nunique() > 50
        return hold_out([0] * len(self.values) if numbers else self.values, share, seed)

    def explain(self, n_scored: int) -> str:
        """Say how the rows were split."""
        n_rows = len(self.frame)
        if not n_scored:
            why = "none was held out" if self.request.held_out == 0 else "too few to hold some out"
            return f"All {n_rows:,} rows were fitted: {why}, so nothing was scored."
        how = "drawn at random"
        if self.time is not None:
            how = f"the latest by {self.request.time!r}"
        elif self.groups is not None:
            how = f"whole groups of {self.request.groups!r}"
        return (
            f"{n_scored:,} of {n_rows:,} rows, {how}, were held out and only scored; the saved model was fitted on the "
            f"other {n_rows - n_scored:,}."
        )


def _fit(
    request: Request,
    task: str,
    kinds: dict[str, str],
    rows: _Rows,
    fitted: NDArray[np.int64],
    scored: bool,
    budget: Budget,
) -> Any:
    kind = TTTRegressor if task == REGRESS else TTTClassifier
    estimator = kind(**request.arguments, column_kinds=kinds or None)
    if budget.limited and request.arguments["time_limit"] > 0:  # others are refused by the estimator, by name
        share = _SHARE_OF_FIT if scored else 1.0
        estimator.set_params(time_limit=max(share * budget.left(), 1e-3))
    groups = None if rows.groups is None else rows.groups[fitted]
    time = None if rows.time is None else rows.time[fitted]
    return estimator.fit(rows.frame.iloc[fitted], rows.values.iloc[fitted], groups=groups, time=time)


def _score(
    estimator: Any,
    rows: _Rows,
    fitted: NDArray[np.int64],
    scored: NDArray[np.int64],
    costs: dict[str, float] | None,
    budget: Budget,
) -> dict[str, Any]:
    classes = list(getattr(estimator, "classes_", ()))
    seed = rows.request.arguments["random_state"]
    labels = rows.values.iloc[scored]
    known = np.ones(len(scored), dtype=bool)
    if classes:  # a class whose rows are all held out, in one group or late, cannot be predicted
        known = labels.isin(classes).to_numpy()
    return evaluate(
        estimator,
        rows.frame.iloc[scored[known]],
        labels[known],
        sizes=curve_sizes(estimator.adaptation_.n_context, len(classes), estimator._table.n_reference),
        source="held out before the fit, neither trained on nor seen by it",
        fitted=(rows.frame.iloc[fitted], rows.values.iloc[fitted]),
        groups=None if rows.groups is None else rows.groups[scored[known]],
        costs=None if costs is None else [costs[str(label)] for label in classes],
        random_state=seed,
        budget=budget,
    ).to_dict()
