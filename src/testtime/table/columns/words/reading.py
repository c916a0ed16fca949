"""What every parser of messy words answers, and the one rule for when a column is of its kind."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.columns.cells import WordCells

__all__ = [
    "ENOUGH",
    "MANY_VALUES",
    "SAMPLE",
    "Reading",
    "RejectColumn",
    "blank_words",
    "is_blank",
    "judge",
    "likely",
    "matches",
    "nearly",
    "shown_counts",
]

_MOST_REMEMBERED = 1000
SAMPLE = 2000  # rows that tell whether a longer column is worth reading, or how a table is written
_SURELY = 0.8  # of the values are of a kind; with fewer there must be several different ones:
_FEWEST_VALUES = 3  # "3rd class" beside "1st class" is one
ENOUGH = 0.95  # of the values that are there must be of a kind for the column to be of that kind, or
_MOST = 0.5  # of them, where these are more than
MANY_VALUES = 20  # different ones, of which levels would say little, and others are at most
_FEW_WORDS = 5  # different words such as "pending", each of which stands in two rows or more
# One letter beside numbers, as of a line or a room, is rather a name than a word.
_WORD = r"^[^0-9]*\pL[^0-9]*\pL[^0-9]*$"

# fmt: off
_BLANKS = frozenset((
    "-", "--", "---", "–", "—", ".", "..", "...", "*", "**", "?", "??", "na", "n/a", "n.a.", "n.a", "n/d",
    "n.d.", "nan", "none", "null", "nil", "nat", "unknown", "unk", "missing", "undefined", "void", "empty",
    "blank", "tbd", "tba", "#n/a", "#na", "#null!", "#value!", "#ref!", "#div/0!", "#name?", "#num!",
    "<na>", "(null)", r"\n", "(blank)", "(none)", "(empty)", "inapplicable", "not available",
    "not applicable", "no data", "no answer", "not known", "not reported", "not recorded",
    "k.a.", "k. a.", "keine angabe", "unbekannt", "fehlt", "#wert!", "#nv", "#bezug!", "#zahl!",
    "inconnu", "non renseigné", "n.c.", "#valeur!", "#nombre!", "s/d", "desconocido", "sin dato", "#¡valor!",
    "0000-00-00", "0000-00-00 00:00:00", "00.00.0000", "00/00/0000",
))
# fmt: on


class RejectColumn(Exception):
    """A column is not of the kind that was tried; the message says why.

    `nearly` says what kept it from being of that kind, where most of it is, and what to do; else it is empty.
    """

    def __init__(self, why: str, nearly: str = "") -> None:
        super().__init__(why)
        self.nearly = nearly


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
        Other words that could not be read, with their number of rows; the most frequent if there are many.
    n_lost
        Number of rows of all blank and of all stray words.
    """

    values: NDArray[Any]
    n_read: int
    blanks: dict[str, int]
    stray: dict[str, int]
    n_lost: tuple[int, int] = (0, 0)

    @property
    def nearly_all(self) -> bool:
        """Whether almost all of what is there could be read."""
        return self.n_read > 0 and self.n_read >= ENOUGH * (self.n_read + self.n_lost[1])

    @property
    def enough(self) -> bool:
        """Whether almost all of what is there could be read, or most of it and the rest are a few words."""
        if self.nearly_all:
            return True
        n_there = self.n_read + self.n_lost[1]
        if self.n_read < max(1, _MOST * n_there) or len(np.unique(self.values)) <= MANY_VALUES + 1:
            return False
        words = Counter[str]()
        for word, rows in self.stray.items():
            words[word.casefold()] += rows
        few = len(words) <= _FEW_WORDS and min(words.values()) > 1
        return few and bool(matches(pa.array(list(words), pa.large_string()), _WORD).all())

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
    unread = ~read & (cells.counts > 0)
    blank = is_blank(cells.words, known)
    blanks, n_blank = _counted(cells, unread & blank)
    stray, n_stray = _counted(cells, unread & ~blank)
    n_read = int(cells.counts[read].sum())
    return Reading(cells.spread(of_words, missing), n_read, blanks, stray, (n_blank, n_stray))


def is_blank(words: pa.Array, known: frozenset[str] = frozenset()) -> NDArray[np.bool_]:
    """Tell which words stand for a missing value, or are `known` to, in lower case.

    >>> is_blank(pa.array(["n.a.", "Oslo", "Unknown"], pa.large_string())).tolist()
    [True, False, True]
    """
    found = pc.is_in(pc.utf8_lower(words), value_set=pa.array(sorted(_BLANKS | known), pa.large_string()))
    return found.to_numpy(zero_copy_only=False).astype(bool)


def matches(words: pa.Array, pattern: str) -> NDArray[np.bool_]:
    """Which words match a pattern; a missing one does not."""
    found = pc.fill_null(pc.match_substring_regex(words, pattern), False)
    return found.to_numpy(zero_copy_only=False).astype(bool)


def likely(sample: Reading) -> bool:
    """Tell whether most of a column is of a kind of which a sample of its rows was read."""
    return 2 * sample.n_read > sample.n_read + sample.n_lost[1]


def nearly(reading: Reading, kind: str) -> str:
    """Say which words keep a column from being of a kind; "" unless most of its values are.

    >>> nearly(Reading(np.array([1, 2, 3, np.nan]), 3, {}, {"~17": 1}, (0, 1)), "numbers")
    "75% of its values are numbers, but not '~17' (1)"
    """
    share = reading.n_read / max(1, reading.n_read + reading.n_lost[1])
    n_different = len(np.unique(reading.values)) - 1  # no value is one
    if not likely(reading) or n_different < (2 if share >= _SURELY else _FEWEST_VALUES):
        return ""
    return f"{share:.0%} of its values are {kind}, but not {shown_counts(reading.stray)}"


def _counted(cells: WordCells, which: NDArray[np.bool_]) -> tuple[dict[str, int], int]:
    """Return the most frequent of some words with their numbers of rows, and the rows of all of them."""
    at = np.flatnonzero(which)
    rows = cells.counts[at]
    top = at[np.argsort(-rows, kind="stable")[:_MOST_REMEMBERED]]
    words = cells.words.take(pa.array(top)).to_pylist()
    return dict(zip(words, cells.counts[top].tolist(), strict=True)), int(rows.sum())


def blank_words(reading: Reading) -> list[str]:
    """Return what must be remembered of a reading: strays that would not be known as blank again."""
    return sorted({word.lower() for word in reading.stray})


def shown_counts(words: dict[str, int]) -> str:
    """Name the most frequent words with their counts.

    >>> shown_counts({"-": 1200, "unknown": 3})
    "'-' (1,200), 'unknown' (3)"
    """
    shown = ", ".join(f"{word[:40]!r} ({count:,})" for word, count in list(words.items())[:5])
    return shown + (f" and {len(words) - 5:,} more" if len(words) > 5 else "")
