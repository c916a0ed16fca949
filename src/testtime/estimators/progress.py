"""One progress bar with the time that is left, for whatever takes longer than a second and is watched."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from testtime.adapt.work import UNWATCHED, Work

__all__ = ["progress"]

_FORMAT = "{desc} {percentage:3.0f}%|{bar}| {elapsed} spent, {remaining} left"
_FORMAT_WITHOUT_END = "{desc}, {elapsed} spent"
_SECONDS_UNSEEN = 1.0

_open: ContextVar[Work | None] = ContextVar("testtime_progress", default=None)


class _Bar:
    """A bar over rows of work; a plan that turns out too small grows, and the bar never shows more than all."""

    def __init__(self, bar: Any) -> None:
        self._bar, self._lock = bar, threading.Lock()

    def plan(self, rows: float) -> None:
        with self._lock:
            self._bar.bar_format = _FORMAT
            self._bar.total = (self._bar.total or 0) + rows

    def done(self, rows: float) -> None:
        with self._lock:
            if self._bar.n + rows > (self._bar.total or 0):
                self._bar.total = self._bar.n + rows
            self._bar.update(rows)

    def say(self, what: str) -> None:
        with self._lock:
            self._bar.set_description_str(what, refresh=False)


@contextmanager
def progress(shown: bool) -> Iterator[Work]:
    """Yield what tells a bar on stderr about work; nested uses join the outer bar, so that there is only one.

    Parameters
    ----------
    shown
        False shows nothing, unless within a bar that is shown.
    """
    outer = _open.get()
    if outer is not None or not shown:
        yield outer or UNWATCHED
        return
    from tqdm import tqdm

    with tqdm(bar_format=_FORMAT_WITHOUT_END, delay=_SECONDS_UNSEEN, leave=False, mininterval=0.2) as bar:
        told = _Bar(bar)
        token = _open.set(told)
        try:
            yield told
        finally:
            _open.reset(token)
