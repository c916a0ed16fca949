"""What is to be said about the rows of a request: for its answer and a line of the log, no warning of the process."""

from __future__ import annotations

import logging
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from testtime.table.columns import DataWarning

__all__ = ["log_notes", "notes_of_rows"]

_LOG = logging.getLogger("testtime.serve")
_LOCK = threading.Lock()
_TOLD: ContextVar[list[str] | None] = ContextVar("told", default=None)
_MODULES = r"testtime\.serve\."
_ALWAYS = ("always", None, DataWarning, re.compile(_MODULES), 0)


@contextmanager
def notes_of_rows() -> Iterator[list[str]]:
    """Yield a list that takes what this thread, and no other one, warns about rows.

    ``warnings.catch_warnings`` changes the whole process, and threads that leave it in another order than they came
    leave it changed; so one hook stays, and asks whose warning it is.
    """
    with _LOCK:
        if not isinstance(warnings.showwarning, _Hook):
            warnings.showwarning = _Hook(warnings.showwarning)
        if warnings.filters[:1] != [_ALWAYS]:  # else only the first request with a note would be told it
            warnings.filterwarnings("always", category=DataWarning, module=_MODULES)
    found: list[str] = []
    before = _TOLD.set(found)
    try:
        yield found
    finally:
        _TOLD.reset(before)


class _Hook:
    """Shows warnings as before, but for those about rows that somebody collects."""

    def __init__(self, before: Any) -> None:
        self._before = before

    def __call__(
        self,
        message: Any,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: Any = None,
        line: Any = None,
    ) -> None:
        told = _TOLD.get()
        if told is None or not issubclass(category, DataWarning):
            self._before(message, category, filename, lineno, file, line)
        elif str(message) not in told:
            told.append(str(message))


def log_notes(name: str, notes: Sequence[str]) -> None:
    """Write the notes about a request as one line; what its rows hold cannot begin another one."""
    if notes:
        text = " ".join(notes)
        shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
        _LOG.warning("%r: %s", name, shown)
