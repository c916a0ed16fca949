"""Damage of a store: what is served is told from what is older, and what is advised ends it."""

from __future__ import annotations

import json
import os
import shlex
import shutil

import fsspec
import pytest

from tests.support.adapters import save
from tests.support.commands import run
from tests.support.tables import linear_table
from testtime import AdapterStore, StoreError, TTTClassifier


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def store(tmp_path):
    """A store in which "a" has three versions, which "b" shares the last of."""
    opened = AdapterStore(tmp_path / "store")
    for number in (1, 2, 3):
        save(tmp_path / f"adapter-{number}", number)
        opened.add("a", tmp_path / f"adapter-{number}")
    opened.share("b", "a")
    return opened


def damage(store: AdapterStore, name: str, number: int) -> None:
    folder = f"{store.where}/adapters/{store.versions(name)[number - 1].sha256}"
    for file in os.listdir(folder):
        if file.startswith("tensors"):
            os.truncate(f"{folder}/{file}", 3)


def advised(err: str, store: AdapterStore) -> list[list[str]]:
    """Commands of a message, as arguments."""
    said = err.strip().rstrip(".").split("with: ")[1:]
    words = [shlex.split(one.split(". ")[0])[1:] for one in said]
    assert all(store.where in one for one in words)
    return words


def test_another_adapter_in_the_place_of_one_is_not_loaded(tiny_embedded, tmp_path):
    store, (frame, y) = AdapterStore(tmp_path / "store"), linear_table(60)
    for name, labels in {"a": y, "b": 1 - y}.items():
        store.add(name, TTTClassifier(n_steps=0, n_members=1).fit(frame, labels))
    places = [tmp_path / "store" / "adapters" / store.current(name)[1] for name in "ab"]
    shutil.rmtree(places[0])
    shutil.copytree(places[1], places[0])
    for version in (None, 1):
        with pytest.raises(StoreError, match="another adapter was put in its place"):
            store.load("a", version)
    assert store.load("b").predict(frame).shape == (60,)
    [found] = store.verify()
    assert (found.name, found.reason, found.served) == ("a", "another adapter was put in its place.", True)


def test_an_older_damaged_version_is_forgotten_as_advised_and_the_sound_ones_stay(store, capsys):
    damage(store, "a", 1)
    code, out, err = run(capsys, "store", "verify", store.where)
    assert code == 2
    assert "a, version 1 (older): " in out
    assert "1 version is damaged" in err
    assert "0 served, 1 older" in err
    [command] = advised(err, store)
    assert run(capsys, *command)[:2] == (0, "version 1 of a is removed\n")
    assert run(capsys, "store", "verify", store.where)[0] == 0
    assert [one.number for one in store.versions("a")] == [2, 3]
    assert store.rollback("a").restores == 2
    assert len(os.listdir(f"{store.where}/adapters")) == 2


def test_a_served_damaged_version_is_replaced_as_advised(store, tmp_path, capsys):
    damage(store, "a", 3)
    code, _, err = run(capsys, "store", "verify", store.where, "--json")
    assert code == 2
    assert "2 served, 0 older" in err
    assert "--to 2" in err
    [command] = advised(err, store)
    assert run(capsys, *command)[0] == 0
    code, out, err = run(capsys, "store", "verify", store.where, "--json")
    found = [(one["name"], one["number"], one["served"]) for one in json.loads(out)["damaged"]]
    assert found == [("a", 3, False), ("b", 1, True)]
    assert "Adapt 'b' again, or add it with: testtime store add" in err
    store.add("b", tmp_path / "adapter-1")
    for name, number in (("a", 3), ("b", 1)):
        assert run(capsys, "store", "remove", store.where, name, "--version", number)[0] == 0
    assert run(capsys, "store", "verify", store.where)[0] == 0
    assert [(one.number, one.restores) for one in store.versions("a")] == [(1, None), (2, None), (4, 2)]


def test_a_version_that_is_served_or_unknown_is_not_removed(store, capsys):
    before = store.versions("a")
    code, out, err = run(capsys, "store", "remove", store.where, "a", "--version", 3)
    assert (code, out) == (2, "")
    assert "version 3 of 'a' is the one that is served; expected an older one" in err
    with pytest.raises(StoreError, match="'a' has no version 7; expected one of 1, 2, 3"):
        store.remove("a", 7)
    assert store.versions("a") == before
    store.rollback("a", 1)
    store.remove("a", 1)
    assert store.verify() == (), "what version 4 serves again is still there"


def test_a_version_behind_a_url_is_removed(tmp_path):
    store = AdapterStore("memory://damaged")
    try:
        for number in (1, 2):
            save(tmp_path / f"adapter-{number}", number)
            store.add("a", tmp_path / f"adapter-{number}")
        store.remove("a", 1)
        assert [one.number for one in store.versions("a")] == [2]
        assert store.verify() == ()
        assert store._files.names("adapters") == [store.current("a")[1]]
    finally:
        fsspec.filesystem("memory").rm("/damaged", recursive=True)


def test_a_name_of_dashes_can_be_typed_as_advised(tmp_path, capsys):
    store = AdapterStore(tmp_path / "my store")
    for number in (1, 2):
        save(tmp_path / f"adapter-{number}", number)
        store.add("-x", tmp_path / f"adapter-{number}")
    damage(store, "-x", 1)
    [command] = advised(run(capsys, "store", "verify", store.where)[2], store)
    assert run(capsys, *command)[0] == 0
    assert store.verify() == ()


@pytest.mark.parametrize("asked", ["remove", "rollback"])
def test_nothing_is_made_where_there_is_no_store(asked, tmp_path, capsys):
    code, out, err = run(capsys, "store", asked, tmp_path / "nowhere", "a")
    assert (code, out) == (2, "")
    assert "there is no folder" in err
    store = AdapterStore(tmp_path / "nowhere")
    for change in (store.remove, store.rollback, lambda name: store.share("b", name)):
        with pytest.raises(StoreError, match="has no adapter 'a'"):
            change("a")
    assert list(tmp_path.iterdir()) == []
