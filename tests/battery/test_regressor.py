"""The regressor: units, zero steps, seeds, files, mixed columns, and targets that cannot be used."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

import testtime
from tests.support.models import tiny_regressor
from testtime import InputError, Status, StoreError, TTTClassifier, TTTRegressor
from testtime.backbones import embedded
from testtime.store import open_adapter

FAST = {"n_steps": 2, "n_context": 24, "n_members": 1, "guard": False, "step_size": 0.01}


def table(n_rows: int = 120, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, 4))
    return X, 10 + 3 * X[:, 0] - 2 * np.abs(X[:, 1]) + 0.3 * rng.standard_normal(n_rows)


def frame(n_rows: int = 90) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    X = pd.DataFrame(
        {
            "size": rng.standard_normal(n_rows),
            "town": rng.choice(["Oslo", "Rome", "Bonn"], n_rows),
            "new": rng.random(n_rows) > 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n_rows), unit="D"),
        }
    )
    X.loc[::7, "size"] = np.nan
    X.loc[::11, "town"] = None
    return X, 3.0 * X["new"] + X["size"].fillna(0) + (X["town"] == "Rome")


def tiny_embedded_regressor():
    backbone = tiny_regressor()
    return backbone.learner(backbone.new_module(), 0)


class TestUnits:
    @pytest.mark.parametrize(
        ("a", "b"),
        [(1.0, 1e6), (3.5, -2.0), (1e12, 0.0), (1e12, 1e13), (1e-12, 0.0), (1e-12, 1e-9), (1e-200, 0.0)],
    )
    def test_predictions_follow_the_unit_of_the_target(self, tiny_embedded, a: float, b: float):
        X, y = table(80)
        fitted = TTTRegressor(n_steps=0, n_context=50).fit(X, y)
        other = TTTRegressor(n_steps=0, n_context=50).fit(X, a * y + b)
        scale = a * y.std()
        for one, two in (
            (fitted.predict(X), other.predict(X)),
            (fitted.predict_quantiles(X), other.predict_quantiles(X)),
        ):
            assert np.abs((a * one + b) - two).max() <= 1e-8 * max(scale, abs(b))
            assert np.abs((two - b) / a - one).max() <= 1e-8 * max(1.0, abs(b) / scale) * y.std()

    def test_training_and_guard_do_not_depend_on_the_unit(self, tiny_embedded):
        X, y = table()
        one = TTTRegressor(n_steps=3, n_context=24, n_members=2).fit(X, y).adaptation_
        two = TTTRegressor(n_steps=3, n_context=24, n_members=2).fit(X, 1024.0 * y).adaptation_
        assert two.loss_before == pytest.approx(one.loss_before, rel=1e-6)
        assert two.loss_after == pytest.approx(one.loss_after, rel=1e-6)
        assert one.loss_name == "CRPS"
        assert one.unit == two.unit
        assert one.unit.startswith("standard deviations of ")
        assert f"CRPS, in {one.unit}," in one.explain()

    def test_whole_numbers_truth_values_and_decimals_are_numbers(self, tiny_embedded):
        from decimal import Decimal

        X, y = table()
        whole = np.round(10 * y).astype(int)
        expected = TTTRegressor(**FAST).fit(X, whole.astype(float)).predict(X)
        for same in (
            whole,
            pd.Series(whole, dtype="Int64"),
            [Decimal(int(v)) for v in whole],
            whole.tolist(),
        ):
            assert np.array_equal(TTTRegressor(**FAST).fit(X, same).predict(X), expected)
        assert np.isfinite(TTTRegressor(**FAST).fit(X, y > 10).predict(X)).all()


class TestAnswers:
    @pytest.mark.parametrize(
        "levels", [(0.0,), (0.5, 1.0), (-0.1,), (np.nan,), 0.5, "half", ("a",), ((0.1, 0.2),)]
    )
    def test_levels_are_probabilities(self, tiny_embedded, levels: object):
        X, y = table()
        regressor = TTTRegressor(n_steps=0, n_context=24).fit(X, y)
        with pytest.raises(InputError, match="probabilities between 0 and 1"):
            regressor.predict_quantiles(X, levels)
        with pytest.raises(InputError, match=r"the level 0.05; expected 0.1 to 0.9"):
            regressor.predict_quantiles(X, (0.05,))

    def test_answers_do_not_depend_on_the_batch(self, tiny_embedded):
        X, y = table(300)
        regressor = TTTRegressor(**FAST).fit(X[:100], y[:100])
        together = regressor.predict(X)
        alone = np.concatenate([regressor.predict(X[i : i + 1]) for i in range(0, 300, 30)])
        np.testing.assert_allclose(together[::30], alone, atol=1e-10)

    def test_other_contexts_and_the_frozen_model(self, tiny_embedded):
        X, y = table()
        adapted = TTTRegressor(**FAST).fit(X, y)
        assert adapted.adaptation_.kept
        assert np.array_equal(adapted.predict_at(X, 24), adapted.predict(X))
        assert np.array_equal(adapted.predict_quantiles_at(X, 24), adapted.predict_quantiles(X))
        assert np.abs(adapted.predict_at(X, 24, adapted=False) - adapted.predict(X)).max() > 1e-6
        assert np.abs(adapted.predict_at(X, 90) - adapted.predict(X)).max() > 1e-6
        plain = TTTRegressor(n_steps=0, n_context=24).fit(X, y)
        assert plain.adaptation_.status is Status.PLAIN
        assert np.array_equal(plain.predict(X), plain.predict_at(X, 24, adapted=False))
        for n_context in (0, 121):
            with pytest.raises(InputError, match="1 to 120, the rows that are at hand"):
                plain.predict_at(X, n_context)


class TestFit:
    def test_it_learns_what_there_is_to_learn(self):
        X, y = table(300)
        score = TTTRegressor(n_steps=0, n_context=200).fit(X[:200], y[:200]).score(X[200:], y[200:])
        assert score > 0.7

    def test_a_huge_step_is_reverted(self, tiny_embedded):
        X, _ = table()
        noise = np.random.default_rng(1).normal(size=120)
        reverted = TTTRegressor(n_steps=3, n_context=40, n_members=2, step_size=300.0).fit(X, noise)
        assert not reverted.adaptation_.kept
        plain = TTTRegressor(n_steps=0, n_context=40).fit(X, noise)
        assert np.array_equal(reverted.predict(X), plain.predict(X))

    @pytest.mark.parametrize(
        "params", [{"n_steps": 0}, FAST, {**FAST, "n_members": 2, "adapt": "lora", "rank": 2}]
    )
    def test_mixed_columns_and_copies(self, tiny_embedded, tmp_path, params: dict):
        X, y = frame()
        fitted = TTTRegressor(**params).fit(X, y)
        assert list(fitted.feature_names_in_) == list(X.columns)
        assert fitted.n_features_in_ == 4
        loaded = testtime.load(fitted.save(tmp_path / "adapter"))
        assert type(loaded) is TTTRegressor
        for twin in (
            loaded,
            pickle.loads(pickle.dumps(fitted)),
            testtime.load(loaded.save(tmp_path / "again")),
        ):
            assert np.array_equal(twin.predict(X), fitted.predict(X))
            assert np.array_equal(twin.predict_quantiles(X), fitted.predict_quantiles(X))
        assert loaded.adaptation_.to_dict() == fitted.adaptation_.to_dict()
        assert clone(fitted).get_params() == loaded.get_params() == fitted.get_params()

    def test_cross_validation(self, tiny_embedded):
        X, y = frame()
        assert np.isfinite(cross_val_score(TTTRegressor(**FAST), X, y, cv=3, error_score="raise")).all()

    def test_adapters_go_with_their_base_and_their_estimator(self, tiny_embedded, tmp_path, monkeypatch):
        X, y = table()
        path = TTTRegressor(**FAST).fit(X, y).save(tmp_path / "regressor")
        other = TTTClassifier(**FAST).fit(X, y > 10).save(tmp_path / "classifier")
        assert type(testtime.load(other)) is TTTClassifier
        with open_adapter(other) as saved, pytest.raises(StoreError, match="base"):
            saved.refuse_other_base(embedded.load_embedded("regressor").fingerprint)
        changed = tiny_regressor(seed=1)
        monkeypatch.setattr(embedded, "load_embedded", lambda task: changed)
        with pytest.raises(StoreError, match="base"):
            testtime.load(path)


N = 40
X_BAD, Y_BAD = table(N)


def with_value(value: object) -> np.ndarray:
    changed = Y_BAD.astype(object)
    changed[3] = value
    return changed


TARGETS = {
    "nothing": (None, "requires y to be passed"),
    "missing None": (with_value(None), "missing in 1 of 40 rows (the first is row 3); expected a number"),
    "missing NaN": (with_value(np.nan), "missing in 1 of 40"),
    "missing NA": (pd.Series(with_value(pd.NA)), "missing in 1 of 40"),
    "infinity": (with_value(np.inf), "infinity in 1 of 40 rows (the first is row 3)"),
    "minus infinity": (np.where(np.arange(N) == 3, -np.inf, Y_BAD), "infinity in 1 of 40"),
    "text": (["low", "high"] * 20, "the target holds 'low'; expected a number in every row"),
    "one text": (with_value("12.5"), "the target holds '12.5'"),
    "categories": (pd.Series(["a", "b"] * 20, dtype="category"), "the target holds 'a'"),
    "lists": ([[1], [2, 3]] * 20, ""),
    "times": (pd.date_range("2024-01-01", periods=N), "holds times"),
    "complex numbers": (Y_BAD + 1j, "omplex"),
    "an object": (with_value(object), "the target holds \"<class 'object'>\""),
    "a number too long": (with_value(10**400), "the target holds '1000"),
    "constant": (np.full(N, 2.5), "the target is 2.5 in all 40 rows; expected at least two different"),
    "out of range": (np.where(np.arange(N) == 3, 1.7e308, -1.7e308), "range that float64 holds"),
    "too few": (Y_BAD[:-1], "X has 40 rows and y has 39; expected one number per row"),
    "too many": (np.append(Y_BAD, 0.0), "X has 40 rows and y has 41"),
    "two targets": (np.column_stack([Y_BAD, Y_BAD]), "2"),
    "no rows": ([], "X has 40 rows and y has 0"),
}


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.filterwarnings("ignore")
def test_targets_that_cannot_be_used(tiny_embedded, name: str):
    target, says = TARGETS[name]
    regressor = TTTRegressor(n_steps=0)
    with pytest.raises(InputError) as caught:
        regressor.fit(X_BAD, target)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert not hasattr(regressor, "adaptation_")


def test_one_row_is_too_few(tiny_embedded):
    with pytest.raises(InputError, match=r"1 sample, with the target 10.* expected at least two rows"):
        TTTRegressor(n_steps=0).fit(X_BAD[:1], [10.0])


@pytest.mark.parametrize("n_rows", [2, 3, 5, 9, 12])
def test_few_rows_are_served_plain(tiny_embedded, n_rows: int):
    regressor = TTTRegressor().fit(X_BAD[:n_rows], Y_BAD[:n_rows])
    assert not regressor.adaptation_.kept
    assert np.isfinite(regressor.predict_quantiles(X_BAD)).all()
