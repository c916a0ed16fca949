"""Where a store may be: not in a saved model; and what is told where there is none."""

from __future__ import annotations

import os

import pytest

from tests.support.adapters import save
from tests.support.commands import run
from tests.support.grouped import grouped_table, quick
from testtime import AdapterStore, StoreError, adapt_groups


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture
def model(tmp_path):
    save(tmp_path / "model", 1)
    return tmp_path / "model"


def everything(folder):
    return {path: path.is_file() and path.read_bytes() for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("place", ["model", "model/store"])
def test_no_adapter_is_added_to_a_saved_model(tmp_path, model, place, capsys):
    (tmp_path / "link").symlink_to("model")
    before = everything(tmp_path)
    for store in (tmp_path / place, tmp_path / place.replace("model", "link")):
        code, out, err = run(capsys, "store", "add", store, "x", model)
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "would be written into the saved model" in err
        with pytest.raises(StoreError, match="expected a place outside of it"):
            AdapterStore(store).add("x", model)
        assert everything(tmp_path) == before


def test_no_groups_are_adapted_into_a_saved_model(tmp_path, model, monkeypatch):
    before = everything(tmp_path)
    monkeypatch.setattr("testtime.scale.groups.adapt.drawn_rows", None)  # it is refused before rows are read
    with pytest.raises(StoreError, match="would be written into the saved model"):
        adapt_groups(grouped_table({"a": 70, "b": 70}), target="y", by="shop", store=model, estimator=quick())
    assert everything(tmp_path) == before


def test_an_adapter_of_a_store_is_added_to_another_one(tmp_path, model):
    first, second = AdapterStore(tmp_path / "first"), AdapterStore(tmp_path / "second")
    sha256 = first.add("x", model).sha256
    assert second.add("y", tmp_path / "first" / "adapters" / sha256).sha256 == sha256
    with pytest.raises(StoreError, match="into the saved model"):
        AdapterStore(tmp_path / "first" / "adapters" / sha256).add("x", model)
    assert (first.verify(), second.verify()) == ((), ())


COMMANDS = [("list",), ("verify",), ("remove", "a"), ("rollback", "a")]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_folder_of_other_files_is_no_store(tmp_path, command, capsys):
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / ".DS_Store").touch()
    (tmp_path / "tables" / "t.csv").write_text("a,b\n1,2\n")
    before = everything(tmp_path)
    code, out, err = run(capsys, "store", command[0], tmp_path / "tables", *command[1:])
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "holds 't.csv' and nothing that a store has; expected a store" in err
    assert everything(tmp_path) == before


def test_a_server_does_not_start_on_other_files(tmp_path, capsys):
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    code, out, err = run(capsys, "serve", tmp_path, "--no-token")
    assert (code, out) == (2, "")
    assert "nothing that a store has" in err


def test_stores_without_adapters_and_with_other_files_beside_are_stores(tmp_path, model, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / ".DS_Store").touch()
    store = AdapterStore(tmp_path / "store")
    store.add("a", model)
    (tmp_path / "store" / "README.md").write_text("whose it is")
    assert run(capsys, "store", "verify", tmp_path / "store")[0] == 0
    store.remove("a")
    for where in ("empty", "store"):
        code, out, err = run(capsys, "store", "verify", tmp_path / where)
        assert (code, out, err) == (0, "0 adapters, every byte as it was written\n", "")


def test_other_files_behind_a_url_are_no_store(tmp_path, model, capsys):
    import fsspec

    system = fsspec.filesystem("memory")
    try:
        system.pipe_file("/elsewhere/t.csv", b"a,b\n")
        code, out, err = run(capsys, "store", "list", "memory://elsewhere")
        assert (code, out) == (2, "")
        assert "nothing that a store has" in err
        AdapterStore("memory://elsewhere").add("a", model)
        assert run(capsys, "store", "verify", "memory://elsewhere")[0] == 0
        assert run(capsys, "store", "list", "memory://nowhere")[0] == 0
    finally:
        system.rm("/elsewhere", recursive=True)
