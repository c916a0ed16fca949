"""Parts of text are taken where they pay: on other rows, column by column, within the room and the time there is."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from testtime import TTTClassifier, TTTRegressor, load
from testtime.adapt.budget import Budget
from testtime.adapt.task import Classes
from testtime.backbones.embedded import load_embedded
from testtime.table import choose_beside, reading
from testtime.table.trial import Judge

COLORS = {"RED": 3.0, "BLUE": -3.0, "GREEN": 1.0, "GREY": 0.0}


def table(n_rows: int = 500) -> tuple[pd.DataFrame, np.ndarray]:
    """Goods whose price is by their colour, which stands in a code that occurs once, and titles that say nothing."""
    rng = np.random.default_rng(0)
    color = rng.choice(list(COLORS), n_rows)
    frame = pd.DataFrame(
        {
            "sku": [f"{rng.choice(['SHIRT', 'HAT'])}-{one}-{rng.integers(10_000_000)}" for one in color],
            "title": [
                " ".join(rng.choice(["fine", "new", "best", "cheap"], 1 + k % 4)) + f" {k}"
                for k in range(n_rows)
            ],
            "size": rng.normal(size=n_rows),
        }
    )
    return frame, np.array([COLORS[one] for one in color]) + frame["size"] + 0.3 * rng.normal(size=n_rows)


def notes(model) -> list[str]:
    return [note for note in model.adaptation_.notes if note.startswith("Beside the columns stands what ")]


@pytest.fixture(autouse=True)
def _without_keys(monkeypatch):
    monkeypatch.setattr(reading, "choose_keys", lambda levels, rows, *_, **__: (levels, rows, ""))


def test_numbers(tmp_path, monkeypatch):
    frame, y = table(800)
    rows, later = slice(500), slice(500, None)
    model = TTTRegressor(n_steps=0).fit(frame[rows], y[rows])
    (note,) = notes(model)
    assert note.startswith("Beside the columns stands what parts of 'sku' say; on other rows,")
    assert "title" not in note
    error = np.sqrt(np.mean((model.predict(frame[later]) - y[later]) ** 2))
    assert error < 0.6
    model.save(tmp_path / "model")
    assert np.array_equal(load(tmp_path / "model").predict(frame[later]), model.predict(frame[later]))
    unknown = frame[later].assign(sku=None)
    assert np.isfinite(model.predict(unknown)).all()
    monkeypatch.setattr(
        reading, "choose_beside", lambda _, columns, levels, rows, judge: (columns, levels, rows, [])
    )
    plain = TTTRegressor(n_steps=0).fit(frame[rows], y[rows])
    assert np.sqrt(np.mean((plain.predict(frame[later]) - y[later]) ** 2)) > 3 * error


def test_classes():
    frame, y = table(800)
    kind = np.where(y > 0, "dear", "cheap")
    model = TTTClassifier(n_steps=0).fit(frame[:500], kind[:500])
    assert notes(model)
    assert model.score(frame[500:], kind[500:]) > 0.9


def test_text_that_says_nothing_is_left_out():
    frame, _ = table()
    y = np.where(frame["size"] > 0, "big", "small")
    model = TTTClassifier(n_steps=0).fit(frame, y)
    assert not notes(model)
    assert model._table.names == ("size",)


@pytest.mark.parametrize("spread", [1.0, 10.0])
def test_by_how_much_the_loss_must_fall(monkeypatch, spread):
    frame, y = table(200)
    noise = np.random.default_rng(0).normal(size=200)
    noise = spread * (noise - noise.mean()) / noise.std(ddof=1)
    least = max(0.05 * 10.0, 2 * spread / np.sqrt(200))
    for share, taken in ((0.97, False), (1.03, True)):
        losses = iter([10.0 + noise, np.full(200, 10.0 - share * least), np.full(200, 20.0)])
        monkeypatch.setattr(choose_beside.Trial, "run", lambda *_, losses=losses: [next(losses)])
        kind = np.where(y > 0, "dear", "cheap")
        assert bool(notes(TTTClassifier(n_steps=0).fit(frame, kind))) == taken


def test_where_hardly_anything_is_left_to_gain(monkeypatch):
    frame, y = table(200)
    for before, taken in ((0.009, False), (0.011, True)):
        losses = iter([np.full(200, before), np.zeros(200), np.zeros(200)])
        monkeypatch.setattr(choose_beside.Trial, "run", lambda *_, losses=losses: [next(losses)])
        kind = np.where(y > 0, "dear", "cheap")
        assert bool(notes(TTTClassifier(n_steps=0).fit(frame, kind))) == taken


def test_few_rows_are_not_tried(monkeypatch):
    asked = []
    monkeypatch.setattr(choose_beside.Trial, "of", lambda *given: asked.append(given) or given[0])
    for n_rows in (59, 60):
        frame, y = table(n_rows)
        with contextlib.suppress(AttributeError):  # what was returned is no trial
            TTTClassifier(n_steps=0).fit(frame, np.where(y > 0, "dear", "cheap"))
    assert len(asked) == 1


def test_without_room_nothing_is_taken(monkeypatch):
    frame, y = table()
    backbone = load_embedded()
    monkeypatch.setattr(backbone, "limits", replace(backbone.limits, features=3))
    assert not notes(TTTClassifier(n_steps=0).fit(frame, np.where(y > 0, "dear", "cheap")))
    monkeypatch.undo()


def test_up_to_four_columns_are_tried(monkeypatch):
    frame, y = table(200)
    more = pd.concat({f"sku{k}": frame["sku"] for k in range(6)}, axis=1)
    ran = []
    run = choose_beside.Trial.run
    monkeypatch.setattr(choose_beside.Trial, "run", lambda *given: ran.append(1) or run(*given))
    TTTClassifier(n_steps=0).fit(more.assign(size=frame["size"]), np.where(y > 0, "dear", "cheap"))
    assert len(ran) == 5


def test_what_is_not_taken_leaves_the_rows_as_they_were():
    frame, _ = table()
    y = np.where(frame["size"] > 0, 1, 0)
    task, seed = Classes(2), np.random.SeedSequence(0)
    columns, levels, rows = reading.encode_rows(frame, y, task, load_embedded(), seed)
    judge = Judge(task, load_embedded(), torch.device("cpu"), seed, Budget(None))
    assert columns.parts_in(frame)
    assert choose_beside.choose_beside(frame, columns, levels, rows, judge) == (columns, levels, rows, [])


def test_once_a_tenth_of_the_time_is_spent_nothing_more_is_tried(monkeypatch):
    frame, y = table(200)
    spent, ran = iter([0.0, 0.0, 99.0]), []
    task, seed = Classes(2), np.random.SeedSequence(0)
    told = reading.encode_rows(frame, (y > 0).astype(int), task, load_embedded(), seed)
    budget = Budget(100.0)
    monkeypatch.setattr(budget, "left", lambda: 100.0)
    monkeypatch.setattr(budget, "spent", lambda: next(spent, 99.0))
    monkeypatch.setattr(choose_beside.Trial, "run", lambda *_: ran.append(1) or [np.ones(200)])
    judge = Judge(task, load_embedded(), torch.device("cpu"), seed, budget)
    assert choose_beside.choose_beside(frame, *told, judge)[3] == []
    assert len(ran) == 2


def test_parts_stand_instead_of_categories_that_mislead(tmp_path):
    rng = np.random.default_rng(2)
    a, b, c = (rng.integers(0, high, 600) for high in (4, 15, 12))
    cells = [
        f"v{i}.{j}.{k}{'-beta' if n % 3 == 0 else ''}"
        for n, (i, j, k) in enumerate(zip(a, b, c, strict=True))
    ]
    z = (15 * a + b - 29.5) / 17
    X = pd.DataFrame({"version": cells, "x": rng.normal(size=600)})
    y = 3 * np.sin(1.3 * z) + X["x"].to_numpy() + 0.3 * rng.normal(size=600)
    model = TTTRegressor(n_steps=0, random_state=0).fit(X[:400], y[:400])
    assert any(
        note.startswith("Instead of 'version' stands what parts of") for note in model.adaptation_.notes
    )
    (record,) = (one for one in model.adaptation_.columns if one["name"] == "version")
    assert record["parsed"] == "4 columns of parts; as a whole it is left out: they say as much"
    assert (
        np.sqrt(np.mean((model.predict(X[400:]) - y[400:]) ** 2)) < 0.4
    )  # .6 with the categories, .3 is the noise
    model.save(tmp_path / "model")
    new = X[400:].assign(version=[None, *X["version"][401:]])
    np.testing.assert_array_equal(load(tmp_path / "model").predict(new), model.predict(new))
