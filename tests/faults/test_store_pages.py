"""A page for people beside an adapter: it goes with the adapter it describes, and a file of the user never goes."""

import os

import pytest

from tests.support.adapters import load, save, tree
from tests.support.commands import run
from testtime import AdapterStore
from testtime.errors import InputError, StoreError
from testtime.store import add_document, add_page, atomic, open_adapter
from testtime.store.lock import LOCK


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "adapter", 1)
    return tmp_path / "adapter"


def test_a_page_is_written_replaced_and_removed_with_its_adapter(folder):
    assert add_page(folder, "report", "one é") == folder / "report.html"
    add_page(folder, "report", "two")
    add_document(folder, "curves", {"n": 1})
    assert (folder / "report.html").read_text() == "two"
    assert load(folder)[2]["number"] == 1
    save(folder, 2, overwrite=True)
    assert not (folder / "report.html").exists()
    add_page(folder, "report", "three")
    assert (folder / "report.html").read_text() == "three"


def test_a_page_of_the_user_is_not_replaced_unless_asked(folder):
    (folder / "report.html").write_text("mine")
    before = tree(folder)
    with pytest.raises(StoreError, match=r"report.html' is a file that this adapter did not write"):
        add_page(folder, "report", "ours")
    assert tree(folder) == before
    add_page(folder, "report", "ours", overwrite=True)
    assert (folder / "report.html").read_text() == "ours"


def test_a_page_that_the_user_changed_is_his(folder):
    add_page(folder, "report", "ours")
    (folder / "report.html").write_text("mine")
    with pytest.raises(StoreError, match="did not write"):
        add_page(folder, "report", "again")
    save(folder, 2, overwrite=True)
    assert (folder / "report.html").read_text() == "mine"


def test_a_link_or_a_folder_in_the_place_of_a_page_is_refused(folder):
    (folder / "elsewhere").write_text("mine")
    (folder / "report.html").symlink_to("elsewhere")
    (folder / "notes.html").mkdir()
    for name in ("report", "notes"):
        with pytest.raises(StoreError, match=r"a (symbolic link|folder) that this adapter did not write"):
            add_page(folder, name, "ours", overwrite=True)
    assert (folder / "elsewhere").read_text() == "mine"


@pytest.mark.parametrize("function", ["_write_file", "_commit"])
def test_a_page_that_cannot_be_written_can_be_written_later(folder, monkeypatch, function):
    add_page(folder, "report", "one")

    def refuse(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(atomic, function, refuse)
    with pytest.raises(StoreError, match="No space left"):
        add_page(folder, "report", "two")
    monkeypatch.undo()
    add_page(folder, "report", "three")
    assert (folder / "report.html").read_text() == "three"


def test_a_page_that_stops_between_manifest_and_page_can_be_written_later(folder, monkeypatch):
    add_page(folder, "report", "one")
    replace = os.replace

    def stop(source, target):
        if os.path.basename(target) == "report.html":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        add_page(folder, "report", "two")
    monkeypatch.undo()
    assert not (folder / "report.html").exists(), "missing, and not one that the manifest describes wrongly"
    add_page(folder, "report", "three")
    assert (folder / "report.html").read_text() == "three"


def test_names_of_pages_and_documents_are_apart(folder):
    add_page(folder, "report", "page")
    for name in ("report", "tensors", "arrays", "../x", "", "x" * 41):
        with pytest.raises(InputError, match="name"):
            add_document(folder, name, {})
    with pytest.raises(InputError, match="document name"):
        add_page(folder, "a/b", "page")
    with open_adapter(folder) as saved:
        assert saved.document("report") is None
        assert saved.document("tensors") is None


def test_a_folder_without_an_adapter_gets_neither_a_page_nor_a_lock(tmp_path):
    (tmp_path / "site").mkdir()
    for add in (
        lambda: add_page(tmp_path / "site", "report", "x"),
        lambda: add_document(tmp_path / "site", "a", {}),
    ):
        with pytest.raises(StoreError, match="holds no saved adapter"):
            add()
    assert list((tmp_path / "site").iterdir()) == []


def test_an_adapter_of_a_store_is_never_changed(folder, tmp_path, capsys, monkeypatch):
    store = AdapterStore(tmp_path / "store")
    stored = tmp_path / "store" / "adapters" / store.add("a", folder).sha256
    before = tree(tmp_path / "store")
    (tmp_path / "link").symlink_to(stored)
    monkeypatch.chdir(stored)
    for place in (stored, tmp_path / "link", "."):
        for change in (
            lambda place: add_page(place, "report", "x"),
            lambda place: add_document(place, "curves", {}),
            lambda place: save(place, 2, overwrite=True),
        ):
            with pytest.raises(
                StoreError, match="is an adapter of a store; expected a folder that may be changed"
            ):
                change(place)
    for options in ((), ("--table", tmp_path / "nowhere.csv")):
        code, out, err = run(capsys, "report", stored, *options, "--overwrite")
        assert (code, out, err.count("\n")) == (2, "", 1)
        assert "Name the file to write with --out." in err
    assert tree(tmp_path / "store") == before
    assert store.verify() == ()
    assert not (stored / LOCK).exists()
