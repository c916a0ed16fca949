"""Files that are written for a person: what is not a plain file is refused, and who may read it stays the same."""

import os
import socket
import stat

import pytest

from tests.support.adapters import save
from testtime.errors import StoreError
from testtime.store.atomic import replace_file


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def write(path, text="new"):
    replace_file(path, lambda staged: staged.write_text(text))


def make(kind, path):
    if kind == "link":
        (path.parent / "real").write_text("old")
        path.symlink_to("real")
    elif kind == "dangling link":
        path.symlink_to("nowhere")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(os.fspath(path))


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("link", "a symbolic link"),
        ("dangling link", "a symbolic link"),
        ("folder", "a folder"),
        ("pipe", "a pipe"),
        ("socket", "a socket"),
    ],
)
def test_what_is_no_plain_file_is_not_replaced(tmp_path, kind, said, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket may not be long
    path = tmp_path / "out.csv"
    make(kind, path.relative_to(tmp_path))
    before = path.lstat()
    with pytest.raises(StoreError, match=rf"out.csv' is {said}; expected a plain file"):
        write(path)
    assert path.lstat() == before
    assert not any(name.endswith(".tmp") for name in os.listdir(tmp_path))


def test_a_device_is_not_replaced(tmp_path):
    null = tmp_path / "null"
    try:
        os.mknod(null, stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("only root makes a device")
    with pytest.raises(StoreError, match="null' is a device"):
        write(null)
    assert stat.S_ISCHR(null.stat().st_mode)


@pytest.mark.parametrize("kept", [0o600, 0o640, 0o666, 0o444])
def test_the_mode_of_a_replaced_file_stays(tmp_path, kept):
    path = tmp_path / "out.csv"
    path.write_text("old")
    path.chmod(kept)
    write(path)
    assert path.read_text() == "new"
    assert mode(path) == kept


def test_a_private_file_is_private_while_it_is_written(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("old")
    path.chmod(0o600)
    seen = []

    def watch(staged):
        staged.write_text("new")
        seen.append(mode(staged))

    replace_file(path, watch)
    assert seen == [0o600]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
def test_a_new_file_has_the_mode_that_the_umask_asks_for(tmp_path, umask):
    before = os.umask(umask)
    try:
        write(tmp_path / "out.csv")
        with open(tmp_path / "plain", "w"):
            pass
    finally:
        os.umask(before)
    assert mode(tmp_path / "out.csv") == mode(tmp_path / "plain") == 0o666 & ~umask


def test_a_folder_that_is_overwritten_keeps_who_may_read_its_files(tmp_path):
    folder = tmp_path / "adapter"
    save(folder, 1)
    for path in folder.iterdir():
        path.chmod(0o600)
    save(folder, 2, overwrite=True)
    assert {mode(path) for path in folder.iterdir() if path.stat().st_size} == {0o600}
