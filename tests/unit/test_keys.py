"""Columns that name something together: the statistic, the search, and what rows of one key are told."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.keys import streets
from testtime.adapt.task import Classes
from testtime.backbones.base import Encoded
from testtime.table.encoding import EncodedRows
from testtime.table.keys import Leftovers, find_key, key_columns
from testtime.table.levels import LevelStatistics


def encoded(*columns: np.ndarray) -> Encoded:
    n = len(columns)
    return Encoded(
        np.column_stack(columns).astype(float), tuple("abcdefghijkl"[:n]), ("number",) * n, (0,) * n
    )


def found(
    *columns: np.ndarray, left: np.ndarray, units: np.ndarray | None = None, **given
) -> tuple[int, ...]:
    """The key of columns, all of which may be keys alone."""
    positions, codes = key_columns(encoded(*columns), range(len(columns)))
    given = {"alone": set(positions), "known": (), "least": 3.5} | given
    return find_key(positions, codes, Leftovers(left.reshape(len(left), -1), units), **given)


class TestAgreement:
    @pytest.mark.parametrize("rate", [0.02, 0.2, 0.5])
    @pytest.mark.parametrize("n_cells", [2, 20, 200, 700])
    def test_errors_that_mean_nothing_agree_by_chance(self, rate: float, n_cells: int):
        """Values as of a standard normal, whatever the number of cells; rare classes have smaller ones."""
        rng = np.random.default_rng(0)
        values = []
        for _ in range(400):
            left = Leftovers((rng.random(800) < rate).astype(float)[:, None] - rate)
            values.append(left.agreement(rng.integers(0, n_cells, 800)))
        assert np.mean(np.array(values) > 2.33) <= 0.02
        assert rate < 0.5 or np.mean(np.array(values) > 1.28) == pytest.approx(0.1, abs=0.04)

    @pytest.mark.parametrize("n_units", [30, 60])
    def test_it_is_the_sum_over_pairs(self, n_units: int):
        """Pairs of units, where each is the sum of its rows in a cell; of rows, where all stand alone."""
        rng = np.random.default_rng(0)
        left, cells, units = rng.normal(size=60), rng.integers(0, 20, 60), np.arange(60) % n_units
        pairs = sorted(set(zip(cells.tolist(), units.tolist(), strict=True)))
        rows = [(cells == cell) & (units == unit) for cell, unit in pairs]
        total = spread = 0.0
        for i, (cell, _) in enumerate(pairs):
            for j in (j for j, (other, _) in enumerate(pairs) if other == cell and j != i):
                m, sums = np.sum(cells == cell), (left[rows[i]].sum(), left[rows[j]].sum())
                floors = [
                    max(s**2, np.sum(r) * np.mean(left**2))
                    for s, r in zip(sums, (rows[i], rows[j]), strict=True)
                ]
                total += sums[0] * sums[1] / m
                spread += 2 * floors[0] * floors[1] / m**2
        n_cells = np.sum(np.bincount([cell for cell, _ in pairs]) > 1)
        ratio, small = 1 + max(0, total) / np.sqrt(spread) * np.sqrt(2 / n_cells), 2 / (9 * n_cells)
        expected = max(0.0, (np.cbrt(ratio) - 1 + small) / np.sqrt(small))
        assert Leftovers(left[:, None], units).agreement(cells) == pytest.approx(expected)
        assert Leftovers(np.column_stack([0 * left, left]), units).agreement(cells) == pytest.approx(expected)
        if n_units == 60:
            assert Leftovers(left[:, None]).agreement(cells) == pytest.approx(expected)

    def test_rows_of_a_unit_do_not_agree_with_each_other(self):
        rng = np.random.default_rng(0)
        unit = np.repeat(np.arange(200), 4)
        left = np.repeat(rng.choice([-1.0, 1.0], 200), 4)[:, None]
        assert Leftovers(left).agreement(unit) > 15
        assert Leftovers(left, unit).agreement(unit) < 0.1
        pairs = unit // 2  # two units in each cell, which have nothing to do with each other
        assert Leftovers(left, unit).agreement(pairs) < 3

    def test_cells_of_one_unit_decide_nothing(self):
        """Nearly all units have a cell of their own, and the others one cell: its square is one, and skewed."""
        rng = np.random.default_rng(0)
        unit = np.repeat(np.arange(200), 4)
        cell = np.minimum(unit, 180)
        values = [
            Leftovers(np.repeat(rng.normal(size=200), 4)[:, None], unit).agreement(cell) for _ in range(300)
        ]
        assert np.mean(np.array(values) > 2.33) < 0.025
        assert max(values) < 3.7

    def test_units_that_agree_count(self):
        rng = np.random.default_rng(0)
        effect = np.repeat(rng.choice([-1.0, 1.0], 100), 8)
        unit, cell = np.repeat(np.arange(200), 4), np.repeat(np.arange(100), 8)
        alone = Leftovers(effect[::4, None]).agreement(cell[::4])  # a unit counts as one row
        assert Leftovers(effect[:, None], unit).agreement(cell) == pytest.approx(alone)

    def test_some_rows_that_agree_are_enough(self):
        effect = np.random.default_rng(0).choice([-1.0, 1.0], 100)
        left = np.append(np.repeat(effect, 2), np.random.default_rng(1).choice([-1.0, 1.0], 600))[:, None]
        cells = np.append(np.repeat(np.arange(100), 2), np.arange(100, 700))
        assert Leftovers(left).agreement(cells) > 5

    def test_few_rows_that_agree_say_nothing_to_others(self):
        for n_pairs, enough in ((20, False), (30, True)):  # of 1,000 rows
            cells = np.append(np.repeat(np.arange(n_pairs), 2), np.arange(n_pairs, 1000 - n_pairs))
            left = np.where(cells % 2, 1.0, -1.0)[:, None]
            assert (Leftovers(left).agreement(cells) > 3) == enough

    def test_codes_need_not_be_dense(self):
        left = np.tile([1.0, 1.0, -1.0, -1.0], 50)[:, None]
        cells = np.repeat(np.arange(100), 2)
        assert Leftovers(left).agreement(7 * cells + 3) == Leftovers(left).agreement(cells) > 5


class TestSearch:
    def test_the_columns_that_name_something_are_found(self):
        frame, y = streets()
        noise = np.random.default_rng(1).integers(0, 9, (2, 900))
        key = found(frame["street"], noise[0], frame["house"], noise[1], frame["a"], left=y)
        assert key == (0, 2)

    def test_three_columns(self):
        rng = np.random.default_rng(0)
        a, b, c, other = rng.integers(0, 5, (4, 2000))
        effect = rng.choice([-1.0, 1.0], (5, 5, 5))
        y = effect[a, b, c] + rng.normal(size=2000)
        assert found(other, a, b, c, left=y) == (1, 2, 3)

    def test_pairs_of_values_are_told_apart(self):
        """The lowest value of one code and the highest of the next are not the same pair."""
        a, b = np.random.default_rng(0).integers(0, 3, (2, 900))
        y = np.select([(a == 0) & (b == 2), (a == 1) & (b == 0)], [1.0, -1.0])
        assert found(a, b, left=y, alone={0, 1}) == (0, 1)

    def test_a_column_that_led_to_others_is_left_out_again(self):
        """Neither of two columns says anything alone, and others that mean nothing have more values."""
        for seed in range(4):
            rng = np.random.default_rng(seed)
            noise = [rng.integers(0, n, 900) for n in (20, 30, 40, 50, 60, 15, 12, 10, 9, 25)]
            a, b = rng.integers(0, 2, (2, 900))
            assert found(*noise, a, b, left=(a ^ b) - 0.5 + 0.7 * rng.normal(size=900)) == (10, 11)

    def test_one_column_is_a_key_where_it_may_be(self):
        rng = np.random.default_rng(0)
        shop, other = rng.integers(0, 30, (2, 900))
        y = rng.normal(size=30)[shop] + rng.normal(size=900)
        assert found(other, shop, left=y) == (1,)
        assert found(other % 2, shop, left=y, alone={0}) == (0, 1)
        assert found(shop, left=y, alone=()) == ()

    def test_what_is_known_is_not_found_again(self):
        frame, y = streets()
        assert found(frame["street"], frame["house"], left=y, known=[(0, 1)]) == ()

    def test_errors_that_mean_nothing_make_no_keys(self):
        rng = np.random.default_rng(0)
        n_found = 0
        for _ in range(150):
            columns = [rng.integers(0, n, 500) for n in (2, 3, 8, 30, 100, 400)]
            n_found += bool(found(*columns, left=(rng.random(500) < 0.3) - 0.3))
        assert n_found == 0

    def test_copies_make_no_keys(self):
        rng = np.random.default_rng(0)
        columns = np.repeat(rng.integers(0, 40, (3, 150)), 4, axis=1)
        left, unit = np.repeat(rng.normal(size=150), 4), np.repeat(np.arange(150), 4)
        assert found(*columns, left=left) != ()
        assert found(*columns, left=left, units=unit) == ()

    def test_columns_whose_values_do_not_repeat_are_left_out(self):
        rng = np.random.default_rng(0)
        few = np.where(np.arange(500) < 20, 0.0, rng.normal(size=500))
        positions, codes = key_columns(
            encoded(rng.normal(size=500), few, np.ones(500), np.arange(500) % 7), range(4)
        )
        assert positions == [3]
        assert codes.shape == (500, 1)

    def test_values_that_differ_by_rounding_are_one(self):
        given = np.tile([0.3, 0.1 + 0.2, 0.7, 0.7], 100)
        _, codes = key_columns(encoded(given), [0])
        assert codes[:, 0].tolist() == [0, 0, 1, 1] * 100

    def test_a_missing_value_is_a_value(self):
        rng = np.random.default_rng(0)
        street, house = rng.integers(0, 9, (2, 900)).astype(float)
        effect = rng.normal(size=(9, 9))
        y = effect[street.astype(int), house.astype(int)]
        holes = np.where(street == 4, np.nan, street)
        assert found(holes, house, left=y - y.mean()) == (0, 1)

    def test_it_ends_when_time_is_over(self):
        frame, y = streets()
        assert found(frame["street"], frame["house"], left=y, late=lambda: True) == ()
        assert found(frame["street"], frame["house"], left=y, late=iter([False, True]).__next__) == ()


class TestStatistics:
    """What rows of a key are told."""

    def test_pairs_tell_what_levels_of_pairs_would(self):
        frame, y = streets()
        street, house = frame["street"].to_numpy(), frame["house"].to_numpy()
        pairs = np.unique(100 * street + house, return_inverse=True)[1]
        labels = (y > 0).astype(int)
        as_levels = Encoded(pairs[:, None].astype(float), ("pair",), ("nominal",), (81,))
        told = LevelStatistics.fit(encoded(street, house), labels, 2, keys=((0, 1),))
        expected = LevelStatistics.fit(as_levels, labels, 2)
        assert np.allclose(
            told.cross_fitted(encoded(street, house), labels, 0)[:, 2:],
            expected.cross_fitted(as_levels, labels, 0)[:, 1:],
        )
        assert np.allclose(
            told.transform(encoded(street, house))[:, 2:], expected.transform(as_levels)[:, 1:]
        )

    def test_pairs_that_were_never_seen_have_the_mean_of_all(self):
        street, house = np.array([0, 0, 1, 1] * 30), np.array([0, 1, 0, 1] * 30)
        y = np.where(street == house, 1.0, 5.0)
        seen = ~((street == 1) & (house == 1))
        told = LevelStatistics.fit(encoded(street[seen], house[seen]), y[seen], 0, keys=((0, 1),))
        new = told.transform(encoded(np.array([1.0, 0.0, 7.0, np.nan]), np.array([1.0, 0.0, 0.0, 0.0])))
        assert new[0, 2:].tolist() == new[2, 2:].tolist() == new[3, 2:].tolist() == [y[seen].mean(), 0.0]
        assert new[1, 2] < 1.5

    def test_missing_values_name_something_too(self):
        street, house = np.array([0, 0, 1, 1] * 30, dtype=float), np.array([0, 1, 0, 1] * 30, dtype=float)
        y = np.where(street == house, 1.0, 5.0)
        holes = np.where(street == 1, np.nan, street)
        told = LevelStatistics.fit(encoded(holes, house), y, 0, keys=((0, 1),)).transform(
            encoded(holes, house)
        )
        assert np.abs(told[:, 2] - y).max() < 0.2

    def test_missing_values_are_one_level(self):
        street, house = np.array([0, np.nan] * 60), np.array([0, 1, np.nan] * 40)
        told = LevelStatistics.fit(encoded(street, house), np.arange(120.0), 0, keys=((0, 1),))
        assert len(told.columns[0].values) == 6

    def test_a_fold_is_encoded_without_its_targets(self):
        frame, y = streets()
        rows = EncodedRows(
            encoded(*frame.to_numpy().T), frame.to_numpy(), (y > 0).astype(int), keys=((0, 1),)
        )
        held, seed = np.arange(0, 900, 4), np.random.SeedSequence(0)
        flipped = rows.y.copy()
        flipped[held] = 1 - flipped[held]
        other = EncodedRows(rows.encoded, rows.x, flipped, keys=((0, 1),))
        one, again = (each.without(held, Classes(2), seed) for each in (rows, other))
        assert one.shape == (900, 5)
        assert np.array_equal(one, again)

    def test_they_survive_as_arrays(self):
        frame, y = streets()
        told = LevelStatistics.fit(encoded(*frame.to_numpy().T), y, 0, keys=((0, 1), (1,)))
        again = LevelStatistics.from_arrays(told.to_arrays())
        assert [one.key for one in again.columns] == [(0, 1), (1,)]
        new = encoded(*frame[:30].to_numpy().T)
        assert np.array_equal(again.transform(new), told.transform(new))
