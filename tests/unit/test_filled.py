"""Cells that are missing in new rows only: rows are answered with what stands there in the rows nearest otherwise."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from testtime import TTTClassifier, TTTRegressor, load
from testtime.adapt.task import Classes, Numbers
from testtime.backbones.base import Encoded
from testtime.table.columns.frame import DataWarning
from testtime.table.filled import N_NEAREST, filled, never_missing
from testtime.table.levels import LevelStatistics

NOTHING = LevelStatistics((), (0,))
NAN = np.nan


def table(n_rows: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """A number that one column decides, which another one nearly is, and a third that says nothing."""
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(3, n_rows))
    frame = pd.DataFrame({"a": a, "twin": a + 0.1 * b, "c": c, "kind": rng.choice(list("uvw"), n_rows)})
    return frame, a + 0.2 * rng.normal(size=n_rows)


@pytest.fixture(scope="module")
def regressor() -> TTTRegressor:
    return TTTRegressor(random_state=0, n_steps=0).fit(*table(400))


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        yield


class TestFilled:
    def test_values_are_those_of_the_nearest_rows(self):
        rng = np.random.default_rng(0)
        known = np.column_stack([np.arange(100.0), np.arange(100.0), rng.normal(size=100)])
        rows = np.array([[NAN, 50.0, 0.0], [NAN, 10.0, 0.0]])
        full = filled(rows, np.isnan(rows), known[:, :3], NOTHING)
        assert full.shape == (2, N_NEAREST, 3)
        assert np.abs(full[0, :, 0] - 50).max() < 40
        assert np.abs(full[1, :, 0] - 10).max() < 40
        assert np.array_equal(full[:, :, 1:], np.repeat(rows[:, None, 1:], N_NEAREST, axis=1))

    def test_cells_of_a_row_come_from_one_donor(self):
        known = np.column_stack([np.arange(40.0), 2 * np.arange(40.0), np.arange(40.0) % 5])
        (full,) = filled(np.array([[NAN, NAN, 3.0]]), np.array([[True, True, False]]), known, NOTHING)
        assert np.array_equal(full[:, 1], 2 * full[:, 0])
        assert (full[:8, 0] % 5 == 3).all()

    def test_other_missing_cells_stay(self):
        known = np.column_stack([np.arange(40.0), np.where(np.arange(40) % 2, np.arange(40.0), NAN)])
        assert never_missing(known, 2).tolist() == [True, False]
        assert never_missing(known, 1).tolist() == [True]
        (full,) = filled(np.array([[NAN, NAN]]), np.array([[True, False]]), known, NOTHING)
        assert np.isnan(full[:, 1]).all()
        assert not np.isnan(full[:, 0]).any()

    def test_columns_count_alike_whatever_their_unit(self):
        rng = np.random.default_rng(0)
        noise, told = 1e6 * rng.normal(size=400), rng.uniform(size=400)
        (full,) = filled(
            np.array([[0.0, 0.5, NAN]]),
            np.array([[False, False, True]]),
            np.column_stack([noise, told, told]),
            NOTHING,
        )
        assert np.abs(full[:, 2] - 0.5).max() < 0.25

    def test_what_levels_say_of_a_missing_one_makes_no_row_near(self):
        """The nearest rows are those by the other column, also where their levels are far from the mean of all."""
        level, place = np.arange(80.0) // 10, np.arange(80.0)
        described = Encoded(
            np.column_stack([level, place]), ("level", "place"), ("nominal", "number"), (8, 0)
        )
        levels = LevelStatistics.fit(described, level, 0)
        rows = levels.beside(np.array([[NAN, 0.0]]))
        (full,) = filled(rows, np.array([[True, False]]), levels.beside(described.x), levels)
        assert full[:, 0].tolist() == [0.0] * 10 + [1.0] * 6

    def test_of_few_rows_all_are_donors(self):
        known = np.arange(10.0).reshape(5, 2)
        (full,) = filled(np.array([[NAN, 9.0]]), np.array([[True, False]]), known, NOTHING)
        assert full[:, 0].tolist() == [8.0, 6.0, 4.0, 2.0, 0.0]

    def test_what_levels_say_is_of_the_value_that_is_filled_in(self):
        x = np.column_stack([np.repeat(np.arange(8.0), 10), np.repeat(np.arange(8.0), 10)])
        described = Encoded(x, ("level", "number"), ("nominal", "number"), (8, 0))
        levels = LevelStatistics.fit(described, np.repeat(np.arange(8.0), 10), 0)
        known = levels.beside(x)
        rows = levels.beside(np.array([[NAN, 3.0]]))
        (full,) = filled(rows, np.array([[True, False]]), known, levels)
        of_three = full[full[:, 0] == 3.0]
        assert len(of_three) >= 10
        assert np.array_equal(of_three[:, 2:], np.repeat(known[30:31, 2:], len(of_three), axis=0))


class TestPooled:
    def test_probabilities_are_averaged(self):
        assert Classes(2).pooled(np.array([[[0.2, 0.8], [0.6, 0.4]]])).tolist() == [[0.4, 0.6000000000000001]]

    def test_quantiles_are_those_of_the_mixture(self):
        levels = np.arange(1, 100) / 100
        one = np.quantile(np.random.default_rng(0).normal(size=100_000), levels)
        (same,) = Numbers().pooled(np.stack([one, one])[None])
        np.testing.assert_allclose(same, one, atol=0.15)
        (apart,) = Numbers().pooled(np.stack([one - 10, one + 10])[None])
        assert apart[48] < -7
        assert apart[50] > 7
        np.testing.assert_allclose(Numbers().pooled(one[None, None])[0], one, rtol=1e-12)


class TestAnswers:
    def test_the_answer_is_as_uncertain_as_it_should_be(self, regressor):
        frame, y = table(400, seed=1)
        for missing, worse in ((["c"], 1.3), (["a"], 2.5), (["a", "twin"], 10.0)):
            low, high = regressor.predict_quantiles(frame.assign(**dict.fromkeys(missing)), [0.05, 0.95]).T
            assert 0.8 < np.mean((low <= y) & (y <= high)) < 0.98, missing
            whole = np.subtract(*regressor.predict_quantiles(frame, [0.95, 0.05]).T)
            assert np.median(high - low) < worse * np.median(whole)

    def test_of_a_twin_the_other_one_tells(self, regressor):
        frame, y = table(400, seed=1)
        error = np.sqrt(np.mean((regressor.predict(frame.assign(a=None)) - y) ** 2))
        assert error < 0.4

    def test_rows_do_not_depend_on_those_beside_them(self, regressor, monkeypatch):
        frame, _ = table(30, seed=2)
        frame.loc[::3, "a"] = None
        frame.loc[::4, ["c", "kind"]] = None
        together = regressor.predict(frame)
        monkeypatch.setattr("testtime.table.adapted._FILLED_AT_ONCE", 4)
        np.testing.assert_allclose(regressor.predict(frame), together, rtol=1e-5, atol=1e-5)
        alone = [regressor.predict(frame.iloc[[k]])[0] for k in range(30)]
        np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-5)
        complete = frame.notna().all(axis=1)
        np.testing.assert_allclose(
            regressor.predict(frame[complete]), together[complete], rtol=1e-5, atol=1e-5
        )

    def test_a_row_of_nothing_has_an_answer(self, regressor):
        frame, y = table(3)
        low, high = regressor.predict_quantiles(frame.assign(**dict.fromkeys(frame)), [0.05, 0.95]).T
        assert np.isfinite(low).all()
        assert (high - low > y.std()).all()

    def test_columns_that_had_missing_cells_are_read_as_they_are(self):
        frame, y = table(300)
        frame.loc[::10, "a"] = None
        model = TTTClassifier(random_state=0, n_steps=0).fit(frame, np.where(y > 0, "yes", "no"))
        table_ = model._table
        x = table_.encoding.transform(frame.assign(a=None))
        assert np.array_equal(table_.predict_encoded(x), table_._by_strangeness(x, _ask))

    def test_a_saved_model_answers_the_same(self, regressor, tmp_path):
        frame, _ = table(20, seed=3)
        frame["a"] = None
        regressor.save(tmp_path / "model")
        assert np.array_equal(load(tmp_path / "model").predict(frame), regressor.predict(frame))

    def test_new_levels_beside_missing_cells(self, regressor):
        frame, _ = table(20, seed=3)
        assert np.isfinite(regressor.predict(frame.assign(a=None, kind="x"))).all()

    def test_so_does_a_learning_curve(self, regressor):
        frame, y = table(200, seed=1)
        at = regressor.predict_at(frame.assign(a=None), 200)
        assert np.sqrt(np.mean((at - y) ** 2)) < 0.5


def _ask(table, x):
    from testtime.adapt.work import UNWATCHED

    return table._answers(table._reading(), x, UNWATCHED)
