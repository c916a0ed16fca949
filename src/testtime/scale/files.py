"""Files that are whole or not there, and what says that two of them are the same."""

from __future__ import annotations

import hashlib
from pathlib import Path

from testtime.store.atomic import replace_file
from testtime.store.places import storing

__all__ = ["file_hash", "write_atomic"]


def write_atomic(path: Path, content: bytes) -> Path:
    """Write `content` to `path` so that a reader sees the old file or the whole new one, never a part.

    Raises
    ------
    StoreError
        If the folder cannot be made or written, for example because the disk is full.
    """
    with storing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    replace_file(path, lambda staged: staged.write_bytes(content))
    return path


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, as 64 hex digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
