"""What levels say about the target: against the formula, against one-hot regression, and without leaking."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.preprocessing import OneHotEncoder, StandardScaler, TargetEncoder

from testtime.errors import StoreError
from testtime.table import levels
from testtime.table.columns import Encoded
from testtime.table.levels import LevelStatistics


def nominal(codes: np.ndarray, n_levels: int) -> Encoded:
    return Encoded(codes[:, None].astype(float), ("c",), ("nominal",), (n_levels,))


def made(n_levels: int, n: int, seed: int, spread: float = 2.0) -> tuple[Encoded, np.ndarray, np.ndarray]:
    """Levels of very different frequency; each has its own log odds."""
    rng = np.random.default_rng(seed)
    codes = rng.choice(n_levels, n, p=rng.dirichlet(np.full(n_levels, 2.0)))
    logits = spread * rng.standard_normal(n_levels)
    return (
        nominal(codes, n_levels),
        (rng.random(n) < 1 / (1 + np.exp(-logits[codes]))).astype(float),
        logits[codes],
    )


@pytest.mark.parametrize(("n_levels", "n"), [(60, 2000), (60, 6000), (1000, 10_000)])
@pytest.mark.parametrize("seed", range(2))
def test_levels_say_as_much_as_one_column_per_level(n_levels: int, n: int, seed: int):
    encoded, y, _ = made(n_levels, 2 * n, seed)
    half = np.arange(2 * n) < n
    train, test = nominal(encoded.x[half, 0], n_levels), nominal(encoded.x[~half, 0], n_levels)
    onehot = OneHotEncoder(handle_unknown="ignore").fit(train.x)
    by_level = LogisticRegression(max_iter=2000).fit(onehot.transform(train.x), y[half])
    reached = roc_auc_score(y[~half], by_level.predict_proba(onehot.transform(test.x))[:, 1])
    statistics = LevelStatistics.fit(train, y[half], 2)
    seen = statistics.cross_fitted(train, y[half], seed=0)
    scaler = StandardScaler().fit(seen)
    model = LogisticRegression(max_iter=2000).fit(scaler.transform(seen), y[half])
    ours = roc_auc_score(y[~half], model.predict_proba(scaler.transform(statistics.transform(test)))[:, 1])
    assert ours > reached - 0.01


def test_a_numeric_target_is_served_as_well():
    encoded, _, logits = made(300, 8000, 0)
    y = logits + np.random.default_rng(1).standard_normal(8000)
    half = np.arange(8000) < 4000
    train, test = nominal(encoded.x[half, 0], 300), nominal(encoded.x[~half, 0], 300)
    onehot = OneHotEncoder(handle_unknown="ignore").fit(train.x)
    by_level = RidgeCV().fit(onehot.transform(train.x).toarray(), y[half])
    reached = r2_score(y[~half], by_level.predict(onehot.transform(test.x).toarray()))
    statistics = LevelStatistics.fit(train, y[half])
    model = RidgeCV().fit(statistics.cross_fitted(train, y[half], 0), y[half])
    assert r2_score(y[~half], model.predict(statistics.transform(test))) > reached - 0.01


@pytest.mark.parametrize("n_classes", [2, 0])
def test_labels_that_say_nothing_leak_nothing(n_classes: int):
    """In its own statistics a row of a rare level would see its own label."""
    rng = np.random.default_rng(0)
    encoded = nominal(rng.integers(0, 1000, 3000), 1000)
    y = rng.integers(0, 2, 3000).astype(float) if n_classes else rng.standard_normal(3000)
    statistics = LevelStatistics.fit(encoded, y, n_classes)
    own = statistics.cross_fitted(encoded, y, 0)[:, 1]
    assert abs(np.cov(own, y)[0, 1]) <= 0.06 * own.std() * y.std()
    unshrunk = np.bincount(encoded.x[:, 0].astype(int), y) / np.bincount(encoded.x[:, 0].astype(int))
    assert np.corrcoef(unshrunk[encoded.x[:, 0].astype(int)], y)[0, 1] > 0.4  # what a leak would look like


def test_a_row_does_not_see_its_own_label():
    encoded, y, _ = made(40, 400, 0)
    statistics = LevelStatistics.fit(encoded, y, 2)
    seen = statistics.cross_fitted(encoded, y, 0)[:, 1]
    codes, fold = encoded.x[:, 0].astype(int), levels._folds(y, 2, 0)
    for row in range(0, 400, 37):
        others = fold != fold[row]
        assert seen[row] == levels._statistics(codes[others], 42, y[others], (1,))[codes[row], 0]
    assert np.bincount(fold).max() - np.bincount(fold).min() <= 1
    assert np.ptp([y[fold == k].sum() for k in range(5)]) <= 1  # each fold has its part of the classes


def test_the_means_are_those_of_scikit_learn_with_the_same_prior_rows():
    encoded, y, _ = made(60, 2000, 0)
    codes = encoded.x[:, 0].astype(int)
    counts, centred = np.bincount(codes, minlength=62).astype(float), y - y.mean()
    prior_rows = levels._prior_rows(
        counts, np.bincount(codes, centred, minlength=62), float(centred @ centred)
    )
    theirs = TargetEncoder(smooth=prior_rows, target_type="continuous").fit(encoded.x, y)
    ours = LevelStatistics.fit(encoded, y, 2).transform(encoded)[:, 1]
    np.testing.assert_allclose(ours, theirs.transform(encoded.x)[:, 0], rtol=1e-9)


def test_the_prior_rows_are_the_ratio_of_the_variances():
    """Levels with standard deviation 1 and noise with 3: the mean of all counts for nine rows."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2000, 60_000)
    y = rng.standard_normal(2000)[codes] + 3 * rng.standard_normal(60_000)
    y -= y.mean()
    found = levels._prior_rows(np.bincount(codes).astype(float), np.bincount(codes, y), float(y @ y))
    assert found == pytest.approx(9.0, rel=0.1)


