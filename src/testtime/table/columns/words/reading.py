"""What every parser of messy words answers, and the one rule for when a column is of its kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.table.columns.cells import WordCells

__all__ = ["ENOUGH", "Reading", "RejectColumn", "blank_words", "judge", "shown_counts"]

ENOUGH = 0.95  # of the values that are there must be of a kind for the column to be of that kind

_BLANKS = frozenset(
    [
        "-",
        "--",
        "---",
        "–",
        "—",
        ".",
        "..",
        "...",
        "*",
        "**",
        "?",
        "??",
        "na",
        "n/a",
        "n.a.",
        "n.a",
        "n/d",
        "n.d.",
        "nan",
        "none",
        "null",
        "nil",
        "nat",
        "unknown",
        "unk",
        "missing",
        "undefined",
        "void",
        "empty",
        "blank",
        "tbd",
        "tba",
        "#n/a",
        "#na",
        "#null!",
        "#value!",
        "#ref!",
        "#div/0!",
        "#name?",
        "#num!",
        "<na>",
        "(null)",
        "\\n",
        "(blank)",
        "(none)",
        "(empty)",
        "inapplicable",
    ]
) | {
    "not available",
    "not applicable",
    "no data",
    "no answer",
    "not known",
    "not reported",
    "not recorded",
}


class RejectColumn(Exception):
    """A column is not of the kind that was tried; the message says why."""


@dataclass(frozen=True)
class Reading:
    """Words read as numbers, times or truth values.

    Attributes
    ----------
    values
        One value per row, NaN or NaT where there is none.
    n_read
        Number of rows with a value.
    blanks
        Words that stand for a missing value, such as ``unknown``, with their number of rows.
    stray
        Other words that could not be read, with their number of rows.
    """

    values: NDArray[Any]
    n_read: int
    blanks: dict[str, int]
    stray: dict[str, int]

    @property
    def enough(self) -> bool:
        """Whether almost all of what is there could be read."""
        return self.n_read > 0 and self.n_read >= ENOUGH * (self.n_read + sum(self.stray.values()))

    @property
    def lost(self) -> dict[str, int]:
        """All words that count as missing, the most frequent first."""
        return dict(sorted((self.blanks | self.stray).items(), key=lambda item: (-item[1], item[0])))


def judge(
    cells: WordCells, of_words: NDArray[Any], read: NDArray[np.bool_], missing: Any, known: frozenset[str]
) -> Reading:
    """Sort words into read, blank and stray, and spread what was read over the rows.

    Parameters
    ----------
    cells
        The column.
    of_words, read
        What each word was read as, and whether it was.
    missing
        What stands for no value.
    known
        Words that counted as missing at fit, in lower case; they do so again.
    """
    counts = cells.counts
    blanks: dict[str, int] = {}
    stray: dict[str, int] = {}
    for at in np.flatnonzero(~read & (counts > 0)).tolist():
        word = cells.words[at].as_py()
        sort = blanks if word.lower() in _BLANKS or word.lower() in known else stray
        sort[word] = int(counts[at])
    return Reading(cells.spread(of_words, missing), int(counts[read].sum()), blanks, stray)


def blank_words(reading: Reading) -> list[str]:
    """Return what must be remembered of a reading: strays that would not be known as blank again."""
    return sorted({word.lower() for word in reading.stray})[:1000]


def shown_counts(words: dict[str, int]) -> str:
    """Name the most frequent words with their counts.

    >>> shown_counts({"-": 1200, "unknown": 3})
    "'-' (1,200), 'unknown' (3)"
    """
    shown = ", ".join(f"{word[:40]!r} ({count:,})" for word, count in list(words.items())[:5])
    return shown + (f" and {len(words) - 5:,} more" if len(words) > 5 else "")
