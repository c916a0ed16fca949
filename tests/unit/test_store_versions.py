"""Adapters of format version 1 are read; they are overwritten whole, and otherwise left as they are."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.support.adapters import BASE, content, document, load, save, tree
from testtime.errors import StoreError
from testtime.store import add_document, add_page, open_adapter

VERSION_1 = Path(__file__).parents[1] / "data" / "adapter_version_1"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(VERSION_1, tmp_path / "adapter"))


def test_version_1_is_read_exactly():
    tensors, meta, arrays = content(7)
    found = load(VERSION_1)
    for given, read in ((tensors, found[0]), (arrays, found[1])):
        assert set(given) == set(read)
        for name in set(given) - {"levels"}:
            assert np.array_equal(read[name], given[name])
    assert repr(found[1]["levels"].tolist()) == repr(arrays["levels"].tolist())
    assert found[2] == meta
    assert repr(document(VERSION_1, "curves")) == "{'n': [16], 'loss': nan}"
    with open_adapter(VERSION_1) as saved:
        assert (saved.format_version, saved.base_fingerprint) == (1, BASE)
        assert "python" in saved.versions


def test_what_is_written_is_version_2(tmp_path):
    save(tmp_path / "adapter")
    with open_adapter(tmp_path / "adapter") as saved:
        assert saved.format_version == 2


def test_version_1_is_not_changed(folder):
    before = tree(folder)
    for add in (lambda: add_document(folder, "more", {}), lambda: add_page(folder, "report", "page")):
        with pytest.raises(StoreError, match=r"format version 1.*read and not changed"):
            add()
    assert tree(folder) == before


def test_version_1_is_overwritten_whole(folder):
    (folder / "notes.txt").write_text("mine")
    save(folder, 8, overwrite=True)
    assert load(folder)[2]["number"] == 8
    assert len(tree(folder)) == 4  # manifest, two payloads, and the file that is not ours
