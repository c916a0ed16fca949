"""A store of adapters: names, versions, roll back, removal, the same in a folder and behind a URL."""

from __future__ import annotations

import json
import os

import fsspec
import numpy as np
import pytest

from tests.support.adapters import load as load_raw
from tests.support.adapters import save
from tests.support.commands import run
from tests.support.tables import linear_table
from testtime import AdapterStore, InputError, StoreError, TTTClassifier
from testtime.cli.grouping import group_lines
from testtime.scale.groups.outcomes import AdaptedGroups, GroupOutcome, Outcome
from testtime.store import files


@pytest.fixture(params=["folder", "url"])
def store(request, tmp_path):
    if request.param == "folder":
        yield AdapterStore(tmp_path / "store")
        return
    yield AdapterStore("memory://store")
    fsspec.filesystem("memory").rm("/store", recursive=True)


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def saved(tmp_path):
    """Return a function that saves small adapters that differ by a number, and returns their folder."""

    def make(number: int):
        folder = tmp_path / f"adapter-{number}"
        if not folder.exists():
            save(folder, number)
        return folder

    return make


def number_of(store: AdapterStore, name: str, version: int | None = None) -> int:
    with store.folder(name, version) as folder:
        return load_raw(folder)[2]["number"]


def test_the_last_that_was_added_is_served_and_the_others_are_kept(store, saved):
    for number in (1, 2, 3):
        assert store.add("a", saved(number)).number == number
    store.add("b", saved(9))
    assert [(one.name, one.number) for one in store.list()] == [("a", 3), ("b", 1)]
    assert store.names() == ("a", "b")
    assert number_of(store, "a") == 3
    assert number_of(store, "a", 1) == 1
    assert [one.number for one in store.versions("a")] == [1, 2, 3]
    size = sum(path.stat().st_size for path in saved(3).iterdir())
    assert store.versions("a")[-1].n_bytes == size


def test_going_back_twice_goes_back_two_versions_and_forgets_nothing(store, saved):
    for number in (1, 2, 3):
        store.add("a", saved(number))
    assert store.rollback("a").restores == 2
    assert number_of(store, "a") == 2
    assert store.rollback("a").restores == 1
    assert number_of(store, "a") == 1
    with pytest.raises(StoreError, match="no version of 'a' before"):
        store.rollback("a")
    assert store.rollback("a", 4).restores == 2  # what a roll back restored can be named by its own number
    assert store.rollback("a", 3).number == 7
    assert number_of(store, "a") == 3
    with pytest.raises(StoreError, match="'a' has no version 12; expected one of 1, 2"):
        store.rollback("a", 12)


def test_names_that_share_an_adapter_share_its_bytes_until_the_last_is_removed(store, saved):
    store.add("a", saved(1))
    store.share("b", "a", job="small")
    assert store.versions("b")[-1].job == "small"
    store.remove("a")
    assert store.names() == ("b",)
    assert number_of(store, "b") == 1
    store.remove("b")
    assert store.names() == ()
    assert store._files.names("adapters") == []
    with pytest.raises(StoreError, match="has no adapter 'b'"):
        store.remove("b")


@pytest.mark.parametrize(
    "name", ["north/7", "..", ".hidden", "Zürich 50%", "a:predict", "x" * 200, "0", "CON?"]
)
def test_any_text_is_a_name(store, saved, name):
    store.add(name, saved(1))
    assert store.names() == (name,)
    assert number_of(store, name) == 1


@pytest.mark.parametrize("name", ["", "x" * 201, "ü" * 40, None, 3, "\ud800"])
def test_other_names_are_refused_before_anything_is_written(tmp_path, saved, name):
    with pytest.raises(InputError, match="adapter name"):
        AdapterStore(tmp_path / "store").add(name, saved(1))
    assert not (tmp_path / "store").exists()


def test_a_name_that_is_not_there_is_answered_with_the_nearest(store, saved):
    with pytest.raises(StoreError, match="Add one with"):
        store.current("north")
    store.add("north", saved(1))
    with pytest.raises(StoreError, match=r"no adapter 'nort'\. Did you mean 'north'"):
        store.current("nort")


