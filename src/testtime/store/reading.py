"""Read a saved adapter: the manifest once, everything else from files that were opened together with it.

A writer beside the reader may replace the adapter at any time. Files that are open stay readable, so what is read
belongs to one save. Nothing is parsed before its hash is right, and nothing is pickled.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
from pydantic import BaseModel
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors

from testtime.errors import StoreError, sentence
from testtime.store.forms import Form, check_forms
from testtime.store.manifest import MANIFEST, MAX_MANIFEST_BYTES, FileEntry, Manifest, sha256_hex
from testtime.store.places import as_place
from testtime.store.records import checked, damaged
from testtime.store.values import check_encoded, decode_array, decode_value

__all__ = ["SavedAdapter", "open_adapter", "read_manifest"]

R = TypeVar("R", bound=BaseModel)
_TRIES = 100  # a manifest that is replaced each time between two system calls is no accident


class SavedAdapter:
    """A saved adapter that is open for reading; use it in a ``with`` block, or call :meth:`close`.

    Attributes
    ----------
    directory
        The folder.
    format_version
        Version of the format it was written in.
    base_fingerprint
        SHA-256 of the base model's weights it was trained on.
    versions
        Packages it was made with.
    meta
        What was given to :func:`testtime.store.save_adapter`; see :meth:`record` for a checked form.
    """

    def __init__(self, directory: Path, manifest: Manifest, files: Mapping[str, BinaryIO], stack: ExitStack):
        self.directory = directory
        self._manifest = manifest
        self._files = files
        self._stack = stack

    def __enter__(self) -> SavedAdapter:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        self._stack.close()

    @property
    def format_version(self) -> int:
        """Version of the format it was written in: 2, or 1, which knew no pages."""
        return self._manifest.format_version

    @property
    def sha256(self) -> str:
        """Hash that names this save: of the manifest, which holds the hashes of the files."""
        return self._manifest.sha256

    def contents(self) -> dict[str, bytes]:
        """Return every byte of the adapter by file name, the manifest among them; pages for people are left out.

        Raises
        ------
        StoreError
            If a file was changed.
        """
        files = {self._manifest.files[role].name: self._bytes(role) for role in self._files}
        return files | {MANIFEST: self._manifest.to_bytes()}

    @property
    def base_fingerprint(self) -> str:
        """SHA-256 of the base model's weights it was trained on."""
        return self._manifest.base_fingerprint

    @property
    def versions(self) -> dict[str, str]:
        """Packages it was made with."""
        return dict(self._manifest.versions)

    @property
    def meta(self) -> dict[str, Any]:
        """What was given to ``save_adapter``, unchecked: a hand-made adapter may hold anything here."""
        return decode_value(self._manifest.meta)

    def record(self, model: type[R]) -> R:
        """Return :attr:`meta` as a pydantic model, best a :class:`testtime.store.Record` with bounds.

        Raises
        ------
        StoreError
            If a field is missing, unknown, of the wrong type or out of bounds.
        """
        return checked(model, self.meta, self._where(MANIFEST))

    def refuse_other_base(self, fingerprint: str) -> None:
        """Raise unless the adapter was trained on the base model with this SHA-256.

        Raises
        ------
        StoreError
            If it was trained on another one.
        """
        if fingerprint != self.base_fingerprint:
            raise StoreError(
                sentence(
                    f"the adapter in {str(self.directory)!r} was trained on the base model "
                    f"{self.base_fingerprint[:12]}, and this one is {fingerprint[:12]}",
                    why="an adapter is a difference to the weights it was trained on",
                    remedy="Load it with that base model and the same testtime version, or fit again",
                )
            )

    def tensors(
        self, forms: Mapping[str, Form] | None = None, sizes: Mapping[str, int] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the adapter's weights.

        Parameters
        ----------
        forms
            Kind and shape that each must have; nothing else may be there. None takes what there is.
        sizes
            Lengths of axes that `forms` names.

        Raises
        ------
        StoreError
            If the file was changed, or an array is not as its form says.
        """
        return self._arrays("tensors", {}, forms, sizes)

    def arrays(
        self, forms: Mapping[str, Form] | None = None, sizes: Mapping[str, int] | None = None
    ) -> dict[str, np.ndarray]:
        """Return the other arrays, numbers and labels; parameters and errors as in :meth:`tensors`."""
        labels = {name: decode_array(content) for name, content in self._manifest.labels.items()}
        return self._arrays("arrays", labels, forms, sizes)

    def document(self, name: str) -> dict[str, Any] | None:
        """Return a document that was saved with the adapter or added, or None if there is none of this name.

        Raises
        ------
        StoreError
            If it was changed.
        """
        entry = self._manifest.files.get(name)
        if entry is None or not entry.name.endswith(".json"):
            return None
        try:
            content = json.loads(self._bytes(name))
            check_encoded(content)
        except (ValueError, RecursionError) as error:
            raise damaged(self._where(entry.name), "it is not a document") from error
        if not isinstance(content, dict):
            raise damaged(self._where(entry.name), "it is not a document")
        return decode_value(content)

    def _arrays(
        self,
        role: str,
        labels: dict[str, np.ndarray],
        forms: Mapping[str, Form] | None,
        sizes: Mapping[str, int] | None,
    ) -> dict[str, np.ndarray]:
        where = self._where(self._manifest.files[role].name)
        try:
            found = parse_safetensors(self._bytes(role)) | labels
        except (SafetensorError, ValueError, LookupError, TypeError, OverflowError, ImportError) as error:
            raise damaged(where, f"it is not a safetensors file: {error}") from error
        if forms is not None:
            check_forms(found, forms, sizes or {}, where)
        return found

    def _bytes(self, role: str) -> bytes:
        """Read a file and check every byte of it."""
        entry, file = self._manifest.files[role], self._files[role]
        where = self._where(entry.name)
        size = os.fstat(file.fileno()).st_size
        if size != entry.size:
            raise damaged(where, f"it is {size:,} bytes long instead of {entry.size:,}")
        file.seek(0)
        data = file.read(entry.size)
        if sha256_hex(data) != entry.sha256:
            raise damaged(where, "its bytes do not have the hash in the manifest")
        return data

    def _where(self, name: str) -> str:
        return repr(str(self.directory / name))


def open_adapter(directory: str | os.PathLike[str]) -> SavedAdapter:
    """Open a saved adapter; what is read from it later belongs to one save, whoever writes meanwhile.

    Parameters
    ----------
    directory
        Folder written by :func:`testtime.store.save_adapter`.

    Raises
    ------
    InputError
        If `directory` cannot be the name of a folder.
    StoreError
        If the folder holds no adapter, the manifest is damaged or newer, or a file is missing.
    """
    folder = as_place(directory)
    data = _manifest_bytes(folder)
    for _ in range(_TRIES):
        manifest = Manifest.from_bytes(data, repr(str(folder / MANIFEST)))
        with ExitStack() as stack:
            missing = None
            files: dict[str, BinaryIO] = {}
            for role, entry in manifest.files.items():
                if entry.is_page:
                    continue  # for people; nothing is read from it
                file = _open_plain(folder / entry.name)
                if file is None:
                    missing = entry
                    break
                files[role] = stack.enter_context(file)
            if missing is None:
                return SavedAdapter(folder, manifest, files, stack.pop_all())
        before, data = data, _manifest_bytes(folder)
        if data == before:
            raise StoreError(
                sentence(
                    f"the file {str(folder / missing.name)!r} is missing",
                    remedy="Copy the adapter again, or fit it again",
                )
            )
    raise StoreError(
        sentence(f"{str(folder)!r} is replaced faster than it can be read", remedy="Try again later")
    )


def read_manifest(folder: Path) -> Manifest:
    """Read and check the manifest of a folder.

    Raises
    ------
    StoreError
        If there is none, or it is damaged or newer.
    """
    return Manifest.from_bytes(_manifest_bytes(folder), repr(str(folder / MANIFEST)))


def is_unchanged(folder: Path, entry: FileEntry) -> bool:
    """Whether the plain file of an entry holds the bytes that the manifest says."""
    try:
        state = (folder / entry.name).lstat()
        if not stat.S_ISREG(state.st_mode) or state.st_size != entry.size:
            return False
        return sha256_hex((folder / entry.name).read_bytes()) == entry.sha256
    except OSError:
        return False


def _manifest_bytes(folder: Path) -> bytes:
    path = folder / MANIFEST
    file = _open_plain(path)
    if file is None:
        raise StoreError(
            sentence(
                f"{str(folder)!r} holds no saved adapter",
                expected=f"a folder with a {MANIFEST}",
                remedy="Pass the folder that save() or 'testtime adapt --out' wrote",
            )
        )
    with file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_MANIFEST_BYTES:
            raise damaged(repr(str(path)), f"it is {size:,} bytes long")
        return file.read(MAX_MANIFEST_BYTES)


def _open_plain(path: Path) -> BinaryIO | None:
    """Open a file, or return None if there is no plain file; a pipe must not make the reader wait."""
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None
    except OSError as error:
        raise StoreError(
            sentence(f"{str(path)!r} cannot be read: {error.strerror or error}", remedy="Ask whoever made it")
        ) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        return None
    return os.fdopen(handle, "rb")
