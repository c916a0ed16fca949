"""What a fit does where there is little time, or nothing to train."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.chosen import rows, run
from tests.support.line import Clock
from tests.support.linear import LinearBackbone
from testtime.adapt.budget import Budget
from testtime.results import Status
from testtime.table.config import SHORT


class TestTime:
    def slow(self, seconds_per_row: float):
        clock = Clock()
        backbone = LinearBackbone(
            lambda what, weights, context, x: clock.spend(seconds_per_row * len(context if x is None else x))
        )
        return clock, backbone

    @pytest.mark.parametrize("limit", [2.0, 5.0, 20.0])
    @pytest.mark.parametrize(
        "params", [{}, {"objective": SHORT}, {"n_steps": 300}, {"n_steps": 1}, {"guard": False}]
    )
    def test_a_fit_ends_in_time(self, limit: float, params: dict):
        """The clock runs while any thread works, as if there were one core: at most as fast as the plan hopes."""
        clock, backbone = self.slow(0.0005)
        before = clock.now
        run(rows(400), backbone, budget=Budget(limit, clock), n_members=4, **params)
        assert clock.now - before <= 2.2 * limit

    def test_time_lowers_the_steps_and_says_so(self):
        clock, backbone = self.slow(0.0005)
        chosen = run(rows(400), backbone, budget=Budget(30.0, clock), n_steps=500, n_members=4)
        assert 5 < chosen.config.n_steps < 500
        assert f"The time limit allows {chosen.config.n_steps} of 500 steps." in chosen.notes

    def test_without_time_the_frozen_model_is_served(self):
        clock, backbone = self.slow(1.0)
        chosen = run(rows(400), backbone, budget=Budget(1.0, clock))
        assert chosen.status is Status.REVERTED_TIME
        assert chosen.n_context == 200


class TestUntrained:
    """Where nothing is trained, a short context is served all the same, if one was asked for."""

    def test_no_steps(self):
        chosen = run(rows(400), objective=SHORT, n_steps=0)
        assert chosen.n_context == 64
        assert [probe.n_context for probe in chosen.probes] == [16, 32, 64]
        assert chosen.n_context == run(rows(400), objective=SHORT).n_context
        assert run(rows(100), objective=SHORT, n_steps=0).n_context == 16
        assert run(rows(40), objective=SHORT, n_steps=0).n_context == 10
        assert run(rows(400), n_steps=0).n_context == 200

    def test_no_time(self):
        clock, backbone = TestTime().slow(1.0)
        chosen = run(rows(400), backbone, objective=SHORT, budget=Budget(0.1, clock))
        assert (chosen.status, chosen.n_context) == (Status.REVERTED_TIME, 50)

    def test_too_few_groups(self):
        groups = np.arange(400) // 20
        chosen = run(rows(400, groups=groups), objective=SHORT)
        assert (chosen.status, chosen.n_context) == (Status.REVERTED_FEW_GROUPS, 64)
        assert "A context of 64 rows was chosen" in chosen.notes[-2]
        assert chosen.notes[-1].startswith("The 400 rows are 20 groups of rows that belong together")
        assert chosen.notes[-1].endswith("takes 24 groups or more.")

    @pytest.mark.parametrize("n_groups", [1, 2, 3, 7])
    def test_too_few_groups_for_the_folds(self, n_groups: int):
        chosen = run(rows(400, groups=np.arange(400) % n_groups), n_steps=1)
        assert chosen.status is Status.REVERTED_FEW_GROUPS
        assert chosen.notes[-1].endswith("takes 8 groups or more.")

    def test_too_few_rows_in_too_few_groups(self):
        assert run(rows(20, groups=np.arange(20) % 3)).status is Status.REVERTED_TOO_FEW
