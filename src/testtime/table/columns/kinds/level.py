"""Columns of levels: words without an order, or with one."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from bisect import bisect_left
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from testtime.table.columns.cells import Cells, as_words, composed
from testtime.table.columns.kinds.base import Fitted, Habits, Learned, Output
from testtime.table.columns.words.truth import truth_of

__all__ = ["MOST_LEVELS", "LevelColumn"]

MOST_LEVELS = 10_000  # the rarest beyond count as never seen: the state and every table of levels stay small


class LevelColumn(Fitted):
    """Nominal or ordinal levels as codes.

    A level that was not there at fit stands where it would be among those of fit by its name, in a nominal column
    halfway between two codes. So do levels that a fold of the fit does not see, whose codes are those of all rows; and
    `K298` is near `K297`. In an ordinal column it has no place, and is missing.
    """

    kind: ClassVar[str] = "nominal"
    form: Literal["levels"] = "levels"
    levels: list[str] = Field(max_length=MOST_LEVELS)
    ordered: bool = False

    @classmethod
    def fit(cls, cells: Cells, name: str, *, ordered: bool | None = None) -> Learned:
        """Learn the levels: in declared order if there is one, else numbers by size before words by alphabet."""
        words = as_words(cells)
        if ordered is None:
            ordered = words.order == "ordinal"
        spelled, notes = _spelled(words.words).to_pylist(), []
        if words.order == "ordinal" and ordered:
            levels = list(dict.fromkeys(spelled))
        else:
            rows: dict[str, int] = {}
            for word, count in zip(spelled, words.counts.tolist(), strict=True):
                if count:
                    rows[word] = rows.get(word, 0) + count
            kept = sorted(rows, key=lambda word: (-rows[word], word))[:MOST_LEVELS]
            levels = sorted(kept, key=_place)
            if len(rows) > MOST_LEVELS:
                notes = [
                    f"Column {name!r} has {len(rows):,} levels; the rarest beyond {MOST_LEVELS:,} count as one."
                ]
        return Learned(
            cls(name=name, levels=levels, ordered=ordered), "", tuple(notes), int(words.missing.sum())
        )

    def transform(self, cells: Cells, habits: Habits, told: list[str]) -> list[Output]:
        """Look up new cells among the levels."""
        words = as_words(cells)
        codes, unseen = self._codes(words.words)
        n_unseen = int(words.counts[unseen].sum()) if len(unseen) else 0
        if n_unseen:
            told.append(f"{self.name!r} ({n_unseen:,} rows)")
        kind = "ordinal" if self.ordered else "nominal"
        return [Output(words.spread(codes, np.nan), self.name, kind, len(self.levels))]

    def _codes(self, words: pa.Array) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Return the code of each word, and whether it was not there at fit."""
        levels = composed(pa.array(self.levels, pa.large_string()))
        at = _find(_spelled(words), levels)
        if (at < 0).any():
            # As people mean it: "TRUE" is "True", "oslo" is "Oslo" unless both are levels, and true is 1 among 0 and 1.
            folded = pc.utf8_lower(levels)
            once = len(pc.unique(folded)) == len(folded)
            if once:
                at = np.where(at < 0, _find(pc.utf8_lower(_spelled(words)), folded), at)
            if set(self.levels) <= {"0", "1"}:
                truth = truth_of(words)
                digits = pa.array(
                    ["" if np.isnan(value) else str(int(value)) for value in truth], pa.large_string()
                )
                at = np.where(at < 0, _find(digits, levels), at)
        unseen = at < 0
        codes = np.where(unseen, np.nan, at.astype(np.float64))
        if unseen.any() and not self.ordered:
            places = [_place(level) for level in self.levels]
            new = _spelled(words.filter(pa.array(unseen))).to_pylist()
            codes[unseen] = [bisect_left(places, _place(word)) - 0.5 for word in new]
        return codes, unseen


def _find(words: pa.Array, levels: pa.Array) -> NDArray[np.int64]:
    at = pc.index_in(words, value_set=levels).fill_null(-1)
    return at.to_numpy(zero_copy_only=False).astype(np.int64)


def _spelled(words: pa.Array) -> pa.Array:
    """Write whole numbers in one way: "1.0" is "1"."""
    return pc.replace_substring_regex(words, r"^([+-]?(?:0|[1-9][0-9]*))\.0+$", r"\1")


def _place(word: str) -> tuple[bool, float, str]:
    try:
        return False, float(word), word
    except ValueError:
        return True, 0.0, word
