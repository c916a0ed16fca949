"""The time limit on a clock that passes only when a model is run: every row costs the same."""

from __future__ import annotations

import numpy as np
import pytest
from testtime.adapt.adapters import AdapterSpec
from testtime.adapt.crossfit import GuardPlan, Outcome, fit_guarded, fit_unguarded
from testtime.adapt.step import StepPlan

from tests.support.models import Clock, LineLearner, line_rows, random_rows
from testtime import Status, TTTClassifier
from testtime.adapt.episodes import RowSplit

N_CONTEXT, FOLD, N_FOLDS = 20, 40, 4
LIMITS = [3.0, 5.0, 10.0, 20.0, 40.0, 80.0, 200.0]


def slow(seconds_per_row: float, seconds_per_long_row: float | None = None) -> tuple[Clock, LineLearner]:
    """A learner whose gains are never decisive, and the clock it runs down."""
    clock = Clock()
    longer = seconds_per_row if seconds_per_long_row is None else seconds_per_long_row

    def spend(n_context: int, n_query: int) -> None:
        clock.spend((longer if n_context > N_CONTEXT else seconds_per_row) * (n_context + n_query))

    return clock, LineLearner(on_call=spend)


def table():
    slopes = np.tile([2.3, -1.7], (N_CONTEXT + N_FOLDS * FOLD) // 2)
    starts = [N_CONTEXT + FOLD * k for k in range(N_FOLDS)]
    folds = tuple(np.arange(start, start + FOLD) for start in starts)
    return line_rows(slopes), RowSplit(np.arange(N_CONTEXT), folds)


def plan(n_steps: int) -> StepPlan:
    return StepPlan(n_steps, n_context=N_CONTEXT, n_query=20, learning_rate=0.01, spec=AdapterSpec("head"))


def guarded(
    clock: Clock, learner: LineLearner, n_steps: int, limit: float, rival_rows: int = 0
) -> tuple[Outcome, float]:
    """Fit under a limit; return the outcome and the seconds it took on the clock."""
    rows, split = table()
    started = clock.now
    guard, seed = GuardPlan(rival_rows=rival_rows), np.random.SeedSequence(0)
    outcome = fit_guarded(
        learner, rows, split, plan(n_steps), guard, seed, deadline=started + limit, clock=clock
    )
    return outcome, clock.now - started


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("n_steps", [1, 3, 30, 300])
@pytest.mark.parametrize("rival_rows", [0, 1000])
def test_a_guarded_fit_ends_in_time(limit: float, n_steps: int, rival_rows: int):
    """A row costs 2 ms here, a training step 80 ms, a guard 120 ms: far less than any of the limits."""
    clock, learner = slow(0.002)
    _, seconds = guarded(clock, learner, n_steps, limit, rival_rows=rival_rows)
    assert seconds <= 1.1 * limit


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("n_steps", [2, 30])
def test_a_guard_that_costs_more_than_the_steps_ends_in_time(limit: float, n_steps: int):
    """Measuring the rival takes 1.4 s and a fold's other measurements .24 s; two steps take .16 s."""
    clock, learner = slow(0.002, seconds_per_long_row=0.0078)
    _, seconds = guarded(clock, learner, n_steps, limit, rival_rows=1000)
    assert seconds <= 1.1 * limit


@pytest.mark.parametrize("limit", LIMITS)
def test_one_step_ends_in_time(limit: float):
    """Four gradients and a line search of up to ten lengths are more than a short limit allows."""
    clock, learner = slow(0.01)
    _, seconds = guarded(clock, learner, 1, limit)
    assert seconds <= 1.1 * limit


@pytest.mark.parametrize("limit", LIMITS)
def test_an_unguarded_fit_ends_in_time_and_uses_it(limit: float):
    clock, learner = slow(0.01)
    rows, split = table()
    started = clock.now
    outcome = fit_unguarded(
        learner,
        rows,
        split,
        plan(100_000),
        np.random.SeedSequence(0),
        deadline=started + limit,
        clock=clock,
    )
    assert 0.7 * limit <= clock.now - started <= 1.1 * limit
    assert outcome.states


def test_time_that_is_left_is_used_for_steps():
    clock, learner = slow(0.002)
    outcome, _ = guarded(clock, learner, 300, 10.0)
    assert outcome.steps.n_steps > 80
    assert outcome.n_folds == 1


def test_without_time_for_a_step_the_frozen_model_is_served():
    clock, learner = slow(1.0)
    outcome, _ = guarded(clock, learner, 5, 1.0)
    assert not outcome.states
    assert outcome.verdict.status is Status.REVERTED_TIME


def test_the_estimator_says_what_the_limit_did(tiny_embedded):
    rows = random_rows(200, 3, 2)
    X, y = rows.x.numpy(), rows.y.numpy()
    fitted = TTTClassifier(n_steps=10_000, n_context=20, time_limit=0.6, guard=False).fit(X, y)
    record = fitted.adaptation_
    assert 0 < record.n_steps < 10_000
    assert f"after {record.n_steps} of 10000 steps" in record.explain()
    none = TTTClassifier(n_steps=10, n_context=20, time_limit=1e-9).fit(X, y)
    assert none.adaptation_.status is Status.REVERTED_TIME
    assert "raise time_limit" in none.adaptation_.explain()
    assert np.isfinite(none.predict_proba(X)).all()
