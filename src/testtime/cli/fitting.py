"""What ``testtime adapt`` does: read a table, hold rows out, fit, score, save."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testtime import TTTClassifier, TTTRegressor
from testtime.adapt.budget import Budget
from testtime.cli.target import REGRESS, class_costs
from testtime.cli.training import Training, kept_ids, read_training
from testtime.errors import InputError, sentence
from testtime.estimators.beside import group_codes
from testtime.estimators.saved import save
from testtime.evaluation.curves import curve_sizes
from testtime.evaluation.evaluate import evaluate
from testtime.table.readers import FileFacts
from testtime.tasks.summary import summarise

__all__ = ["Done", "Request", "adapt_table"]

_SHARE_OF_FIT = 0.7  # of the time limit; the rest is for scores


@dataclass(frozen=True)
class Request:
    """What was asked on the command line; `arguments` are those of the estimator."""

    train: Path
    target: str
    task: str
    kinds: Mapping[str, str]
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
    seed = request.arguments["random_state"]
    data, facts, dropped = read_training(
        request.train,
        request.target,
        task=request.task,
        groups=request.groups,
        time=request.time,
        max_rows=request.max_rows,
        seed=seed,
    )
    # How long a file takes is not known before it is read, so the limit begins here; the help says so.
    budget = Budget(request.arguments["time_limit"])
    data, task, chosen = data.of_task(request.task)
    kinds = dict(request.kinds)
    if request.keep_ids:
        kinds = kept_ids(data.X, kinds)
    costs, decision = _costs(request, task, data)
    unseen = [name for name, kind in kinds.items() if kind in ("id", "ignored", "text")]
    fitted, scored, split = data.split(request.held_out, seed, numeric=task == REGRESS, unseen=unseen)
    estimator = _fit(request, task, kinds, fitted, len(scored.X) > 0, budget)
    evaluation = None
    if len(scored.X):
        evaluation = _score(estimator, fitted, scored, costs, seed, budget)
    record = estimator.adaptation_
    training = {
        "file": facts.to_dict(),
        "target": request.target,
        "beside": [name for name in (request.groups, request.time) if name is not None],
        "task": task,
        "carried": [one["name"] for one in record.columns if one["kind"] == "id"],
        "costs": costs,
        "table": summarise(fitted.X.shape[1], fitted.labels, numeric=task == REGRESS).to_dict(),
    }
    said = [facts.explain(), *dropped, *chosen, split, *([decision] if decision else [])]
    return Done(estimator, task, facts, training, evaluation, tuple(said))


def _costs(request: Request, task: str, data: Training) -> tuple[dict[str, float] | None, str]:
    if task != REGRESS:
        return class_costs(request.cost, request.threshold, data.labels)
    if request.cost or request.threshold is not None:
        option = "--cost" if request.cost else "--threshold"
        got = f"{option} and a target of numbers"
        raise InputError(sentence(got, expected="classes", remedy="Pass --task classify"))
    return None, ""


def _fit(
    request: Request, task: str, kinds: dict[str, str], fitted: Training, scored: bool, budget: Budget
) -> Any:
    kind = TTTRegressor if task == REGRESS else TTTClassifier
    estimator = kind(**request.arguments, column_kinds=kinds or None)
    limit = request.arguments["time_limit"]
    if limit is not None and limit > 0:  # others are refused by the estimator, by name
        share = _SHARE_OF_FIT if scored else 1.0
        estimator.set_params(time_limit=max(share * budget.left(), 1e-3))
    estimator.fit(fitted.X, fitted.labels, groups=fitted.groups, time=fitted.time)
    estimator.set_params(time_limit=limit)
    estimator._fitted_params["time_limit"] = limit  # what was asked for is saved, not the share of the fit
    return estimator


def _score(
    estimator: Any,
    fitted: Training,
    scored: Training,
    costs: dict[str, float] | None,
    seed: int,
    budget: Budget,
) -> dict[str, Any]:
    classes = list(getattr(estimator, "classes_", ()))
    return evaluate(
        estimator,
        scored.X,
        scored.labels,
        sizes=curve_sizes(estimator.adaptation_.n_context, len(classes), len(fitted.X)),
        source="held out before the fit",
        fitted=(fitted.X, fitted.labels),
        groups=group_codes(scored.groups, len(scored.X)),
        costs=None if costs is None else [costs[str(label)] for label in classes],
        random_state=seed,
        budget=budget,
    ).to_dict()