@pytest.mark.parametrize(
    "change", [lambda b: b[:-1], lambda b: b[:40] + bytes([b[40] ^ 1]) + b[41:], lambda b: b""]
)
def test_a_changed_byte_is_found_and_the_others_are_whole(tmp_path, saved, change):
    store = AdapterStore(tmp_path / "store")
    for number in (1, 2):
        store.add("a", saved(number))
    store.add("b", saved(3))
    [payload] = (tmp_path / "store" / "adapters" / store.current("a")[1]).glob("tensors*")
    payload.write_bytes(change(payload.read_bytes()))
    [damage] = store.verify()
    assert (damage.name, damage.number) == ("a", 2)
    assert "damaged" in damage.reason
    with pytest.raises(StoreError, match="cannot be served"):
        store.rollback("a", 2)
    store.add("a", saved(2))  # the same bytes again mend it
    assert store.verify() == ()


def test_an_entry_that_was_changed_and_an_adapter_put_in_the_place_of_another_are_found(tmp_path, saved):
    store = AdapterStore(tmp_path / "store")
    for number, name in enumerate("abc"):
        store.add(name, saved(number))
    entries = {name: next((tmp_path / "store" / "names" / name).iterdir()) for name in "ab"}
    entries["a"].write_bytes(entries["b"].read_bytes())
    entries["b"].write_text("{")
    hashes = [store.current(name)[1] for name in "bc"]
    folders = [tmp_path / "store" / "adapters" / sha256 for sha256 in hashes]
    for path in folders[1].iterdir():
        path.unlink()
    for path in folders[0].iterdir():
        (folders[1] / path.name).write_bytes(path.read_bytes())
    reasons = {damage.name: damage.reason for damage in store.verify()}
    assert "names another adapter" in reasons["a"]
    assert "damaged" in reasons["b"]
    assert "another adapter was put" in reasons["c"]


def test_a_fitted_estimator_comes_back_as_it_was(tiny_embedded, tmp_path):
    frame, y = linear_table(60)
    fitted = TTTClassifier(n_steps=1, n_members=1).fit(frame, y)
    store = AdapterStore(tmp_path / "store")
    store.add("a", fitted)
    assert np.array_equal(store.load("a").predict_proba(frame), fitted.predict_proba(frame))
    with pytest.raises(InputError, match="model=int; expected"):
        store.add("a", 3)


def test_an_unknown_protocol_is_a_sentence():
    with pytest.raises(InputError, match="'nowhere://x' cannot be opened"):
        AdapterStore("nowhere://x")


def test_the_command(tmp_path, saved, capsys):
    store = tmp_path / "store"
    for number in (1, 2):
        assert run(capsys, "store", "add", store, "a", saved(number))[0] == 0
    code, out, _ = run(capsys, "store", "rollback", store, "a", "--json")
    assert (code, json.loads(out)["restores"]) == (0, 1)
    code, out, _ = run(capsys, "store", "list", store, "--json")
    assert [one["number"] for one in json.loads(out)["adapters"]] == [3]
    code, out, _ = run(capsys, "store", "list", store, "--name", "a")
    assert "restores 1" in out
    assert "3 versions" in out
    assert run(capsys, "store", "verify", store)[1].startswith("1 adapters, every byte")
    next((store / "adapters").rglob("tensors*")).write_bytes(b"")
    code, out, err = run(capsys, "store", "verify", store)
    assert code == 2
    assert "instead of" in out
    assert "damaged in" in err
    assert run(capsys, "store", "remove", store, "a")[0] == 0
    code, _, err = run(capsys, "store", "remove", store, "a")
    assert code == 2
    assert "has no adapter 'a'" in err


