"""Numbers are read as codes where that pays: on other rows, later rows, within the time and the room there is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.support.codes import shops, table
from tests.support.line import Clock
from tests.support.slow import with_slow_views
from tests.support.tables import fitted
from testtime import TTTClassifier, TTTRegressor, load, plan_table
from testtime.adapt.budget import Budget
from testtime.backbones.embedded import load_embedded
from testtime.errors import StoreError
from testtime.estimators.together import fit_together
from testtime.table import choose_codes, reading, trial
from testtime.table.saved import StoredTable, from_stored, to_stored
from testtime.table.tail_episodes import TailRecipe


class TestChoice:
    """With the weights that ship: whether it pays is a question to the model."""

    def test_it_pays_where_numbers_are_names(self, tmp_path):
        frame, y = table(1200)
        model = TTTClassifier(random_state=0, n_steps=0).fit(frame[:800], y[:800])
        (note,) = (note for note in model.adaptation_.notes if "look like codes" in note)
        assert "'shop'" in note
        assert model.score(frame[800:], y[800:]) > 0.8
        plain = TTTClassifier(random_state=0, n_steps=0, column_kinds={"shop": "ignored"})
        assert plain.fit(frame[:800], y[:800]).score(frame[800:], y[800:]) < 0.6
        model.save(tmp_path / "model")
        again = load(tmp_path / "model")
        assert np.array_equal(again.predict_proba(frame[800:]), model.predict_proba(frame[800:]))

    def test_the_plan_measures_what_the_fit_serves(self):
        frame, y = table(400)
        told = plan_table(frame, y)
        hidden = plan_table(frame.assign(shop=np.random.default_rng(0).permutation(frame["shop"])), y)
        assert told.signs["loss left"] < 0.8 < hidden.signs["loss left"]

    def test_it_does_not_pay_where_another_column_says_it(self):
        shop, y = shops(600, noise=0.0)
        frame = pd.DataFrame({"shop": shop, "size": y})
        model = TTTClassifier(random_state=0, n_steps=0).fit(frame, np.where(y > 0, "yes", "no"))
        assert not [note for note in model.adaptation_.notes if "look like codes" in note]
        assert model._table.x.shape[1] == 2

    def test_a_declared_number_stays_one(self):
        frame, y = table(400)
        model = TTTClassifier(random_state=0, n_steps=0, column_kinds={"shop": "number"}).fit(frame, y)
        assert model._table.x.shape[1] == 2
        assert plan_table(frame, y, column_kinds={"shop": "number"}).signs["loss left"] > 0.8

        x = np.column_stack([frame["a"], frame["shop"]])
        assert TTTClassifier(n_steps=0, column_kinds={1: "number"}).fit(x, y)._table.x.shape[1] == 2
        assert TTTClassifier(n_steps=0).fit(x, y)._table.x.shape[1] == 4

    def test_a_gain_within_two_standard_errors_is_none(self, monkeypatch):
        frame, y = table(400)
        noise = np.random.default_rng(0).normal(size=400)
        noise = (noise - noise.mean()) / noise.std(ddof=1) * 20  # a standard error of one
        for gain, n_columns in ((1.9, 2), (2.1, 4)):
            losses = noise + gain, np.zeros(400)
            monkeypatch.setattr(choose_codes.Trial, "run", lambda *_, losses=losses: losses)
            monkeypatch.setattr(reading, "choose_keys", lambda levels, rows, *_, **__: (levels, rows, ""))
            assert TTTClassifier(n_steps=0).fit(frame, y)._table.x.shape[1] == n_columns

    def test_rows_of_a_group_count_as_one_in_the_error(self, monkeypatch):
        frame, y = table(400)
        groups, told = np.arange(400) // 2, []
        monkeypatch.setattr(trial, "standard_error", lambda gains, of: told.append((len(gains), of)) or 0.0)
        monkeypatch.setattr(reading, "choose_keys", lambda levels, rows, *_, **__: (levels, rows, ""))
        TTTClassifier(n_steps=0).fit(frame, y, groups=groups)
        ((n_rows, of),) = told
        assert n_rows == len(of) == 400
        assert 190 < len(np.unique(of)) <= 200  # rows that are nearly alike join groups

    def test_few_rows_are_not_tried(self):
        for n_rows, n_columns in ((59, 2), (90, 4)):
            shop, y = shops(n_rows, n_shops=11, noise=0.05)
            frame = pd.DataFrame({"shop": shop, "a": np.random.default_rng(1).normal(size=n_rows)})
            assert TTTRegressor(n_steps=0).fit(frame, y)._table.x.shape[1] == n_columns

    def test_parts_of_dates_are_no_codes(self):
        shop, y = shops(600)
        days = pd.to_datetime("2024-01-01") + pd.to_timedelta(shop.astype(int), unit="D")
        model = TTTRegressor(n_steps=0).fit(pd.DataFrame({"day": days, "a": np.arange(600) % 7}), y)
        assert not [note for note in model.adaptation_.notes if "look like codes" in note]

    def test_with_time_later_rows_are_predicted_from_earlier_ones(self):
        """Copies of rows, one after the other: remembered in a random split, of no use to later rows."""
        rng = np.random.default_rng(0)
        a, b = np.repeat(rng.normal(size=(2, 130)), 3, axis=1)
        y = np.repeat(rng.random(130) < 1 / (1 + np.exp(-2 * a[::3])), 3).astype(int)
        frame = pd.DataFrame({"a": a, "b": b})
        model = TTTClassifier(random_state=0, n_steps=0).fit(frame, y, time=np.arange(390))
        assert model._table.x.shape[1] == 2
        shop, target = shops(600)
        fitted = TTTClassifier(n_steps=0).fit(shop[:, None], target > 0, time=np.arange(600))
        assert fitted._table.x.shape[1] == 3
        few = TTTClassifier(n_steps=0).fit(shop[:, None], target > 0, time=np.arange(600) // 300)
        assert few._table.x.shape[1] == 1

    def test_numeric_targets_have_codes(self):
        shop, y = shops(900)
        frame = pd.DataFrame({"shop": shop, "a": np.random.default_rng(1).normal(size=900)})
        model = TTTRegressor(random_state=0, n_steps=0).fit(frame[:600], y[:600])
        assert [note for note in model.adaptation_.notes if "look like codes" in note]
        assert np.sqrt(np.mean((model.predict(frame[600:]) - y[600:]) ** 2)) < 0.6 * y.std()

    def test_copies_of_rows_make_no_codes(self):
        """Each row five times over: rows of one number agree since they are one row."""
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.normal(size=(120, 2)).round(3), columns=["a", "b"])
        y = rng.integers(0, 2, 120)
        copies = np.repeat(np.arange(120), 5)
        model = TTTClassifier(random_state=0, n_steps=0).fit(frame.iloc[copies], y[copies])
        assert not [note for note in model.adaptation_.notes if "look like codes" in note]


@pytest.mark.parametrize(("limit", "taken"), [(60.0, False), (6000.0, True)])
def test_without_time_to_try_columns_are_as_they_are(limit: float, taken: bool, monkeypatch):
    frame, y = table()
    backbone, clock = with_slow_views("classifier", 10.0, monkeypatch)
    found = fitted(backbone, frame, y, n_steps=0, n_members=1, budget=Budget(limit, clock))
    assert found.x.shape[1] == (4 if taken else 2)


def test_what_was_begun_in_time_is_not_thrown_away(monkeypatch):
    frame, y = table()
    clock, calls = Clock(), []
    backbone = load_embedded("classifier")
    views = backbone.views

    def slower(*arguments):
        calls.append(clock.spend(10.0 if len(calls) < 5 else 1000.0))
        return views(*arguments)

    monkeypatch.setattr(backbone, "views", slower)
    found = fitted(backbone, frame, y, n_steps=0, n_members=1, budget=Budget(3000.0, clock))
    assert found.x.shape[1] == 4


def test_there_is_no_room_for_codes_where_the_model_takes_no_more_columns(monkeypatch):
    frame, y = table()
    for room, n_columns in ((3, 2), (4, 4)):
        backbone = load_embedded("classifier")
        monkeypatch.setattr(backbone, "limits", replace(backbone.limits, features=room))
        assert fitted(backbone, frame, y, n_steps=0, n_members=1).x.shape[1] == n_columns


def test_damaged_codes_are_refused():
    shop, y = shops(400)
    backbone = load_embedded("regressor")
    frame = pd.DataFrame({"shop": shop, "a": np.arange(400) % 7})
    found = fitted(backbone, frame, y, numeric=True, n_steps=0, n_members=1)
    stored = to_stored(found)
    assert len(stored.arrays["levels_values_0"]) == 60
    for damaged in (
        stored.arrays["levels_values_0"][::-1],
        np.array([]),
        np.array(1.0),
        stored.arrays["levels_values_0"][:, None],
        np.full(60, np.nan),
        np.array(["a", "b"]),
        np.arange(60),
        np.arange(60, dtype=np.float32),
        stored.arrays["levels_values_0"][:-1],
    ):
        arrays = stored.arrays | {"levels_values_0": damaged}
        with pytest.raises(StoreError):
            from_stored(StoredTable(stored.meta, arrays, stored.tensors), backbone, found.device, found.dtype)


def test_levels_are_not_named_by_numbers():
    frame = pd.DataFrame({"town": np.random.default_rng(0).choice(list("abcdefg"), 80), "a": np.arange(80.0)})
    backbone = load_embedded("classifier")
    found = fitted(backbone, frame, np.arange(80) % 2, n_steps=0, n_members=1)
    stored = to_stored(found)
    arrays = stored.arrays | {"levels_values_0": np.arange(1.0, 8.0)}
    with pytest.raises(StoreError, match="codes of its column 0"):
        from_stored(StoredTable(stored.meta, arrays, stored.tensors), backbone, found.device, found.dtype)


def test_groups_read_codes_table_by_table():
    """Two tables fitted in one pass: one has numbers of shops, in the other they mean nothing."""
    frame, y = table(600)
    shuffled = frame.assign(shop=np.random.default_rng(0).permutation(frame["shop"]))
    fits = [TTTClassifier(random_state=0), TTTClassifier(random_state=0)]
    assert fit_together(fits, [(frame, y), (shuffled, y)], TailRecipe(n_steps=2)) == [None, None]
    assert [one._table.x.shape[1] for one in fits] == [4, 2]
    notes = [[note for note in one.adaptation_.notes if "look like codes" in note] for one in fits]
    assert [len(found) for found in notes] == [1, 0]
    assert (fits[0].predict(frame) == y).mean() > 0.8
