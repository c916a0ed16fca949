"""A linear part that was in doubt before training, and what is served once adapters are trained."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.support.line import Clock
from testtime import TTTRegressor
from testtime.adapt.budget import Budget
from testtime.adapt.task import Numbers
from testtime.backbones.base import Encoded
from testtime.backbones.scaling import TargetScaler
from testtime.results import Status
from testtime.table import choose_linear
from testtime.table.columns import TableColumns
from testtime.table.encoding import EncodedRows, TableEncoding
from testtime.table.fit import Chosen, Outside
from testtime.table.in_doubt import settle_doubt
from testtime.table.levels import LevelStatistics
from testtime.table.linear import Reduced
from testtime.table.reading import InDoubt, Reading
from testtime.table.target import NumericTarget

N = 200
Y = np.random.default_rng(0).normal(size=N)
UNIT = TargetScaler.fit(10.0 * Y)


def read_as(name: str, *, left: float | None = None) -> Reading:
    """A table of one column, whose linear part is zero where there is one."""
    encoded = Encoded(np.zeros((N, 1)), (name,), ("number",), (0,))
    reduced = None if left is None else Reduced(Y, left, None, 0)
    rows = EncodedRows(encoded, encoded.x, Y if left is None else Y / left, reduced=reduced)
    return Reading(TableEncoding(TableColumns(), LevelStatistics((), (0,))), NumericTarget(UNIT), rows, [])


def chosen_with(off: float, *, left: float = 1.0, status: Status = Status.KEPT) -> Chosen:
    """A fit whose mixture is off by so much, in standard deviations of the target, on half of the rows."""
    chosen = Chosen(np.arange(N), N, N, (), 0, status)
    if status is not Status.REVERTED_TIME:
        rows = np.arange(N // 2)
        answers = np.repeat((Y[rows, None] + off) / left, 3, axis=1)
        chosen.outside = Outside(rows, Y[rows] / left, answers)
    return chosen


def settled(before: float, after: float, seconds: float | None = None, **given):
    """What is served where the mixture is off by `before` without the part and by `after` with it."""
    fits = {"without": chosen_with(before, **given), "with": chosen_with(after, left=0.1)}
    asked, clock = [], Clock()

    def fit(read: Reading) -> Chosen:
        asked.append(read.rows.encoded.names[0])
        clock.spend(4.0)
        return fits[asked[-1]]

    other = InDoubt(UNIT, lambda: read_as("with", left=0.1))
    read = replace(read_as("without"), in_doubt=other)
    read, chosen = settle_doubt(read, fit, Budget(seconds, clock))
    assert chosen is fits[read.rows.encoded.names[0]]
    return asked, read.rows.encoded.names[0], chosen.notes


def test_without_a_doubt_there_is_one_fit():
    asked, only = [], chosen_with(0.5)
    read = read_as("without")
    assert settle_doubt(read, lambda one: asked.append(one) or only, Budget()) == (read, only)
    assert len(asked) == 1
    assert only.notes == []


@pytest.mark.parametrize(
    ("before", "after", "served", "said"),
    [(0.4, 0.1, "with", "was 0.4000 and 0.1000"), (0.4, 0.5, "without", "was 0.4000 and 0.5000")],
)
def test_what_is_better_on_rows_nobody_has_seen_is_served(before, after, served, said):
    asked, name, notes = settled(before, after)
    assert (asked, name) == (["without", "with"], served)
    assert len(notes) == 1
    assert said in notes[0]


def test_where_the_frozen_model_is_served_it_is_so_with_the_part():
    asked, name, _ = settled(0.0, 0.9, status=Status.REVERTED_TIME)
    assert (asked, name) == (["without", "with"], "with")


def test_without_a_guard_nothing_tells_what_is_better():
    asked, name, _ = settled(0.9, 0.1, status=Status.UNGUARDED)
    assert (asked, name) == (["without"], "without")


@pytest.mark.parametrize(("seconds", "served"), [(7.9, "without"), (8.1, "with")])
def test_a_time_limit_must_leave_as_much_as_the_first_fit_took(seconds, served):
    asked, name, notes = settled(0.4, 0.1, seconds=seconds)
    assert (asked[-1], name) == (served, served)
    assert ("time limit" in notes[0]) == (served == "without")


def test_losses_are_compared_in_one_unit():
    """What regressions of the folds said is put back, whatever they said."""
    said = np.linspace(-5.0, 5.0, N)
    read, rows = read_as("with", left=0.1), np.arange(20, 90)
    left = (Y - said)[rows] / 0.1
    answers = left[:, None] + np.linspace(-1.0, 1.0, 9) + 3.0
    kept = chosen_with(0.0)
    kept.outside = Outside(rows, left, answers)
    loss = Numbers().score((0.1 * answers + said[rows, None]), Y[rows]).mean()
    other = InDoubt(UNIT, lambda: read_as("without"))
    fits = iter([kept, chosen_with(loss + 1e-6)])
    assert settle_doubt(replace(read, in_doubt=other), lambda _: next(fits), Budget())[1] is kept
    fits = iter([kept, better := chosen_with(loss - 1e-6)])
    assert settle_doubt(replace(read, in_doubt=other), lambda _: next(fits), Budget())[1] is better


class TestFits:
    """The frozen model's gain by a linear part is given, the rest is as it is."""

    @pytest.fixture
    def table(self):
        x = np.random.default_rng(1).normal(size=(300, 4))
        return pd.DataFrame(x, columns=list("abcd")), 3.0 * x[:, 0] + np.sin(3.0 * x[:, 1])

    @pytest.fixture
    def gains(self, monkeypatch):
        def gains(share: float) -> None:
            as_is = np.full((300, 2), 1.0)
            monkeypatch.setattr(choose_linear.Trial, "run", lambda *_: [as_is, as_is * (1.0 - share)])

        return gains

    def test_less_than_a_twentieth_is_not_in_doubt(self, table, gains):
        for share, doubted in ((0.04, False), (0.06, True)):
            gains(share)
            model = TTTRegressor(n_steps=1, n_members=2, random_state=0).fit(*table)
            assert any("linear part" in note for note in model.adaptation_.notes) == doubted

    def test_a_second_fit_is_the_fit_of_a_table_read_so_from_the_beginning(self, table, gains, monkeypatch):
        X, y = table
        settings = {"n_steps": 2, "n_members": 2, "random_state": 0}
        gains(0.5)
        sure = TTTRegressor(**settings).fit(X, y)
        gains(0.3)
        losses = iter([9.0, 1.0])
        monkeypatch.setattr("testtime.table.in_doubt._loss", lambda *_: next(losses))
        doubted = TTTRegressor(**settings).fit(X, y)
        np.testing.assert_array_equal(sure.predict(X), doubted.predict(X))
        assert sum(note.startswith("A ridge regression") for note in doubted.adaptation_.notes) == 1
        assert "9.0000 and 1.0000" in doubted.adaptation_.notes[-1]