def test_a_name_of_two_lines_takes_one_line_of_a_table(tmp_path, saved, capsys):
    store, name = tmp_path / "store", "new\nline\x1b[2J"
    said = [run(capsys, "store", "add", store, name, saved(number))[1] for number in (1, 2)]
    asked = (("list", store), ("rollback", store, name), ("remove", store, name))
    said += [run(capsys, "store", *words)[1] for words in asked]
    assert "\x1b" not in "".join(said)
    assert all(r"new\nline\x1b[2J" in out for out in said)
    assert [len(out.splitlines()) for out in said] == [1, 1, 3, 1, 1]
    outcome = GroupOutcome(name, Outcome.FAILED, "no")
    groups = AdaptedGroups(str(store), (outcome,), 0, 1.0)
    assert len(group_lines(groups).splitlines()) == 2
    assert "\n" not in groups.explain()


@pytest.mark.parametrize("asked", ["list", "verify"])
def test_a_store_that_is_not_there_is_no_empty_store(asked, tmp_path, capsys):
    code, out, err = run(capsys, "store", asked, tmp_path / "mistyped")
    assert (code, out) == (2, "")
    assert "there is no folder" in err
    assert not (tmp_path / "mistyped").exists()
    (tmp_path / "empty").mkdir()
    assert run(capsys, "store", asked, tmp_path / "empty")[0] == 0


def test_a_damaged_entry_hides_neither_its_history_nor_other_adapters(tmp_path, saved, capsys):
    store = AdapterStore(tmp_path / "store")
    versions = [store.add("a", saved(number)) for number in (1, 2)]
    store.add("other", saved(1))
    next((tmp_path / "store" / "names" / "a").glob("00000002-*")).write_bytes(b"{")
    assert [(one.name, one.number) for one in store.list()] == [("a", 2), ("other", 1)]
    assert store.list()[0].added == ""
    assert store.current("a") == (2, versions[1].sha256)
    assert "damaged entry" in run(capsys, "store", "list", tmp_path / "store")[1]
    [damage] = store.verify()
    assert (damage.name, damage.number) == ("a", 2)
    assert "it is no entry of a store" in damage.reason
    restored = store.rollback("a")
    assert (restored.number, restored.restores, restored.sha256) == (3, 1, versions[0].sha256)
    assert [one.number for one in store.versions("a")] == [1, 2, 3]


def test_a_store_that_cannot_write_an_entry_keeps_nothing_of_it(tmp_path, saved, monkeypatch):
    store = AdapterStore(tmp_path / "store")
    store.add("old", saved(1))

    def full(target, write):
        raise StoreError("the disk is full")

    monkeypatch.setattr(files, "replace_file", full)
    for name, number in (("new", 2), ("old", 2), ("again", 1)):
        with pytest.raises(StoreError, match="full"):
            store.add(name, saved(number))
    assert store.names() == ("old",)
    assert [path.name for path in (tmp_path / "store" / "adapters").iterdir()] == [store.current("old")[1]]
    monkeypatch.undo()
    assert store.verify() == ()
    assert store.add("new", saved(2)).number == 1


@pytest.mark.parametrize("asked", [("store", "list"), ("store", "verify"), ("serve", "--no-token")])
def test_a_saved_model_is_no_store(asked, saved, capsys):
    code, _, err = run(capsys, asked[0], *asked[1:], saved(1))
    assert code == 2
    assert "is a saved model; expected a store of models" in err


def test_a_working_folder_that_is_gone_is_said(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    code, _, err = run(capsys, "store", "list", "store")
    monkeypatch.chdir(tmp_path)
    assert code == 2
    assert "the working folder is not there any more" in err


def test_a_long_job_is_refused_before_anything_is_written(tmp_path):
    save(tmp_path / "adapter", 1)
    store = AdapterStore(tmp_path / "store")
    with pytest.raises(InputError, match="expected a text of at most 200 characters"):
        store.add("a", tmp_path / "adapter", job="x" * 201)
    assert not list((tmp_path / "store").rglob("*.json"))
    store.add("a", tmp_path / "adapter", job="x" * 200)
    with pytest.raises(InputError, match="at most 200"):
        store.share("b", "a", job="x" * 201)
