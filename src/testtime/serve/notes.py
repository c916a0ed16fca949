"""What is to be said about the rows of a request, in a line of the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

__all__ = ["log_notes"]

_LOG = logging.getLogger("testtime.serve")


def log_notes(name: str, notes: Sequence[str]) -> None:
    """Write the notes about a request as one line; what its rows hold cannot begin another one."""
    if notes:
        text = " ".join(notes)
        shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
        _LOG.warning("%r: %s", name, shown)
