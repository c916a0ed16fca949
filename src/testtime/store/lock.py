"""One writer at a time in a folder."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from testtime.errors import StoreError, sentence
from testtime.store.places import storing

__all__ = ["LOCK", "folder_lock"]

LOCK = ".testtime.lock"
"""An empty file in a folder that was written to a second time; it may be deleted while nobody writes."""

PATIENCE = 60.0
"""Seconds to wait for another writer; writing takes milliseconds, unless a disk hangs."""


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Keep other writers, of any process, out of a folder; a killed one lets go of it. Readers do not wait.

    Raises
    ------
    StoreError
        If another writer does not finish in time, or the file system refuses.
    """
    with storing(folder):
        writable_by = stat.S_IMODE(folder.stat().st_mode) & (stat.S_IWGRP | stat.S_IWOTH)
        lock = FileLock(folder / LOCK, mode=0o644 | writable_by)  # whoever may write here may lock
        try:
            lock.acquire(timeout=PATIENCE)
        except Timeout as error:
            raise StoreError(
                sentence(
                    f"{str(folder)!r} is being written by another process, for more than {PATIENCE:g} s",
                    remedy="Wait until it is done, or end it, and try again",
                )
            ) from error
    try:
        yield
    finally:
        lock.release()
