"""Write files and folders so that they are whole or not there; one rename is the step that counts.

Payload names carry a piece of their hash, so a new version of an adapter never touches the bytes of the old
one. A process killed before the rename leaves the old adapter, one killed after it leaves the new one. What it had
staged stays behind under a hidden name, which says who wrote it; the next save into the same folder removes it.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from testtime.errors import StoreError, sentence

__all__ = ["replace_file", "write_folder", "write_into_folder"]

ABANDONED_AFTER = 24 * 3600.0
"""Seconds without a write after which a temporary file of another machine belongs to nobody."""

_STAGED = re.compile(r"\..+\.(?P<machine>[0-9a-f]{8})-(?P<process>[0-9]+)-[0-9a-f]{12}\.tmp", re.DOTALL)


def _commit(source: Path, target: Path) -> None:
    """Make what was written count: one rename, the last step of every save."""
    os.replace(source, target)


def replace_file(target: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `target` and rename it.

    Raises
    ------
    StoreError
        If the file system refuses; an older `target` is left as it was.
    """
    staged = _beside(target)
    with _storing(target):
        try:
            write(staged)
            with open(staged, "rb+") as stream:
                os.fsync(stream.fileno())
            _commit(staged, target)
        finally:
            staged.unlink(missing_ok=True)  # there only if the rename did not happen
    _sweep(target.parent)


def write_folder(target: Path, contents: Mapping[str, bytes]) -> None:
    """Make a folder with these files, or nothing.

    Raises
    ------
    StoreError
        If the file system refuses.
    """
    staged = _beside(target)
    missing = [folder for folder in (target.parent, *target.parent.parents) if not folder.exists()]
    done = False
    with _storing(target):
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
    _sweep(target.parent)


def write_into_folder(
    target: Path, contents: Mapping[str, bytes], *, last: str, stale: Callable[[str], bool]
) -> None:
    """Add files to a folder; the one called `last` makes the others count and is put in place last.

    Parameters
    ----------
    target
        Folder that exists.
    contents
        Name and bytes of each file, `last` among them. The other names must be new or have the same bytes.
    last
        The file that refers to the others.
    stale
        Says of a file that was there before whether it may be deleted once `last` is in place.

    Raises
    ------
    StoreError
        If the file system refuses; the folder is then as it was.
    """
    staged = {name: _beside(target / name) for name in contents}
    before = {path.name for path in target.iterdir()}
    done = False
    with _storing(target):
        try:
            for name, data in contents.items():
                _write_file(staged[name], data)
            for name in set(contents) - {last}:
                os.replace(staged[name], target / name)
            _sync_folder(target)
            _commit(staged[last], target / last)
            done = True
            _sync_folder(target)
        finally:
            added = () if done else set(contents) - {last} - before
            for path in [*staged.values(), *(target / name for name in added)]:
                path.unlink(missing_ok=True)
    for name in filter(stale, before):
        with suppress(OSError):  # an old file that stays harms nothing: no manifest names it
            (target / name).unlink()
    _sweep(target)


def _beside(target: Path) -> Path:
    """Return a name for a temporary file or folder on the same file system; it names its writer for :func:`_sweep`."""
    return target.with_name(f".{target.name}.{_machine()}-{os.getpid()}-{secrets.token_hex(6)}.tmp")


@cache
def _machine() -> str:
    """Return eight hex digits for the space in which a process number means one process: host, boot, container."""
    known = [platform.node()]
    with suppress(OSError):
        known.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        known.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.sha256("\n".join(known).encode()).hexdigest()[:8]


def _sweep(folder: Path) -> None:
    """Remove what killed writers left in `folder`; a save has succeeded, so failing at this is no error."""
    with suppress(OSError), os.scandir(folder) as entries:
        staged = [(entry, name) for entry in entries if (name := _STAGED.fullmatch(entry.name))]
        for entry, name in staged:
            with suppress(OSError):  # another save may have removed it meanwhile
                if not _abandoned(entry, name["machine"], int(name["process"])):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)


def _abandoned(entry: os.DirEntry[str], machine: str, process: int) -> bool:
    """Whether the writer is known to be dead, or is out of sight and has written nothing for a day."""
    if machine == _machine() and os.name == "posix":
        return not _alive(process)
    last_write = entry.stat(follow_symlinks=False).st_mtime
    return time.time() - last_write > ABANDONED_AFTER


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)  # asks only; no signal is sent
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # it belongs to somebody else, or the number is none
        return True
    return True


def _write_file(path: Path, data: bytes) -> None:
    with open(path, "xb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power failure, where the system can; some cannot flush a folder."""
    if hasattr(os, "O_DIRECTORY"):
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)


@contextmanager
def _storing(target: Path) -> Iterator[None]:
    """Turn an error of the file system into a sentence."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            sentence(
                f"{str(target)!r} could not be written: {error.strerror or error}",
                remedy="Free some space or choose another place; nothing was left behind",
            )
        ) from error
