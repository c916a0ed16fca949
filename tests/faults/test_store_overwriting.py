"""Only adapters are overwritten, and only when that is asked for."""

import pytest

from tests.support.adapters import load, save, tree
from testtime.errors import StoreError


def test_an_existing_folder_is_refused_and_left_alone(tmp_path):
    save(tmp_path / "adapter", 1)
    before = tree(tmp_path)
    with pytest.raises(StoreError, match=r"exists.*Choose another name"):
        save(tmp_path / "adapter", 2)
    assert tree(tmp_path) == before
    save(tmp_path / "adapter", 2, overwrite=True)
    assert load(tmp_path / "adapter")[2]["number"] == 2
    assert len(tree(tmp_path)) == len(before)  # nothing of the old version is left


def test_only_adapters_are_overwritten(tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    before = tree(tmp_path)
    for name in ("thesis", "file"):
        with pytest.raises(StoreError, match="is not a saved adapter"):
            save(tmp_path / name, overwrite=True)
    assert tree(tmp_path) == before
    (tmp_path / "empty").mkdir()
    save(tmp_path / "empty", overwrite=True)
    load(tmp_path / "empty")


def test_overwriting_leaves_files_of_the_user(tmp_path):
    save(tmp_path / "adapter", 1)
    (tmp_path / "adapter" / "report.html").write_text("seen")
    save(tmp_path / "adapter", 2, overwrite=True)
    assert (tmp_path / "adapter" / "report.html").read_text() == "seen"
