"""``AdapterStore``: thousands of adapters by name, each with its versions, in a folder or behind a URL.

```text
STORE/names/NAME/00000001-HASH.json     what NAME stood for, one file for each change
STORE/adapters/HASH/                    the saved adapters; names that share one share its bytes
```
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from testtime.errors import InputError, StoreError, nearest, sentence
from testtime.scale.damage import Damage, hashes_named, sweep_unnamed, unnamed
from testtime.store import open_adapter
from testtime.store.files import files_at
from testtime.store.history import (
    Entry,
    Version,
    as_folder_name,
    as_its_name_says,
    as_name,
    check_job,
    entry_name,
    pointed,
    removable,
    restored_by,
)
from testtime.store.manifest import MANIFEST
from testtime.store.reading import read_manifest
from testtime.store.records import damaged
from testtime.store.stored import ADAPTERS, NAMES

if TYPE_CHECKING:
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

__all__ = ["AdapterStore", "Damage", "UnknownName", "Version"]

_T = TypeVar("_T")


class UnknownName(StoreError):
    """A store has no adapter of a name."""


class AdapterStore:
    """Adapters by name, with versions, for any number of writers and readers.

    Parameters
    ----------
    where
        A folder, made at the first :meth:`add`, or a URL of fsspec such as ``s3://bucket/adapters``. In a folder,
        writers of all processes wait for each other for the milliseconds a change takes. Behind a URL there is no lock:
        of two changes of one name at the same moment both are kept, and the one that sorts last is served; remove
        nothing there while somebody else writes.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_iris
    >>> from testtime import AdapterStore, TTTClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> store = AdapterStore(tempfile.mkdtemp())
    >>> version = store.add("iris", TTTClassifier(n_steps=0, n_members=1).fit(X, y))
    >>> version.number, [one.name for one in store.list()], store.verify()
    (1, ['iris'], ())
    """

    def __init__(self, where: str | os.PathLike[str]) -> None:
        self._files = files_at(where)

    def __repr__(self) -> str:
        return f"AdapterStore({self._files.where!r})"

    @property
    def where(self) -> str:
        """The folder or URL."""
        return self._files.where

    def check_place(self) -> None:
        """Refuse a place where adapters would do harm; every change asks, and what takes long may ask before it.

        Raises
        ------
        StoreError
            If it is a saved model, or inside one.
        """
        self._files.refuse_other()

    def add(self, name: str, model: Any, *, job: str = "") -> Version:
        """Make an adapter the current version of a name.

        Parameters
        ----------
        name
            Any text of 1 to 200 characters.
        model
            A folder that ``save`` or ``testtime adapt`` wrote, or a fitted estimator.
        job
            What it was made from, so that a later run knows that it need not be made again; at most 200 characters.

        Raises
        ------
        StoreError
            If the folder holds no whole adapter, or the store cannot be written, for example since it is a saved model;
            what was served is served still.
        """
        as_folder_name(name)
        if isinstance(model, (str, os.PathLike)):
            return self._add_folder(name, model, job)
        if not hasattr(model, "save"):
            got = f"model={type(model).__name__}"
            raise InputError(sentence(got, expected="the folder of a saved model, or a fitted estimator"))
        with tempfile.TemporaryDirectory(prefix="testtime-") as folder:
            return self._add_folder(name, model.save(Path(folder) / "adapter"), job)

    def _add_folder(self, name: str, folder: str | os.PathLike[str], job: str) -> Version:
        check_job(job)
        with open_adapter(folder) as saved:
            sha256, contents = saved.sha256, saved.contents()
        place = f"{ADAPTERS}/{sha256}"
        with self._files.writing():
            new = bool(self._damage(sha256))
            if new:
                self._files.remove(place)
                self._files.write_folder(place, contents, last=MANIFEST)
            try:
                return self._point(name, Entry.now(sha256, sum(map(len, contents.values())), job=job))
            except StoreError:
                if new and sha256 not in hashes_named(self._files):
                    self._files.remove(place)  # no name stands for it, so nobody could remove it later
                raise

    def share(self, name: str, other: str, *, job: str = "") -> Version:
        """Let a name stand for what another one stands for; no bytes are copied.

        Raises
        ------
        StoreError
            If there is no `other`, or the store cannot be written.
        """
        check_job(job)
        self.current(other)  # as in remove
        with self._files.writing():
            served = self.versions(other)[-1]
            return self._point(name, Entry.now(served.sha256, served.n_bytes, job=job))

    def rollback(self, name: str, to: int | None = None) -> Version:
        """Serve an older version again; nothing is forgotten, and a roll back can be rolled back.

        Parameters
        ----------
        name
            Which adapter.
        to
            Number of the version; None for the one before the one that is served.

        Raises
        ------
        StoreError
            If there is no such version, or it is damaged.
        """
        self.current(name)  # as in remove
        with self._files.writing():
            target = restored_by(self.versions(name), to)
            why = self._damage(target.sha256)
            if why:
                raise StoreError(sentence(f"version {target.number} of {name!r} cannot be served", why=why))
            restored = target.restores or target.number
            return self._point(
                name, Entry.now(target.sha256, target.n_bytes, restores=restored, job=target.job)
            )

    def _point(self, name: str, entry: Entry) -> Version:
        """Add an entry; the caller keeps other writers out."""
        folder = f"{NAMES}/{as_folder_name(name)}"
        number = 1 + max((found[0] for found in map(pointed, self._files.names(folder)) if found), default=0)
        data = entry.model_dump_json().encode()
        self._files.write(f"{folder}/{entry_name(number, entry.sha256)}", data)
        return entry.as_version(name, number)

    def names(self) -> tuple[str, ...]:
        """Return the names of all adapters, sorted; what else lies among them is none."""
        found = self._files.tree(NAMES).items()
        return tuple(sorted(as_name(folder) for folder, files in found if any(map(pointed, files))))

    def list(self) -> tuple[Version, ...]:
        """Return the current version of every adapter, in the order of their names."""
        found = []
        for folder, files in sorted(self._files.tree(NAMES).items()):
            last = max((file for file in files if pointed(file)), default=None)
            if last is not None:
                version = self._version_or_name(as_name(folder), last)
                # Else it cannot be read: it is damaged, or was removed meanwhile.
                if version.added or last in self._files.names(f"{NAMES}/{folder}"):
                    found.append(version)
        return tuple(found)

    def versions(self, name: str) -> tuple[Version, ...]:
        """Return all versions of an adapter, oldest first; of a damaged entry, what its name says.

        Raises
        ------
        StoreError
            If there is no adapter of this name.
        """
        files = [file for file in self._files.names(f"{NAMES}/{as_folder_name(name)}") if pointed(file)]
        if not files:
            raise self._unknown(name)
        return tuple(self._version_or_name(name, file) for file in files)

    def current(self, name: str) -> tuple[int, str]:
        """Return the number and the hash of the version that is served; one listing, no file is read.

        Raises
        ------
        StoreError
            If there is no adapter of this name.
        """
        found = [pointed(file) for file in self._files.names(f"{NAMES}/{as_folder_name(name)}")]
        served = max((one for one in found if one), default=None)
        if served is None:
            raise self._unknown(name)
        return served

    def _unknown(self, name: str) -> UnknownName:
        there = self.names()
        remedy = nearest(name, there) if there else "Add one with: testtime store add"
        return UnknownName(sentence(f"{self.where!r} has no adapter {name!r}", remedy=remedy))

    def _version_or_name(self, name: str, file: str) -> Version:
        """Read an entry; the name of a damaged one still says what is served, so that others can be gone back to."""
        try:
            return self._version(name, file)
        except StoreError:
            return as_its_name_says(name, file)

    def _version(self, name: str, file: str) -> Version:
        """Read an entry and compare it with its own name."""
        where = f"{NAMES}/{as_folder_name(name)}/{file}"
        number, sha256 = pointed(file) or (0, "")
        try:
            entry = Entry.model_validate_json(self._files.read(where))
        except ValueError as error:
            raise damaged(repr(f"{self.where}/{where}"), "it is no entry of a store") from error
        if entry.sha256 != sha256:
            raise StoreError(
                sentence(f"{self.where}/{where!r} is damaged", why="it names another adapter than its name")
            )
        return entry.as_version(name, number)

    @contextmanager
    def folder(self, name: str, version: int | None = None) -> Iterator[Path]:
        """Yield the folder of a saved adapter, for reading: its own, or a copy for the length of the block.

        Raises
        ------
        StoreError
            If there is no such adapter or version, or another adapter is in its place.
        """
        sha256 = (
            self.current(name)[1] if version is None else restored_by(self.versions(name), version).sha256
        )
        with self.folder_of(sha256) as found:
            yield found

    @contextmanager
    def folder_of(self, sha256: str) -> Iterator[Path]:
        """Yield the folder of the adapter with this hash, as :meth:`folder` does."""
        with self._files.as_folder(f"{ADAPTERS}/{sha256}") as found:
            if read_manifest(found).sha256 != sha256:
                raise StoreError("another adapter was put in its place.")
            yield found

    def stamp(self, sha256: str) -> tuple[object, ...]:
        """Return what changes when somebody touches the files of an adapter; () where that cannot be seen cheaply."""
        return self._files.stamp(f"{ADAPTERS}/{sha256}")

    def load(
        self, name: str, version: int | None = None, *, device: str | None = None, backbone: Any = None
    ) -> TTTClassifier | TTTRegressor:
        """Return an adapter as the estimator that was saved.

        Parameters
        ----------
        name
            Which one.
        version
            Its number; None for the current one.
        device, backbone
            As in :func:`testtime.load`.

        Raises
        ------
        StoreError
            If there is none of this name or number, or it is damaged.
        """
        from testtime.estimators.saved import load

        with self.folder(name, version) as folder:
            return load(folder, device=device, backbone=backbone)

    def remove(self, name: str, version: int | None = None) -> None:
        """Forget an adapter, or one of its older versions; bytes that nothing else stands for are deleted.

        Parameters
        ----------
        name
            Which adapter.
        version
            Number of a version that is not served; None forgets all versions.

        Raises
        ------
        StoreError
            If there is none of this name or number, the version is the one that is served, or the store cannot be
            written.
        """
        folder = f"{NAMES}/{as_folder_name(name)}"
        self.current(name)  # refuses an unknown name before a folder is made to be locked
        with self._files.writing():
            own = {file: found for file in self._files.names(folder) if (found := pointed(file))}
            gone = [folder]
            if version is not None:
                gone = [f"{folder}/{file}" for file in removable(name, own, version)]
                own = {file: found for file, found in own.items() if found[0] == version}
            for place in gone:
                self._files.remove(place)
            for sha256 in {found[1] for found in own.values()} - hashes_named(self._files):
                self._files.remove(f"{ADAPTERS}/{sha256}")

    def verify(self) -> tuple[Damage, ...]:
        """Read every byte of every version and return those that are damaged."""
        whole: dict[str, str] = {}
        found = []
        for folder, files in sorted(self._files.tree(NAMES).items()):
            name = as_name(folder)
            entries = {file: entry for file in files if (entry := pointed(file))}
            served = max(entries.values(), default=None)
            for file, entry in entries.items():
                number, sha256 = entry
                if sha256 not in whole:
                    whole[sha256] = self._damage(sha256)
                why = whole[sha256] or self._entry_damage(name, file)
                if why:
                    found.append(Damage(name, number, why, entry == served))
        return tuple(found)

    def unnamed(self) -> tuple[str, ...]:
        """Return the hashes of saved adapters that no version of a name stands for, as a killed change leaves them."""
        return unnamed(self._files)

    def sweep(self) -> tuple[str, ...]:
        """Delete the saved adapters that no name stands for, and return their hashes.

        Only on demand: where names were lost, their adapters look the same. Behind a URL, which has no lock, nobody
        else may write meanwhile.

        Raises
        ------
        StoreError
            If the store cannot be written.
        """
        return sweep_unnamed(self._files)

    def _entry_damage(self, name: str, file: str) -> str:
        try:
            self._version(name, file)
        except StoreError as error:
            return str(error)
        return ""

    def is_whole(self, sha256: str) -> bool:
        """Tell whether a saved adapter is there, byte for byte as it was saved."""
        return not self._damage(sha256)

    def _damage(self, sha256: str) -> str:
        """Say what is wrong with a saved adapter; "" if nothing is."""
        try:
            with self.folder_of(sha256) as folder, open_adapter(folder) as saved:
                saved.contents()
                return ""
        except StoreError as error:
            return str(error)
