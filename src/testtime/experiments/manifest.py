"""What a run leaves behind: atomic files, their hashes, and the versions they were made with."""

from __future__ import annotations

import hashlib
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from testtime.errors import StoreError, sentence
from testtime.plain import json_text
from testtime.store.atomic import replace_file

__all__ = ["file_hash", "strict_json", "versions", "write_atomic"]

_PACKAGES = ("testtime", "numpy", "scipy", "pandas", "matplotlib", "joblib", "torch")


def write_atomic(path: Path, content: bytes) -> Path:
    """Write `content` to `path` so that a reader sees the old file or the whole new one, never a part.

    Raises
    ------
    StoreError
        If the folder cannot be written, for example because the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            sentence(
                f"{path} could not be written: {error.strerror or error}",
                remedy="Choose another --out folder",
            )
        ) from error
    replace_file(path, lambda staged: staged.write_bytes(content))
    return path


def strict_json(value: Any) -> bytes:
    """Return `value` as strict JSON: NaN becomes null, infinity ``"inf"``, as in :func:`testtime.plain.plain`.

    >>> strict_json([float("inf"), float("nan")])
    b'[\\n  "inf",\\n  null\\n]\\n'
    """
    return (json_text(value) + "\n").encode()


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, as 64 hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions a result may depend on; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
