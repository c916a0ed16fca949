"""What a killed change leaves in a store is named, and goes on demand; what lies among the names is none."""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import shutil
import threading

import fsspec
import pytest

from tests.support.adapters import save
from tests.support.commands import run
from testtime import AdapterStore, StoreError
from testtime.store.lock import folder_lock


class Killed(BaseException):
    """In the place of a signal that ends the process."""


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(params=["folder", "url"])
def store(request, tmp_path):
    """A store in which "a" has one version, and "b" another adapter."""
    where = tmp_path / "store" if request.param == "folder" else "memory://unnamed"
    opened = AdapterStore(where)
    for number, name in enumerate("ab"):
        save(tmp_path / name, number)
        opened.add(name, tmp_path / name)
    yield opened
    if request.param == "url":
        fsspec.filesystem("memory").rm("/unnamed", recursive=True)


def killed_at(store, monkeypatch, step, change):
    """Do a change that ends before one of its steps on the files."""

    def die(*arguments, **options):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(store._files, *step(die))
        with pytest.raises(Killed):
            change()


def remove_killed(store, monkeypatch):
    remove = store._files.remove

    def first_alone(die):
        return "remove", lambda place: die() if place.startswith("adapters/") else remove(place)

    killed_at(store, monkeypatch, first_alone, lambda: store.remove("a"))


def test_what_a_killed_remove_leaves_is_named_and_deleted_as_advised(store, monkeypatch, capsys):
    gone = store.current("a")[1]
    remove_killed(store, monkeypatch)
    assert store.unnamed() == (gone,)
    code, out, err = run(capsys, "store", "verify", store.where)
    assert (code, out) == (2, f"adapters/{gone}: no name stands for it\n")
    assert "no name stands for 1 saved adapter" in err
    code, out, again = run(capsys, "store", "remove", store.where, "a")
    assert (code, out) == (2, "")
    assert "has no adapter 'a', and no name stands for 1 saved adapter" in again
    for said in (err, again):
        assert len(said.splitlines()) == 1
        command = shlex.split(said.strip().rstrip(".").split("with: ")[1])[1:]
        assert command == ["store", "verify", store.where, "--sweep"]
    code, out, _ = run(capsys, *command)
    assert code == 0
    assert out.splitlines()[0] == f"adapters/{gone}: deleted, since no name stood for it"
    assert store._files.names("adapters") == [store.current("b")[1]]
    assert run(capsys, "store", "verify", store.where)[0] == 0
    assert "no name stands" not in run(capsys, "store", "remove", store.where, "a")[2]


def test_what_a_killed_add_leaves_is_named_too(store, monkeypatch, tmp_path, capsys):
    save(tmp_path / "c", 7)
    killed_at(store, monkeypatch, lambda die: ("write", die), lambda: store.add("c", tmp_path / "c"))
    if "://" not in store.where:
        code, out, _ = run(capsys, "store", "verify", store.where, "--json")
        found = json.loads(out)
        assert (code, found["damaged"], len(found["unnamed"])) == (2, [], 1)
        assert store.sweep() == tuple(found["unnamed"])
    assert store.unnamed() == store.sweep() == ()
    assert store.verify() == ()
    assert store.names() == ("a", "b")


def test_without_being_asked_nothing_is_deleted(tmp_path, capsys):
    save(tmp_path / "a", 1)
    store = AdapterStore(tmp_path / "store")
    for name in ("a", "b"):
        store.add(name, tmp_path / "a")
    before = store.current("a")[1]
    shutil.rmtree(tmp_path / "store" / "names" / "a")  # as of a backup that was not copied back as a whole
    shutil.rmtree(tmp_path / "store" / "names" / "b")
    assert run(capsys, "store", "verify", store.where)[0] == 2
    store.add("c", tmp_path / "a")
    assert store.unnamed() == ()
    assert store.current("c")[1] == before


def _hold(where, said, go_on):
    with folder_lock(where):
        (where / "adapters" / ("c" * 64)).mkdir()
        said.set()
        go_on.wait(60)
        (where / "names" / "c").mkdir()
        (where / "names" / "c" / f"00000001-{'c' * 64}.json").touch()


def test_what_somebody_is_just_adding_is_neither_named_nor_deleted(tmp_path):
    save(tmp_path / "a", 1)
    store = AdapterStore(tmp_path / "store")
    store.add("a", tmp_path / "a")
    context = multiprocessing.get_context("spawn")
    said, go_on = context.Event(), context.Event()
    writer = context.Process(target=_hold, args=(tmp_path / "store", said, go_on))
    writer.start()
    try:
        assert said.wait(60)
        threading.Timer(0.3, go_on.set).start()
        assert store.sweep() == store.unnamed() == ()
    finally:
        go_on.set()
        writer.join()
    assert len(store._files.names("adapters")) == 2


def test_a_store_that_may_only_be_read_names_what_is_left(tmp_path, monkeypatch):
    save(tmp_path / "a", 1)
    store = AdapterStore(tmp_path / "store")
    gone = store.add("a", tmp_path / "a").sha256
    remove_killed(store, monkeypatch)

    def refuse():
        raise StoreError("it cannot be written.")

    monkeypatch.setattr(store._files, "writing", refuse)
    assert store.unnamed() == (gone,)
    with pytest.raises(StoreError, match="cannot be written"):
        store.sweep()


def test_what_lies_among_the_names_is_no_name(tmp_path, capsys):
    save(tmp_path / "a", 1)
    store = AdapterStore(tmp_path / "store")
    store.add("a", tmp_path / "a")
    (tmp_path / "store" / "names" / "empty").mkdir()
    (tmp_path / "store" / "names" / ".DS_Store").touch()
    (tmp_path / "store" / "names" / "notes.txt").touch()
    assert store.names() == tuple(one.name for one in store.list()) == ("a",)
    code, _, err = run(capsys, "store", "remove", store.where, "empty")
    assert code == 2
    assert "has no adapter 'empty'" in err
    assert "Did you mean 'empty'" not in err
    store.add("empty", tmp_path / "a")
    assert store.names() == ("a", "empty")
