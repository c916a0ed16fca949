"""The manifest of a saved adapter: what belongs to it, how long each file is, and what its bytes hash to.

A manifest is canonical JSON and holds the hash of its own remainder. It is accepted only if writing what
was read gives the same bytes again: a flipped bit is noticed even where JSON reads the same value (``1e5``
and ``1E5``). A right hash says that nothing was damaged, not that nobody meant harm: every field is then checked
against the types and bounds below.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from testtime.errors import StoreError, sentence
from testtime.store.records import Record, checked, damaged
from testtime.store.values import EncodedArray, check_encoded

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "MANIFEST",
    "MAX_FILE_BYTES",
    "MAX_MANIFEST_BYTES",
    "FileEntry",
    "Manifest",
    "installed_versions",
    "sha256_hex",
]

MANIFEST = "manifest.json"
FORMAT: Literal["testtime adapter"] = "testtime adapter"
FORMAT_VERSION = 2
"""What is written. 1 is read too: it knew no pages."""

MAX_MANIFEST_BYTES = 64 * 2**20
MAX_FILE_BYTES = 4 * 2**30
_MAX_FILES = 1000

_ROLE = re.compile(r"[a-z][a-z_]{0,39}")
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def is_role(name: object) -> bool:
    """Say whether a file of an adapter can have this role: 1 to 40 lower-case letters and underscores.

    >>> is_role("evaluation"), is_role("../x")
    (True, False)
    """
    return isinstance(name, str) and _ROLE.fullmatch(name) is not None


def installed_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages an adapter depends on, without importing them."""
    found = {"python": ".".join(str(part) for part in sys.version_info[:3])}
    for package in ("testtime", "numpy", "scikit-learn", "torch", "tabicl", "safetensors"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


class FileEntry(Record):
    """One file of an adapter.

    Attributes
    ----------
    name
        File name inside the folder, which follows from the role, the ending and the hash; never a path.
    size
        Length in bytes.
    sha256
        Hash of its bytes.
    """

    name: Annotated[str, Field(max_length=80)]
    size: Annotated[int, Field(ge=0, le=MAX_FILE_BYTES)]
    sha256: Hash

    @classmethod
    def of(cls, role: str, data: bytes, ending: Literal["safetensors", "json", "html"]) -> FileEntry:
        """Return the entry for bytes; a page keeps one name, so that a person finds it."""
        digest = sha256_hex(data)
        name = f"{role}.html" if ending == "html" else f"{role}-{digest[:16]}.{ending}"
        return cls(name=name, size=len(data), sha256=digest)

    @property
    def is_page(self) -> bool:
        """Whether this is a page for a person, under a name that does not change with its content."""
        return self.name.endswith(".html")

    def fits(self, role: str) -> bool:
        """Say whether :meth:`of` would give this name."""
        payload = f"{role}-{self.sha256[:16]}"
        return self.name in (f"{role}.html", f"{payload}.safetensors", f"{payload}.json")


class Manifest(Record):
    """What a saved adapter consists of.

    Attributes
    ----------
    format, format_version
        What this is, and which version of it.
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

    format: Literal["testtime adapter"]
    format_version: Annotated[int, Field(ge=1, le=FORMAT_VERSION)]
    base_fingerprint: Hash
    versions: Annotated[
        dict[Annotated[str, Field(max_length=80)], Annotated[str, Field(max_length=80)]],
        Field(max_length=100),
    ]
    meta: dict[str, Any]
    labels: Annotated[dict[str, EncodedArray], Field(max_length=10_000)]
    files: Annotated[dict[str, FileEntry], Field(max_length=_MAX_FILES)]

    @field_validator("meta")
    @classmethod
    def _check_meta(cls, meta: dict[str, Any]) -> dict[str, Any]:
        check_encoded(meta)
        return meta

    @model_validator(mode="after")
    def _check_names(self) -> Manifest:
        for role, entry in self.files.items():
            if not is_role(role) or not entry.fits(role) or (entry.is_page and self.format_version == 1):
                raise ValueError(
                    f"it names the file {entry.name!r} as {role!r}, and an adapter may only refer to files in its own "
                    "folder, under names such as 'tensors-0123456789abcdef.safetensors'"
                )
        for role in ("tensors", "arrays"):
            if not self.files.get(role, _NOTHING).name.endswith(".safetensors"):
                raise ValueError(f"it names no file of {role}")
        return self

    @property
    def sha256(self) -> str:
        """Hash of everything else in it, the hashes of the files among that: it names one save."""
        return sha256_hex(_canonical(self.model_dump()))

    def to_bytes(self) -> bytes:
        """Return the canonical JSON, with the hash of the remainder in it.

        Raises
        ------
        StoreError
            If it would be longer than what is read back.
        """
        data = _canonical(self.model_dump() | {"sha256": self.sha256})
        if len(data) > MAX_MANIFEST_BYTES:
            raise StoreError(
                sentence(
                    f"a manifest of {len(data):,} bytes cannot be saved",
                    expected=f"at most {MAX_MANIFEST_BYTES:,}",
                    remedy="Leave out columns with very many levels, or save large arrays as numbers",
                )
            )
        return data

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
            If the bytes are damaged, of a newer format, or a field is not what it may be.
        """
        try:
            content = json.loads(data.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise damaged(where, "it is not JSON") from error
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise damaged(where, "it is not the manifest of an adapter")
        found = content.get("format_version")
        if type(found) is int and found > FORMAT_VERSION:
            raise StoreError(
                sentence(
                    f"{where} has format version {str(found)[:20]}",
                    expected=f"at most {FORMAT_VERSION}",
                    why="it was written by a newer testtime",
                    remedy="Upgrade with: pip install --upgrade testtime",
                )
            )
        stated = content.pop("sha256", None)
        try:
            if stated != sha256_hex(_canonical(content)):
                raise damaged(where, "its content does not have the hash it states")
            if _canonical(content | {"sha256": stated}) != data:
                raise damaged(where, "its bytes are not those that were written")
        except (ValueError, RecursionError) as error:  # 1e999 was read as infinity; lists in lists in lists
            raise damaged(where, "it holds what no manifest holds") from error
        return checked(cls, content, where)


_NOTHING = FileEntry(name="", size=0, sha256="0" * 64)


def _canonical(content: dict[str, Any]) -> bytes:
    text = json.dumps(content, indent=1, ensure_ascii=True, allow_nan=False)
    return (text + "\n").encode("ascii")
