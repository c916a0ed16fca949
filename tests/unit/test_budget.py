"""Time that is left, on a clock that passes only when told to."""

from __future__ import annotations

import math

from tests.support.line import Clock
from testtime.adapt.budget import Budget


def test_without_a_limit_everything_fits():
    clock = Clock()
    budget = Budget(None, clock)
    clock.spend(1e9)
    assert not budget.limited
    assert budget.left() == math.inf
    assert budget.fits(1e12)
    assert budget.spent() == 1e9


def test_a_limit_runs_down():
    clock = Clock()
    budget = Budget(10.0, clock)
    assert budget.limited
    assert budget.fits(10.0)
    assert not budget.fits(10.5)
    clock.spend(8.0)
    assert (budget.left(), budget.spent()) == (2.0, 8.0)
    assert budget.fits(2.0)
    clock.spend(2.0)
    assert budget.fits(0.0)
    clock.spend(0.5)
    assert not budget.fits(0.0)


def test_a_part_ends_earlier_on_the_same_clock():
    clock = Clock()
    budget = Budget(10.0, clock)
    part = budget.until(3.0)
    assert part.left() == 7.0
    clock.spend(8.0)
    assert not part.fits(0.0)
    assert budget.fits(2.0)
    assert Budget(None, clock).until(5.0).left() == math.inf


def test_stopping_ends_it_for_everybody_who_shares_it():
    budget = Budget(None)
    part = budget.until(1.0)
    assert part.fits(1.0)
    budget.stop()
    assert budget.left() == part.left() == -math.inf
    assert not budget.fits(0.0)
    assert not part.fits(0.0)
