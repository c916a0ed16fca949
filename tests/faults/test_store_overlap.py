"""Two saves into one folder, forced to overlap, and loads beside a save: always one whole adapter."""

import threading

import pytest

from tests.support.adapters import load, save
from testtime.errors import StoreError
from testtime.store import add_document, atomic


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
