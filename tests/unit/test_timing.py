"""How many steps fit into a time limit, on a clock that passes only when the model is asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.line import Clock
from tests.support.linear import LinearBackbone
from testtime.adapt.budget import Budget
from testtime.adapt.parallel import available_cores
from testtime.adapt.task import Classes
from testtime.adapt.train import TrainConfig
from testtime.backbones.base import Encoded
from testtime.table.outside import Fold
from testtime.table.timing import StepTimer, _spread

N = 200
CONFIG = TrainConfig(n_steps=30, n_context=40, n_query=20, snapshots=(15, 30))


def measured(seconds_per_row: float, limit: float | None):
    clock = Clock()
    calls = []

    def watch(what: str, weights, context, x) -> None:
        calls.append(what)
        clock.spend(seconds_per_row * len(context if x is None else x))

    backbone = LinearBackbone(watch)
    x, y = np.random.default_rng(0).standard_normal((N, 3)), np.arange(N) % 2
    rows = np.arange(N)
    folds = [
        Fold(x, y, rows[rows % 4 != k], rows[rows % 4 != k], rows[rows % 4 == k], rows[:0]) for k in range(4)
    ]
    encoded = Encoded(x, tuple("abc"), ("number",) * 3, (0,) * 3)
    (view,) = backbone.views(encoded, y, Classes(2), 1, np.random.SeedSequence(0))
    timer = StepTimer(backbone, Classes(2), torch.device("cpu"), Budget(limit, clock))
    timer.measure(view, x, y)
    return timer, folds, calls


def affordable(seconds_per_row: float, limit: float | None, n_adapters: int = 8, n_views: int = 3):
    timer, folds, calls = measured(seconds_per_row, limit)
    return timer.steps(folds, CONFIG, n_adapters, n_views), calls


def test_without_a_limit_nothing_is_measured():
    steps, calls = affordable(1.0, None)
    assert steps == 30
    assert calls == []


def test_a_generous_limit_allows_all_steps():
    assert affordable(1e-6, 60.0)[0] == 30


@pytest.mark.parametrize("limit", [1.0, 5.0, 20.0, 100.0])
def test_a_tight_limit_allows_fewer_and_a_longer_one_more(limit: float):
    fewer, more = affordable(0.002, limit)[0], affordable(0.002, 2 * limit)[0]
    assert 0 <= fewer <= more <= 30
    assert affordable(0.02, limit)[0] <= fewer


def test_no_time_allows_none():
    assert affordable(1.0, 10.0)[0] == 0


def test_more_adapters_and_views_leave_less():
    assert affordable(0.001, 20.0, n_adapters=16)[0] < affordable(0.001, 20.0, n_adapters=4)[0]
    assert affordable(0.001, 20.0, n_views=30)[0] < affordable(0.001, 20.0, n_views=1)[0]


@pytest.mark.parametrize(("limit", "known"), [(1e4, True), (30.0, False)])
def test_rows_that_attend_to_a_longer_context_take_longer(limit: float, known: bool):
    """Where a second measurement fits into the time, the estimate of 3,000 rows follows a cost that grows with both."""
    clock, n = Clock(), 4000
    per_row, per_pair = 1e-3, 1e-5
    read: list[int] = []

    def watch(what: str, weights, context, x) -> None:
        if x is None:
            read[:] = [len(context)]
        clock.spend((per_row + per_pair * read[0]) * len(context if x is None else x))

    backbone = LinearBackbone(watch)
    x, y = np.random.default_rng(0).standard_normal((n, 3)), np.arange(n) % 2
    encoded = Encoded(x, tuple("abc"), ("number",) * 3, (0,) * 3)
    (view,) = backbone.views(encoded, y, Classes(2), 1, np.random.SeedSequence(0))
    timer = StepTimer(backbone, Classes(2), torch.device("cpu"), Budget(limit, clock))
    timer.measure(view, x, y)
    rows = np.arange(n)
    truth = (per_row + per_pair * 3000) * n
    assert timer._answers(rows[:3000], rows[3000:]) == pytest.approx(
        truth * (1.15 if known else 0.083), rel=0.05
    )
    # A short context, and all rows as its rival, which only the frozen model answers with.
    alone = Fold(x, y, rows[:3000], rows[:100], rows[3000:], rows[:0])
    beside = Fold(x, y, rows[:3000], rows[:100], rows[3000:], rows[:3000])
    costs = [timer.cost([fold], CONFIG, n_adapters=2, n_views=3) for fold in (alone, beside)]
    assert costs[0].snapshots == costs[1].snapshots
    more = 3 * timer._answers(rows[:3000], rows[3000:]) / min(available_cores(), 2)
    assert costs[1].frozen - costs[0].frozen == pytest.approx(more)
    assert timer.budget.spent() < 0.2 * limit


def test_guard_rows_are_given_up_before_adapters_and_adapters_before_training(monkeypatch):
    monkeypatch.setattr("testtime.table.timing._FEW_GUARD_ROWS", 10)
    found = []
    for limit in (1e3, 60.0, 30.0, 15.0, 8.0, 1.0):
        timer, folds, _ = measured(0.003, limit)
        plan = timer.plan(folds, CONFIG, 8, 3, fewest=5)
        assert plan.n_steps == 0 or 5 <= plan.n_steps <= 30
        found.append((bool(plan.n_steps), len(plan.folds[0].guard), plan.n_adapters))
    assert found[0] == (True, 50, 8)
    assert found[-1][0] is False
    trained = [one[1:] for one in found if one[0]]
    assert trained == sorted(trained, reverse=True)
    assert trained[-1] in ((10, 2), (10, 4))


def test_what_is_given_up_is_spread_over_a_sorted_table():
    rows = np.arange(10_000)
    few = _spread(rows)
    assert len(few) == 256
    assert (few[0], few[-1]) == (0, 9_999)
    assert np.diff(few).max() <= 40


def test_one_adapter_is_in_reach_or_not():
    timer, _, _ = measured(0.01, 30.0)
    assert timer.reaches(5, 60)
    assert not timer.reaches(5, 6_000)
