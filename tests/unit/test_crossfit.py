"""Which folds are trained, which rows each sees, and what is kept: on losses that can be computed in the head."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.models import Clock, LineLearner, line_rows
from testtime.adapt.adapters import AdapterSpec
from testtime.adapt.crossfit import GuardPlan, fit_guarded, fit_unguarded
from testtime.adapt.episodes import RowSplit
from testtime.adapt.learner import Rows
from testtime.adapt.step import StepPlan
from testtime.errors import InputError
from testtime.results import Status

N_CONTEXT, FOLD = 6, 10
PLAN = StepPlan(4, n_context=N_CONTEXT, learning_rate=0.04, spec=AdapterSpec("head"))
MOVE = 0.04 * 5 / 2  # how far four decaying steps go along a gradient that keeps its sign


def table(*fold_slopes: list[float]):
    """Rows of a kept context, then of each fold; every fold's rows cycle through its slopes."""
    slopes = [0.0] * N_CONTEXT + [s for cycle in fold_slopes for s in (cycle * FOLD)[:FOLD]]
    starts = [N_CONTEXT + FOLD * k for k in range(len(fold_slopes))]
    folds = tuple(np.arange(start, start + FOLD) for start in starts)
    return line_rows(slopes), RowSplit(np.arange(N_CONTEXT), folds)


def fit(learner: LineLearner, rows, split: RowSplit, guard: GuardPlan | None = None, **options):
    return fit_guarded(learner, rows, split, PLAN, guard or GuardPlan(), np.random.SeedSequence(0), **options)


def test_a_decisive_gain_trains_one_fold():
    """Every row gains 1 to 1.2 times the move; the other folds need not be asked."""
    learner = LineLearner()
    rows, split = table([1.0, 1.2], [1.0, 1.2], [1.0, 1.2], [1.0, 1.2])
    outcome = fit(learner, rows, split)
    assert outcome.verdict.status is Status.KEPT
    assert (outcome.n_folds, outcome.folds) == (1, (0,))
    assert outcome.n_training == 3 * FOLD
    assert outcome.verdict.n_rows == FOLD
    assert outcome.verdict.loss_before == 1.0
    assert outcome.verdict.loss_after == pytest.approx(1.0 - 1.1 * MOVE, rel=1e-6)
    assert float(outcome.states[0]["weight:offset"]) == pytest.approx(-MOVE, rel=1e-6)
    assert sum(trains for trains, *_ in learner.calls) == PLAN.n_steps


def test_a_decisive_loss_trains_one_fold():
    """What helps the training folds hurts every row of the guard fold."""
    learner = LineLearner()
    rows, split = table([-1.0, -1.2], [1.0], [1.0], [1.0])
    outcome = fit(learner, rows, split)
    assert not outcome.states
    assert outcome.verdict.status is Status.REVERTED_NO_GAIN
    assert outcome.n_folds == 1
    assert outcome.verdict.difference == pytest.approx(1.1 * MOVE, rel=1e-6)


def test_an_open_question_asks_every_fold():
    """Rows that gain 2.3 and lose 1.7: less than one standard error after ten rows, and after forty."""
    seen: list[tuple[np.ndarray, float]] = []

    class Recording(LineLearner):
        def output(self, context, query_x):
            if not torch.is_grad_enabled():
                seen.append((query_x[:, 0].numpy(), float(self.module.weight)))
            return super().output(context, query_x)

    rows, split = table(*[[2.3, -1.7]] * 4)
    outcome = fit(Recording(), rows, split)
    assert outcome.n_folds == 4
    assert outcome.verdict.n_rows == 4 * FOLD
    differences = np.concatenate([slopes * weight for slopes, weight in seen if weight])
    assert len(differences) == 4 * FOLD
    assert outcome.verdict.difference == pytest.approx(differences.mean(), rel=1e-9)
    spread = np.sqrt(((differences - differences.mean()) ** 2).sum() / 39 / 40)
    assert outcome.verdict.standard_error == pytest.approx(spread, rel=1e-9)
    assert not outcome.states


def test_a_gain_that_is_no_longer_open_but_not_decisive_asks_on():
    """Rows that gain 1.9 and lose .3: 2.2 standard errors after ten rows, 3.2 after twenty."""
    rows, split = table(*[[1.9, -0.3]] * 4)
    outcome = fit(LineLearner(), rows, split)
    assert outcome.n_folds == 2
    assert outcome.verdict.kept


