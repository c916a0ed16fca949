"""Places that are written to: what is there, and whether it may be replaced, asked before anything is computed."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from testtime.errors import InputError, StoreError, sentence
from testtime.store.manifest import FORMAT, MANIFEST

__all__ = ["as_place", "existing_file", "refuse_inside", "refuse_output", "storing", "what_is_at"]

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def as_place(name: str | os.PathLike[str]) -> Path:
    """Return `name` as a path that the file system can have.

    Raises
    ------
    InputError
        If it is empty, no text, holds a NUL character or is too long.

    >>> as_place("")
    Traceback (most recent call last):
    ...
    testtime.errors.InputError: the empty name '' names no place; expected the name of a file or folder.
    """
    try:
        text = os.fspath(name)
    except TypeError:
        text = name
    if not isinstance(text, str):
        raise InputError(
            sentence(f"{name!r} names no place", expected="the name of a file or folder, as text")
        )
    if not text:
        raise InputError(
            sentence("the empty name '' names no place", expected="the name of a file or folder")
        )
    try:
        os.lstat(text)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # a place where nothing is yet, or which only a writer can judge
    except (OSError, ValueError) as error:
        shown = repr(text) if len(text) <= 80 else f"{text[:60]!r}... ({len(text):,} characters)"
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(
            sentence(
                f"{shown} cannot be the name of a file or folder", why=why or "", remedy="Choose another name"
            )
        ) from error
    return Path(text)


def what_is_at(place: Path) -> str:
    """Say what stands at `place`, a link not followed: "a file", "a folder", ...; "" if nothing does."""
    try:
        return _KINDS.get(stat.S_IFMT(place.lstat().st_mode), "something unknown")
    except (FileNotFoundError, NotADirectoryError):
        return ""


def existing_file(target: Path) -> os.stat_result | None:
    """Return the state of the plain file at `target`, or None if nothing is there.

    Raises
    ------
    StoreError
        If something else is there: a link, a folder, a pipe, a device.
    """
    kind = what_is_at(target)
    if kind not in ("", "a file"):
        raise StoreError(
            sentence(
                f"{str(target)!r} is {kind}",
                expected="a plain file or nothing",
                why="a file is replaced whole, which would put one in the place of what is there",
                remedy="Choose another name",
            )
        )
    return target.lstat() if kind else None


def refuse_output(target: Path, *, overwrite: bool) -> None:
    """Raise if a file cannot be written at `target`; commands ask before they compute.

    Raises
    ------
    InputError
        If it cannot be the name of a file.
    StoreError
        If something other than a plain file is there, or a file without `overwrite`, or its folder cannot be written or
        is that of a saved model.
    """
    target = as_place(target)
    refuse_inside(target)
    with storing(target):
        there = existing_file(target)
    if there is not None and not overwrite:
        raise StoreError(
            sentence(f"the output file {str(target)!r} exists", remedy="Choose another, or --overwrite")
        )
    folder = target.parent
    if not folder.is_dir():
        raise StoreError(sentence(f"the folder {str(folder)!r} does not exist", remedy="Make it first"))
    if not os.access(folder, os.W_OK | os.X_OK):
        raise StoreError(
            sentence(f"{str(target)!r} cannot be written", why=f"{str(folder)!r} is not writable")
        )


def refuse_inside(target: Path, *, itself: bool = False) -> None:
    """Raise if what is to be written would be inside the folder of a saved model, whose manifest lists its files.

    Parameters
    ----------
    target
        File or folder to write.
    itself
        Whether `target` is a folder to write into, which must be no model either.

    Raises
    ------
    InputError
        If it cannot be the name of a file or folder.
    StoreError
        If it is inside one.
    """
    try:
        there = as_place(target).resolve()
    except (OSError, RuntimeError):  # a circle of links: whoever writes says so
        return
    model = next(filter(_is_model, (there, *there.parents) if itself else there.parents), None)
    if model is not None:
        raise StoreError(
            sentence(
                f"{str(target)!r} would be written into the saved model {str(model)!r}",
                expected="a place outside of it",
                why="a model is whole only with the files that its manifest lists",
                remedy="Choose another place",
            )
        )


def _is_model(folder: Path) -> bool:
    """Tell whether a folder has our manifest, be it damaged; other programs call files so, too."""
    try:
        return FORMAT.encode() in (folder / MANIFEST).read_bytes()
    except OSError:
        return False


_SPACE = "Free some space or choose another place; nothing was left behind"
_IN_THE_WAY = "A file or a broken link is where a folder has to be; choose another place"
_REMEDIES = {errno.EEXIST: _IN_THE_WAY, errno.ENOTDIR: _IN_THE_WAY}


@contextmanager
def storing(target: Path) -> Iterator[None]:
    """Turn an error of the file system into a sentence."""
    try:
        yield
    except StoreError:
        raise
    except OSError as error:
        raise StoreError(
            sentence(
                f"{str(target)!r} could not be written: {error.strerror or error}",
                remedy=_REMEDIES.get(error.errno or 0, _SPACE),
            )
        ) from error
