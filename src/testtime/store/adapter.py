"""Save and load an adapter: safetensors payloads and a manifest that says what their bytes must be.

A folder holds ``manifest.json`` and the files it names. Nothing is pickled, and nothing is parsed before its
hash is right. safetensors alone would accept a changed payload: the format has no checksum.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as parse_safetensors
from safetensors.numpy import save as dump_safetensors

from testtime.errors import InputError, StoreError, sentence
from testtime.store.atomic import write_folder, write_into_folder
from testtime.store.manifest import FileEntry, Manifest, installed_versions, is_payload_name, sha256_hex
from testtime.store.values import decode_array, decode_value, encode_array, encode_value

__all__ = ["add_document", "load_adapter", "read_document", "read_meta", "refuse_existing", "save_adapter"]

MANIFEST = "manifest.json"
_MAX_MANIFEST_BYTES = (
    256 * 2**20
)  # far above any real one; a limit so that a wrong file is not read into memory
_NUMERIC = "?bhilqBHILQefdF"  # dtype characters that safetensors can hold


def refuse_existing(directory: str | os.PathLike[str], *, overwrite: bool) -> None:
    """Raise if :func:`save_adapter` would refuse this folder; commands ask before they compute.

    Raises
    ------
    StoreError
        If the folder exists (without `overwrite`), or exists and is not a saved adapter.
    """
    target = Path(directory)
    if not os.path.lexists(target):
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
    if not target.is_dir() or (any(target.iterdir()) and not (target / MANIFEST).is_file()):
        raise StoreError(
            sentence(
                f"{str(target)!r} is not a saved adapter",
                expected=f"a folder with a {MANIFEST}",
                why="only adapters are overwritten",
                remedy="Choose another name",
            )
        )


def save_adapter(
    directory: str | os.PathLike[str],
    tensors: Mapping[str, Any],
    meta: Mapping[str, Any],
    *,
    arrays: Mapping[str, np.ndarray] | None = None,
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
    base_fingerprint
        SHA-256 of the base model's weights.
    overwrite
        Replace an adapter that is there. Being killed leaves the old one or the new one, never a mixture.

    Raises
    ------
    StoreError
        If the folder exists (without `overwrite`), holds something else, or cannot be written; nothing is
        left then.
    """
    target = Path(directory)
    refuse_existing(target, overwrite=overwrite)
    labels, numbers = {}, {}
    for name, array in (arrays or {}).items():
        if array.dtype == object or array.dtype.kind == "U":
            labels[name] = encode_array(array)
        else:
            numbers[name] = _numeric(name, array)
    payloads = {
        "tensors": dump_safetensors({name: _numeric(name, tensor) for name, tensor in tensors.items()}),
        "arrays": dump_safetensors(numbers),
    }
    entries = {role: _entry(role, data, "safetensors") for role, data in payloads.items()}
    manifest = Manifest(
        base_fingerprint=base_fingerprint,
        versions=installed_versions(),
        meta=encode_value(dict(meta)),
        labels=labels,
        files=entries,
    )
    contents = {entries[role].name: data for role, data in payloads.items()}
    if not os.path.lexists(target):
        write_folder(target, contents | {MANIFEST: manifest.to_bytes()})
    else:
        _write_over(target, contents, manifest)


