"""The seconds that a plan says against those that the fit counts with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.linear import LinearBackbone
from testtime.adapt.budget import Budget
from testtime.adapt.task import Classes
from testtime.adapt.train import TrainConfig
from testtime.adapt.work import ROWS_PER_TRAINED_ROW
from testtime.backbones.base import Limits, Recipe
from testtime.table.config import FitConfig
from testtime.table.fit import with_snapshots
from testtime.table.forecast import plan as plans
from testtime.table.forecast.plan import _TRAINED_ROW, advise
from testtime.table.forecast.signs import NAMES, CurvePoint, Signs
from testtime.table.outside import Fold
from testtime.table.rows import N_FOLDS, deal_rows
from testtime.table.timing import FitCost, Pace, StepTimer


@pytest.mark.parametrize(("n_rows", "budgets"), [(1000, {}), (4000, {}), (4000, {"memory": 16 * 4000.0})])
def test_the_seconds_of_a_plan_are_those_that_a_fit_would_plan_for(
    n_rows: int, budgets: dict[str, float], monkeypatch: pytest.MonkeyPatch
):
    """The fit counts the rows of the folds it has dealt; the plan knows their numbers only, and leaves no margin."""
    eager = replace(plans.shipped(), threshold=-9.0)
    monkeypatch.setattr(plans, "shipped", lambda: eager)
    pace, recipe = Pace(1e-4, 1e-7, 128), Recipe({"encoders": 1e-3}, longer=(2.0,))
    curve = tuple(CurvePoint(100 * k, 0.5, 0.001 * k, 1000 * k) for k in (1, 2, 3))
    plan = advise(
        Signs((0.0,) * len(NAMES), curve, pace),
        loss_name="log loss",
        n_rows=n_rows,
        most_context=4096,
        recipe=recipe,
        config=FitConfig(),
        **budgets,
    )
    n_served = plan.n_context if plan.objective == "short" else None
    y = np.arange(n_rows) % 2
    x = np.zeros((n_rows, 1))
    limits = Limits(classes=2, features=1, context=4096)
    dealt = deal_rows(np.arange(n_rows), y, None, n_served, N_FOLDS, limits, np.random.default_rng(0))
    timer = StepTimer(LinearBackbone(), Classes(2), torch.device("cpu"), Budget(None))
    timer.pace = pace
    folds = [Fold(x, y, one.pool, one.context, one.guard, one.rival) for one in dealt]
    # Training takes no more than two thirds of its rows as context.
    episode = min(recipe.episode_rows(plan.n_context), 2 * len(dealt[0].pool) // 3)
    config = with_snapshots(
        TrainConfig(n_steps=plan.n_steps, n_context=episode, n_query=recipe.n_query),
        plan.n_steps,
        recipe.snapshots,
    )
    cost = timer.cost(folds, config, plan.n_members, recipe.guard_views)
    cost = replace(cost, step=cost.step * _TRAINED_ROW / ROWS_PER_TRAINED_ROW)
    assert plan.seconds == pytest.approx(cost(plan.n_steps), rel=0.01)
    further = 0 if n_served else 2 * plan.n_steps
    assert plan.most_seconds == pytest.approx(cost(plan.n_steps, further), rel=0.01)
    assert (plan.most_seconds > plan.seconds) == (n_served is None)


def test_what_follows_is_answered_for_once_more_by_the_adapters_alone():
    cost = FitCost(step=2.0, frozen=30.0, snapshots=7.0)
    assert cost(10) == 30 + 7 + 20
    assert cost(10, 5) == 30 + 2 * 7 + 30
