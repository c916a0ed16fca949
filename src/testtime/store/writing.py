"""Save an adapter: safetensors payloads and a manifest that says what their bytes must be."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save as dump_safetensors

from testtime.errors import InputError, StoreError, sentence
from testtime.store.atomic import write_folder, write_into_folder
from testtime.store.leftovers import is_leftover
from testtime.store.lock import LOCK, folder_lock
from testtime.store.manifest import (
    FORMAT,
    FORMAT_VERSION,
    MANIFEST,
    MAX_FILE_BYTES,
    FileEntry,
    Manifest,
    installed_versions,
    is_role,
)
from testtime.store.places import as_place, refuse_inside, what_is_at
from testtime.store.reading import is_unchanged, read_manifest
from testtime.store.stored import refuse_stored
from testtime.store.values import encode_array, encode_value

__all__ = ["add_document", "add_page", "refuse_existing", "save_adapter"]

_NUMERIC = "?bhilqBHILQefdF"  # dtype characters that safetensors can hold


def refuse_existing(directory: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise if :func:`save_adapter` would refuse this folder; commands ask before they compute.

    Raises
    ------
    InputError
        If `directory` cannot be the name of a folder.
    StoreError
        If something is there (without `overwrite`), or something that is neither an empty folder nor an adapter whose
        manifest is whole, or an adapter of a store, or it is inside the folder of another one.
    """
    target = as_place(directory)
    refuse_inside(target)
    if not what_is_at(target):
        above = next(path for path in target.absolute().parents if os.path.lexists(path))
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise StoreError(
                sentence(
                    f"{str(target)!r} cannot be made",
                    expected="a place in a folder that can be written",
                    why=f"{str(above)!r} is {'not writable' if above.is_dir() else 'not a folder'}",
                    remedy="Choose another place",
                )
            )
        return
    if not overwrite:
        raise StoreError(
            sentence(
                f"the output folder {str(target)!r} exists",
                expected="a folder that does not",
                why="a saved adapter is never changed by accident",
                remedy="Choose another name, or ask to overwrite it",
            )
        )
    refuse_stored(
        target, "Choose another place, and put what is there into the store with: testtime store add"
    )
    _adapter_to_replace(target)


def save_adapter(
    directory: str | os.PathLike[str],
    tensors: Mapping[str, Any],
    meta: Mapping[str, Any],
    *,
    arrays: Mapping[str, np.ndarray] | None = None,
    documents: Mapping[str, Mapping[str, Any]] | None = None,
    base_fingerprint: str,
    overwrite: bool = False,
) -> None:
    """Write an adapter so that the folder is whole or does not exist.

    Parameters
    ----------
    directory
        Folder to make; missing parents are made too.
    tensors
        Adapter weights, NumPy or torch, any shape. bfloat16 is stored as float32, which loses nothing.
    meta
        Nested dicts, lists, text, numbers and None: seeds, settings, results.
    arrays
        Other arrays: context rows, and arrays of text or mixed values such as classes and levels.
    documents
        What else belongs to the adapter and is read for itself, such as measured curves: by name, like `meta`.
    base_fingerprint
        SHA-256 of the base model's weights.
    overwrite
        Replace an adapter that is there: its files that its manifest lists are removed, and no others. Being killed
        leaves the old one or the new one, never a mixture. Another save at the same time waits.

    Raises
    ------
    InputError
        If `directory` or the name of a document cannot be one.
    StoreError
        If the folder exists (without `overwrite`), holds something else, or cannot be written; nothing is
        left then.
    """
    refuse_existing(directory, overwrite=overwrite)
    target = Path(directory)
    labels, numbers = {}, {}
    for name, array in (arrays or {}).items():
        if array.dtype == object or array.dtype.kind == "U":
            labels[name] = encode_array(array)
        else:
            numbers[name] = _numeric(name, array)
    contents: dict[str, bytes] = {}
    entries: dict[str, FileEntry] = {}
    weights = {name: _numeric(name, tensor) for name, tensor in tensors.items()}
    for role, content in {"tensors": weights, "arrays": numbers}.items():
        data = _safetensors(role, content)
        entries[role] = FileEntry.of(role, data, "safetensors")
        contents[entries[role].name] = data
    for name, document in (documents or {}).items():
        data = _json(name, document)
        entries[name] = FileEntry.of(name, data, "json")
        contents[entries[name].name] = data
    encoded = encode_value(dict(meta))
    try:
        manifest = Manifest(
            format=FORMAT,
            format_version=FORMAT_VERSION,
            base_fingerprint=base_fingerprint,
            versions=installed_versions(),
            meta=encoded,
            labels=labels,
            files=entries,
        )
    except ValueError as error:
        raise InputError(sentence("this is no adapter that can be saved", why=str(error))) from error
    whole = contents | {MANIFEST: manifest.to_bytes()}
    if not what_is_at(target):
        try:
            write_folder(target, whole)
            return
        except StoreError:
            if not what_is_at(target):
                raise
        refuse_existing(target, overwrite=overwrite)  # another save made the folder meanwhile
    with folder_lock(target):
        stale = _listed_files(target, _adapter_to_replace(target))
        write_into_folder(target, whole, last=MANIFEST, stale=stale - contents.keys())


