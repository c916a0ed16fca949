"""Truncated, flipped, longer or missing files: a saved adapter is whole or refused."""

import os

import pytest

from tests.support.adapters import document, load, save, tree
from testtime.errors import StoreError
from testtime.store import add_document, reading


def test_every_truncation_is_refused(tmp_path):
    save(tmp_path / "adapter")
    tried = 0
    for name, data in tree(tmp_path / "adapter").items():
        path = tmp_path / "adapter" / name
        for length in reversed(range(len(data))):  # one byte less each time
            os.truncate(path, length)
            with pytest.raises(StoreError, match="damaged"):
                load(tmp_path / "adapter")
            tried += 1
        path.write_bytes(data)
    assert tried > 1000
    load(tmp_path / "adapter")


def test_a_flipped_bit_of_any_byte_is_refused(tmp_path):
    save(tmp_path / "adapter")
    accepted, tried = [], 0
    for name, data in tree(tmp_path / "adapter").items():
        path = tmp_path / "adapter" / name
        handle = os.open(path, os.O_WRONLY)
        for position in range(len(data)):
            os.pwrite(handle, bytes([data[position] ^ (1 << position % 8)]), position)
            try:
                load(tmp_path / "adapter")
                accepted.append((name, position))
            except StoreError:
                tried += 1
            os.pwrite(handle, data[position : position + 1], position)
        os.close(handle)
    assert accepted == []
    assert tried == sum(map(len, tree(tmp_path / "adapter").values()))


def read_all(folder):
    load(folder)
    document(folder, "curves")


def test_appended_bytes_and_missing_files_are_refused(tmp_path):
    save(tmp_path / "adapter")
    add_document(tmp_path / "adapter", "curves", {"n": [1, 2]})
    for name, data in tree(tmp_path / "adapter").items():
        path = tmp_path / "adapter" / name
        path.write_bytes(data + b"\n")
        with pytest.raises(StoreError, match="damaged"):
            read_all(tmp_path / "adapter")
        path.unlink()
        with pytest.raises(StoreError, match=r"is missing|holds no saved adapter"):
            read_all(tmp_path / "adapter")
        path.write_bytes(data)
    read_all(tmp_path / "adapter")


def test_manifests_that_are_no_manifest_are_refused(tmp_path, monkeypatch):
    save(tmp_path / "adapter")
    path = tmp_path / "adapter" / "manifest.json"
    for data in (b"", b"\xff\xfe", b"[" * 100_000, b"null", b"{}", b"9" * 10_000, b"[1e999]"):
        path.write_bytes(data)
        with pytest.raises(StoreError, match="damaged"):
            load(tmp_path / "adapter")
    monkeypatch.setattr(reading, "MAX_MANIFEST_BYTES", 10)
    path.write_bytes(b" " * 11)
    with pytest.raises(StoreError, match="11 bytes long"):
        load(tmp_path / "adapter")


@pytest.mark.parametrize("where", ["nothing", "file", "empty"])
def test_a_place_without_an_adapter_is_refused(tmp_path, where):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreError, match="holds no saved adapter"):
        load(tmp_path / where)
