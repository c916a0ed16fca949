"""The manifest of a saved adapter: what belongs to it, how long each file is, and what its bytes hash to.

A manifest is canonical JSON and holds the hash of its own remainder. It is accepted only if writing what
was read gives the same bytes again: a flipped bit is noticed even where JSON reads the same value (``1e5``
and ``1E5``).
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from testtime.errors import StoreError, sentence

__all__ = ["FORMAT_VERSION", "FileEntry", "Manifest", "installed_versions", "is_payload_name", "sha256_hex"]

FORMAT = "testtime adapter"
FORMAT_VERSION = 1
_FILE_NAME = re.compile(r"[a-z][a-z_]{0,40}-[0-9a-f]{16}\.(safetensors|json)")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def is_payload_name(name: str) -> bool:
    """Say whether `name` is a file name that a save could have made, and so no path.

    >>> is_payload_name("tensors-0123456789abcdef.safetensors"), is_payload_name("../tensors.safetensors")
    (True, False)
    """
    return _FILE_NAME.fullmatch(name) is not None


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages an adapter depends on, without importing them."""
    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for package in ("testtime", "numpy", "scikit-learn", "torch", "tabicl", "safetensors"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


@dataclass(frozen=True)
class FileEntry:
    """One file of an adapter.

    Attributes
    ----------
    name
        File name inside the folder: a role, a piece of the hash, an ending; never a path.
    size
        Length in bytes.
    sha256
        Hash of its bytes.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What a saved adapter consists of.

    Attributes
    ----------
    base_fingerprint
        SHA-256 of the base model's weights, which the adapter fits and which are not saved with it.
    versions
        Packages the adapter was made with.
    meta
        Everything else the caller wants back, in the form of :func:`testtime.store.values.encode_value`.
    labels
        Arrays of text or mixed values, in the form of :func:`testtime.store.values.encode_array`.
    files
        Role of each file and its entry.
    """

    base_fingerprint: str
    versions: dict[str, str]
    meta: dict[str, Any]
    labels: dict[str, Any]
    files: dict[str, FileEntry]

    def to_bytes(self) -> bytes:
        """Return the canonical JSON, with the hash of the remainder in it."""
        body = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "base_fingerprint": self.base_fingerprint,
            "versions": self.versions,
            "meta": self.meta,
            "labels": self.labels,
            "files": {
                role: {"name": entry.name, "size": entry.size, "sha256": entry.sha256}
                for role, entry in self.files.items()
            },
        }
        return _canonical(body | {"sha256": sha256_hex(_canonical(body))})

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Manifest:
        """Read and check a manifest.

        Parameters
        ----------
        data
            The whole file.
        where
            What to call the file in a message.

        Raises
        ------
        StoreError
            If the bytes are damaged, of a newer format, or name a file outside of the folder.
        """
        try:
            content = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise _damaged(where, "it is not JSON") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise _damaged(where, f"it does not say it is a {FORMAT}")
        found = content.get("format_version")
        if isinstance(found, int) and not isinstance(found, bool) and found > FORMAT_VERSION:
            raise StoreError(
                sentence(
                    f"{where} has format version {found}",
                    expected=f"at most {FORMAT_VERSION}",
                    why="it was written by a newer testtime",
                    remedy="Upgrade with: pip install --upgrade testtime",
                )
            )
        stated = content.pop("sha256", None)
        if found != FORMAT_VERSION or stated != sha256_hex(_canonical(content)):
            raise _damaged(where, "its content does not have the hash it states")
        if _canonical(content | {"sha256": stated}) != data:
            raise _damaged(where, "its bytes are not those that were written")
        return cls._checked(content, where)

    @classmethod
    def _checked(cls, content: dict[str, Any], where: str) -> Manifest:
        """Build the manifest from content whose hash is right; a hand-made one can still be wrong."""
        try:
            files = {
                role: FileEntry(str(entry["name"]), int(entry["size"]), str(entry["sha256"]))
                for role, entry in content["files"].items()
            }
            manifest = cls(
                base_fingerprint=str(content["base_fingerprint"]),
                versions=dict(content["versions"]),
                meta=dict(content["meta"]),
                labels=dict(content["labels"]),
                files=files,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _damaged(where, "a field is missing or of the wrong type") from error
        for entry in files.values():
            if not is_payload_name(entry.name):
                raise StoreError(
                    sentence(
                        f"{where} names the file {entry.name!r}",
                        expected="a plain name such as 'tensors-0123456789abcdef.safetensors'",
                        why="an adapter may only refer to files in its own folder",
                        remedy="Do not use this adapter, or fit it again",
                    )
                )
            if entry.size < 0 or not _SHA256.fullmatch(entry.sha256):
                raise _damaged(where, f"size or hash of {entry.name} is not one")
        return manifest


def _canonical(content: dict[str, Any]) -> bytes:
    text = json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False)
    return (text + "\n").encode("ascii")


def _damaged(where: str, why: str) -> StoreError:
    return StoreError(
        sentence(f"{where} is damaged", why=why, remedy="Copy the adapter again, or fit it again")
    )
