"""Defaults of ``testtime adapt`` that other commands must know."""

from __future__ import annotations

__all__ = ["HELD_OUT", "MAX_ROWS"]

HELD_OUT = 0.2
"""Share of the rows that is only scored."""

MAX_ROWS = 50_000
"""Rows that are used at most."""
