"""The model after adaptation: through the public estimator, and by a fixed number of steps."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from tabicl._model.tabicl import TabICL

from testtime.adapt.adapters import AdapterSpec, merge
from testtime.adapt.learner import Rows
from testtime.adapt.step import StepPlan, train
from testtime.backbones.embedded import TabICLClassifierLearner, TabICLRegressorLearner
from testtime.estimators.fitting import AUTO_RATES
from testtime.estimators.rowplan import N_QUERY

from .methods import in_context, scaled_rows
from .tables import RealTable

Predictions = Iterator[tuple[str, int, np.ndarray, float]]
"""Of one table and seed: method, context rows, prediction of the test rows, CPU seconds."""
Run = Callable[[RealTable, dict[int, np.ndarray], np.ndarray, int], Predictions]
"""(table, nested training rows by size, test rows, seed) -> predictions."""

ADAPTED = "adapted"
LEVELS = tuple(k / 100 for k in range(1, 100))


def adapted(served: Sequence[int]) -> Run:
    """The estimator of the package with its default settings, fitted on the largest training set.

    It sees every training row and serves ``n`` of them as context, so it compares with methods trained on all rows,
    not with methods trained on ``n``.
    """

    def run(table: RealTable, train_rows: dict[int, np.ndarray], test: np.ndarray, seed: int) -> Predictions:
        rows = train_rows[max(train_rows)]
        frame = _frame(table)
        numeric = np.issubdtype(table.y.dtype, np.floating)
        for n in served:
            if n >= len(rows):
                continue
            start = time.process_time()
            model = _estimator(numeric, n, seed).fit(frame.iloc[rows], table.y[rows])
            unknown = frame.iloc[test]
            prediction = (
                model.predict_quantiles(unknown, levels=LEVELS) if numeric else model.predict_proba(unknown)
            )
            yield ADAPTED, n, prediction, time.process_time() - start

    return run


def _estimator(numeric: bool, n_context: int, seed: int):
    if numeric:
        from testtime import TTTRegressor as Estimator
    else:
        from testtime import TTTClassifier as Estimator
    # float32 predictions differ by 1e-5 and take half the time
    return Estimator(n_context=n_context, random_state=seed, precision="float32")


def _frame(table: RealTable) -> pd.DataFrame:
    columns = {f"c{j}": pd.Series(column) for j, column in enumerate(table.x.T)}
    for j in np.flatnonzero(table.categorical):
        columns[f"c{j}"] = columns[f"c{j}"].astype("Int64").astype("category")
    return pd.DataFrame(columns)


def steps(model: TabICL, counts: Sequence[int], *, n_context: int = 128) -> Run:
    """The model after each of several numbers of gradient steps, with the estimator's learning rate and no guard.

    The context is the training set of ``n_context`` rows; the steps see the other rows of the largest training set.
    Every count is a run of its own, whose rate decays to zero; 0 is plain; 1 is one step whose length is chosen on
    held-out rows.
    """

    def run(table: RealTable, train_rows: dict[int, np.ndarray], test: np.ndarray, seed: int) -> Predictions:
        if n_context not in train_rows or max(train_rows) <= n_context:
            return
        context, every = train_rows[n_context], train_rows[max(train_rows)]
        for count in counts:
            start = time.process_time()
            changed = _stepped(model, table, context, every[n_context:], count, seed) if count else model
            prediction = in_context(changed)(table, context, test, seed)
            yield f"{count} steps", n_context, prediction, time.process_time() - start

    return run


def _stepped(
    model: TabICL, table: RealTable, context: np.ndarray, pool: np.ndarray, count: int, seed: int
) -> TabICL:
    """A copy of the model after ``count`` steps on the rows of ``pool``."""
    known = np.concatenate([context, pool])
    if model.max_classes:
        y = torch.from_numpy(table.y[known])
        learner = TabICLClassifierLearner(copy.deepcopy(model), int(table.y[known].max()) + 1)
    else:
        targets = table.y[known]
        own = targets[: len(context)]
        y = torch.from_numpy((targets - own.mean()) / max(own.std(), 1e-12)).float()
        learner = TabICLRegressorLearner(copy.deepcopy(model))
    rows = Rows(scaled_rows(table.x[context], table.x[pool]), y)
    plan = StepPlan(count, len(context), N_QUERY, AUTO_RATES["encoders"], spec=AdapterSpec("encoders"))
    trained = train(
        learner, rows, np.arange(len(context), len(known)), plan, np.random.SeedSequence([seed, count])
    )
    changed = copy.deepcopy(model)
    if trained.finite:
        merge(changed, trained.state, plan.spec)
    return changed
