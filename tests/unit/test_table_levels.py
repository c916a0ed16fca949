"""What the levels of nominal columns say about the target: right, without leaks, and bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder

from testtime.backbones.base import Encoded
from testtime.table.levels import LevelStatistics


def encoded(codes: np.ndarray, n_levels: int) -> Encoded:
    return Encoded(codes.astype(np.float64)[:, None], ("g",), ("nominal",), (n_levels,))


def by_level(n_levels: int, n_rows: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes, and labels that depend on the level alone."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, n_levels, n_rows)
    effect = 2 * rng.normal(size=n_levels)
    return codes, (effect[codes] + rng.logistic(size=n_rows) > 0).astype(np.int64)


@pytest.mark.parametrize(("n_levels", "n_rows"), [(60, 2000), (1000, 20_000)])
def test_levels_say_as_much_as_one_column_per_level(n_levels: int, n_rows: int):
    codes, y = by_level(n_levels, 2 * n_rows)
    train, test = slice(0, n_rows), slice(n_rows, None)
    statistics = LevelStatistics.fit(encoded(codes[train], n_levels), y[train], 2)
    mean = statistics.transform(encoded(codes[test], n_levels))[:, 1]
    one_hot = OneHotEncoder(handle_unknown="ignore").fit(codes[train, None])
    linear = LogisticRegression(max_iter=300).fit(one_hot.transform(codes[train, None]), y[train])
    expected = roc_auc_score(y[test], linear.predict_proba(one_hot.transform(codes[test, None]))[:, 1])
    assert roc_auc_score(y[test], mean) > expected - 0.01


def test_labels_that_say_nothing_leak_nothing():
    rng = np.random.default_rng(0)
    codes, y = rng.integers(0, 500, 2000), rng.integers(0, 2, 2000)
    rows = encoded(codes, 500)
    statistics = LevelStatistics.fit(rows, y, 2)
    assert roc_auc_score(y, statistics.transform(rows)[:, 1]) > 0.7, (
        "its own label is in the mean of all rows"
    )
    assert roc_auc_score(y, statistics.cross_fitted(rows, y, 0)[:, 1]) < 0.55


def test_a_row_does_not_see_its_own_label():
    codes, y = by_level(10, 300)
    rows, changed = encoded(codes, 10), y.copy()
    changed[7] = 1 - y[7]
    before = LevelStatistics.fit(rows, y.astype(float), 0).cross_fitted(rows, y.astype(float), 0)
    after = LevelStatistics.fit(rows, changed.astype(float), 0).cross_fitted(rows, changed.astype(float), 0)
    assert np.array_equal(before[7], after[7])
    assert not np.array_equal(before, after)


def test_unknown_and_missing_levels_have_the_mean_of_all_rows():
    codes, y = by_level(8, 400)
    statistics = LevelStatistics.fit(encoded(codes, 8), y, 2)
    found = statistics.transform(encoded(np.array([8.0, np.nan]), 8))
    assert np.allclose(found[:, 1], y.mean())


def test_few_levels_and_numbers_get_no_statistics():
    codes, y = by_level(4, 100)
    rows = encoded(codes, 4)
    assert LevelStatistics.fit(rows, y, 2).transform(rows) is rows.x
    numbers = replace(rows, kinds=("number",), n_levels=(0,))
    assert LevelStatistics.fit(numbers, y, 2).transform(numbers) is numbers.x


@pytest.mark.parametrize("n_classes", [0, 2, 5])
def test_they_survive_as_arrays(n_classes: int):
    rng = np.random.default_rng(1)
    codes = rng.integers(0, 30, 400)
    y = rng.normal(size=400) if n_classes == 0 else rng.integers(0, n_classes, 400)
    statistics = LevelStatistics.fit(encoded(codes, 30), y, n_classes)
    again = LevelStatistics.from_arrays(statistics.to_arrays())
    new = encoded(rng.integers(0, 31, 50), 30)
    assert np.array_equal(again.transform(new), statistics.transform(new))
    assert statistics.transform(new).shape[1] == 1 + {0: 1, 2: 1, 5: 3}[n_classes] + 1
