"""Write files and folders so that they are whole or not there; one rename is the step that counts.

Payload names carry a piece of their hash, so a new version of an adapter never touches the bytes of the old
one. A process killed before the rename leaves the old adapter, one killed after it leaves the new one.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path

from testtime.store.leftovers import beside, sweep
from testtime.store.places import existing_file, storing

__all__ = ["replace_file", "write_folder", "write_into_folder"]


def _commit(source: Path, target: Path) -> None:
    """Make what was written count: one rename, the last step of every save."""
    os.replace(source, target)


def replace_file(target: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `target` and rename it.

    A new file gets the mode that the umask asks for; a file that is replaced keeps its mode and its owner.

    Raises
    ------
    StoreError
        If something other than a plain file is at `target`, or the file system refuses; an older `target` is left
        as it was.
    """
    staged = beside(target)
    with storing(target):
        old = existing_file(target)
        try:
            # Made here, so that no mode is up to the writer: what replaces a private file is never readable.
            os.close(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if old is None else 0o600))
            write(staged)
            with open(staged, "rb+") as stream:
                os.fsync(stream.fileno())
            if old is not None:
                _like(staged, old)
            _commit(staged, target)
        finally:
            staged.unlink(missing_ok=True)  # there only if the rename did not happen
    sweep(target.parent)


def write_folder(target: Path, contents: Mapping[str, bytes]) -> None:
    """Make a folder with these files, or nothing.

    Raises
    ------
    StoreError
        If the file system refuses, or something is at `target`.
    """
    staged = beside(target)
    missing = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    done = False
    with storing(target):
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            staged.mkdir()
            for name, data in contents.items():
                _write_file(staged / name, data)
            _sync_folder(staged)
            _commit(staged, target)
            done = True
            _sync_folder(target.parent)
        finally:
            if not done:
                shutil.rmtree(staged, ignore_errors=True)
                for folder in missing:
                    with suppress(OSError):  # not empty, or never made
                        folder.rmdir()
    sweep(target.parent)


def write_into_folder(
    target: Path,
    contents: Mapping[str, bytes],
    *,
    last: str,
    after: Collection[str] = (),
    stale: Collection[str] = (),
) -> None:
    """Add files to a folder; the one called `last` makes the others count. The caller holds the folder's lock.

    Parameters
    ----------
    target
        Folder that exists.
    contents
        Name and bytes of each file, `last` among them. Names that are neither `last` nor in `after` must be new or
        have the same bytes.
    last
        The file that refers to the others. New files get the mode of the one it replaces.
    after
        Names that are put in place after `last`. What has such a name is removed before, so that whoever is killed
        leaves a missing file and never one that `last` describes wrongly.
    stale
        Files to remove once `last` is in place.

    Raises
    ------
    StoreError
        If the file system refuses before `last` is in place; the folder is then as it was, without the files that
        `after` names.
    """
    staged = {name: beside(target / name) for name in contents}
    first = set(contents) - {last, *after}
    before = {path.name for path in target.iterdir()}
    done = False
    with storing(target):
        old = existing_file(target / last)
        try:
            for name, data in contents.items():
                _write_file(staged[name], data, None if old is None else stat.S_IMODE(old.st_mode))
            for name in first:
                os.replace(staged[name], target / name)
            _sync_folder(target)
            for name in after:
                (target / name).unlink(missing_ok=True)
            _commit(staged[last], target / last)
            done = True
            for name in after:
                os.replace(staged[name], target / name)
            _sync_folder(target)
        finally:
            added = () if done else first - before
            for path in [*staged.values(), *(target / name for name in added)]:
                path.unlink(missing_ok=True)
    for name in stale:
        with suppress(OSError):  # an old file that stays harms nothing: no manifest names it
            (target / name).unlink()
    sweep(target)


def _write_file(path: Path, data: bytes, mode: int | None = None) -> None:
    """Write a new file and flush it; the mode is what the umask asks for unless one is given."""
    with open(
        path, "xb", opener=lambda name, flags: os.open(name, flags, 0o666 if mode is None else 0o600)
    ) as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    if mode is not None:
        os.chmod(path, mode)


def _like(path: Path, old: os.stat_result) -> None:
    """Give a file the owner, where that is allowed, and the mode of the one it replaces."""
    if hasattr(os, "chown"):
        with suppress(OSError):
            os.chown(path, old.st_uid, old.st_gid)
    os.chmod(path, stat.S_IMODE(old.st_mode))


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power failure, where the system can; some cannot flush a folder."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