def test_unknown_and_missing_levels_have_a_place():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, 500).astype(float)
    gone = rng.random(500) < 0.3
    y = np.where(gone, 1.0, rng.integers(0, 2, 500))
    codes[gone] = np.nan
    statistics = LevelStatistics.fit(nominal(codes, 5), y, 2)
    new = statistics.transform(nominal(np.array([np.nan, 5.0, 0.0]), 5))
    assert new[0, 1] > 0.95  # missing says 1
    assert new[1].tolist() == [5.0, y.mean(), 0.0]
    assert np.isnan(new[0, 0])


def test_what_gets_statistics():
    x = np.column_stack([np.arange(30) % 2, np.arange(30) % 3, np.arange(30.0), np.arange(30) % 7])
    encoded = Encoded(
        x, ("two", "three", "n", "seven"), ("nominal", "nominal", "number", "ordinal"), (2, 3, 0, 7)
    )
    y = (np.arange(30) % 5).astype(float)
    statistics = LevelStatistics.fit(encoded, y, 5)
    names = statistics.names(encoded, tuple("abcde"))
    assert names[:4] == encoded.names
    assert (
        len(names)
        == 8
        == statistics.transform(encoded).shape[1]
        == statistics.cross_fitted(encoded, y, 0).shape[1]
    )
    assert statistics.n_columns == 4
    assert names[4].startswith("three: share of")
    assert names[-1] == "three: rows of the level"
    assert LevelStatistics.fit(encoded, y).names(encoded)[4:] == (
        "three: mean of the target",
        "three: rows of the level",
    )


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
def test_statistics_of_numbers_do_not_depend_on_their_unit(scale: float):
    encoded, _, logits = made(20, 500, 0)
    one, other = LevelStatistics.fit(encoded, logits), LevelStatistics.fit(encoded, scale * logits)
    np.testing.assert_allclose(
        other.transform(encoded)[:, 1], scale * one.transform(encoded)[:, 1], rtol=1e-9
    )


def test_few_rows_and_one_target_value():
    encoded = nominal(np.array([0.0, 1, 2, 0]), 3)
    for y, n_classes in (([0.0, 0, 0, 0], 2), ([1.0, 1, 1, 1], 0), ([0.0, 1, 2, 0], 3)):
        statistics = LevelStatistics.fit(encoded, np.array(y), n_classes)
        assert np.isfinite(statistics.cross_fitted(encoded, np.array(y), 0)).all()
        assert np.isfinite(statistics.transform(encoded)).all()
    one = nominal(np.array([0.0]), 3)
    assert np.isfinite(LevelStatistics.fit(one, np.array([1.0]), 2).transform(one)).all()


def test_they_survive_as_arrays():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.integers(0, 4, 80), rng.standard_normal(80), rng.integers(0, 9, 80)])
    encoded = Encoded(x, ("a", "b", "c"), ("nominal", "number", "nominal"), (4, 0, 9))
    for n_classes in (0, 2, 6):
        y = rng.integers(0, max(n_classes, 5), 80).astype(float) % max(n_classes, 5)
        statistics = LevelStatistics.fit(encoded, y, n_classes)
        again = LevelStatistics.from_arrays(statistics.to_arrays())
        np.testing.assert_array_equal(again.transform(encoded), statistics.transform(encoded))
        np.testing.assert_array_equal(
            again.cross_fitted(encoded, y, 3), statistics.cross_fitted(encoded, y, 3)
        )
    arrays = statistics.to_arrays()
    empty = LevelStatistics.fit(Encoded(x[:, 1:2], ("b",), ("number",), (0,)), y, 2)
    assert LevelStatistics.from_arrays(empty.to_arrays()) == empty
    for bad in (
        {"levels_head": arrays["levels_head"][:-1]},
        {"levels_head": np.array([2.0, np.nan])},
        {"levels_head": np.append(arrays["levels_head"], 1.0)},
        {"levels_values": arrays["levels_values"][:-1]},
        {"levels_values": np.append(arrays["levels_values"], 0.0)},
        {"levels_values": arrays["levels_values"] * np.nan},
    ):
        with pytest.raises(StoreError, match="do not fit together"):
            LevelStatistics.from_arrays(arrays | bad)


def test_memory_is_bounded_by_the_levels():
    import tracemalloc

    encoded, y, _ = made(10_000, 50_000, 0)
    y = (np.arange(50_000) % 10).astype(float)
    tracemalloc.start()
    LevelStatistics.fit(encoded, y, 10).cross_fitted(encoded, y, 0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6  # one column per level would be 4 GB
