"""Only folders that testtime made are overwritten, and only files that their manifest lists are removed."""

import json
import os

import pytest

from tests.support.adapters import load, save, tree
from testtime.errors import StoreError

FOREIGN = [
    b'{"name": "a web page", "version": 3}',
    b'{"format": "testtime adapter"}',
    b'{"format": "testtime adapter", "format_version": 1, "files": {}, "sha256": "00"}',
    b"not json",
    b"",
]


@pytest.mark.parametrize("manifest", FOREIGN)
def test_a_folder_with_somebody_elses_manifest_is_not_overwritten(tmp_path, manifest):
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "manifest.json").write_bytes(manifest)
    (folder / "report.html").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(StoreError, match="is not a saved adapter"):
        save(folder, overwrite=True)
    assert tree(tmp_path) == before


def test_a_damaged_adapter_is_not_overwritten(tmp_path):
    save(tmp_path / "adapter", 1)
    path = tmp_path / "adapter" / "manifest.json"
    content = json.loads(path.read_text())
    content["base_fingerprint"] = "cd" * 32  # the hash is that of before
    path.write_text(json.dumps(content, indent=1) + "\n")
    before = tree(tmp_path)
    with pytest.raises(StoreError, match="is not a saved adapter"):
        save(tmp_path / "adapter", 2, overwrite=True)
    assert tree(tmp_path) == before


def test_a_manifest_that_is_a_folder_or_a_pipe_is_refused(tmp_path):
    (tmp_path / "adapter" / "manifest.json").mkdir(parents=True)
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / "manifest.json")
    for name in ("adapter", "pipe"):
        with pytest.raises(StoreError, match="is not a saved adapter"):
            save(tmp_path / name, overwrite=True)


@pytest.mark.parametrize(
    "name",
    [
        "tensors-0123456789abcdef.safetensors",
        "arrays-0123456789abcdef.safetensors",
        "notes-0123456789abcdef.json",
        "report.html",
        "weights.safetensors",
    ],
)
def test_files_of_the_user_stay_whatever_their_names(tmp_path, name):
    save(tmp_path / "adapter", 1)
    (tmp_path / "adapter" / name).write_text("mine")
    save(tmp_path / "adapter", 2, overwrite=True)
    assert (tmp_path / "adapter" / name).read_text() == "mine"
    assert load(tmp_path / "adapter")[2]["number"] == 2


def test_a_link_with_the_name_of_an_adapter_is_kept(tmp_path):
    """A folder reached through a link is overwritten in place; the link stays one."""
    save(tmp_path / "real", 1)
    (tmp_path / "link").symlink_to("real")
    save(tmp_path / "link", 2, overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "real")[2]["number"] == 2
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(StoreError, match="is not a saved adapter"):
        save(tmp_path / "dangling", overwrite=True)