def load_adapter(
    directory: str | os.PathLike[str], *, base_fingerprint: str | None
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, Any]]:
    """Read an adapter after checking every byte of it.

    Parameters
    ----------
    directory
        Folder written by :func:`save_adapter`.
    base_fingerprint
        SHA-256 of the weights the adapter is to be put on; None leaves this check to the caller.

    Returns
    -------
    tensors, arrays, meta
        As given to :func:`save_adapter`, arrays in NumPy form.

    Raises
    ------
    StoreError
        If a file is missing, truncated or changed, the format is newer, or the base model is another one.
    """
    folder = Path(directory)
    manifest = _read_manifest(folder)
    if base_fingerprint is not None and manifest.base_fingerprint != base_fingerprint:
        raise StoreError(
            sentence(
                f"the adapter in {str(folder)!r} was trained on the base model "
                f"{manifest.base_fingerprint[:12]}, and this one is {base_fingerprint[:12]}",
                why="an adapter is a difference to the weights it was trained on",
                remedy="Load it with that base model and the same testtime version, or fit again",
            )
        )
    tensors, arrays = (_read_safetensors(folder, manifest, role) for role in ("tensors", "arrays"))
    try:
        labels = {name: decode_array(content) for name, content in manifest.labels.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(folder / MANIFEST, "an array of labels is malformed") from error
    return tensors, arrays | labels, decode_value(manifest.meta)


def read_meta(directory: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the ``meta`` of a saved adapter and the versions it was made with, without its weights.

    Raises
    ------
    StoreError
        If the folder holds no adapter or the manifest is damaged.
    """
    manifest = _read_manifest(Path(directory))
    return decode_value(manifest.meta), manifest.versions


def add_document(directory: str | os.PathLike[str], name: str, content: Mapping[str, Any]) -> None:
    """Put a JSON document, such as measured curves, beside a saved adapter and under its hashes.

    Parameters
    ----------
    directory
        Folder written by :func:`save_adapter`.
    name
        Lower-case letters and underscores; a document of this name is replaced.
    content
        Nested dicts, lists, text, numbers and None.

    Raises
    ------
    StoreError
        If the folder holds no whole adapter, or cannot be written.
    """
    if not name.isascii() or not name.replace("_", "a").isalpha() or not name.islower() or len(name) > 40:
        raise InputError(sentence(f"document name {name!r}", expected="lower-case letters and underscores"))
    folder = Path(directory)
    manifest = _read_manifest(folder)
    data = json.dumps(encode_value(dict(content)), allow_nan=False).encode("ascii")
    entry = _entry(name, data, "json")
    extended = Manifest(
        base_fingerprint=manifest.base_fingerprint,
        versions=manifest.versions,
        meta=manifest.meta,
        labels=manifest.labels,
        files=manifest.files | {name: entry},
    )
    _write_over(folder, {entry.name: data}, extended)


def read_document(directory: str | os.PathLike[str], name: str) -> dict[str, Any] | None:
    """Return a document of :func:`add_document`, or None if the adapter has none of this name.

    Raises
    ------
    StoreError
        If the folder holds no adapter, or the document was changed.
    """
    folder = Path(directory)
    manifest = _read_manifest(folder)
    if name not in manifest.files:
        return None
    return decode_value(json.loads(_read_checked(folder, manifest.files[name])))


def _write_over(target: Path, contents: dict[str, bytes], manifest: Manifest) -> None:
    """Add the new payloads beside the old ones, swap the manifest, then drop what it no longer names."""
    named = {entry.name for entry in manifest.files.values()}
    write_into_folder(
        target,
        contents | {MANIFEST: manifest.to_bytes()},
        last=MANIFEST,
        stale=lambda name: is_payload_name(name) and name not in named,
    )


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


def _entry(role: str, data: bytes, ending: str) -> FileEntry:
    digest = sha256_hex(data)
    return FileEntry(name=f"{role}-{digest[:16]}.{ending}", size=len(data), sha256=digest)


def _read_manifest(folder: Path) -> Manifest:
    path = folder / MANIFEST
    if not path.is_file():
        raise StoreError(
            sentence(
                f"{str(folder)!r} holds no saved adapter",
                expected=f"a folder with a {MANIFEST}",
                remedy="Pass the folder that save() or 'testtime adapt --out' wrote",
            )
        )
    if path.stat().st_size > _MAX_MANIFEST_BYTES:
        raise _damaged(path, f"it is {path.stat().st_size:,} bytes long")
    return Manifest.from_bytes(path.read_bytes(), str(path))


def _read_checked(folder: Path, entry: FileEntry) -> bytes:
    path = folder / entry.name
    if not path.is_file():
        raise StoreError(
            sentence(f"the file {str(path)!r} is missing", remedy="Copy the adapter again, or fit it again")
        )
    size = path.stat().st_size
    if size != entry.size:
        raise _damaged(path, f"it is {size:,} bytes long instead of {entry.size:,}")
    data = path.read_bytes()
    if sha256_hex(data) != entry.sha256:
        raise _damaged(path, "its bytes do not have the hash in the manifest")
    return data


def _read_safetensors(folder: Path, manifest: Manifest, role: str) -> dict[str, np.ndarray]:
    if role not in manifest.files:
        raise _damaged(folder / MANIFEST, f"it names no file of {role}")
    entry = manifest.files[role]
    data = _read_checked(folder, entry)
    try:
        return parse_safetensors(data)
    except (SafetensorError, ValueError, KeyError, OverflowError) as error:
        raise _damaged(folder / entry.name, f"it is not a safetensors file: {error}") from error


def _damaged(path: Path, why: str) -> StoreError:
    return StoreError(
        sentence(f"{str(path)!r} is damaged", why=why, remedy="Copy the adapter again, or fit it again")
    )
