"""The time limit: what fits is done, what does not is left, and the record says so."""

from __future__ import annotations

import time

import numpy as np
import pytest

from tests.support.line import Clock
from tests.support.models import random_rows
from testtime import Status, TTTClassifier
from testtime.adapt.budget import Budget
from testtime.backbones.embedded import EmbeddedBackbone

ROWS = random_rows(300, 3, 2)
X, Y = ROWS.x.numpy().astype(np.float64), ROWS.y.numpy()


def test_a_budget_ends_earlier_for_what_must_leave_time():
    clock = Clock()
    budget = Budget(10.0, clock)
    part = budget.until(3.0)
    clock.spend(6.0)
    assert (budget.left(), part.left()) == (4.0, 1.0)
    budget.stop()
    assert not part.fits(0.0)


def test_more_steps_than_there_is_time_for(tiny_embedded: EmbeddedBackbone):
    began = time.monotonic()
    fitted = TTTClassifier(n_steps=100_000, n_members=2, time_limit=3.0).fit(X, Y)
    record = fitted.adaptation_
    assert 0 < record.n_steps < 100_000
    assert "time limit" in record.explain()
    # A generous bound: the machine may be busy, and the limit itself is checked before each step.
    assert time.monotonic() - began < 15.0


def test_without_time_for_a_step_the_frozen_model_is_served(tiny_embedded: EmbeddedBackbone):
    none = TTTClassifier(n_steps=10, time_limit=1e-9).fit(X, Y)
    assert none.adaptation_.status is Status.REVERTED_TIME
    assert "raise time_limit" in none.adaptation_.explain()
    plain = TTTClassifier(n_steps=0).fit(X, Y)
    assert np.array_equal(none.predict_proba(X), plain.predict_proba(X))


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), "fast"])
def test_limits_that_are_none(tiny_embedded: EmbeddedBackbone, limit: object):
    with pytest.raises(ValueError, match="time_limit"):
        TTTClassifier(time_limit=limit).fit(X, Y)
