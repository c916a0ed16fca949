"""What stands beside the columns where that pays: differences of nearly equal numbers, and the time of the year."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

from testtime import TTTClassifier, TTTRegressor, load
from testtime.adapt.budget import Budget
from testtime.backbones.embedded import load_embedded
from testtime.errors import InputError
from testtime.table import choose_beside, reading
from testtime.table.columns import TableColumns
from testtime.table.columns.kinds.between import between_numbers
from testtime.table.columns.kinds.season import Season, find_seasons
from testtime.table.trial import Judge

SAID = "Beside the columns stands what lies between"
NAME = "after less before"


def table(n_rows: int = 400, gap: float = 4.0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Two readings of a patient, whether the second is lower, and by how much they differ."""
    rng = np.random.default_rng(0)
    before = rng.normal(130, 20, n_rows)
    moved = rng.normal(0, gap, n_rows)
    frame = pd.DataFrame({"before": before, "after": before + moved, "age": rng.integers(20, 80, n_rows)})
    return frame, np.where(moved < 0, "lower", "higher"), np.abs(moved)


def notes(model) -> list[str]:
    return [note for note in model.adaptation_.notes if note.startswith(SAID)]


class TestChoice:
    """With the weights that ship: whether it pays is a question to the model."""

    def test_classes(self, tmp_path):
        frame, y, _ = table(800)
        model = TTTClassifier(n_steps=0).fit(frame[:500], y[:500])
        (note,) = notes(model)
        assert f"'{NAME}'" in note
        assert model.score(frame[500:], y[500:]) > 0.95
        assert model._table.names[-1] == NAME
        (record,) = (one for one in model.adaptation_.columns if one["name"] == "after")
        assert record["parsed"] == "the difference from 'before' beside it"
        model.save(tmp_path / "model")
        again = load(tmp_path / "model")
        assert np.array_equal(again.predict_proba(frame[500:]), model.predict_proba(frame[500:]))
        missing = frame[500:503].assign(before=None)
        assert np.isfinite(again.predict_proba(missing)).all()

    def test_numbers(self, monkeypatch):
        frame, _, z = table(800)
        told = TTTRegressor(n_steps=0).fit(frame[:500], z[:500])
        assert notes(told)
        monkeypatch.setattr(
            reading, "choose_beside", lambda _, columns, levels, rows, judge: (columns, levels, rows, [])
        )
        plain = TTTRegressor(n_steps=0).fit(frame[:500], z[:500])
        errors = [np.sqrt(np.mean((model.predict(frame[500:]) - z[500:]) ** 2)) for model in (told, plain)]
        assert errors[0] < 0.3 * errors[1]

    def test_where_the_target_is_about_something_else(self):
        frame, _, _ = table()
        y = np.where(frame["age"] > 50, "old", "young")
        model = TTTClassifier(n_steps=0).fit(frame, y)
        assert not notes(model)
        assert model._table.names[:3] == ("before", "after", "age")
        assert NAME not in model._table.names

    @pytest.mark.parametrize("spread", [1.0, 10.0])
    def test_by_how_much_the_loss_must_fall(self, monkeypatch, spread):
        """By two standard errors and by a twentieth, whichever is more."""
        frame, y, _ = table(200)
        noise = np.random.default_rng(0).normal(size=200)
        noise = spread * (noise - noise.mean()) / noise.std(ddof=1)
        monkeypatch.setattr(reading, "choose_keys", lambda levels, rows, *_, **__: (levels, rows, ""))
        least = max(0.05 * 10.0, 2 * spread / np.sqrt(200))
        for share, taken in ((0.97, False), (1.03, True)):
            losses = iter([10.0 + noise, np.full(200, 10.0 - share * least)])
            monkeypatch.setattr(choose_beside.Trial, "run", lambda *_, losses=losses: [next(losses)])
            assert bool(notes(TTTClassifier(n_steps=0).fit(frame, y))) == taken

    def test_where_hardly_anything_is_left_to_gain(self, monkeypatch):
        frame, y, _ = table(200)
        monkeypatch.setattr(reading, "choose_keys", lambda levels, rows, *_, **__: (levels, rows, ""))
        for before, taken in ((0.009, False), (0.011, True)):
            losses = iter([np.full(200, before), np.zeros(200)])
            monkeypatch.setattr(choose_beside.Trial, "run", lambda *_, losses=losses: [next(losses)])
            assert bool(notes(TTTClassifier(n_steps=0).fit(frame, y))) == taken

    def test_codes_have_no_difference(self):
        frame, y, _ = table()
        rows = reading.encode_rows
        columns, _, encoded = rows(
            frame,
            np.unique(y, return_inverse=True)[1],
            _two_classes(),
            load_embedded(),
            np.random.SeedSequence(0),
        )
        (found,) = choose_beside._candidates(frame, columns, encoded)
        assert [output.name for output in found.outputs] == [NAME]
        assert list(choose_beside._candidates(frame, columns, replace(encoded, keys=((1,),)))) == []

    def test_few_rows_are_not_tried(self):
        for n_rows, taken in ((59, False), (120, True)):
            frame, _, z = table(n_rows)
            assert bool(notes(TTTRegressor(n_steps=0).fit(frame, z))) == taken

    def test_without_room_or_time_nothing_is_taken(self, monkeypatch):
        frame, y, _ = table()
        backbone = load_embedded()
        monkeypatch.setattr(backbone, "limits", replace(backbone.limits, features=3))
        assert not notes(TTTClassifier(n_steps=0).fit(frame, y))
        monkeypatch.undo()
        assert not _tried(frame, y, Budget(0.0))
        assert _tried(frame, y, Budget(None))


