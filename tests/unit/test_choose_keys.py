"""Keys are taken where that pays: on other rows, later rows, within the time and the room there is."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.support.keys import streets
from tests.support.slow import with_slow_views
from tests.support.tables import fitted
from testtime import TTTClassifier, TTTRegressor, load, plan_table
from testtime.adapt.budget import Budget
from testtime.backbones.embedded import load_embedded
from testtime.errors import StoreError
from testtime.estimators.together import fit_together
from testtime.table import choose_keys, trial
from testtime.table.saved import StoredTable, from_stored, to_stored
from testtime.table.tail_episodes import TailRecipe


def table(n_rows: int = 900, **given: float) -> tuple[pd.DataFrame, np.ndarray]:
    frame, y = streets(n_rows, **given)
    return frame, np.where(y > 0, "yes", "no")


def said(model: TTTClassifier | TTTRegressor) -> list[str]:
    return [note for note in model.adaptation_.notes if note.startswith("What rows say")]


def _losses(note: str) -> tuple[float, float]:
    after, before = re.findall(r"0\.\d{4}", note)[:2]
    return float(before), float(after)


class TestChoice:
    """With the weights that ship: whether it pays is a question to the model."""

    def test_it_pays_where_columns_name_something_together(self, tmp_path):
        frame, y = table(1300)
        model = TTTClassifier(random_state=0, n_steps=0).fit(frame[:900], y[:900])
        (note,) = said(model)
        assert "'street' and 'house'" in note
        assert model.score(frame[900:], y[900:]) > 0.8
        plain = TTTClassifier(random_state=0, n_steps=0, column_kinds={"house": "number"})
        assert (
            plain.fit(frame[:900], y[:900]).score(frame[900:], y[900:])
            < model.score(frame[900:], y[900:]) - 0.05
        )
        assert not said(plain)
        model.save(tmp_path / "model")
        again = load(tmp_path / "model")
        assert np.array_equal(again.predict_proba(frame[900:]), model.predict_proba(frame[900:]))

    def test_numeric_targets_have_keys(self):
        frame, y = streets(1300, n_values=12)
        model = TTTRegressor(random_state=0, n_steps=0).fit(frame[:900], y[:900])
        assert len(said(model)) == 1
        assert np.sqrt(np.mean((model.predict(frame[900:]) - y[900:]) ** 2)) < 0.6 * y.std()

    def test_what_the_model_knows_in_part_is_found_in_the_target(self, monkeypatch):
        """Of nine streets with nine houses it knows enough to leave too little to find the rest by."""
        frame, y = streets(1300)
        rows, later = slice(900), slice(900, None)
        model = TTTRegressor(random_state=0, n_steps=0).fit(frame[rows], y[rows])
        assert "'street' and 'house'" in said(model)[0]
        monkeypatch.setattr(choose_keys, "_left_of_nothing", lambda y, task: np.zeros((len(y), 1)))
        plain = TTTRegressor(random_state=0, n_steps=0).fit(frame[rows], y[rows])
        assert not said(plain)
        errors = [np.sqrt(np.mean((one.predict(frame[later]) - y[later]) ** 2)) for one in (model, plain)]
        assert errors[0] < 0.7 * errors[1]

    def test_keys_are_of_what_a_linear_part_leaves(self):
        frame, y = streets(1300)
        y = 50 * frame["a"] + y
        model = TTTRegressor(random_state=0, n_steps=0).fit(frame[:900], y[:900])
        assert len(said(model)) == 1
        assert any(note.startswith("A ridge regression") for note in model.adaptation_.notes)
        assert np.sqrt(np.mean((model.predict(frame[900:]) - y[900:]) ** 2)) < 0.7

    def test_what_an_exact_sum_leaves_has_no_keys(self):
        frame, y = streets(900)
        assert not said(TTTRegressor(random_state=0, n_steps=0).fit(frame, 1e5 * frame["a"] + y))

    def test_names_of_streets_are_columns_like_others(self):
        frame, y = table()
        named = frame.assign(street="street " + frame["street"].astype(str))
        assert "'street' and 'house'" in said(TTTClassifier(random_state=0, n_steps=0).fit(named, y))[0]

    def test_the_plan_measures_what_the_fit_serves(self):
        frame, y = table()
        told = plan_table(frame, y)
        hidden = plan_table(frame.assign(house=np.random.default_rng(0).permutation(frame["house"])), y)
        assert told.signs["loss left"] < 0.8 < hidden.signs["loss left"]

    def test_it_does_not_pay_where_another_column_says_it(self):
        frame, y = streets(noise=0.0)
        model = TTTClassifier(random_state=0, n_steps=0).fit(
            frame.assign(size=y), np.where(y > 0, "yes", "no")
        )
        assert not said(model)
        assert model._table.x.shape[1] == 4

    def test_smooth_effects_have_no_keys(self):
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.integers(0, 12, (800, 3)), columns=list("abc"))
        y = rng.random(800) < 1 / (1 + np.exp(6 - frame["a"]))
        assert not said(TTTClassifier(random_state=0, n_steps=0).fit(frame, y))

    def test_with_time_later_rows_are_predicted_from_earlier_ones(self):
        frame, y = table()
        model = TTTClassifier(random_state=0, n_steps=0).fit(frame, y, time=np.arange(900))
        assert len(said(model)) == 1
        # What an address says is another thing after each of the last parts of the time.
        era = np.arange(900) // 90
        turned = np.where(era % 2 == 0, y, np.where(y == "yes", "no", "yes"))
        assert not said(TTTClassifier(random_state=0, n_steps=0).fit(frame, turned, time=np.arange(900)))

    def test_rows_of_a_group_make_no_keys(self):
        """Persons at one address each: whoever is new, there or elsewhere, is not known by it."""
        rng = np.random.default_rng(0)
        person = np.repeat(np.arange(100), 8)
        street, house = rng.integers(0, 40, (2, 100))
        frame = pd.DataFrame({"street": street[person], "house": house[person], "a": rng.normal(size=800)})
        y = rng.integers(0, 2, 100)[person]
        alone = TTTClassifier(random_state=0, n_steps=0).fit(frame, y, groups=person)
        assert not said(alone)

    def test_before_training_the_loss_must_fall_by_a_share(self, monkeypatch):
        frame, y = table()
        before, after = _losses(said(TTTClassifier(random_state=0, n_steps=0).fit(frame, y))[0])
        share = 1 - after / before
        assert share > choose_keys._LEAST_BEFORE_TRAINING
        for least, n_steps, n_keys in ((0.99 * share, 1, 1), (1.01 * share, 1, 0), (1.01 * share, 0, 1)):
            monkeypatch.setattr(choose_keys, "_LEAST_BEFORE_TRAINING", least)
            model = TTTClassifier(random_state=0, n_steps=n_steps, n_members=1).fit(frame, y)
            assert len(said(model)) == n_keys

    def test_rows_of_a_group_count_as_one_in_the_error(self, monkeypatch):
        frame, y = table()
        groups, told = np.arange(900) // 2, []
        monkeypatch.setattr(trial, "standard_error", lambda gains, of: told.append((len(gains), of)) or 0.0)
        TTTClassifier(n_steps=0).fit(frame, y, groups=groups)
        n_rows, of = told[0]
        assert n_rows == len(of) == 900
        assert len(np.unique(of)) <= 450

    def test_a_gain_within_two_standard_errors_is_none(self, monkeypatch):
        frame, y = table()
        noise = np.random.default_rng(0).normal(size=900)
        noise = (noise - noise.mean()) / noise.std(ddof=1) * 30  # a standard error of one
        left = np.where(y == "yes", 1.0, -1.0)

        for gain, n_keys in ((1.9, 0), (2.1, 1)):
            losses = iter([noise + gain, *[np.zeros(900)] * 6])

            def run(trial, *_, losses=losses):
                return [np.column_stack([next(losses), left[trial.measured]])]

            monkeypatch.setattr(choose_keys.Trial, "run", run)
            model = TTTClassifier(n_steps=0).fit(frame, y)
            assert (model._table.x.shape[1] == 5) == bool(n_keys)

    def test_few_rows_are_not_tried(self, monkeypatch):
        tried = []
        monkeypatch.setattr(choose_keys, "key_columns", lambda *_: tried.append(1) or ([], np.empty((0, 0))))
        for n_rows, n_tried in ((59, 0), (60, 1)):
            TTTClassifier(n_steps=0).fit(*table(n_rows))
            assert len(tried) == n_tried

    def test_there_are_three_at_most(self, monkeypatch):
        monkeypatch.setattr(trial.Gain, "is_clear", lambda *_: True)
        monkeypatch.setattr(choose_keys, "_SIGMAS", 0.0)
        frame, y = table()
        frame["b"], frame["c"] = np.random.default_rng(1).integers(0, 9, (2, 900))
        model = TTTClassifier(n_steps=0).fit(frame, y)
        assert model._table.x.shape[1] == 5 + 2 * 3

    def test_columns_that_mean_nothing_have_no_keys(self):
        """So many columns that some set of them agrees with any labels: what it says of other rows is nothing."""
        rng = np.random.default_rng(0)
        frame = pd.DataFrame(rng.integers(0, 2, (200, 100)), columns=[f"c{k}" for k in range(100)])
        model = TTTClassifier(random_state=0, n_steps=0).fit(frame, rng.random(200) < 0.4)
        assert not said(model)

    def test_a_fold_is_predicted_with_the_key_that_other_folds_name(self, monkeypatch):
        frame, y = table()
        asked, search = [], choose_keys.find_key

        def noted(positions, codes, left, **given):
            asked.append((len(codes), given["least"]))
            assert given["alone"] == {1, 2}  # numbers; the street is a name
            return search(positions, codes, left, **given)

        monkeypatch.setattr(choose_keys, "find_key", noted)
        monkeypatch.setattr(choose_keys, "_MOST_KEYS", 1)
        frame["street"] = "street " + frame["street"].astype(str)
        TTTClassifier(random_state=0, n_steps=0).fit(frame, y)
        assert [n for n, _ in asked] == [900, 600, 600, 600]
        assert [least for _, least in asked] == pytest.approx([3.5, *[3.5 * np.sqrt(2 / 3)] * 3])
        asked.clear()
        TTTClassifier(random_state=0, n_steps=0).fit(frame, y, time=np.arange(900))
        assert [n for n, _ in asked] == [360, 120, 240]  # none before the first block

    def test_where_a_declared_number_is_missing_is_in_no_key(self):
        frame, _ = table()
        hidden = frame.assign(house=np.where(frame["house"] > 40, np.nan, frame["house"]))
        turned = np.where(hidden["house"].isna() == (frame["street"] % 2 == 0), "yes", "no")
        assert not said(TTTClassifier(n_steps=0, column_kinds={"house": "number"}).fit(hidden, turned))


@pytest.mark.parametrize(("limit", "taken"), [(60.0, False), (6000.0, True)])
def test_without_time_to_try_columns_are_as_they_are(limit: float, taken: bool, monkeypatch):
    frame, y = table()
    backbone, clock = with_slow_views("classifier", 10.0, monkeypatch)
    found = fitted(backbone, frame, y, n_steps=0, n_members=1, budget=Budget(limit, clock))
    assert found.x.shape[1] == (5 if taken else 3)


def test_there_is_no_room_for_keys_where_the_model_takes_no_more_columns(monkeypatch):
    frame, y = table()
    for room, n_columns in ((4, 3), (5, 5)):
        backbone = load_embedded("classifier")
        monkeypatch.setattr(backbone, "limits", replace(backbone.limits, features=room))
        assert fitted(backbone, frame, y, n_steps=0, n_members=1).x.shape[1] == n_columns
    monkeypatch.setattr("testtime.table.levels._MOST_COLUMNS", 1)
    assert fitted(load_embedded("classifier"), frame, y, n_steps=0, n_members=1).x.shape[1] == 3


def test_damaged_keys_are_refused():
    frame, y = streets()
    backbone = load_embedded("regressor")
    found = fitted(backbone, frame, y, numeric=True, n_steps=0, n_members=1)
    stored = to_stored(found)
    values, key = stored.arrays["levels_values_0"], stored.arrays["levels_key_0"]
    assert values.shape == (81, 2)
    assert key.tolist() == [0, 1]
    for damaged in (
        {"levels_values_0": values[:, :1]},
        {"levels_values_0": values.T},
        {"levels_values_0": values[:-1]},
        {"levels_values_0": values.ravel()},
        {"levels_values_0": values[np.zeros(81, dtype=int)]},
        {"levels_values_0": np.where(values == 0, np.inf, values)},
        {"levels_values_0": values.astype(np.float32)},
        {"levels_values_0": np.array(1.0)},
        {"levels_values_0": values.astype(str)},
        {"levels_key_0": np.array([0, 9])},
        {"levels_key_0": np.array([1, 0])},
        {"levels_key_0": np.array([0, 0])},
        {"levels_key_0": np.array([1, 2])},
        {"levels_key_0": np.array([0])},
        {"levels_key_0": np.array(0)},
        {"levels_key_0": np.array([-1, 0])},
        {"levels_key_0": np.array([0.0, 1.0])},
        {"levels_key_0": np.array([0, 1, 2])},
        {"levels_means_0": np.full_like(stored.arrays["levels_means_0"], np.nan)},
        {"levels_shares_0": np.full_like(stored.arrays["levels_shares_0"], np.inf)},
        {"levels_values_0": np.full_like(values, np.nan)},
    ):
        arrays = stored.arrays | damaged
        with pytest.raises(StoreError):
            from_stored(StoredTable(stored.meta, arrays, stored.tensors), backbone, found.device, found.dtype)
    without = {name: array for name, array in stored.arrays.items() if name != "levels_values_0"}
    with pytest.raises(StoreError, match="key"):
        from_stored(StoredTable(stored.meta, without, stored.tensors), backbone, found.device, found.dtype)


def test_groups_find_keys_table_by_table():
    """Two tables fitted in one pass: in the other, addresses mean nothing."""
    frame, y = table()
    shuffled = frame.assign(house=np.random.default_rng(0).permutation(frame["house"]))
    fits = [TTTClassifier(random_state=0), TTTClassifier(random_state=0)]
    assert fit_together(fits, [(frame, y), (shuffled, y)], TailRecipe(n_steps=2)) == [None, None]
    assert [len(said(one)) for one in fits] == [1, 0]
    assert (fits[0].predict(frame) == y).mean() > 0.8
