"""How much work there is and how much is done, told to whoever watches: a progress bar, or nobody.

Work is counted in rows that go once through the model. A training step costs a few times the rows of its episode, which
makes one bar honest for steps and predictions alike.
"""

from __future__ import annotations

from typing import Protocol

__all__ = ["ROWS_PER_TRAINED_ROW", "UNWATCHED", "Work"]

ROWS_PER_TRAINED_ROW = 4
"""A row of a training step costs about as much as so many predicted ones."""


class Work(Protocol):
    """Told from any thread."""

    def plan(self, rows: float) -> None:
        """More rows will go through the model."""
        ...

    def done(self, rows: float) -> None:
        """So many more rows did."""
        ...

    def say(self, what: str) -> None:
        """What is done now, in a word or two."""
        ...


class _Unwatched:
    def plan(self, rows: float) -> None:
        """Nobody listens."""

    def done(self, rows: float) -> None:
        """Nobody listens."""

    def say(self, what: str) -> None:
        """Nobody listens."""


UNWATCHED: Work = _Unwatched()
"""For callers without a bar."""
