"""Numbers that are codes: told from quantities, and read as levels without leaks."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.codes import shops
from testtime.adapt.task import Classes
from testtime.backbones.base import Encoded
from testtime.table.codes import _MOST, _between, _spread, code_columns
from testtime.table.encoding import EncodedRows
from testtime.table.levels import LevelStatistics, signals_of


def encoded(*columns: np.ndarray) -> Encoded:
    n = len(columns)
    return Encoded(
        np.column_stack(columns).astype(float), tuple("abcdefghijkl"[:n]), ("number",) * n, (0,) * n
    )


@pytest.mark.parametrize("noise", [0.5, 1.0, 1.5])
def test_the_share_between_values_is_that_of_the_shops(noise: float):
    found = [_between(*pair) for pair in _shares(noise)]
    assert np.mean(found) == pytest.approx(1 / (1 + noise**2), abs=0.05)


def _shares(noise: float) -> list[tuple[np.ndarray, np.ndarray]]:
    drawn = (shops(2000, 100, noise, seed) for seed in range(10))
    return [(x, y[:, None]) for x, y in drawn]


@pytest.mark.parametrize(
    "of",
    [
        lambda x, rng: np.sin(x / 20),
        lambda x, rng: x > 60,
        lambda x, rng: (x > 40) & (x < 80),
        lambda x, rng: rng.normal(size=len(x)),
        lambda x, rng: x**2 + 50 * rng.normal(size=len(x)),
    ],
    ids=["wave", "step", "window", "noise", "parabola"],
)
def test_a_quantity_is_no_code(of):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 120, 1000).astype(float)
    y = of(x, rng).astype(float)
    assert code_columns(encoded(x), y[:, None]) == ()


@pytest.mark.parametrize("rate", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("n_values", [12, 100, 400])
def test_labels_that_say_nothing_make_no_codes(rate: float, n_values: int):
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(200):
        x, y = rng.integers(0, n_values, 800), rng.random(800) < rate
        found += len(code_columns(encoded(x), y.astype(float)[:, None]))
    assert found <= 1


def test_classes_and_numbers_are_asked_about():
    x, y = shops()
    labels = np.digitize(y, [-1, 0, 1])
    other = np.random.default_rng(3).normal(size=800).round(1)
    assert code_columns(encoded(other, x), signals_of(labels, 4)) == (1,)
    assert code_columns(encoded(other, x), signals_of(y, 0)) == (1,)
    assert code_columns(encoded(other, x), signals_of(np.exp(8 * y), 0)) == (
        1,
    )  # by rank, whatever the scale
    assert code_columns(encoded(other, x), signals_of((y > 0).astype(int), 2)) == (1,)


@pytest.mark.parametrize(("low", "high"), [(0.01, 0.5), (0.05, 0.3)])
def test_a_quantity_whose_variance_follows_its_value_is_no_code(low: float, high: float):
    """Most rows are zero and quiet, the others few of each number and noisy: a difference of noise is no effect."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(50):
        x = np.where(rng.random(800) < 0.75, 0, rng.integers(1, 60, 800)).astype(float)
        y = (rng.random(800) < np.where(x > 0, high, low)).astype(float)
        found += len(code_columns(encoded(x), y[:, None]))
    assert found <= 1


@pytest.mark.parametrize("rate", [None, 0.02, 0.5], ids=["normal", "rare", "even"])
@pytest.mark.parametrize("counts", [(2,), (10,), (2, 20), (3, 3, 40)])
def test_what_chance_does_is_known(counts: tuple[int, ...], rate: float | None):
    """Values that say nothing: the sum over pairs has mean zero and the standard deviation that is counted with."""
    rng = np.random.default_rng(0)
    m = np.tile(np.array(counts), 60)
    pair, codes = 1 / (1 / m[1:] + 1 / m[:-1]), np.repeat(np.arange(len(m)), m)
    found = []
    for _ in range(2000):
        y = rng.normal(size=m.sum()) if rate is None else (rng.random(m.sum()) < rate).astype(float)
        mean = np.bincount(codes, y) / m
        noise = np.bincount(codes, (y - mean[codes]) ** 2) / (m - 1) / m
        found.append((pair * (np.diff(mean) ** 2 - noise[1:] - noise[:-1])).sum())
    variance = 1.0 if rate is None else rate * (1 - rate)
    assert np.mean(found) == pytest.approx(0, abs=4 * np.std(found) / np.sqrt(2000))
    assert np.std(found) == pytest.approx(_spread(m.astype(float), pair, np.full(len(m), variance)), rel=0.08)


def test_ten_agreeing_pairs_are_too_few():
    x, y = np.repeat(np.arange(10.0), 2), np.repeat([0, 0, 1, 1, 0, 1, 1, 0, 0, 1], 2)
    assert code_columns(encoded(x), y.astype(float)[:, None]) == ()
    x, y = np.repeat(np.arange(100.0), 2), np.repeat(np.random.default_rng(0).integers(0, 2, 100), 2)
    assert code_columns(encoded(x), y.astype(float)[:, None]) == (0,)


def test_every_signal_is_asked_about():
    x, y = shops()
    signals = np.column_stack([np.random.default_rng(0).normal(size=800), y])
    assert code_columns(encoded(x), signals[:, :1]) == ()
    assert code_columns(encoded(x), signals) == (0,)


