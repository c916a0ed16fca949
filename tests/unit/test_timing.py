"""How many steps fit into a time limit, on a clock that passes only when the model is asked."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.line import Clock
from tests.support.linear import LinearBackbone
from testtime.adapt.budget import Budget
from testtime.adapt.task import Classes
from testtime.adapt.train import TrainConfig
from testtime.backbones.base import Encoded
from testtime.table.outside import Fold
from testtime.table.timing import StepTimer

N = 200
CONFIG = TrainConfig(n_steps=30, n_context=40, n_query=20, snapshots=(15, 30))


def affordable(seconds_per_row: float, limit: float | None, n_adapters: int = 8, n_views: int = 3):
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
    timer = StepTimer(backbone, Classes(2), torch.device("cpu"))
    steps = timer.affordable(folds, view, CONFIG, n_adapters, n_views, Budget(limit, clock))
    return steps, calls


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
