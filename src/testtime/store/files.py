"""Where many adapters lie together: a folder of this machine, or anything fsspec can reach.

Both know the same few operations. A file appears whole or not at all, and is never changed; what is written last makes
the rest count.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar

from testtime.errors import InputError, StoreError, sentence
from testtime.store.atomic import replace_file, write_folder
from testtime.store.leftovers import beside, is_leftover, sweep
from testtime.store.lock import LOCK, folder_lock
from testtime.store.places import as_place, refuse_inside, storing

__all__ = ["Files", "LocalFiles", "RemoteFiles", "files_at"]

_T = TypeVar("_T")


class Files(Protocol):
    """Folders and files below one place; names have ``/`` between folders."""

    where: str

    def names(self, folder: str) -> list[str]:
        """Return what is directly in a folder, sorted; nothing if the folder is not there."""
        ...

    def tree(self, folder: str) -> dict[str, list[str]]:
        """Return the folders in a folder, and the sorted names of the files in each."""
        ...

    def read(self, name: str) -> bytes:
        """Return a file.

        Raises
        ------
        StoreError
            If it cannot be read.
        """
        ...

    def write(self, name: str, data: bytes) -> None:
        """Make a file, whole or not at all.

        Raises
        ------
        StoreError
            If the place refuses, for example because the disk is full.
        """
        ...

    def write_folder(self, folder: str, contents: Mapping[str, bytes], *, last: str) -> None:
        """Make a folder, in which the file called `last` makes the others count; errors as in :meth:`write`."""
        ...

    def remove(self, place: str) -> None:
        """Remove a file, or a folder with what is in it; nothing happens if it is not there."""
        ...

    def as_folder(self, folder: str) -> AbstractContextManager[Path]:
        """Yield a folder of this machine with the same files."""
        ...

    def stamp(self, folder: str) -> tuple[object, ...]:
        """Return what changes when somebody changes a file of a folder, as far as that can be seen cheaply."""
        ...

    def refuse_other(self) -> None:
        """Refuse a place that a store would do harm to.

        Raises
        ------
        StoreError
            If it is a saved model, or inside one.
        """
        ...

    def writing(self) -> AbstractContextManager[None]:
        """Keep other writers out, where the place can; errors as in :meth:`refuse_other`."""
        ...


def files_at(where: str | os.PathLike[str]) -> Files:
    """Return the files at a path, or at a URL such as ``s3://bucket/adapters`` or ``memory://adapters``.

    Raises
    ------
    InputError
        If the place cannot be one, or fsspec does not know its protocol.
    """
    if isinstance(where, str) and "://" in where and not where.startswith("file://"):
        return RemoteFiles(where)
    text = where.removeprefix("file://") if isinstance(where, str) else where
    return LocalFiles(as_place(text))


class LocalFiles:
    """A folder of this machine, or one that several machines mount.

    Writers of all processes wait for each other; readers wait for nobody.
    """

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.where = str(self.root)

    def names(self, folder: str) -> list[str]:
        """Return what is directly in a folder, sorted."""
        try:
            found = os.listdir(self.root / folder)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _unreadable(str(self.root / folder), error) from error
        return sorted(name for name in found if name != LOCK and not is_leftover(name))

    def tree(self, folder: str) -> dict[str, list[str]]:
        """Return the folders in a folder, and the files in each."""
        return {name: self.names(f"{folder}/{name}") for name in self.names(folder)}

    def read(self, name: str) -> bytes:
        """Return a file."""
        try:
            return (self.root / name).read_bytes()
        except OSError as error:
            raise _unreadable(str(self.root / name), error) from error

    def write(self, name: str, data: bytes) -> None:
        """Make a file by a rename."""
        target = self.root / name
        is_new = not target.parent.exists()
        with storing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        try:
            replace_file(target, lambda staged: staged.write_bytes(data))
        except StoreError:
            if is_new:
                with suppress(OSError):  # somebody else may have put something there
                    target.parent.rmdir()
            raise
        if target.parent != self.root:
            sweep(target.parent.parent)  # where a killed `remove` leaves the whole folder of a name

    def write_folder(self, folder: str, contents: Mapping[str, bytes], *, last: str) -> None:
        """Make a folder by a rename, which makes all of its files count at once."""
        write_folder(self.root / folder, contents)

    def remove(self, place: str) -> None:
        """Remove a file or a folder; it is gone at once for readers that come later."""
        target = self.root / place
        gone = beside(target)
        with storing(target):
            try:
                os.replace(target, gone)
            except FileNotFoundError:
                return
            if gone.is_dir():
                shutil.rmtree(gone)
            else:
                gone.unlink()
        sweep(target.parent)

    @contextmanager
    def as_folder(self, folder: str) -> Iterator[Path]:
        """Yield the folder itself."""
        yield self.root / folder

    def stamp(self, folder: str) -> tuple[object, ...]:
        """Return the name, size and time of the last change of each file."""
        try:
            with os.scandir(self.root / folder) as entries:
                found = [(entry.name, entry.stat()) for entry in entries]
        except OSError:
            return ()
        return tuple(sorted((name, state.st_size, state.st_mtime_ns) for name, state in found))

    def refuse_other(self) -> None:
        """Refuse the folder of a saved model, and one inside it."""
        refuse_inside(self.root, itself=True)

    def writing(self) -> AbstractContextManager[None]:
        """Lock the folder, unless it is that of a saved model."""
        self.refuse_other()
        with storing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        return folder_lock(self.root)


class RemoteFiles:
    """Anything fsspec reaches.

    Object stores know no lock and no rename. A single object appears at once, which is all that is relied on.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        try:
            self._system, self._root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            why = str(error)
            remedy = "Name a folder, or a URL of a protocol that is installed"
            raise InputError(sentence(f"{url!r} cannot be opened", why=why, remedy=remedy)) from error
        self.where = url.rstrip("/")

    def _told(self, name: str, act: Callable[[], _T]) -> _T:
        """Do something with the remote place; what its library raises becomes a sentence."""
        try:
            return act()
        except FileNotFoundError:
            raise
        except Exception as error:  # botocore, gcsfs, aiohttp, ... each have their own family
            raise _unreadable(f"{self.where}/{name}", error) from error

    def names(self, folder: str) -> list[str]:
        """Return what is directly in a folder, sorted."""

        def listed() -> list[Any]:
            return self._system.ls(f"{self._root}/{folder}", detail=False, refresh=True)

        try:
            found = self._told(folder, listed)
        except FileNotFoundError:
            return []
        return sorted(str(path).rstrip("/").rpartition("/")[2] for path in found)

    def tree(self, folder: str) -> dict[str, list[str]]:
        """Return the folders in a folder, and the files in each, in one listing."""

        def listed() -> list[str]:
            self._system.invalidate_cache()
            return self._system.find(f"{self._root}/{folder}")

        found: dict[str, list[str]] = {}
        for path in sorted(self._told(folder, listed)):
            above, _, name = str(path).rpartition("/")
            found.setdefault(above.rpartition("/")[2], []).append(name)
        return found

    def read(self, name: str) -> bytes:
        """Return a file."""
        try:
            return self._told(name, lambda: self._system.cat_file(f"{self._root}/{name}"))
        except FileNotFoundError as error:
            raise _unreadable(f"{self.where}/{name}", error) from error

    def write(self, name: str, data: bytes) -> None:
        """Make an object."""
        path = f"{self._root}/{name}"

        def put() -> None:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(path, data)

        self._told(name, put)

    def write_folder(self, folder: str, contents: Mapping[str, bytes], *, last: str) -> None:
        """Make objects, the one called `last` after the others."""
        for name in sorted(contents, key=lambda name: name == last):
            self.write(f"{folder}/{name}", contents[name])

    def remove(self, place: str) -> None:
        """Remove an object, or all objects below a folder."""
        try:
            self._told(place, lambda: self._system.rm(f"{self._root}/{place}", recursive=True))
        except FileNotFoundError:
            return

    @contextmanager
    def as_folder(self, folder: str) -> Iterator[Path]:
        """Yield a copy that is removed afterwards."""
        with tempfile.TemporaryDirectory(prefix="testtime-") as copied:
            copy = Path(copied)
            for name in self.names(folder):
                (copy / name).write_bytes(self.read(f"{folder}/{name}"))
            yield copy

    def stamp(self, folder: str) -> tuple[object, ...]:
        """Return nothing: what is written is not changed, and to look would cost a request."""
        return ()

    def refuse_other(self) -> None:
        """Refuse nothing: models are saved into folders of this machine."""

    def writing(self) -> AbstractContextManager[None]:
        """Keep nobody out."""
        return nullcontext()


def _unreadable(name: str, error: Exception) -> StoreError:
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return StoreError(sentence(f"{name!r} cannot be reached: {why}", remedy="Check the place and its rights"))
