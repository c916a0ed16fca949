"""A full disk, a failing rename or an interrupt leaves what was there."""

import errno
import os

import pytest

from tests.support.adapters import document, load, save, tree
from testtime.errors import InputError, StoreError
from testtime.store import add_document, atomic


def failing(calls_before, original, error):
    calls = iter(range(10**6))

    def call(*args, **kwargs):
        if next(calls) >= calls_before:
            raise error
        return original(*args, **kwargs)

    return call


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("function", "successes"), [("_write_file", 0), ("_write_file", 1), ("_write_file", 2), ("_commit", 0)]
)
@pytest.mark.parametrize("error", [NO_SPACE, KeyboardInterrupt()])
@pytest.mark.parametrize("version", ["new", "over"])
def test_a_failing_write_leaves_what_was_there(tmp_path, monkeypatch, function, successes, error, version):
    target = tmp_path / "parent" / "adapter"
    if version == "over":
        save(target, 1)
    before = tree(tmp_path)
    monkeypatch.setattr(atomic, function, failing(successes, getattr(atomic, function), error))
    said = "could not be written: No space left on device" if error is NO_SPACE else None
    with pytest.raises((StoreError, KeyboardInterrupt), match=said):
        save(target, 2, overwrite=True)
    assert tree(tmp_path) == before
    assert (tmp_path / "parent").exists() == bool(before)
    monkeypatch.undo()
    save(target, 2, overwrite=True)
    assert load(target)[2]["number"] == 2


def test_a_file_system_that_cannot_flush_folders_is_enough(tmp_path, monkeypatch):
    flush = os.fsync

    def refuse(handle):
        if os.path.isdir(f"/proc/self/fd/{handle}"):
            raise OSError(errno.EINVAL, "Invalid argument")
        flush(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    save(tmp_path / "adapter", 1)
    save(tmp_path / "adapter", 2, overwrite=True)
    assert load(tmp_path / "adapter")[2]["number"] == 2


def test_a_single_file_is_replaced_whole(tmp_path, monkeypatch):
    target = tmp_path / "table.csv"
    atomic.replace_file(target, lambda path: path.write_text("old"))

    def stop(path):
        path.write_text("half")
        raise NO_SPACE

    with pytest.raises(StoreError, match=r"table.csv' could not be written: No space left"):
        atomic.replace_file(target, stop)
    assert tree(tmp_path) == {"table.csv": b"old"}
    with pytest.raises(StoreError, match=r"missing.*could not be written: No such file"):
        atomic.replace_file(tmp_path / "missing" / "table.csv", lambda path: path.write_text("new"))


def test_a_document_is_covered_and_replaced(tmp_path, monkeypatch):
    save(tmp_path / "adapter")
    assert document(tmp_path / "adapter", "curves") is None
    add_document(tmp_path / "adapter", "curves", {"n": [16, 32], "loss": float("nan")})
    add_document(tmp_path / "adapter", "curves", {"n": [64], "loss": None})
    assert document(tmp_path / "adapter", "curves") == {"n": [64], "loss": None}
    assert len(tree(tmp_path / "adapter")) == 4
    before = tree(tmp_path)
    monkeypatch.setattr(atomic, "_write_file", failing(1, atomic._write_file, NO_SPACE))
    with pytest.raises(StoreError, match="No space left"):
        add_document(tmp_path / "adapter", "curves", {"n": [128]})
    assert tree(tmp_path) == before
    for name in ("../x", "X", "", "a.b"):
        with pytest.raises(InputError, match="document name"):
            add_document(tmp_path / "adapter", name, {})