def test_missing_values_few_values_and_rare_repeats_do_not_count():
    x, y = shops()
    holes = np.where(np.arange(800) % 5 == 0, np.nan, x)
    assert code_columns(encoded(holes), y[:, None]) == (0,)
    assert code_columns(encoded(np.full(800, np.nan)), y[:, None]) == ()
    few, target = shops(n_shops=9)
    assert code_columns(encoded(few), target[:, None]) == ()
    seldom = np.where(np.arange(800) % 4 > 0, np.arange(800) + 0.5, x)  # one number in four occurs again
    assert code_columns(encoded(seldom), y[:, None]) == ()


def test_only_columns_of_numbers_are_asked():
    x, y = shops()
    as_levels = Encoded((x / 10 - 10)[:, None], ("a",), ("nominal",), (60,))
    assert code_columns(as_levels, y[:, None]) == ()


def test_of_many_the_clearest_are_taken():
    x, y = shops()
    rng = np.random.default_rng(5)
    mixed = [np.where(rng.random(800) < share, rng.permutation(x), x) for share in np.linspace(0, 0.3, 12)]
    found = code_columns(encoded(*mixed), y[:, None])
    assert len(found) == _MOST
    assert found == tuple(sorted(found))
    assert 0 in found


def test_rows_of_one_group_count_as_one():
    """A person's rows agree about the person's label: the number of the person says nothing about others."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(100), 8)
    label = rng.normal(size=100)[person]
    number = person * 7.0
    assert code_columns(encoded(number), label[:, None]) == (0,)
    assert code_columns(encoded(number), label[:, None], person) == ()
    shop, y = shops()
    assert code_columns(encoded(shop), y[:, None], np.arange(800) // 2) == (0,)


def test_a_unit_has_the_mean_of_its_rows():
    """Persons of one to nine rows, each with a number of visits that means nothing: sums would follow the rows."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(300), rng.integers(1, 10, 300))
    rows = np.bincount(person)
    number = 10.0 * (rows * 5 % 9) + rng.integers(0, 3, 300)
    label = 5 + rng.normal(size=len(person))
    assert code_columns(encoded(number[person]), label[:, None], person) == ()


class TestStatistics:
    def test_numbers_tell_what_levels_would(self):
        x, y = shops()
        labels = (y > 0).astype(int)
        codes = np.unique(x, return_inverse=True)[1].astype(float)
        as_levels = Encoded(codes[:, None], ("a",), ("nominal",), (60,))
        told = LevelStatistics.fit(encoded(x), labels, 2, keys=((0,),))
        expected = LevelStatistics.fit(as_levels, labels, 2)
        assert np.array_equal(told.transform(encoded(x))[:, 1:], expected.transform(as_levels)[:, 1:])
        crossed = told.cross_fitted(encoded(x), labels, 0)
        assert np.array_equal(crossed[:, 1:], expected.cross_fitted(as_levels, labels, 0)[:, 1:])
        assert np.array_equal(crossed[:, 0], x)

    def test_numbers_never_seen_and_missing_ones_have_the_mean_of_all_rows(self):
        x, y = shops()
        told = LevelStatistics.fit(encoded(x), y, 0, keys=((0,),))
        found = told.transform(encoded(np.array([99.0, 105.0, 1e9, np.nan, x[0]])))
        assert np.allclose(found[:4, 1], y.mean())
        assert np.array_equal(found[:4, 2], np.zeros(4))
        assert abs(found[4, 1] - y.mean()) > 0.01

    def test_the_share_of_rows_is_told_however_few_numbers_are_left(self):
        x, y = shops(n_shops=12)
        assert LevelStatistics.fit(encoded(x), y, 0, keys=((0,),)).transform(encoded(x)).shape == (800, 3)

    def test_a_row_does_not_see_its_own_label(self):
        x, y = shops()
        changed = np.where(np.arange(800) == 7, 50.0, y)
        before, after = (
            LevelStatistics.fit(encoded(x), target, 0, keys=((0,),)).cross_fitted(encoded(x), target, 0)
            for target in (y, changed)
        )
        assert np.array_equal(before[7], after[7])
        assert not np.array_equal(before, after)

    def test_a_fold_is_encoded_without_its_targets(self):
        x, y = shops()
        rows = EncodedRows(encoded(x), encoded(x).x, (y > 0).astype(int), keys=((0,),))
        held, seed = np.arange(0, 800, 4), np.random.SeedSequence(0)
        flipped = rows.y.copy()
        flipped[held] = 1 - flipped[held]
        other = EncodedRows(encoded(x), encoded(x).x, flipped, keys=((0,),))
        found, again = (one.without(held, Classes(2), seed) for one in (rows, other))
        assert found.shape == (800, 3)
        assert np.array_equal(found, again)

    def test_they_survive_as_arrays(self):
        x, y = shops()
        told = LevelStatistics.fit(encoded(x), y, 0, keys=((0,),))
        new = encoded(np.append(x[:20], 3.0))
        again = LevelStatistics.from_arrays(told.to_arrays())
        assert np.array_equal(again.transform(new), told.transform(new))

    def test_storage_does_not_change_a_number(self):
        x, y = shops()
        x = x / 1000 + 0.1
        told = LevelStatistics.fit(encoded(x), y, 0, keys=((0,),))
        for stored in (x.astype(np.float32), x.round(9), x * (1 + 1e-15)):
            assert np.array_equal(told.transform(encoded(stored))[:, 1:], told.transform(encoded(x))[:, 1:])
        mixed = np.where(np.arange(800) % 2, x, x.astype(np.float32))
        assert len(LevelStatistics.fit(encoded(mixed), y, 0, keys=((0,),)).columns[0].values) == 60
        whole = LevelStatistics.fit(encoded(123456700.0 + x.round(3) * 1000), y, 0, keys=((0,),))
        assert len(np.unique(whole.columns[0].values)) == 60
