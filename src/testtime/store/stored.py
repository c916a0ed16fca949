"""Folders of adapters inside a store: each is called after the hash of what is in it, and is never changed."""

from __future__ import annotations

import re
from pathlib import Path

from testtime.errors import StoreError, sentence
from testtime.store.places import as_place

__all__ = ["ADAPTERS", "NAMES", "is_hash", "refuse_stored"]

NAMES, ADAPTERS = "names", "adapters"
"""Folders of a store: what names stand for, and the saved adapters."""

_HASH = re.compile(r"[0-9a-f]{64}")


def is_hash(name: str) -> bool:
    """Tell whether a folder may be that of a saved adapter, by its name."""
    return _HASH.fullmatch(name) is not None


def refuse_stored(folder: Path, remedy: str) -> None:
    """Raise if a folder is that of an adapter in a store: with anything changed its name would be wrong.

    Raises
    ------
    InputError
        If it cannot be the name of a folder.
    StoreError
        If it is one of a store.
    """
    try:
        there = as_place(folder).resolve()
    except (OSError, RuntimeError):  # a circle of links: whoever opens it says so
        return
    if is_hash(there.name) and there.parent.name == ADAPTERS:
        raise StoreError(
            sentence(
                f"{str(folder)!r} is an adapter of a store",
                expected="a folder that may be changed",
                why="it is called after the hash of what is in it, and would count as damaged",
                remedy=remedy,
            )
        )