def test_a_loss_of_more_than_the_margin_is_enough_to_stop():
    """The guard fold loses by 2.2 standard errors; a margin is one."""
    rows, split = table([-1.9, 0.3], [1.0], [1.0], [1.0])
    outcome = fit(LineLearner(), rows, split)
    assert outcome.n_folds == 1
    assert outcome.states == ()


def test_the_margin_is_taken_on_all_folds_together():
    """The same table passes a guard of half a standard error, and not one of a whole one."""
    rows, split = table(*[[2.3, -1.7]] * 4)
    assert fit(LineLearner(), rows, split, GuardPlan(n_errors=0.5)).verdict.kept
    assert not fit(LineLearner(), rows, split, GuardPlan(n_errors=1.0)).verdict.kept


def test_the_lucky_are_not_picked():
    """The first fold's rows lose, all folds together gain: every adapter is kept, the first one as well."""
    rows, split = table([1.9, -2.1], [3.0, 2.0], [3.0, 2.0], [3.0, 2.0])
    outcome = fit(LineLearner(), rows, split)
    assert outcome.verdict.kept
    assert outcome.n_folds > 1
    assert outcome.folds == tuple(range(outcome.n_folds))
    assert len(outcome.states) == outcome.n_folds


def test_as_many_folds_as_asked_for_are_trained_and_kept():
    """A gain that one fold would settle, when two folds are asked for: both adapters are kept, each with its fold."""
    rows, split = table([1.0, 1.2], [1.0, 1.2], [1.0, 1.2], [1.0, 1.2])
    outcome = fit(LineLearner(), rows, split, GuardPlan(min_folds=2))
    assert (outcome.n_folds, outcome.folds, len(outcome.states)) == (2, (0, 1), 2)
    assert outcome.verdict.n_rows == 2 * FOLD
    assert fit(LineLearner(), rows, split, GuardPlan(min_folds=9, max_folds=3)).n_folds == 3


def test_more_folds_are_not_asked_for_what_already_lost():
    rows, split = table([-1.0, -1.2], [1.0], [1.0], [1.0])
    assert fit(LineLearner(), rows, split, GuardPlan(min_folds=3)).n_folds == 1


def test_guard_rows_are_never_trained_on_and_the_context_neither():
    learner = LineLearner()
    rows, split = table(*[[2.3, -1.7]] * 4)
    fit(learner, rows, split)
    guarding = None
    trained: set[int] = set()
    n_guarded = 0
    for trains, context, query in learner.calls:
        if trains:
            trained |= set(context + query)
            continue
        assert context == tuple(split.context), "the guard looks at the context that will be served"
        if guarding != query:
            guarding, trained = query, set()
            n_guarded += 1
        assert trained.isdisjoint(query)
        assert trained.isdisjoint(context)
    assert n_guarded == 4


def test_the_rival_with_all_rows_can_win():
    """The adapted model gains .11 per row; the frozen one gains .5 from a longer context."""
    rows, split = table([1.0, 1.2], [1.0, 1.2], [1.0, 1.2], [1.0, 1.2])
    learner = LineLearner(bonus=0.5, n_served=N_CONTEXT)
    outcome = fit(learner, rows, split, GuardPlan(rival_rows=1000))
    assert not outcome.states
    assert outcome.verdict.status is Status.REVERTED_ALL_ROWS
    assert not outcome.verdict.kept
    longest = max((context for trains, context, _ in learner.calls if not trains), key=len)
    assert sorted(longest) == sorted([*split.context, *split.training_rows(0)])
    assert set(longest).isdisjoint(split.folds[0]), "the rival may not see the answers"


@pytest.mark.parametrize(("slopes", "n_folds"), [([1.0, 1.2], 1), ([2.3, -1.7], 4), ([-1.0], 1)])
def test_the_loss_of_the_rival_is_reported_whatever_is_decided(slopes: list[float], n_folds: int):
    """A frozen row costs 1, and 1 less a bonus with a longer context; nobody else's loss may be named instead."""
    learner = LineLearner(bonus=0.03125, n_served=N_CONTEXT)
    rows, split = table(slopes, *[[2.3, -1.7] if len(slopes) > 1 and slopes[1] < 0 else [1.0]] * 3)
    outcome = fit(learner, rows, split, GuardPlan(rival_rows=1000))
    assert outcome.n_folds == n_folds
    assert outcome.rival_loss == 1.0 - 0.03125


