"""Two saves into one folder, forced to overlap, and loads beside a save: always one whole adapter."""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest

from tests.support.adapters import load, save
from testtime.errors import StoreError
from testtime.store import add_document, atomic, lock, open_adapter


class Overlap:
    """Runs `second` when the first save is about to take its last step, and goes on when it is done or waits."""

    def __init__(self, monkeypatch, second, patience=1.0):
        self.original, self.patience = atomic._commit, patience
        self.errors = []
        self.thread = threading.Thread(target=self.run, args=(second,))
        self.first = threading.get_ident()
        monkeypatch.setattr(atomic, "_commit", self.commit)

    def run(self, second):
        try:
            second()
        except StoreError as error:
            self.errors.append(error)

    def commit(self, source, target):
        if threading.get_ident() == self.first and self.thread.ident is None:
            self.thread.start()
            self.thread.join(self.patience)
        self.original(source, target)


def test_a_save_that_finishes_between_payload_and_manifest_of_another_one(tmp_path, monkeypatch):
    folder = tmp_path / "adapter"
    save(folder, 0)
    overlap = Overlap(monkeypatch, lambda: save(folder, 2, overwrite=True))
    save(folder, 1, overwrite=True)
    overlap.thread.join(30)
    assert overlap.errors == []
    assert load(folder)[2]["number"] == 2, "the second save waits, so it is the last"


def test_a_document_that_is_added_while_another_save_finishes(tmp_path, monkeypatch):
    folder = tmp_path / "adapter"
    save(folder, 0)
    overlap = Overlap(monkeypatch, lambda: save(folder, 2, overwrite=True))
    add_document(folder, "curves", {"n": [1]})
    overlap.thread.join(30)
    assert overlap.errors == []
    assert load(folder)[2]["number"] == 2


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_saves_that_both_make_the_folder(tmp_path, monkeypatch, overwrite):
    folder = tmp_path / "adapter"
    overlap = Overlap(monkeypatch, lambda: save(folder, 2))
    if overwrite:
        save(folder, 1, overwrite=True)
    else:
        with pytest.raises(StoreError, match=r"exists.*Choose another name"):
            save(folder, 1)
    overlap.thread.join(30)
    assert overlap.errors == []
    assert load(folder)[2]["number"] == (1 if overwrite else 2)
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


ALTERNATING = """
import sys
from pathlib import Path
from tests.support.adapters import save

folder = Path(sys.argv[1])
number = 1
while not (folder.parent / "enough").exists():
    save(folder, number, overwrite=True)
    number = 3 - number
"""


def test_every_load_beside_a_writer_that_alternates_two_models(tmp_path):
    """Each of 200 loads gives one of the two, whole: tensors and documents of the same save as the meta."""
    folder = tmp_path / "adapter"
    save(folder, 1)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    writer = subprocess.Popen([sys.executable, "-c", ALTERNATING, os.fspath(folder)], env=environment)
    seen = Counter()
    try:
        while len(seen) < 2 and writer.poll() is None:  # it takes a moment to start
            seen[load(folder)[2]["number"]] += 1
        for _ in range(200):
            with open_adapter(folder) as saved:
                time.sleep(random.uniform(0, 0.005))  # time for the next save to remove what was listed
                number = saved.meta["number"]
                assert np.array_equal(saved.tensors()["layer.A"], np.full((2, 3), number, dtype=np.float32))
                assert set(saved.arrays()) == {"context", "levels", "names", "index", "mask"}
            seen[number] += 1
    finally:
        (tmp_path / "enough").touch()
        assert writer.wait(30) == 0
    assert min(seen[1], seen[2]) > 20


def test_a_missing_file_is_said_when_the_manifest_did_not_change(tmp_path):
    save(tmp_path / "adapter")
    next((tmp_path / "adapter").glob("tensors-*")).unlink()
    with pytest.raises(StoreError, match=r"tensors-\w+\.safetensors' is missing"):
        load(tmp_path / "adapter")


def test_what_is_open_stays_readable_after_it_was_replaced(tmp_path):
    save(tmp_path / "adapter", 1, documents={"curves": {"n": 1}})
    with open_adapter(tmp_path / "adapter") as saved:
        save(tmp_path / "adapter", 2, overwrite=True)
        assert saved.document("curves") == {"n": 1}
        assert saved.tensors()["layer.A"][0, 0] == saved.meta["number"] == 1
        assert saved.tensors()["layer.A"][0, 0] == 1, "a second time too"
    assert load(tmp_path / "adapter")[2]["number"] == 2


def test_a_writer_that_never_ends_is_said(tmp_path, monkeypatch):
    save(tmp_path / "adapter", 1)
    monkeypatch.setattr(lock, "PATIENCE", 0.1)
    with (
        lock.folder_lock(tmp_path / "adapter"),
        pytest.raises(StoreError, match="being written by another process"),
    ):
        save(tmp_path / "adapter", 2, overwrite=True)
    save(tmp_path / "adapter", 2, overwrite=True)
