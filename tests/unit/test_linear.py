"""The linear part of a target: what it can say, that other rows say it, and that it is bounded."""

from __future__ import annotations

import numpy as np
import pytest

from testtime.backbones.base import Encoded
from testtime.table.linear import LinearPart, cross_fitted


def encoded(*columns: np.ndarray, levels: tuple[int, ...] = ()) -> Encoded:
    """Columns as encoded; those in `levels` hold codes of levels."""
    x = np.column_stack(columns)
    kinds = tuple("nominal" if k in levels else "number" for k in range(x.shape[1]))
    n_levels = tuple(int(np.nanmax(x[:, k])) + 1 if k in levels else 0 for k in range(x.shape[1]))
    return Encoded(x, tuple(f"c{k}" for k in range(x.shape[1])), kinds, n_levels)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_numbers_levels_and_missing_values_add_up(rng):
    a, b, c = rng.normal(5, 2, 300), rng.integers(0, 3, 300).astype(float), rng.normal(size=300)
    c[::7] = np.nan
    y = 2 * a + np.array([0.0, 5.0, -1.0])[b.astype(int)] + np.where(np.isnan(c), 4.0, c)
    table = encoded(a, b, c, levels=(1,))
    part = LinearPart.fit(table, y, 1e-8)
    assert np.allclose(part.predict(table.x), y, atol=1e-6)
    new = np.array([[7.0, 1.0, np.nan], [3.0, 2.0, 0.5]])
    assert np.allclose(part.predict(new), [14 + 5 + 4, 6 - 1 + 0.5], atol=1e-6)


def test_a_heavy_tail_is_drawn_in_as_well(rng):
    """A target that is linear in a sum of money, and one that grows with its logarithm."""
    money = np.exp(1.5 * rng.normal(size=400))
    table = encoded(money)
    for y in (3 * money, np.arcsinh(money / np.median(money))):
        part, said = cross_fitted(table, y, None, 0)
        assert len(part.weights) == 2
        assert np.mean((y - said) ** 2) < 0.02 * y.var()
    even = encoded(rng.normal(size=400))
    assert len(LinearPart.fit(even, even.x[:, 0]).weights) == 1


def test_what_has_no_term(rng):
    """A constant column, an empty one, and levels of few rows."""
    rare = np.zeros(100)
    rare[:4] = 1.0
    table = encoded(np.ones(100), np.full(100, np.nan), rare, levels=(2,))
    part = LinearPart.fit(table, rng.normal(size=100))
    assert part.places.tolist() == [2]
    assert part.middles.tolist() == [0.0]
    nothing = encoded(np.ones(50))
    y = rng.normal(size=50)
    assert LinearPart.fit(nothing, y).predict(nothing.x[:3]) == pytest.approx(np.full(3, y.mean()))
    assert len(LinearPart.fit(nothing, y).predict(nothing.x[:0])) == 0


def test_answers_stay_near_the_targets_of_fit(rng):
    a = rng.normal(size=200)
    part = LinearPart.fit(encoded(a), a)
    room = 0.5 * np.ptp(a)
    far = np.array([[1e308], [-1e308], [np.nan]])
    assert part.predict(far)[:2] == pytest.approx([a.max() + room, a.min() - room])
    assert part.predict(far)[2] == pytest.approx(a.mean(), abs=1e-3)


def test_a_row_is_told_the_same_alone_and_among_others(rng):
    x = rng.normal(size=(5000, 7))
    part = LinearPart.fit(encoded(*x.T), x @ rng.normal(size=7) + 1e-3 * rng.normal(size=5000))
    together = part.predict(x)
    assert [part.predict(x[k : k + 1])[0] for k in (0, 4095, 4096, 4999)] == together[
        [0, 4095, 4096, 4999]
    ].tolist()


class TestCrossFitting:
    def test_a_row_says_nothing_to_itself(self, rng):
        """As many random columns as half of the rows: fitted, they explain anything; of other rows, nothing."""
        table, y = encoded(*rng.normal(size=(60, 120))), rng.normal(size=120)
        part = LinearPart.fit(table, y, 1e-4)
        assert np.mean((y - part.predict(table.x)) ** 2) < 0.7 * y.var()
        _, said = cross_fitted(table, y, None, 0)
        assert np.mean((y - said) ** 2) > 0.9 * y.var()

    def test_the_penalty_is_that_of_all_rows(self, rng):
        table, y = encoded(*rng.normal(size=(40, 100))), rng.normal(size=100)
        part, said = cross_fitted(table, y, None, 0)
        assert part.penalty > 1.0
        assert np.std(said) < 0.5 * y.std()

    def test_copies_are_told_the_same(self, rng):
        x = np.repeat(rng.normal(size=(50, 2)), 3, axis=0)
        y = x[:, 0] + np.repeat(rng.normal(size=50), 3)
        _, said = cross_fitted(encoded(*x.T), y, np.arange(150) // 3, 0)
        assert np.array_equal(said[::3], said[1::3])
        assert np.array_equal(said[::3], said[2::3])

    def test_one_group_is_told_by_itself(self, rng):
        table, y = encoded(rng.normal(size=30)), rng.normal(size=30)
        part, said = cross_fitted(table, y, np.zeros(30, dtype=np.int64), 0)
        assert np.array_equal(said, part.predict(table.x))


def test_arrays_and_back(rng):
    a, b = rng.normal(size=100), rng.integers(0, 3, 100).astype(float)
    table = encoded(a, b, levels=(1,))
    part = LinearPart.fit(table, a + b)
    arrays = part.to_arrays()
    again = LinearPart.from_arrays(arrays, 2)
    assert again is not None
    assert np.array_equal(again.predict(table.x), part.predict(table.x))
    assert again.penalty == part.penalty
    assert LinearPart.from_arrays(arrays, 1) is None
    for name, damaged in {
        "numbers": np.array([0.0, 1.0, 1.0, 1.0]),
        "forms": arrays["forms"] + 4,
        "places": arrays["places"] - 1,
        "scales": arrays["scales"] * 0,
        "weights": arrays["weights"] * np.nan,
        "middles": arrays["middles"] + np.inf,
    }.items():
        assert LinearPart.from_arrays(arrays | {name: damaged}, 2) is None, name
