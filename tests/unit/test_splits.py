"""Which rows are held out, and at which sizes of the context a curve is measured."""

import numpy as np
import pandas as pd
import pytest

from testtime.evaluation.curves import curve_sizes
from testtime.evaluation.splits import hold_out


def test_groups_are_held_out_whole_and_later_rows_last():
    rng = np.random.default_rng(0)
    labels, groups, time = rng.choice(["a", "b"], 500), rng.integers(0, 60, 500), rng.integers(0, 100, 500)
    fitted, held = hold_out(labels, 0.2, 0, groups=groups)
    assert not set(groups[fitted]) & set(groups[held])
    assert 80 <= len(held) <= 100
    fitted, held = hold_out(labels, 0.2, 0, groups=groups, time=time.astype(float))
    assert time[fitted].max() < time[held].min()
    assert 80 <= len(held) <= 100
    alone = [None] * 10
    assert len(hold_out(["a"] * 10, 0.3, 0, groups=alone)[1]) == 3
    labels[time > 90] = "new"
    fitted, held = hold_out(labels, 0.3, 0, time=time.astype(float))
    assert "new" not in labels[held]
    assert len(fitted) + len(held) == 500 - (time > 90).sum()


@pytest.mark.parametrize(("n", "share"), [(1000, 0.2), (997, 0.1), (50, 0.5)])
def test_held_out_rows_have_the_shares_of_the_table(n, share):
    rng = np.random.default_rng(n)
    labels = pd.Series(rng.choice(["a", "b", "c"], n, p=[0.7, 0.25, 0.05]))
    fitted, held = hold_out(labels, share, 0)
    assert sorted([*fitted, *held]) == list(range(n))
    assert len(held) == round(share * n)
    for label, count in labels.value_counts().items():
        assert abs((labels.iloc[held] == label).sum() - share * count) <= 1
    assert not np.array_equal(held, hold_out(labels, share, 1)[1])
    assert np.array_equal(held, hold_out(labels, share, 0)[1])


def test_each_class_keeps_two_rows_and_few_are_scored_at_most():
    fitted, _ = hold_out(["a"] * 100 + ["b"] * 2 + ["c"] * 3, 0.9, 0)
    assert {"b", "c"} <= {(["a"] * 100 + ["b"] * 2 + ["c"] * 3)[row] for row in fitted}
    assert sum(row >= 100 for row in fitted) >= 4
    assert len(hold_out(np.zeros(100_000), 0.2, 0)[1]) == 5000


@pytest.mark.parametrize(
    ("arguments", "sizes"),
    [
        ((128, 2, 1000), [16, 64, 128, 256, 1000]),
        ((96, 10, 40_000), [16, 64, 96, 256, 1024]),
        ((96, 20, 40_000), [64, 96, 256, 1024]),  # each class is shown
        ((32, 2, 32), [16, 32]),
        ((12, 2, 12), [12]),
        ((2000, 2, 5000), [16, 64, 256, 1024, 2000]),
    ],
)
def test_sizes_of_the_curve(arguments, sizes):
    assert curve_sizes(*arguments) == sizes