def _two_classes():
    from testtime.adapt.task import Classes

    return Classes(2)


def _tried(frame: pd.DataFrame, y: np.ndarray, budget: Budget) -> list[str]:
    import torch

    codes, task, seed = np.unique(y, return_inverse=True)[1], _two_classes(), np.random.SeedSequence(0)
    told = reading.encode_rows(frame, codes, task, load_embedded(), seed)
    judge = Judge(task, load_embedded(), torch.device("cpu"), seed, budget)
    return choose_beside.choose_beside(frame, *told, judge)[3]


class TestPairs:
    def test_up_to_eight_the_nearest_first(self):
        rng = np.random.default_rng(0)
        shared = rng.normal(size=500)
        values = {str(k): shared + 0.02 * (k + 1) * rng.normal(size=500) for k in range(12)}
        found = between_numbers(values)
        assert len(found) == 8
        assert {found[0].first, found[0].second} == {"0", "1"}

    @pytest.mark.parametrize(
        "other",
        [
            lambda a, rng: rng.permutation(a),
            lambda a, rng: 3 * a,
            lambda a, rng: a + 5,
            lambda a, rng: np.round(a / 100),
            lambda a, rng: np.full_like(a, np.nan),
        ],
        ids=["unrelated", "another unit", "a constant apart", "few values", "nothing"],
    )
    def test_what_is_no_pair(self, other):
        rng = np.random.default_rng(0)
        first = rng.normal(100, 30, 500)
        assert between_numbers({"a": first, "b": other(first, rng)}) == []

    @pytest.mark.parametrize(("width", "near"), [(0.45, True), (0.55, False)])
    def test_their_difference_is_less_than_half_as_wide(self, width: float, near: bool):
        first = np.arange(1000.0)
        other = first + width * np.random.default_rng(0).permutation(1000)
        assert bool(between_numbers({"a": first, "b": other})) == near

    @pytest.mark.parametrize(("n_values", "enough"), [(9, False), (10, True)])
    def test_they_have_ten_values_or_more(self, n_values: int, enough: bool):
        first = 10.0 * (np.arange(500) % n_values)
        assert bool(between_numbers({"a": first, "b": first + np.arange(500) % 7})) == enough

    @pytest.mark.filterwarnings("error")
    def test_the_largest_numbers(self):
        first = 1.7e308 * np.linspace(-1, 1, 500)
        second = first * (0.99 + 0.01 * np.sin(np.arange(500)))
        second[[0, -1]] = second[[-1, 0]]
        (pair,) = between_numbers({"a": first / 4, "b": second / 4})
        assert np.isfinite(pair.output({"a": first, "b": second}).values).all()

    def test_columns_that_do_not_vary_in_the_middle_are_in_none(self):
        rng = np.random.default_rng(0)
        mostly = np.where(rng.random(500) < 0.9, 0.0, rng.normal(size=500))
        assert between_numbers({"a": mostly, "b": mostly + 0.1 * rng.normal(size=500)}) == []


