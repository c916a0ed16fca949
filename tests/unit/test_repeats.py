"""Rows that belong together: copies and near copies, the user's groups, and rows that merely coincide."""

from __future__ import annotations

import numpy as np
import pytest

from testtime.adapt.task import Classes, Numbers
from testtime.backbones.base import Encoded
from testtime.table.repeats import Groups, find_groups, rows_together


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def find(x: np.ndarray, y: np.ndarray, task=None, given: np.ndarray | None = None) -> Groups:
    return find_groups(x, y, task or Classes(2), given, rng())


def same(codes: np.ndarray) -> set[frozenset[int]]:
    """The groups of more than one row."""
    return {
        frozenset(np.flatnonzero(codes == code)) for code in np.unique(codes) if (codes == code).sum() > 1
    }


def normal(n: int, d: int = 4, seed: int = 0) -> np.ndarray:
    return rng(seed).standard_normal((n, d))


class TestCopies:
    @pytest.mark.parametrize("n", [4, 15, 16, 200])
    @pytest.mark.parametrize("d", [2, 4, 30])
    def test_rows_that_do_not_repeat_stand_alone(self, n: int, d: int):
        found = find(normal(n, d), np.arange(n) % 2)
        assert found.codes is None
        assert found.note == ""

    @pytest.mark.parametrize("task", [Classes(2), Numbers()])
    def test_copies_are_grouped(self, task):
        x = np.repeat(normal(60), 5, axis=0)
        y = np.repeat(np.arange(60) % 2, 5).astype(float if task.n_classes == 0 else int)
        found = find(x, y, task)
        assert same(found.codes) == {frozenset(range(5 * i, 5 * i + 5)) for i in range(60)}
        assert "300 of 300 rows repeat another row" in found.note

    def test_a_few_copies_are_grouped_without_a_word(self):
        x = normal(200)
        x[150] = x[3]
        found = find(x, np.zeros(200, dtype=int))
        assert same(found.codes) == {frozenset({3, 150})}
        assert found.note == ""

    def test_copies_of_random_labels_are_no_copies(self):
        """Equal features with different classes coincide; which of them is guarded tells nothing about another."""
        x = np.repeat(normal(60), 2, axis=0)
        found = find(x, np.tile([0, 1], 60))
        assert found.codes is None

    def test_numeric_targets_of_copies_agree_within_a_twentieth(self):
        x = np.repeat(normal(60), 2, axis=0)
        near = np.repeat(rng(1).standard_normal(60), 2) + np.tile([0.0, 0.03], 60)
        assert len(same(find(x, near, Numbers()).codes)) == 60
        far = near + np.tile([0.0, 0.1], 60)
        assert find(x, far, Numbers()).codes is None

    def test_coarse_columns_coincide_in_nearly_equal_targets_of_a_skewed_table_without_being_copies(self):
        """Most targets lie within a twentieth of a standard deviation, beside a few large ones."""
        for seed in range(5):
            x = np.exp(normal(500, 4, seed)).round()
            y = np.exp(3 * rng(9).standard_normal(500))
            y = (y - y.mean()) / y.std()
            assert np.median(np.abs(y - np.median(y))) < 0.05
            assert find(x, y, Numbers()).note == ""
            copied = find(np.concatenate([x, x]), np.concatenate([y, y]), Numbers())
            assert copied.codes is not None

    def test_copies_share_a_target_that_most_rows_have(self):
        x, y = np.repeat(normal(60), 2, axis=0), np.repeat(np.maximum(rng(1).standard_normal(60), 0.5), 2)
        assert len(same(find(x, y, Numbers()).codes)) == 60

    @pytest.mark.parametrize(("n_copied", "told"), [(4, False), (6, True)])
    def test_they_are_told_of_where_they_are_more_than_a_twentieth(self, n_copied: int, told: bool):
        x = normal(200)
        x[-n_copied:] = x[:n_copied]
        found = find(x, np.zeros(200, dtype=int))
        assert len(same(found.codes)) == n_copied
        assert bool(found.note) == found.repeat == told

    def test_coarse_columns_coincide_without_being_copies(self):
        """Two columns of three values and a random class: every row has many twins, none is a copy."""
        x = rng().integers(0, 3, (300, 2)).astype(float)
        assert find(x, rng(1).integers(0, 2, 300)).codes is None