def add_document(directory: str | os.PathLike[str], name: str, content: Mapping[str, Any]) -> None:
    """Put a JSON document, such as measured curves, beside a saved adapter and under its hashes.

    Parameters
    ----------
    directory
        Folder written by :func:`save_adapter`.
    name
        1 to 40 lower-case letters and underscores; a document of this name is replaced.
    content
        Nested dicts, lists, text, numbers and None.

    Raises
    ------
    InputError
        If `name` cannot be one.
    StoreError
        If the folder holds no whole adapter, is one of a store, or cannot be written.
    """
    folder, data = as_place(directory), _json(name, content)
    entry = FileEntry.of(name, data, "json")
    _refuse_before_a_lock(folder)
    with folder_lock(folder):
        manifest = _with_file(folder, name, entry)
        stale = _listed_files(folder, read_manifest(folder)) - {item.name for item in manifest.files.values()}
        contents = {entry.name: data, MANIFEST: manifest.to_bytes()}
        write_into_folder(folder, contents, last=MANIFEST, stale=stale)


def add_page(directory: str | os.PathLike[str], name: str, page: str, *, overwrite: bool = False) -> Path:
    """Put an HTML page for people beside a saved adapter, as ``NAME.html``, and return its path.

    The next save into the folder removes the page, since it would describe another adapter, unless somebody changed it.

    Parameters
    ----------
    directory
        Folder written by :func:`save_adapter`.
    name
        1 to 40 lower-case letters and underscores. A page of this name is replaced if it is as it was written here.
    page
        The HTML.
    overwrite
        Replace also a file of this name that somebody else wrote or changed.

    Raises
    ------
    InputError
        If `name` cannot be one.
    StoreError
        If the folder holds no whole adapter, is one of a store, a file of this name is not ours, or the folder cannot
        be written.
    """
    folder, data = as_place(directory), page.encode("utf-8")
    _check_name(name)
    entry = FileEntry.of(name, data, "html")
    _refuse_before_a_lock(folder)
    with folder_lock(folder):
        manifest = _with_file(folder, name, entry)
        there, old = what_is_at(folder / entry.name), read_manifest(folder).files.get(name)
        ours = old is not None and is_unchanged(folder, old)
        if there and not ours and not (overwrite and there == "a file"):
            raise StoreError(
                sentence(
                    f"{str(folder / entry.name)!r} is {there} that this adapter did not write",
                    why="it was there before, or somebody changed it",
                    remedy="Write the page elsewhere, or ask to overwrite the file",
                )
            )
        contents = {entry.name: data, MANIFEST: manifest.to_bytes()}
        write_into_folder(folder, contents, last=MANIFEST, after=[entry.name])
    return folder / entry.name


