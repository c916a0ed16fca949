"""The model after adaptation: through the public estimator, and by a fixed number of steps."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from tabicl._model.tabicl import TabICL

from testtime.adapt.delta import Delta, DeltaSpec
from testtime.adapt.learner import Learner, Rows, Weights
from testtime.adapt.train import TrainConfig, train
from testtime.backbones.embedded import RECIPE
from testtime.backbones.tabicl_learner import TabICLClassifierLearner, TabICLRegressorLearner

from .methods import scaled_rows, shown_columns
from .tables import RealTable

Predictions = Iterator[tuple[str, int, np.ndarray, float]]
"""Of one table and seed: method, context rows, prediction of the test rows, CPU seconds."""
Run = Callable[[RealTable, dict[int, np.ndarray], np.ndarray, int], Predictions]
"""(table, nested training rows by size, test rows, seed) -> predictions."""

ADAPTED = "adapted"
LEVELS = tuple(k / 100 for k in range(1, 100))


def adapted(served: Sequence[int], backbone: str) -> Run:
    """The estimator of the package with its default settings and this backbone, fitted on the largest training set.

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
            model = _estimator(numeric, backbone, n, seed).fit(frame.iloc[rows], table.y[rows])
            unknown = frame.iloc[test]
            prediction = (
                model.predict_quantiles(unknown, levels=LEVELS) if numeric else model.predict_proba(unknown)
            )
            yield ADAPTED, n, prediction, time.process_time() - start

    return run


def _estimator(numeric: bool, backbone: str, n_context: int, seed: int):
    if numeric:
        from testtime import TTTRegressor as Estimator
    else:
        from testtime import TTTClassifier as Estimator
    # float32 predictions differ by 1e-5 and take half the time
    return Estimator(backbone=backbone, n_context=n_context, random_state=seed, precision="float32")


def _frame(table: RealTable) -> pd.DataFrame:
    columns = {f"c{j}": pd.Series(column) for j, column in enumerate(table.x.T)}
    for j in np.flatnonzero(table.categorical):
        columns[f"c{j}"] = columns[f"c{j}"].astype("Int64").astype("category")
    return pd.DataFrame(columns)


def steps(
    model: TabICL,
    counts: Sequence[int],
    *,
    n_context: int = 128,
    rates: Mapping[str, float] = RECIPE.tensor_rates,
) -> Run:
    """The model after each of several numbers of gradient steps, with the estimator's learning rates and no guard.

    The context is the training set of ``n_context`` rows; the steps see the other rows of the largest training set.
    Every count is a run of its own, whose rate decays to zero; 0 is plain; 1 is one step whose length is chosen on
    held-out rows. ``rates`` are multiples of the learning rate by prefix of the weight's name.
    """

    def run(table: RealTable, train_rows: dict[int, np.ndarray], test: np.ndarray, seed: int) -> Predictions:
        if n_context not in train_rows or max(train_rows) <= n_context:
            return
        context, every = train_rows[n_context], train_rows[max(train_rows)]
        known = np.concatenate([context, every[n_context:]])
        shown = scaled_rows(np.concatenate(shown_columns(table, known, test, seed)), n_context)
        learner, rows, back = _served(model, shown[: len(known)], table.y[known], n_context)
        unknown = shown[len(known) :]
        for count in counts:
            start = time.process_time()
            weights = _stepped(learner, rows, n_context, count, rates, seed) if count else {}
            with torch.no_grad():
                read = learner.read(weights, rows.take(np.arange(n_context)))
                answer = learner.answer(learner.predict(weights, read, unknown))
            yield f"{count} steps", n_context, back(answer.double().numpy()), time.process_time() - start

    return run


def _served(
    model: TabICL, x: torch.Tensor, y: np.ndarray, n_context: int
) -> tuple[Learner, Rows, Callable[[np.ndarray], np.ndarray]]:
    """The learner, labelled rows with the context first, and the way back to the target's units.

    The learner holds a copy: it marks its weights as not requiring gradients.
    """
    if model.max_classes:
        learner = TabICLClassifierLearner(copy.deepcopy(model), int(y.max()) + 1)
        return learner, Rows(x, torch.from_numpy(y)), lambda answer: answer
    mean, scale = y[:n_context].mean(), max(y[:n_context].std(), 1e-12)
    rows = Rows(x, torch.from_numpy((y - mean) / scale).float())
    return TabICLRegressorLearner(copy.deepcopy(model)), rows, lambda answer: mean + scale * answer


def _stepped(
    learner: Learner, rows: Rows, n_context: int, count: int, rates: Mapping[str, float], seed: int
) -> Weights:
    """The weights after ``count`` steps on the rows that are not context."""
    config = TrainConfig(
        count,
        n_context,
        RECIPE.n_query,
        RECIPE.rates[RECIPE.adapt],
        spec=DeltaSpec(RECIPE.adapt),
        rates=rates,
    )
    pool = np.arange(n_context, len(rows))
    trained = train(learner, rows, pool, config, np.random.SeedSequence([seed, count]))
    return Delta(learner, config.spec).weights(trained.snapshots[count]) if trained.finite else {}