class TestNearCopies:
    @pytest.mark.parametrize("d", [2, 4, 30])
    @pytest.mark.parametrize("task", [Classes(2), Numbers()])
    def test_copies_with_a_little_noise_are_grouped(self, d: int, task):
        x, y = normal(100, d), np.arange(100) % 2
        noisy = x + 1e-4 * normal(100, d, seed=1)
        found = find(np.concatenate([x, noisy]), np.concatenate([y, y]), task)
        assert same(found.codes) >= {frozenset({i, i + 100}) for i in range(100)} or all(
            found.codes[i] == found.codes[i + 100] for i in range(100)
        )
        assert len(np.unique(found.codes)) >= 95, "and hardly any others"
        assert "200 of 200 rows" in found.note

    def test_near_rows_of_another_class_are_not(self):
        x, y = normal(100), np.arange(100) % 2
        noisy = x + 1e-4 * normal(100, seed=1)
        codes = find(np.concatenate([x, noisy]), np.concatenate([y, 1 - y])).codes
        assert codes is None or len(same(codes)) <= 3

    def test_rows_near_those_that_coincide_are_not(self):
        x, y = normal(100), np.zeros(100, dtype=int)
        near = np.concatenate([x, x[:1], x[:1] + 1e-4, x[:1] - 1e-4])
        assert same(find(near, np.append(y, [0, 0, 0])).codes) == {frozenset({0, 100, 101, 102})}
        assert find(near, np.append(y, [1, 0, 0])).codes is None

    @pytest.mark.parametrize("n", [300, 3000])
    @pytest.mark.parametrize("d", [1, 2, 5, 20])
    def test_dense_tables_are_not_taken_for_copies(self, n: int, d: int):
        """The distance that counts as near shrinks with the rows: 3,000 rows in the plane lie close by chance."""
        found = find(normal(n, d), np.zeros(n, dtype=int))
        grouped = 0 if found.codes is None else n - len(np.unique(found.codes))
        assert grouped <= 0.05 * n
        assert found.note == ""

    @pytest.mark.parametrize("n", [20, 60, 200, 2000])
    @pytest.mark.parametrize(("d", "n_coarse"), [(1, 1), (1, 2), (2, 1)])
    def test_a_coarse_column_beside_one_or_two_makes_a_table_no_less_dense(
        self, n: int, d: int, n_coarse: int
    ):
        """Rows that agree in coarse columns lie as close together as if there were none."""
        for seed in range(3):
            coarse = rng(seed).integers(0, 3, (n, n_coarse)) - 1.0
            x = np.column_stack([normal(n, d, seed), coarse])
            assert find(x, rng(9).integers(0, 2, n)).note == ""

    @pytest.mark.parametrize(("d", "n_coarse"), [(1, 20), (2, 1), (3, 4)])
    def test_copies_that_agree_in_coarse_columns_are_grouped(self, d: int, n_coarse: int):
        x, coarse = normal(100, d), rng(2).integers(0, 3, (100, n_coarse)) - 1.0
        noisy = x + 1e-4 * normal(100, d, seed=1)
        rows = np.concatenate([np.column_stack([part, coarse]) for part in (x, noisy)])
        codes = find(rows, np.tile(np.arange(100) % 2, 2)).codes
        assert (codes[:100] == codes[100:]).mean() >= 0.95

    def test_a_chain_of_near_rows_with_equal_targets_is_one_group(self):
        x = normal(100)
        chain = x[:1] + np.arange(1, 6)[:, None] * 1e-4
        codes = find(np.concatenate([x, chain]), np.zeros(105, dtype=int)).codes
        assert len(set(codes[[0, *range(100, 105)]])) == 1


class TestGroupsOfTheUser:
    def test_they_are_kept(self):
        given = np.arange(60) // 6
        assert same(find(normal(60), np.zeros(60, dtype=int), given=given).codes) == same(given)

    def test_copies_join_groups(self):
        x, given = normal(60), np.arange(60) // 6
        x[59] = x[0]  # of the last group and the first one
        codes = find(x, np.zeros(60, dtype=int), given=given).codes
        assert set(codes[given == 0]) == set(codes[given == 9])
        assert len(np.unique(codes)) == 9

    def test_copies_with_other_targets_join_nothing(self):
        x, given = normal(60), np.arange(60) // 6
        x[59] = x[0]
        y = np.zeros(60, dtype=int)
        y[59] = 1
        assert same(find(x, y, given=given).codes) == same(given)


def test_what_repeats_the_past_may_be_remembered():
    """Where rows have a time, copies stand alone; with groups of the user they join these."""
    x, given = np.repeat(normal(30), 2, axis=0), np.arange(60) // 6
    table, y, time = (
        Encoded(x, tuple("abcd"), ("number",) * 4, (0,) * 4),
        np.arange(60) // 2 % 2,
        np.arange(60.0),
    )
    assert len(same(rows_together(table, y, Classes(2), None, None, rng()).codes)) == 30
    assert rows_together(table, y, Classes(2), None, time, rng()) == Groups(None)
    x[59] = x[0]  # of the last group and the first one, and of one class
    y[59] = y[58] = y[0]
    found = rows_together(table, y, Classes(2), given, time, rng())
    assert found.codes[59] == found.codes[0]


@pytest.mark.parametrize("n", [1, 2, 3])
def test_tiny_tables(n: int):
    assert find(normal(n), np.zeros(n, dtype=int)).codes is None


def test_columns_that_say_nothing():
    """All rows are equal, with one class or two."""
    x = np.zeros((40, 3))
    assert find(x, np.arange(40) % 2).codes is None
    assert len(np.unique(find(x, np.zeros(40, dtype=int)).codes)) == 1


def test_the_same_seed_finds_the_same_groups():
    x = np.repeat(normal(50, 20), 2, axis=0) + 1e-4 * normal(100, 20, seed=1)
    one, two = (find(x, np.zeros(100, dtype=int)).codes for _ in range(2))
    assert np.array_equal(one, two)