def _refuse_before_a_lock(folder: Path) -> None:
    """Refuse a folder that is no adapter, or one of a store, before a lock is made in it."""
    refuse_stored(folder, "Write to a file elsewhere, which `testtime report` does with --out")
    read_manifest(folder)


def _adapter_to_replace(target: Path) -> Manifest | None:
    """Return the manifest of an adapter that may be overwritten; None if the folder is empty.

    Raises
    ------
    StoreError
        If it is no folder, or one that we cannot have written.
    """
    why = f"it is {what_is_at(target)}"
    if target.is_dir():
        try:
            with os.scandir(target) as entries:
                empty = all(entry.name == LOCK or is_leftover(entry.name) for entry in entries)
            return None if empty else read_manifest(target)
        except StoreError:
            why = "only adapters are overwritten, and it has no manifest, or one that is damaged, newer or not ours"
        except OSError as error:
            why = f"it cannot be read: {error.strerror or error}"
    raise StoreError(
        sentence(
            f"{str(target)!r} is not a saved adapter",
            expected=f"a folder with a whole {MANIFEST} of testtime",
            why=why,
            remedy="Choose another name, or remove it yourself",
        )
    )


def _listed_files(folder: Path, manifest: Manifest | None) -> set[str]:
    """Return the names of the files that a manifest lists and that nobody changed since."""
    entries = manifest.files.values() if manifest is not None else ()
    return {entry.name for entry in entries if not entry.is_page or is_unchanged(folder, entry)}


def _with_file(folder: Path, role: str, entry: FileEntry) -> Manifest:
    """Return the folder's manifest with one more file; the caller holds the lock."""
    manifest = read_manifest(folder)
    if manifest.format_version == 1:
        raise StoreError(
            sentence(
                f"{str(folder)!r} is of format version 1",
                why="adapters of that version are read and not changed",
                remedy="Save the adapter again, or write to a place outside of its folder",
            )
        )
    if role in manifest.files and manifest.files[role].is_page != entry.is_page:
        raise InputError(
            sentence(f"the name {role!r} is taken in {str(folder)!r}", remedy="Choose another name")
        )
    return manifest.model_copy(update={"files": manifest.files | {role: entry}})


def _check_name(name: str) -> None:
    if not is_role(name) or name in ("tensors", "arrays"):
        raise InputError(
            sentence(
                f"document name {str(name)[:60]!r}",
                expected="1 to 40 lower-case letters and underscores, and neither tensors nor arrays",
            )
        )


def _json(name: str, content: Mapping[str, Any]) -> bytes:
    _check_name(name)
    return json.dumps(encode_value(dict(content)), allow_nan=False).encode("ascii")


def _safetensors(role: str, arrays: dict[str, np.ndarray]) -> bytes:
    total = sum(array.nbytes for array in arrays.values())
    why = f"they take {total:,} bytes, and at most {MAX_FILE_BYTES:,} are read back"
    try:
        data = dump_safetensors(arrays) if total < MAX_FILE_BYTES else b""
    except (SafetensorError, ValueError, TypeError) as error:
        data, why = b"", str(error)
    if not data:
        raise StoreError(
            sentence(f"the {role} cannot be saved", why=why, remedy="Save fewer or smaller ones")
        )
    return data


def _numeric(name: str, array: Any) -> np.ndarray:
    """Return a little-endian array in C order; torch is known by a method and need not be imported."""
    if hasattr(array, "detach"):
        array = array.detach().cpu()
        array = (array.float() if str(array.dtype) == "torch.bfloat16" else array).numpy()
    array = np.asarray(array, order="C")
    if array.dtype.char not in _NUMERIC:
        raise StoreError(
            sentence(
                f"array {name!r} of type {array.dtype} cannot be saved",
                expected="numbers, booleans or text",
                remedy="Convert it first",
            )
        )
    return array.astype(array.dtype.newbyteorder("<"), copy=False)
