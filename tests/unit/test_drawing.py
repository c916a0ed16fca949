"""What several figures draw: intervals of medians and shares that say how sure they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from testtime.experiments.drawing import median_curves, median_interval, shares
from testtime.report import plots


@pytest.mark.parametrize("count", [10, 30, 48])
def test_the_interval_holds_the_median_of_a_skew_distribution_as_often_as_it_says(count):
    draws = np.random.default_rng(0).lognormal(sigma=2.0, size=(4000, count))
    low, high = np.transpose([median_interval(row) for row in draws])
    held = np.mean((low <= 1.0) & (high >= 1.0))
    assert 0.945 <= held <= 0.985  # the binomial is discrete, so a little more than 95%


def test_few_values_give_their_range():
    assert median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)


def test_bars_of_medians_reach_from_end_to_end():
    table = pd.DataFrame({"n": 10, "way": "a", "mse": np.arange(1.0, 31.0)})
    with plots.house_style():
        _, (axes,) = plots.new_figure()
        median_curves(axes, table, "n", "way", {"a": "A", "absent": "B"}, plots.colours(2))
    (bars,) = axes.containers
    (segment,) = bars.lines[2][0].get_segments()
    assert segment[:, 1].tolist() == [10.0, 21.0]
    assert bars.lines[0].get_ydata().tolist() == [15.5]


def test_a_share_of_one_still_has_an_error():
    hits = pd.Series([True] * 20)
    keys = [pd.Series([64] * 20), pd.Series(["a"] * 20)]
    with plots.house_style():
        _, (axes,) = plots.new_figure()
        shares(axes, hits, keys, {"a": "A"}, plots.colours(1))
    (bars,) = axes.containers
    (segment,) = bars.lines[2][0].get_segments()
    assert bars.lines[0].get_ydata().tolist() == [1.0]
    assert segment[1, 1] - segment[0, 1] > 0.1
