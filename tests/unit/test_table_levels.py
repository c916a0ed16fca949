"""What the levels of nominal columns say about the target: right, without leaks, and bounded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import OneHotEncoder

from tests.support.linear import LinearBackbone
from testtime.adapt.task import Classes
from testtime.backbones.base import Encoded
from testtime.table.encoding import EncodedRows
from testtime.table.levels import LevelStatistics
from testtime.table.reading import encode_rows


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


def level_rows(n: int = 300) -> tuple[Encoded, np.ndarray]:
    """A column of 30 levels that say nothing, beside a column of noise."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 30, n).astype(float), rng.normal(size=n)])
    return Encoded(x, ("town", "a"), ("nominal", "number"), (30, 0)), rng.integers(0, 2, n)


def test_rows_that_belong_together_tell_each_other_nothing():
    """Each group has one label and one level: what its rows learn of the level must come from other groups."""
    encoded, y = level_rows()
    groups = np.repeat(np.arange(60), 5)
    town, label = np.random.default_rng(1).integers(0, 30, 60), np.random.default_rng(2).integers(0, 2, 60)
    encoded = replace(encoded, x=np.column_stack([town[groups].astype(float), encoded.x[:, 1]]))
    y = label[groups]
    levels = LevelStatistics.fit(encoded, y, 2)

    def told(apart):
        return levels.cross_fitted(encoded, y, 0, apart)[:, 2]

    assert np.corrcoef(told(None), y)[0, 1] > 0.5  # the other rows of the group give it away
    assert np.corrcoef(told(groups), y)[0, 1] < 0.3
    for group in (0, 17):
        flipped = np.where(groups == group, 1 - y, y)
        own = LevelStatistics.fit(encoded, flipped, 2).cross_fitted(encoded, flipped, 0, groups)[:, 2]
        assert np.array_equal(own[groups == group], told(groups)[groups == group])


def test_a_block_of_time_is_encoded_by_what_came_before_it():
    encoded, y = level_rows()
    time = np.arange(300.0)
    held = np.arange(200, 240)
    crossed = LevelStatistics.fit(encoded, y, 2).cross_fitted(encoded, y, 0)
    rows = EncodedRows(encoded, crossed, y, None, time)
    future = np.where(time >= 240, 1 - y, y)
    changed = replace(rows, y=future)
    seed = np.random.SeedSequence(0)
    before, after = (one.without(held, Classes(2), seed, later=True) for one in (rows, changed))
    assert np.array_equal(before, after)
    assert not np.array_equal(*(one.without(held, Classes(2), seed) for one in (rows, changed)))


def test_groups_are_kept_apart_in_a_fit():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"town": [f"town {k}" for k in rng.integers(0, 20, 80)], "a": rng.normal(size=80)})
    y, groups = rng.integers(0, 2, 80), np.arange(80) // 4
    backbone, seed = LinearBackbone(), np.random.SeedSequence(0)
    flipped = np.where(groups == 3, 1 - y, y)
    held = np.flatnonzero(groups == 7)

    def told(labels, given):
        rows = encode_rows(frame, labels, Classes(2), backbone, seed, groups=given)[2]
        fold = rows.without(held, Classes(2), seed)
        return np.column_stack([rows.x[groups == 3], fold[groups == 3]])

    assert np.array_equal(told(y, groups), told(flipped, groups))
    assert not np.array_equal(told(y, None), told(flipped, None))


def test_copies_tell_each_other_nothing_in_a_fit():
    """Rows drawn three times over, as when a rare class is oversampled: their level must not give them away."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"town": [f"town {k}" for k in rng.integers(0, 20, 80)], "a": rng.normal(size=80)})
    y, copies = rng.integers(0, 2, 80), np.repeat(np.arange(80), 3)
    flipped = np.where(np.arange(80) == 3, 1 - y, y)
    seed, held = np.random.SeedSequence(0), np.flatnonzero(copies == 7)

    def told(labels):
        repeated = frame.iloc[copies].reset_index(drop=True)
        rows = encode_rows(repeated, labels[copies], Classes(2), LinearBackbone(), seed)[2]
        fold = rows.without(held, Classes(2), seed)
        return np.column_stack([rows.x[copies == 3], fold[copies == 3]])

    assert told(y).shape == (3, 6)
    assert np.array_equal(told(y), told(flipped))


def test_there_is_room_for_so_many_columns_of_statistics():
    """Forty columns of five to forty-four levels and two numbers for each: the thirty with the most levels."""
    n_levels = tuple(range(5, 45))
    x = np.random.default_rng(0).integers(0, 5, (60, 40)).astype(float)
    encoded = Encoded(x, tuple(f"c{k}" for k in range(40)), ("nominal",) * 40, n_levels)
    found = LevelStatistics.fit(encoded, np.arange(60) % 2, 2).columns
    assert [column.key for column in found] == [(k,) for k in range(10, 40)]
