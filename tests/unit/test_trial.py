"""When a gain on other rows counts."""

from __future__ import annotations

import numpy as np
import pytest

from testtime.table.trial import Gain


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
