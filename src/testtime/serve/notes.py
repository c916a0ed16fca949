"""What is to be said about the rows of a request, in a line of the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from testtime.plain import in_one_line

__all__ = ["log_notes"]

_LOG = logging.getLogger("testtime.serve")


def log_notes(name: str, notes: Sequence[str]) -> None:
    """Write the notes about a request as one line; what its rows hold cannot begin another one."""
    if notes:
        text = " ".join(notes)
        _LOG.warning("%r: %s", name, in_one_line(text))
