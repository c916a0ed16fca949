"""The linear part of a target: what it can say, that other rows say it, and that it is bounded."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV

from testtime.backbones.base import Encoded
from testtime.table.linear import LinearPart, Reduced, _errors_left_out, cross_fitted


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
    part, said = cross_fitted(table, y, None, 0)
    assert np.allclose(said, y, atol=1e-4)
    assert np.allclose(part.predict(table.x), y, atol=1e-4)
    new = np.array([[7.0, 1.0, np.nan], [3.0, 2.0, 0.5]])
    assert np.allclose(part.predict(new), [14 + 5 + 4, 6 - 1 + 0.5], atol=1e-4)
    assert part.left == pytest.approx(np.std(y - said))


def test_a_heavy_tail_is_drawn_in_as_well(rng):
    """A target that is linear in a sum of money, and one that grows with its logarithm."""
    money = np.exp(1.5 * rng.normal(size=400))
    table = encoded(money)
    for y in (3 * money, np.arcsinh(money / np.median(money))):
        part, said = cross_fitted(table, y, None, 0)
        assert len(part.weights) == 2
        assert np.mean((y - said) ** 2) < 0.02 * y.var()
    even = encoded(rng.normal(size=400))
    assert len(cross_fitted(even, even.x[:, 0], None, 0)[0].weights) == 1


def test_a_column_that_is_mostly_zero_has_its_tail_drawn_in_as_well(rng):
    money = np.where(rng.random(400) < 0.6, 0.0, np.exp(1.5 * rng.normal(size=400)))
    part, said = cross_fitted(encoded(money), np.arcsinh(money), None, 0)
    assert len(part.weights) == 2
    assert np.mean((np.arcsinh(money) - said) ** 2) < 0.05 * np.arcsinh(money).var()


class TestLogarithms:
    def test_a_product_is_a_sum_of_them(self, rng):
        """Price, number and share: none of them is a sum of the numbers and these with their tails drawn in."""
        price, number = np.exp(rng.normal(3, 1, 400)), rng.integers(1, 30, 400).astype(float)
        share = rng.uniform(0.1, 1.0, 400)
        table = encoded(price, number, share)
        y = np.log(price * number * share)
        part, said = cross_fitted(table, y, None, 0, logarithms=True)
        assert part.places[part.forms == 5].tolist() == [0, 1, 2]
        assert np.std(y - said) < 0.01 * y.std()
        assert part.predict(np.array([[50.0, 7.0, 0.3]])) == pytest.approx([np.log(50 * 7 * 0.3)], abs=0.02)

    def test_they_are_terms_only_where_that_helps(self, rng):
        """Beside a number that says all, its logarithm takes weight from it; and where they are asked for."""
        a, b = np.exp(rng.normal(size=(2, 300)))
        y = a - 2 * b + 0.1 * rng.normal(size=300)
        part, _ = cross_fitted(encoded(a, b), y, None, 0, logarithms=True)
        assert not part.has_logarithms
        asked, not_asked = (
            cross_fitted(encoded(a), np.log(a), None, 0, logarithms=one)[0] for one in (True, False)
        )
        assert asked.has_logarithms
        assert not not_asked.has_logarithms
        known, table = np.arange(200), encoded(a)
        for one in (True, False):
            said = Reduced(np.log(a), 1.0, None, 0, logarithms=one).known_by(table, known)[1]
            assert (np.median(np.abs(said - np.log(a))[200:]) < 1e-3) == one

    def test_years_counts_and_what_is_missing_have_none(self, rng):
        """Of years a logarithm says what the years say, and of 0 there is none."""
        year, count = rng.uniform(1950, 2020, 300), rng.poisson(2, 300).astype(float)
        wide = np.exp(2 * rng.normal(size=300))
        wide[::5] = np.nan
        y = np.where(np.isnan(wide), 1.0, np.log(wide))
        part, said = cross_fitted(
            encoded(year, count, wide, np.full(300, np.nan)), y, None, 0, logarithms=True
        )
        assert part.places[part.forms == 5].tolist() == [2]
        assert np.std(y - said) < 0.05 * y.std()

    def test_no_value_counts_as_far_outside_what_was_seen(self, rng):
        """A tenth of the lowest value, zero and less are as far below it as a logarithm goes: half its range."""
        a, b = np.exp(rng.uniform(0, 4, 300)), rng.normal(size=300)
        part, _ = cross_fitted(encoded(a, b), np.log(a) + 5 * b, None, 0, logarithms=True)
        assert part.has_logarithms
        below = part.predict(np.array([[1e-9, 0.0], [0.0, 0.0], [-1e300, 0.0]]))
        assert below == pytest.approx(np.full(3, np.log(a.min()) - np.ptp(np.log(a)) / 2), abs=0.1)
        above, most = part.predict(np.array([[1e300, 0.0], [a.max() + np.ptp(a) / 2, 0.0]]))
        assert above == pytest.approx(most)
        assert most == pytest.approx(np.log(a.max() + np.ptp(a) / 2), abs=0.1)

    def test_the_largest_numbers_have_none(self, rng):
        """A little beyond these, no float holds a number, and no model could be saved."""
        table = encoded(np.exp(rng.uniform(700, 709.7, 100)), rng.normal(size=100))
        part, _ = cross_fitted(table, np.log(table.x[:, 0]), None, 0, logarithms=True)
        assert not part.has_logarithms
        assert LinearPart.from_arrays(part.to_arrays(), 2) is not None

    def test_they_cost_a_wide_table_no_number(self, rng):
        table = encoded(*rng.uniform(1, 9, (200, 300)))
        part, _ = cross_fitted(table, np.log(table.x[:, :20]).sum(1), None, 0, logarithms=True)
        assert set(part.places[part.forms == 0].tolist()) == set(range(200))
        assert len(part.places) <= 300

    def test_arrays_and_back(self, rng):
        a = np.exp(rng.normal(size=100))
        part, _ = cross_fitted(encoded(a), np.log(a), None, 0, logarithms=True)
        arrays = part.to_arrays()
        again = LinearPart.from_arrays(arrays, 1)
        assert again is not None
        assert np.array_equal(again.predict(a[:, None]), part.predict(a[:, None]))
        own = part.forms == 5
        assert own.any()
        assert LinearPart.from_arrays(arrays | {"lows": np.where(own, 0.0, part.lows)}, 1) is None


def test_what_has_no_term(rng):
    """A constant column but for rounding, an empty one, one that no float can hold, and levels of a single row."""
    huge, once = 1e300 * rng.normal(size=100), np.arange(100.0)
    few = np.arange(100.0) % 10
    constant = np.full(100, 0.1)
    table = encoded(constant, np.full(100, np.nan), huge, once, few, levels=(3, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        part, _ = cross_fitted(table, rng.normal(size=100), None, 0)
    assert part.places.tolist() == [4] * 10
    nothing = encoded(np.ones(50))
    y = rng.normal(size=50)
    part, _ = cross_fitted(nothing, y, None, 0)
    assert part.predict(nothing.x[:3]) == pytest.approx(np.full(3, y.mean()))
    assert cross_fitted(nothing, np.full(50, 2.0), None, 0)[0].left == 1.0  # nothing is left, in any unit
    assert len(part.predict(nothing.x[:0])) == 0


def test_wide_tables_keep_their_numbers_and_the_most_frequent_levels(rng):
    """Three hundred terms at most."""
    numbers = rng.normal(size=(40, 400))
    levels = rng.integers(0, 10, (40, 400)).astype(float)
    levels[0, :300] = 7.0
    table = encoded(*levels, *numbers, levels=tuple(range(40)))
    part, _ = cross_fitted(table, numbers[0], None, 0)
    assert len(part.weights) == 300
    assert set(range(40, 80)) <= set(part.places.tolist())
    counts = [
        (levels[place] == level).sum()
        for place, level in zip(part.places[40:], part.middles[40:], strict=True)
    ]
    assert counts == sorted(counts, reverse=True)
    assert (part.places[40], part.middles[40], counts[0]) == (0, 7.0, 300 + (levels[0, 300:] == 7.0).sum())


class TestLevels:
    def test_rare_levels_cost_the_others_nothing(self, rng):
        """Forty levels of some rows, and ten of one: what these say together is what a new one is told."""
        code = rng.integers(0, 40, 500).astype(float)
        code[:10] = 40.0 + np.arange(10)
        effect, a = rng.normal(size=50), rng.normal(size=500)
        y = a + effect[code.astype(int)]
        part, said = cross_fitted(encoded(code, a, levels=(0,)), y, None, 0)
        assert np.sqrt(np.mean((said[10:] - y[10:]) ** 2)) < 0.05
        assert part.places.tolist() == [1] + [0] * 40
        alone = part.predict(np.array([[45.0, 0.0], [77.0, 0.0], [np.nan, 0.0]]))
        assert alone == pytest.approx(np.full(3, effect[40:].mean()), abs=0.1)

    def test_levels_that_say_nothing_cost_the_numbers_nothing(self, rng):
        """Two hundred levels beside a sum, which one penalty for all terms would not keep apart."""
        x, code = rng.normal(size=(400, 4)), rng.integers(0, 200, 400).astype(float)
        noise = 0.1 * rng.normal(size=400)
        y = x @ np.array([2.0, -1.0, 1.0, 0.5]) + noise
        part, said = cross_fitted(encoded(code, *x.T, levels=(0,)), y, None, 0)
        assert (part.places == 0).sum() > 100
        assert np.std(y - said) < 1.01 * np.std(y - cross_fitted(encoded(*x.T), y, None, 0)[1])

    def test_rows_that_belong_together_are_one_row_of_a_level(self, rng):
        """A customer who is a group tells other customers nothing, and a region with several of them does."""
        customer = np.arange(120) // 4
        table = encoded(customer.astype(float), customer % 3.0, levels=(0, 1))
        together, _ = cross_fitted(table, rng.normal(size=120), customer, 0)
        assert together.places.tolist() == [1] * 3
        apart, _ = cross_fitted(table, rng.normal(size=120), None, 0)
        assert len(apart.places) == 33

    def test_those_of_columns_with_many_or_rare_ones_can_stay_out(self, rng):
        """The model may know them better; what is known of some rows is then said without them, too."""
        rare, many, few = np.zeros(100), np.arange(100.0) % 11, np.arange(100.0) % 10
        rare[:4] = 1.0
        y = rng.normal(size=100) + many
        table = encoded(rare, many, few, levels=(0, 1, 2))
        part, said = cross_fitted(table, y, None, 0, every_level=False)
        assert part.places.tolist() == [2] * 10
        assert len(cross_fitted(table, y, None, 0)[0].places) == 23
        known = np.arange(100)
        assert np.array_equal(Reduced(y, 1.0, None, 0, every_level=False).known_by(table, known)[1], said)

    def test_what_they_add(self, rng):
        code, other = rng.integers(0, 5, (2, 200)).astype(float)
        a, effect = rng.normal(size=200), np.arange(5.0)
        table = encoded(code, other, a, levels=(0, 1))
        part, _ = cross_fitted(table, a + effect[code.astype(int)], None, 0)
        new = np.array([[3.0, 0.0, 1.0], [9.0, 0.0, 1.0], [np.nan, 0.0, 1.0]])
        added = part.of_levels(new, np.array([0, 2]))
        assert added == pytest.approx([1.0, 0.0, 0.0], abs=1e-2)
        assert np.allclose(part.of_levels(new, np.array([1])), 0.0, atol=1e-2)
        assert part.of_levels(new, np.array([], dtype=np.int64)).tolist() == [0.0] * 3


@pytest.mark.parametrize(("n_rows", "n_columns"), [(30, 60), (200, 5)])
def test_errors_of_rows_left_out_are_those_of_scikit_learn(rng, n_rows, n_columns):
    x = rng.normal(size=(n_rows, n_columns)) ** 3
    y = x[:, 0] + rng.normal(size=n_rows)
    kept = RidgeCV(np.logspace(-4, 4, 17), store_cv_results=True).fit(x, y).cv_results_
    assert np.allclose(_errors_left_out(x, y), kept.reshape(n_rows, -1).mean(0), rtol=1e-8)


def test_no_column_and_no_answer_is_far_outside_what_was_seen(rng):
    """A typing error in a column that says little must not decide the answer."""
    a, b = rng.normal(size=(2, 200))
    y = 3 * a + 0.1 * rng.normal(size=200)
    part, _ = cross_fitted(encoded(a, b), y, None, 0)
    plain, wrong, far, missing = part.predict(np.array([[0.5, 0.0], [0.5, 1e4], [1e308, 0.0], [np.nan, 0.0]]))
    assert wrong == pytest.approx(plain, abs=0.3)
    assert missing == pytest.approx(3 * a.mean(), abs=0.1)
    assert 3 * a.max() < far <= part.bounds[1]
    assert part.bounds.tolist() == [y.min() - np.ptp(y) / 2, y.max() + np.ptp(y) / 2]


def test_columns_at_their_ends_together_give_no_answer_outside_what_was_seen(rng):
    """In all rows, one column makes up for what the other one adds."""
    a = rng.normal(size=200)
    b = -a + 0.1 * rng.normal(size=200)
    part, _ = cross_fitted(encoded(a, b), a + b, None, 0)
    assert part.predict(np.array([[3.0, 3.0], [-3.0, -3.0]])).tolist() == part.bounds[::-1].tolist()


@pytest.mark.parametrize("n_columns", [3, 9, 40])
def test_a_row_is_told_the_same_alone_and_among_others(rng, n_columns):
    x = rng.normal(size=(4500, n_columns))
    y = x @ rng.normal(size=n_columns) + 1e-3 * rng.normal(size=4500)
    part, _ = cross_fitted(encoded(*x.T), y, None, 0)
    together = part.predict(x)
    assert [part.predict(x[k : k + 1])[0] for k in (0, 7, 4095, 4096)] == together[
        [0, 7, 4095, 4096]
    ].tolist()
    assert part.predict(x[4:9]).tolist() == together[4:9].tolist()


class TestCrossFitting:
    def test_a_row_says_nothing_to_itself(self, rng):
        """As many random columns as half of the rows: fitted, they explain anything; of other rows, nothing."""
        table, y = encoded(*rng.normal(size=(60, 120))), rng.normal(size=120)
        part, said = cross_fitted(table, y, None, 0)
        assert np.mean((y - said) ** 2) > 0.95 * y.var()
        assert np.mean((y - part.predict(table.x)) ** 2) < 0.95 * np.mean((y - said) ** 2)

    def test_it_is_the_regression_of_the_other_rows(self, rng):
        """As scikit-learn fits them, with the penalty of all rows."""
        x = rng.normal(size=(200, 4))
        y = x @ np.arange(4.0) + rng.normal(size=200)
        fold = np.arange(200) // 20
        _, said = cross_fitted(encoded(*x.T), y, fold, 0)
        terms = (x - x.mean(0)) / x.std(0)
        penalty = RidgeCV(np.logspace(-4, 4, 17)).fit(terms, y).alpha_
        for k in range(10):
            other = Ridge(penalty).fit(terms[fold != k], y[fold != k])
            assert np.allclose(said[fold == k], other.predict(terms[fold == k]), atol=1e-9)

    def test_copies_are_told_the_same(self, rng):
        x = np.repeat(rng.normal(size=(50, 2)), 3, axis=0)
        y = x[:, 0] + np.repeat(rng.normal(size=50), 3)
        _, said = cross_fitted(encoded(*x.T), y, np.arange(150) // 3, 0)
        assert np.array_equal(said[::3], said[1::3])
        assert np.array_equal(said[::3], said[2::3])

    def test_two_groups_are_told_by_each_other(self, rng):
        table, y = encoded(rng.normal(size=40)), rng.normal(size=40)
        part, said = cross_fitted(table, y, np.arange(40) // 20, 0)
        assert not np.allclose(said, part.predict(table.x))

    def test_one_group_is_told_by_itself(self, rng):
        table, y = encoded(rng.normal(size=30)), rng.normal(size=30)
        part, said = cross_fitted(table, y, np.zeros(30, dtype=np.int64), 0)
        assert np.array_equal(said, part.predict(table.x))


def test_arrays_and_back(rng):
    a, b = rng.normal(size=100), rng.integers(0, 3, 100).astype(float)
    table = encoded(a, b, levels=(1,))
    part, _ = cross_fitted(table, a + b, None, 0)
    arrays = part.to_arrays()
    again = LinearPart.from_arrays(arrays, 2)
    assert again is not None
    assert np.array_equal(again.predict(table.x), part.predict(table.x))
    assert again.left == part.left
    assert LinearPart.from_arrays(arrays, 1) is None
    for name, damaged in {
        "numbers": np.array([0.0, 1.0, 1.0, 1.0]),
        "lows": arrays["highs"] + 1.0,
        "forms": arrays["forms"] + 6,
        "places": arrays["places"] - 1,
        "scales": arrays["scales"] * 0,
        "weights": arrays["weights"] * np.nan,
        "middles": arrays["middles"] + np.inf,
    }.items():
        assert LinearPart.from_arrays(arrays | {name: damaged}, 2) is None, name
    assert LinearPart.from_arrays(arrays | {"numbers": np.array([0.0, -1.0, 1.0, 0.0])}, 2) is None


def test_levels_of_an_older_model_stay_taken_out(rng):
    """Its answers are as they were, also where a level is new."""
    code = rng.integers(0, 3, 90).astype(float)
    table = encoded(code, levels=(0,))
    arrays = cross_fitted(table, code, None, 0)[0].to_arrays()
    now = LinearPart.from_arrays(arrays, 1)
    old = LinearPart.from_arrays(arrays | {"forms": np.full(3, 2)}, 1)
    assert now is not None
    assert old is not None
    assert np.array_equal(now.predict(table.x), old.predict(table.x))
    assert np.abs(now.of_levels(table.x, np.array([0]))).max() > 0.5
    assert not old.of_levels(table.x, np.array([0])).any()


class TestReduced:
    def test_nothing_of_other_targets_is_in_what_is_left(self, rng):
        x = rng.normal(size=(90, 5))
        y = x @ np.arange(5.0) + rng.normal(size=90)
        table, known, others = encoded(*x.T), np.arange(60), np.arange(60, 90)
        changed = y.copy()
        changed[others] += rng.normal(size=30)
        left, said = Reduced(y, 2.0, None, 0).known_by(table, known)
        again, said_again = Reduced(changed, 2.0, None, 0).known_by(table, known)
        assert np.array_equal(left[known], again[known])
        assert np.array_equal(said, said_again)
        assert np.allclose(2.0 * left + said, y)
        whole = cross_fitted(table, y, None, 0)[1]
        assert not np.allclose(said[known], whole[known])

    def test_copies_are_not_parted(self, rng):
        x = np.repeat(rng.normal(size=(40, 2)), 2, axis=0)
        y = x[:, 0] + np.repeat(rng.normal(size=40), 2)
        left, _ = Reduced(y, 1.0, np.arange(80) // 2, 0).known_by(encoded(*x.T), np.arange(60))
        assert np.array_equal(left[:60:2], left[1:60:2])