def test_the_loss_of_the_rival_is_the_mean_over_all_guarded_rows():
    class Uneven(LineLearner):
        def row_losses(self, output, target):
            return output[:, 0] + 0.25 * target * (len(self.calls[-1][1]) > N_CONTEXT)

    rows, split = table(*[[2.3, -1.7]] * 4)
    rows = Rows(rows.x, torch.arange(len(rows), dtype=torch.float64))
    outcome = fit(Uneven(), rows, split, GuardPlan(rival_rows=1000))
    guarded = np.concatenate(split.folds[: outcome.n_folds])
    assert outcome.rival_loss == pytest.approx(1.0 + 0.25 * guarded.mean(), rel=1e-12)


def test_a_rival_that_was_not_measured_has_no_loss():
    rows, split = table([1.0, 1.2], [1.0, 1.2])
    assert fit(LineLearner(), rows, split).rival_loss is None
    assert fit(LineLearner(), rows, split, GuardPlan(rival_rows=N_CONTEXT)).rival_loss is None
    unguarded = fit_unguarded(LineLearner(), rows, split, PLAN, np.random.SeedSequence(0))
    assert unguarded.rival_loss is None


@pytest.mark.parametrize(("bonus", "rival_rows"), [(0.05, 1000), (0.5, 0), (0.5, N_CONTEXT)])
def test_the_rival_loses_when_worse_or_not_asked(bonus: float, rival_rows: int):
    rows, split = table([1.0, 1.2], [1.0, 1.2], [1.0, 1.2], [1.0, 1.2])
    learner = LineLearner(bonus=bonus, n_served=N_CONTEXT)
    assert fit(learner, rows, split, GuardPlan(rival_rows=rival_rows)).verdict.kept


@pytest.mark.parametrize(("bonus", "status"), [(0.108, Status.KEPT), (0.112, Status.REVERTED_ALL_ROWS)])
def test_in_the_end_a_rival_that_is_barely_better_is_served(bonus: float, status: Status):
    """The adapter gains .11 with a standard error of .0033; the rival is ahead or behind by less than that."""
    rows, split = table(*[[1.0, 1.2]] * 4)
    learner = LineLearner(bonus=bonus, n_served=N_CONTEXT)
    assert fit(learner, rows, split, GuardPlan(rival_rows=1000)).verdict.status is status


def test_a_rival_that_is_far_ahead_ends_an_open_question():
    rows, split = table(*[[2.3, -1.7]] * 4)
    learner = LineLearner(bonus=0.5, n_served=N_CONTEXT)
    outcome = fit(learner, rows, split, GuardPlan(rival_rows=1000))
    assert outcome.n_folds == 1
    assert outcome.states == ()


def test_the_rival_has_no_more_rows_than_allowed():
    rows, split = table([1.0, 1.2], [1.0, 1.2], [1.0, 1.2], [1.0, 1.2])
    learner = LineLearner()
    fit(learner, rows, split, GuardPlan(rival_rows=N_CONTEXT + 7))
    assert max(len(context) for trains, context, _ in learner.calls if not trains) == N_CONTEXT + 7


def classes_in_folds(n_rare: int, rare_slope: float):
    """Four folds of ten rows, `n_rare` of each of a rare class with a slope of its own; the others gain clearly."""
    rows, split = table(*[[rare_slope] * n_rare + [1.0, 1.2] * 5] * 4)
    codes = torch.zeros(len(rows), dtype=torch.int64)
    for fold in split.folds:
        codes[torch.as_tensor(fold[:n_rare])] = 1
    return Rows(rows.x, codes), split


@pytest.mark.parametrize(("n_rare", "n_folds"), [(5, 1), (4, 2), (3, 2), (2, 3), (1, 4)])
def test_a_decision_waits_for_five_rows_of_every_class(n_rare: int, n_folds: int):
    """The first fold would settle it, but holds too few rows of the rare class to say what became of them."""
    outcome = fit(LineLearner(), *classes_in_folds(n_rare, 1.1))
    assert outcome.n_folds == n_folds
    assert outcome.verdict.kept


def test_a_class_without_guard_rows_leaves_the_question_open():
    """Its only row is in the context; all folds together say nothing about it, and no one of them is enough."""
    rows, split = classes_in_folds(5, 1.1)
    rows.y[0] = 2
    assert fit(LineLearner(), rows, split).n_folds == 4


