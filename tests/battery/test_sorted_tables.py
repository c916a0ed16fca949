"""Tables sorted by class, and classes with hardly a row: neither may fool the guard."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from testtime.adapt.adapters import AdapterSpec
from testtime.adapt.crossfit import GuardPlan, fit_guarded
from testtime.adapt.step import StepPlan

from tests.support.models import LineLearner, line_rows
from testtime import Status, TTTClassifier
from testtime.adapt.episodes import RowSplit
from testtime.adapt.learner import Rows


def sorted_table(n_rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.sort(np.arange(n_rows) % 3)
    return rng.normal(size=(n_rows, 4)) + y[:, None], y


@pytest.mark.parametrize("guard", [True, False])
def test_every_prefix_of_the_kept_order_is_stratified(guard: bool):
    X, y = sorted_table()
    model = TTTClassifier(n_context=60, n_steps=2, guard=guard).fit(X, y)
    parts = (
        [slice(0, 60), slice(60, 60 + 135), slice(60 + 135, None)] if guard and model.adaptation_.kept else []
    )
    for part in parts:
        codes = model._y[part]
        for n in range(3, len(codes), 7):
            counts = np.bincount(codes[:n], minlength=3)
            assert counts.max() - counts.min() <= 3
    assert np.bincount(model._y[:300]).min() >= 80, "a longer context shows every class"


def test_the_rival_draws_from_the_whole_file():
    """Its context is the kept rows and a draw of the training rows, not those that come first."""
    seen = []

    class Spy(LineLearner):
        def output(self, context, query_x):
            if len(context) > 40:
                seen.append(context.x[:, 0].numpy())
            return super().output(context, query_x)

    rows = line_rows(np.linspace(-1, 1, 400))
    split = RowSplit(np.arange(40), tuple(np.sort(np.arange(40 + k, 400, 4)) for k in range(4)))
    plan = StepPlan(2, n_context=20, n_query=20, learning_rate=0.01, spec=AdapterSpec("head"))
    fit_guarded(Spy(), rows, split, plan, GuardPlan(rival_rows=140), np.random.SeedSequence(0))
    drawn = seen[0][40:]
    assert len(drawn) == 100
    assert drawn.max() > 0.9, "rows from the end of the file"


def test_a_class_the_guard_hardly_sees_must_not_become_worse():
    """Every common row gains a little; the two rare ones lose. The mean alone would keep the adapter."""

    class Rare(LineLearner):
        def row_losses(self, output, target):
            moved = float(self.module.weight.detach().abs())
            common = output.reshape(len(target), -1).mean(dim=1)
            return common + (target == 1).to(common.dtype) * 3.0 * moved

    base = line_rows(np.full(200, 1.0))
    labels = np.zeros(200, dtype=np.int64)
    labels[[30, 70, 110, 150]] = 1

    rows = Rows(base.x, torch.as_tensor(labels))
    folds = tuple(np.arange(20 + k, 200, 4) for k in range(4))
    plan = StepPlan(2, n_context=10, n_query=20, learning_rate=0.01, spec=AdapterSpec("head"))
    outcome = fit_guarded(
        Rare(), rows, RowSplit(np.arange(20), folds), plan, GuardPlan(n_errors=0.0), np.random.SeedSequence(0)
    )
    assert outcome.verdict.status in (Status.REVERTED_RARE_CLASS, Status.REVERTED_NO_GAIN)
    assert not outcome.states


def test_an_unguarded_blow_up_is_not_served():
    X, y = sorted_table(300)
    model = TTTClassifier(n_context=64, guard=False, n_steps=1, step_size=1e30).fit(X, y)
    assert model.adaptation_.status is Status.REVERTED_NON_FINITE
    assert np.isfinite(model.predict_proba(X)).all()