class TestSeasons:
    def table(self, n_rows: int = 500) -> tuple[pd.DataFrame, np.ndarray]:
        rng = np.random.default_rng(0)
        days = np.sort(rng.integers(0, 3 * 365, n_rows))
        season = np.cos(2 * np.pi * (days - 20) / 365.25)
        frame = pd.DataFrame(
            {"day": pd.Timestamp("2020-01-01") + pd.to_timedelta(days, "D"), "size": rng.normal(size=n_rows)}
        )
        order = rng.permutation(n_rows)
        return frame.iloc[order].reset_index(drop=True), (season + 0.1 * rng.normal(size=n_rows))[order]

    def test_they_stand_beside_the_columns_where_that_pays(self, tmp_path, monkeypatch):
        frame, y = self.table()
        cold = np.where(y > 0.6, "cold", "warm")
        model = TTTClassifier(n_steps=0).fit(frame[:300], cold[:300])
        (note,) = (note for note in model.adaptation_.notes if "time of the year" in note)
        assert note.startswith("Beside the columns stands the time of the year of 'day'; on other rows,")
        assert model._table.names[-2:] == ("day: time of the year, sine", "day: time of the year, cosine")
        model.save(tmp_path / "model")
        again = load(tmp_path / "model")
        assert np.array_equal(again.predict_proba(frame[300:]), model.predict_proba(frame[300:]))
        monkeypatch.setattr(choose_beside, "find_seasons", lambda days: [])
        plain = TTTClassifier(n_steps=0).fit(frame[:300], cold[:300])
        losses = [log_loss(cold[300:], one.predict_proba(frame[300:])) for one in (model, plain)]
        assert losses[0] < 0.9 * losses[1]

    def test_where_the_year_says_nothing(self):
        frame, _ = self.table()
        model = TTTClassifier(n_steps=0).fit(frame, np.where(frame["size"] > 0, "big", "small"))
        assert not any("time of the year" in name for name in model._table.names)

    @pytest.mark.parametrize(
        ("days", "found"),
        [
            (np.arange(0.0, 400.0), True),
            (np.arange(0.0, 250.0), False),
            (np.repeat(np.arange(0.0, 4000.0, 365.2425), 9), False),
            (np.full(50, np.nan), False),
            (np.append(np.arange(0.0, 100.0), [2.9e6, np.nan]), False),
        ],
        ids=["a year", "part of a year", "one day of each", "nothing", "an open end"],
    )
    def test_which_dates_have_one(self, days: np.ndarray, found: bool):
        assert bool(find_seasons({"d": days})) == found

    def test_of_many_dates_the_first_three_have_one(self):
        found = find_seasons({name: np.arange(0.0, 700.0) for name in "abcde"})
        assert [one.source for one in found] == ["a", "b", "c"]

    def test_the_end_of_a_year_lies_beside_its_begin(self):
        sine, cosine = Season(source="d").outputs(np.array([0.0, 365.0, 182.6, np.nan]))
        assert np.hypot(sine.values[0] - sine.values[1], cosine.values[0] - cosine.values[1]) < 0.01
        assert np.hypot(sine.values[0] - sine.values[2], cosine.values[0] - cosine.values[2]) > 1.99
        assert np.isnan(sine.values[3])

    @pytest.mark.parametrize("damage", [{"source": "size"}, {"source": "else"}, {"more": 1}, {"source": 1}])
    def test_damaged_ones_are_refused(self, damage: dict):
        frame, _ = self.table(50)
        columns = TableColumns().fit(frame).with_beside(seasons=[Season(source="day")])
        assert TableColumns.from_state(columns.to_state()).transform(frame).names[-1].endswith("cosine")
        state = columns.to_state()
        state["seasons"][0] |= damage
        with pytest.raises(InputError, match="saved columns are not valid"):
            TableColumns.from_state(state)
