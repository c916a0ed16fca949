"""``plan_table``: a frame and a target in, a plan out; nothing is trained."""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from testtime.adapt.budget import Budget
from testtime.adapt.parallel import alone
from testtime.adapt.task import Task
from testtime.backbones.base import Backbone
from testtime.backbones.many_class import with_classes
from testtime.backbones.registry import load_backbone
from testtime.errors import InputError, nearest, sentence
from testtime.estimators.classifier import TTTClassifier
from testtime.estimators.regressor import TTTRegressor
from testtime.estimators.settings import check_settings
from testtime.table.config import FitConfig
from testtime.table.forecast.plan import TablePlan, advise, enough_rows
from testtime.table.forecast.signs import Signs, read_signs
from testtime.table.read_target import MOST_CODES, with_inferred_type
from testtime.table.reading import choose_reading, drawn_rows, encode_rows

__all__ = ["Prepared", "measure", "plan_table"]

_TASKS = ("classify", "regress")


def plan_table(
    X: Any,
    y: Any,
    *,
    task: str | None = None,
    backbone: Any = "embedded",
    column_kinds: Mapping[str, str] | None = None,
    latency: float | None = None,
    memory: float | None = None,
    device: str = "auto",
    random_state: Any = 0,
) -> TablePlan:
    """Forecast what adapting brings on a table, without training.

    A few measurements of the frozen model, a small forest and four gradients go into a regression that was fitted to
    what default fits gained on real tables (``benchmarks/forecast.py``); none of these was made with the table at hand.

    Parameters
    ----------
    X, y
        As for ``fit``.
    task
        "classify" or "regress"; None takes numbers that are not whole, or of more than ten values, as numbers.
    backbone, column_kinds, device, random_state
        As in :class:`testtime.TTTClassifier`.
    latency
        Seconds that a predicted row may take on this machine after the context was read, or None.
    memory
        Bytes that what is kept of the context may take, or None.

    Raises
    ------
    InputError
        When an argument or the data cannot be used, or a budget is too small.
    BackboneError
        When the model cannot be loaded.
    """
    for name, budget in (("latency", latency), ("memory", memory)):
        number = isinstance(budget, numbers.Real) and not isinstance(budget, bool)
        if budget is not None and not (number and budget > 0):
            raise InputError(sentence(f"{name}={budget!r}", expected="a positive number, or None"))
    signs, prepared = measure(
        X,
        y,
        task=task,
        backbone=backbone,
        column_kinds=column_kinds,
        device=device,
        random_state=random_state,
    )
    answer = advise(
        signs,
        loss_name=prepared.task.loss_name,
        n_rows=prepared.n_rows,
        most_context=prepared.backbone.limits.on(prepared.config.device, prepared.n_columns).context,
        recipe=prepared.backbone.recipe,
        config=prepared.config,
        latency=latency,
        memory=memory,
    )
    if prepared.backbone.name == "embedded":
        return answer
    # The regression was fitted to, and its intervals were tested on, runs of the embedded models alone.
    caveat = f"It was learned from runs of the embedded model and has not been tested for {prepared.backbone.name!r}."
    return replace(answer, reason=f"{answer.reason} {caveat}")


@dataclass(frozen=True)
class Prepared:
    """What a fit of the table would begin with."""

    backbone: Backbone
    task: Task
    config: FitConfig
    n_rows: int
    n_columns: int


def measure(X: Any, y: Any, *, task: str | None = None, **arguments: Any) -> tuple[Signs | None, Prepared]:
    """Return the signs of a table, None for few rows, and what they were measured with; see :func:`plan_table`."""
    kind = TTTRegressor if _task(task, y) == "regress" else TTTClassifier
    estimator = kind(**arguments)
    config = check_settings(estimator.get_params(deep=False))
    model = load_backbone(estimator.backbone, estimator._task)
    frame = estimator._check_table(X, reset=True)
    target, values = estimator._read_target(y, len(frame), model)
    model = with_classes(model, target.task)
    draw_seed, level_seed, sign_seed, curve_seed, linear_seed = estimator._seed().spawn(5)
    drawn, _ = drawn_rows(len(values), values if target.task.n_classes else None, draw_seed)
    frame, values = frame.iloc[drawn], values[drawn]
    kinds = estimator.column_kinds  # encoded even where nothing is measured: a fit refuses the same tables
    columns, levels, rows = encode_rows(frame, values, target.task, model, level_seed, kinds)
    signs = None
    if enough_rows(model, len(values), target.task.n_classes):
        seeds = level_seed, curve_seed, linear_seed
        told = frame, columns, levels, rows, target, model, config, seeds, Budget(None)
        rows = alone(lambda: choose_reading(*told)).rows
        signs = alone(lambda: read_signs(model, target.task, rows, sign_seed, config.device))
    return signs, Prepared(model, target.task, config, len(values), rows.x.shape[1])


def _task(asked: str | None, y: Any) -> str:
    if asked is not None:
        if asked not in _TASKS:
            raise InputError(
                sentence(f"task={asked!r}", expected=" or ".join(_TASKS), remedy=nearest(str(asked), _TASKS))
            )
        return asked
    target = with_inferred_type(np.asarray(y).ravel())
    numeric = pd.api.types.is_numeric_dtype(target.dtype) and not pd.api.types.is_bool_dtype(target.dtype)
    if not numeric:
        return "classify"
    known = target.dropna()
    whole = bool((known == known.round()).all())
    return "classify" if whole and known.nunique() <= MOST_CODES else "regress"
