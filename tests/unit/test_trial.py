"""When a gain on other rows counts, and which rows these are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.linear import LinearBackbone
from testtime.adapt.budget import Budget
from testtime.adapt.task import Classes, Task
from testtime.backbones.base import Encoded
from testtime.table.encoding import EncodedRows
from testtime.table.trial import Gain, Judge, Trial


def test_losses_of_the_same_rows_are_compared():
    before, after = np.array([1.0, 2.0, 3.0, 4.0]), np.array([0.0, 1.5, 2.0, 3.5])
    gain = Gain.of(before, after, None)
    assert gain.before == 2.5
    assert gain.after == 1.75
    assert gain.error == pytest.approx(np.std([1.0, 0.5, 1.0, 0.5], ddof=1) / 2)


def test_rows_that_belong_together_count_as_one():
    before = np.array([1.0, 1.0, 2.0, 2.0, 4.0, 4.0])
    alone, together = (Gain.of(before, np.zeros(6), units) for units in (None, np.array([0, 0, 1, 1, 2, 2])))
    assert together.error == pytest.approx(np.std([1.0, 2.0, 4.0], ddof=1) / np.sqrt(3))
    assert together.error > alone.error


@pytest.mark.parametrize(
    ("after", "error", "share", "clear"),
    [(0.79, 0.1, 0.0, True), (0.81, 0.1, 0.0, False), (0.79, 0.1, 0.25, False), (0.74, 0.1, 0.25, True)],
)
def test_it_is_clear_by_two_standard_errors_and_a_share_of_the_loss(after, error, share, clear):
    assert Gain(1.0, after, error).is_clear(share) == clear


def test_no_gain_is_not_clear():
    assert not Gain(1.0, 1.0, 0.0).is_clear()


def test_it_is_told():
    assert Gain(0.5, 0.25, 0.012345).told("log loss") == (
        "on other rows, the frozen model's log loss is then 0.2500 instead of 0.5000 (the difference has a standard "
        "error of 0.0123)"
    )


def rows_of(y: np.ndarray, time: np.ndarray | None = None) -> EncodedRows:
    x = np.random.default_rng(0).normal(size=(len(y), 2))
    return EncodedRows(Encoded(x, ("a", "b"), ("number",) * 2, (0,) * 2), x, y, time=time)


def judge(task: Task | None = None, budget: Budget | None = None) -> Judge:
    seed = np.random.SeedSequence(0)
    return Judge(task or Classes(2), LinearBackbone(), torch.device("cpu"), seed, budget or Budget(None))


CLASSES = np.arange(90) % 2


class TestFolds:
    def test_all_rows_are_measured_once_by_the_other_two_thirds(self):
        trial = Trial.of(judge(), rows_of(CLASSES), None)
        assert sorted(trial.measured) == list(range(90))
        for fold, others in zip(trial.dealt, trial.others(later=True), strict=True):
            assert len(fold.context) == 60
            assert not set(fold.context) & set(fold.guard)
            assert sorted(trial.measured[others]) == sorted(fold.context)
        assert len(trial.dealt) == 3
        assert trial.units is None

    def test_as_many_as_are_asked_for(self):
        trial = Trial.of(judge(), rows_of(CLASSES), None, most_context=20, most_guard=5)
        assert [(len(fold.context), len(fold.guard)) for fold in trial.dealt] == [(20, 5)] * 3

    def test_rows_that_belong_together_are_not_parted(self):
        together = np.random.default_rng(0).permutation(90) // 3
        trial = Trial.of(judge(), rows_of(CLASSES), together)
        for fold in trial.dealt:
            assert not set(together[fold.context]) & set(together[fold.guard])
        assert trial.units is not None
        assert np.array_equal(trial.units, together[trial.measured])

    def test_with_time_what_comes_before_predicts(self):
        time = np.random.default_rng(0).permutation(90).astype(float)
        trial = Trial.of(judge(), rows_of(CLASSES, time), None)
        before = trial.others(later=False)
        assert not before[0].any()
        for fold, others in zip(trial.dealt, before, strict=True):
            assert time[fold.context].max() < time[fold.guard].min()
            assert (time[trial.measured[others]] < time[fold.guard].min()).all()
        assert [len(one) for one in before] == [len(trial.measured)] * 3
        assert before[2].sum() == len(trial.dealt[0].guard) + len(trial.dealt[1].guard)

    @pytest.mark.parametrize(
        ("y", "time", "most_context"),
        [(CLASSES, np.zeros(90), None), (np.arange(90) % 9, None, 8), (CLASSES, None, 1)],
        ids=["one moment", "fewer rows than classes", "one row"],
    )
    def test_where_there_are_none_nothing_is_measured(self, y, time, most_context):
        rows = rows_of(y, time)
        trial = Trial.of(judge(Classes(int(y.max()) + 1)), rows, None, most_context=most_context)
        assert trial.dealt == ()
        assert trial.gain(rows, rows) is None


class TestTime:
    """Two ways on three folds, each of which takes a second."""

    def gain(self, seconds: float, limit: float) -> Gain | None:
        passed = iter([0.0, 0.0, 0.0, *(seconds + k for k in range(99))])
        rows, on_clock = rows_of(CLASSES), judge(budget=Budget(limit, clock=passed.__next__))
        return Trial.of(on_clock, rows, None).gain(rows, rows)

    @pytest.mark.parametrize(("limit", "enough"), [(61.0, True), (59.0, False)])
    def test_a_tenth_of_what_is_left_may_be_used(self, limit: float, enough: bool):
        assert (self.gain(1.0, limit) is not None) == enough

    @pytest.mark.parametrize(("limit", "enough"), [(31.0, True), (29.0, False)])
    def test_a_way_alone_has_as_much(self, limit: float, enough: bool):
        passed = iter([0.0, 0.0, 0.0, *range(1, 99)])
        rows, on_clock = rows_of(CLASSES), judge(budget=Budget(limit, clock=passed.__next__))
        measured = Trial.of(on_clock, rows, None).run((lambda _: (rows, Classes(2).score),))
        assert (measured is not None) == enough

    def test_a_limit_that_is_over_is_no_time(self):
        assert self.gain(1.0, -1.0) is None

    def test_ways_that_say_the_same_gain_nothing(self):
        gain = self.gain(1.0, 1e9)
        assert gain is not None
        assert gain.before == gain.after > 0
        assert not gain.is_clear()