@pytest.mark.parametrize(
    ("rare_slope", "status"), [(-0.5, Status.REVERTED_RARE_CLASS), (0.0, Status.KEPT), (0.5, Status.KEPT)]
)
def test_a_gain_is_not_paid_for_by_a_class_that_is_hardly_seen(rare_slope: float, status: Status):
    """One row of the class in each fold, four in all: they may stay as they are, but not become worse."""
    outcome = fit(LineLearner(), *classes_in_folds(1, rare_slope))
    assert outcome.verdict.difference < 0
    assert outcome.verdict.status is status
    assert (outcome.states == ()) is (status is Status.REVERTED_RARE_CLASS)


def test_the_rival_sees_the_classes_in_their_proportions():
    """Every fold lists its five rows of the rare class first; of six rows beyond the context three are of each."""
    seen = []

    class Spy(LineLearner):
        def output(self, context, query_x):
            if len(context) > N_CONTEXT:
                seen.append(context.y[N_CONTEXT:])
            return super().output(context, query_x)

    fit(Spy(), *classes_in_folds(5, 1.1), GuardPlan(rival_rows=N_CONTEXT + 6))
    assert [torch.bincount(classes).tolist() for classes in seen] == [[3, 3]]


def test_without_a_guard_a_model_that_breaks_on_some_rows_is_not_kept():
    """The steps look fine, and so does the first row; the others have no finite loss after the last step."""

    class Brittle(LineLearner):
        def row_losses(self, output, target):
            moved = not torch.is_grad_enabled() and bool(self.module.weight != 0)
            return torch.where(target > 0, output[:, 0] / (not moved), output[:, 0])

    rows, split = table([1.0], [1.0])
    target = torch.ones(len(rows), dtype=torch.float64)
    target[split.folds[0][0]] = 0.0
    outcome = fit_unguarded(Brittle(), Rows(rows.x, target), split, PLAN, np.random.SeedSequence(0))
    assert outcome.verdict.status is Status.REVERTED_NON_FINITE
    assert outcome.states == ()


def test_without_a_guard_all_other_rows_are_trained_on():
    learner = LineLearner()
    rows, split = table([-1.0], [1.0], [1.0], [1.0])
    outcome = fit_unguarded(learner, rows, split, PLAN, np.random.SeedSequence(0))
    assert outcome.verdict.status is Status.UNGUARDED
    assert outcome.states
    assert (outcome.n_training, outcome.folds, outcome.n_folds) == (4 * FOLD, (), 0)
    assert learner.trained_on == set(range(N_CONTEXT, N_CONTEXT + 4 * FOLD))


def test_a_deadline_that_has_passed_is_said_to_be_the_reason():
    clock = Clock()
    rows, split = table([1.0], [1.0])
    outcome = fit(LineLearner(), rows, split, deadline=clock.now - 1, clock=clock)
    assert outcome.states == ()
    assert outcome.verdict.status is Status.REVERTED_TIME


def test_without_a_guard_and_without_time_nothing_is_kept():
    clock = Clock()
    rows, split = table([1.0], [1.0])
    outcome = fit_unguarded(
        LineLearner(), rows, split, PLAN, np.random.SeedSequence(0), deadline=clock.now - 1, clock=clock
    )
    assert not outcome.states
    assert outcome.verdict.status is Status.REVERTED_TIME


def test_a_step_of_length_zero_is_not_kept():
    """When the line search stays where it is there is no adapter, whatever rounding says."""
    rows, split = table([1.0, -1.0], [1.0, -1.0], [1.0, -1.0], [1.0, -1.0])
    learner = LineLearner(curvature=1e6)
    plan = StepPlan(1, n_context=N_CONTEXT, learning_rate=0.1, spec=AdapterSpec("head"))
    outcome = fit_guarded(learner, rows, split, plan, GuardPlan(), np.random.SeedSequence(0))
    assert outcome.steps.step_length == 0.0
    assert not outcome.states


@pytest.mark.parametrize(("n_errors", "decisive"), [(-1.0, 3.0), (4.0, 3.0), (float("nan"), 3.0)])
def test_a_guard_that_contradicts_itself_is_refused(n_errors: float, decisive: float):
    with pytest.raises(InputError, match=r"n_errors=.*decisive=.*0 <= n_errors <= decisive"):
        GuardPlan(n_errors, decisive)
