"""Signs of a table: cheap measurements of the frozen model from which the gain of adapting is forecast.

All of them together take about as long as one adapter. None of them trains.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.alignment import episode_gradients, mean_cosine
from testtime.adapt.episodes import deal_folds, stratified_order
from testtime.adapt.learner import FROZEN, Learner, Rows
from testtime.adapt.memory import tensor_bytes
from testtime.adapt.task import Task
from testtime.backbones.base import Backbone, View
from testtime.results import Result
from testtime.table.encoding import EncodedRows, with_statistics
from testtime.table.outside import answer_rows
from testtime.table.timing import Pace

__all__ = ["NAMES", "CurvePoint", "Signs", "read_signs"]

N_VIEWS = 4
MOST_QUERIES = 512
_SHARES = (0.25, 0.5, 0.75)
_LONGEST = 1024
_N_PARTS = 4
"""Parts of the rows whose gradients are compared, and of which one is asked about where rows belong together."""

NAMES = (
    "numeric target",
    "log rows",
    "log columns",
    "log classes",
    "share of the rarest class",
    "nominal share of columns",
    "loss left",
    "fall of the loss when rows double",
    "gain of averaging views",
    "agreement of gradients, encoders",
    "agreement of gradients, head",
    "loss of a forest over that of the model",
)
"""What is measured, in the order of :attr:`Signs.values`."""


@dataclass(frozen=True)
class CurvePoint(Result):
    """The frozen model at one context length.

    Attributes
    ----------
    n_context
        Context rows.
    loss
        Mean loss of one view on rows outside the context.
    seconds
        Wall time of a row that is predicted after the context was read, in one view.
    n_bytes
        What is kept of the context in one view.
    """

    n_context: int
    loss: float
    seconds: float
    n_bytes: int


@dataclass(frozen=True)
class Signs:
    """What was measured.

    Attributes
    ----------
    values
        One number for each of :data:`NAMES`.
    curve
        The frozen model at growing context lengths.
    pace
        Seconds of a row that goes through the model in one view.
    """

    values: tuple[float, ...]
    curve: tuple[CurvePoint, ...]
    pace: Pace


def read_signs(
    backbone: Backbone, task: Task, rows: EncodedRows, seed: np.random.SeedSequence, device: torch.device
) -> Signs:
    """Measure a table.

    Parameters
    ----------
    backbone, task
        The model and what it predicts.
    rows
        The rows of the table, at least 8.
    seed
        Which rows are asked about, and how views and episodes are drawn.
    device
        Where to compute.
    """
    order_seed, level_seed, view_seed, episode_seed, forest_seed, group_seed = seed.spawn(6)
    labels = task.strata(rows.y)
    order = stratified_order(labels, len(rows.y), np.random.default_rng(order_seed))
    groups = _groups(rows, task, np.random.default_rng(group_seed))
    n_context = round(_SHARES[-1] * len(order))
    if groups is not None:  # whole groups are asked about
        held = deal_folds(order, labels, groups, _N_PARTS, np.random.default_rng(group_seed))[0]
        asked = np.isin(order, held)
        order, n_context = np.concatenate([order[~asked], order[asked]]), int((~asked).sum())
    longest = min(n_context, _LONGEST, backbone.limits.on(device).context)
    last = n_context if groups is not None else longest
    context, asked = order[:longest], order[last : last + MOST_QUERIES]
    # Without the targets of the rows asked about, in the statistics of levels as well.
    y = rows.targets_without(asked)
    x = replace(rows, y=y).without(asked, task, level_seed)
    views = backbone.views(with_statistics(rows.encoded, x[context]), y[context], task, N_VIEWS, view_seed)
    learner = backbone.learner(task, device, torch.float32)
    points = [_point(learner, views[0], task, (x, y), order[: _length(longest, s)], asked) for s in _SHARES]
    curve = [point for point, _ in points]
    paces = [(point.n_context, seconds) for point, seconds in points]
    answers = np.stack(
        [answer_rows(learner, FROZEN, view, (x[context], y[context]), x[asked]) for view in views]
    )
    single = float(np.mean([task.score(answer, y[asked]).mean() for answer in answers]))
    averaged = float(task.score(answers.mean(0), y[asked]).mean())
    left = averaged / max(_loss_without_features(task, y[context], y[asked]), 1e-9)
    agreements = _agreements(
        learner, views[0].rows(x, y, next(learner.module.parameters())), labels, groups, order, episode_seed
    )
    forest = _loss_of_forest(task, (x[context], y[context]), (x[asked], y[asked]), forest_seed)
    shares = np.bincount(y, minlength=task.n_classes) / len(y) if task.n_classes else np.ones(1)
    n_columns = max(1, len(rows.encoded.kinds))
    values = (
        float(not task.n_classes),
        float(np.log(len(y))),
        float(np.log(n_columns)),
        float(np.log(max(task.n_classes, 1))),
        float(shares.min()),
        sum(kind == "nominal" for kind in rows.encoded.kinds) / n_columns,
        left,
        float(np.log(max(curve[0].loss, 1e-9) / max(curve[1].loss, 1e-9))),
        float(np.log(max(single, 1e-9) / max(averaged, 1e-9))),
        agreements["encoders"],
        agreements["head"],
        float(np.log(max(forest, 1e-9) / max(averaged, 1e-9))),
    )
    return Signs(
        tuple(float(np.clip(value, -10, 20)) for value in values),
        tuple(curve),
        Pace.between(paces[0], paces[-1]),
    )


def _groups(rows: EncodedRows, task: Task, rng: np.random.Generator) -> NDArray[np.int64] | None:
    """Codes of rows that must not be asked about each other; None where no row belongs to another, or all do."""
    found = rows.together(task, rng)
    if found.codes is None or not (found.repeat or rows.groups is not None):
        return None
    return found.codes if len(np.unique(found.codes)) >= _N_PARTS else None


def _length(longest: int, share: float) -> int:
    return max(1, round(longest * share / _SHARES[-1]))


def _point(
    learner: Learner,
    view: View,
    task: Task,
    table: tuple[NDArray[np.float64], NDArray],
    context: NDArray[np.int64],
    asked: NDArray[np.int64],
) -> tuple[CurvePoint, float]:
    """The loss with these context rows, and the seconds of a row, read or predicted, in a second pass of its shape."""
    x, y = table
    answer = answer_rows(learner, FROZEN, view, (x[context], y[context]), x[asked])
    like = next(learner.module.parameters())
    with torch.no_grad():
        began = time.perf_counter()
        read = learner.read(FROZEN, view.rows(x[context], y[context], like))
        was_read = time.perf_counter()
        learner.predict(FROZEN, read, view.features(x[asked], like))
        ended = time.perf_counter()
    seconds = (ended - was_read) / len(asked)
    point = CurvePoint(len(context), float(task.score(answer, y[asked]).mean()), seconds, tensor_bytes(read))
    return point, (ended - began) / (len(context) + len(asked))


def _loss_without_features(task: Task, y: NDArray, asked: NDArray) -> float:
    """Loss of the best answer that is the same for every row."""
    if task.n_classes:
        shares = (np.bincount(y, minlength=task.n_classes) + 1.0) / (len(y) + task.n_classes)
        return float(task.score(np.tile(shares, (len(asked), 1)), asked).mean())
    levels = np.quantile(y, np.arange(1, 100) / 100)
    return float(task.score(np.tile(levels, (len(asked), 1)), asked).mean())


def _agreements(
    learner: Learner,
    rows: Rows,
    labels: NDArray[np.int64] | None,
    groups: NDArray[np.int64] | None,
    order: NDArray[np.int64],
    seed: np.random.SeedSequence,
) -> dict[str, float]:
    """Mean cosine between gradients on disjoint parts of the rows, for each part of the weights."""
    if groups is None:
        pools = np.array_split(order[np.random.default_rng(seed).permutation(len(order))], _N_PARTS)
    else:
        pools = deal_folds(order, labels, groups, _N_PARTS, np.random.default_rng(seed))
    rng = np.random.default_rng(seed.spawn(1)[0])
    found: dict[str, list[torch.Tensor]] = {"encoders": [], "head": []}
    for pool in pools:
        for name, gradient in episode_gradients(learner, rows, labels, pool, tuple(found), rng).items():
            found[name].append(gradient)
    return {name: mean_cosine(gradients) for name, gradients in found.items()}


def _loss_of_forest(
    task: Task,
    context: tuple[NDArray[np.float64], NDArray],
    asked: tuple[NDArray[np.float64], NDArray],
    seed: np.random.SeedSequence,
) -> float:
    """Loss of a forest on the same rows: where it beats the frozen model there is something left to learn."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    state = int(seed.generate_state(1)[0] >> 1)
    settings: dict[str, Any] = {
        "n_estimators": 100,
        "min_samples_leaf": 2,
        "n_jobs": 1,
        "random_state": state,
    }
    x, y = context
    if task.n_classes:
        forest = RandomForestClassifier(**settings).fit(x, y)
        answer = np.full((len(asked[0]), task.n_classes), 1.0 / len(y))
        answer[:, forest.classes_.astype(int)] += forest.predict_proba(asked[0])
        return float(task.score(answer / answer.sum(1, keepdims=True), asked[1]).mean())
    forest = RandomForestRegressor(**settings).fit(x, y)
    answer = np.quantile(
        [tree.predict(asked[0]) for tree in forest.estimators_], np.arange(1, 100) / 100, axis=0
    ).T
    return float(task.score(answer, asked[1]).mean())
