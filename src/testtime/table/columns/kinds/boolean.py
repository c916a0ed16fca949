"""Columns with two states: true and false in any spelling, or one value that is there or not."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field

from testtime.errors import InputError, sentence
from testtime.table.columns.cells import Cells, NumberCells, TimeCells, WordCells, as_words
from testtime.table.columns.kinds.base import (
    Fitted,
    Habits,
    Learned,
    Lossy,
    Output,
    missing_matters,
    told_lost,
)
from testtime.table.columns.words.numbers import read_numbers
from testtime.table.columns.words.reading import RejectColumn, blank_words, is_blank, shown_counts
from testtime.table.columns.words.truth import read_truth, truth_of

__all__ = ["BooleanColumn", "PresenceColumn"]

_LONGEST = 1000  # characters by which the value of a column is known again
_ROUNDING = 1e-9


class BooleanColumn(Lossy):
    """True is 1 and false is 0, whether they are written True, yes, t or 1."""

    kind: ClassVar[str] = "boolean"
    form: Literal["boolean"] = "boolean"
    numbers: bool = False  # 0 and 1 at fit, so that another number later is a number

    @classmethod
    def fit(cls, cells: Cells, name: str, habits: Habits, *, asked: bool = False) -> Learned:
        """Learn the column.

        Raises
        ------
        RejectColumn
            If the cells are not two states that mean true and false.
        """
        if isinstance(cells, TimeCells):
            raise RejectColumn("it holds dates")
        if isinstance(cells, NumberCells):
            present = cells.values[~np.isnan(cells.values)]
            if len(present) == 0 or cells.too_large or not np.isin(present, (0.0, 1.0)).all():
                raise RejectColumn("it holds other numbers than 0 and 1")
            column = cls(name=name, numbers=True, indicator=missing_matters(cells.values))
            return Learned(column, "", (), int(np.isnan(cells.values).sum()))
        if cells.order and not asked:
            raise RejectColumn("its type declares levels")
        reading = read_truth(cells)
        lost = sum(reading.n_lost)
        if reading.n_read == 0 or (
            not asked and (not reading.enough or lost > 0.05 * (lost + reading.n_read))
        ):
            raise RejectColumn("it holds other words")
        spellings = cells.words.take(np.flatnonzero(cells.counts > 0)).to_pylist()
        states = {word for word in spellings if word not in reading.lost}
        if not asked and (len(states) < 2 or len(np.unique(reading.values[~np.isnan(reading.values)])) < 2):
            raise RejectColumn("it holds one state only")
        digits = states <= {"0", "1", "0.0", "1.0"}
        column = cls(
            name=name,
            blanks=blank_words(reading),
            indicator=missing_matters(reading.values),
            numbers=digits,
        )
        parsed = "" if digits else f"{_pair(reading.values, cells)}"
        notes = (told_lost(name, reading, "true or false"),) if reading.lost else ()
        return Learned(column, parsed, notes, int(np.isnan(reading.values).sum()))

    def transform(self, cells: Cells, habits: Habits, told: list[str]) -> list[Output]:
        """Read new cells in whatever spelling they have."""
        if isinstance(cells, TimeCells):
            if not np.isnat(cells.values).all():
                raise InputError(
                    sentence(f"column {self.name!r} holds dates", expected="booleans, as at fit")
                )
            values = np.full(len(cells.values), np.nan)
        elif isinstance(cells, NumberCells):
            values = cells.values
            others = values[~np.isnan(values) & ~np.isin(values, (0.0, 1.0))]
            if len(others) and not self.numbers:
                got = f"column {self.name!r} holds {others[0]:.15g}"
                raise InputError(sentence(got, expected="booleans, as at fit"))
        else:
            reading = read_truth(cells, frozenset(self.blanks), numbers=self.numbers)
            self.accept(reading, "numbers" if self.numbers else "booleans", told)
            values = reading.values
        if np.isinf(values).any():
            raise InputError(sentence(f"column {self.name!r} holds infinity", expected="booleans, as at fit"))
        return [Output(values, self.name), *self.with_indicator(values)]


def _pair(values: np.ndarray, cells: WordCells) -> str:
    true, false = (
        cells.words[int(cells.codes[np.flatnonzero(values == state)[0]])].as_py() for state in (1.0, 0.0)
    )
    return f"{true!r} is 1, {false!r} is 0"


class PresenceColumn(Fitted):
    """One value that is there or missing: 1 and 0.

    `value` is its spelling at fit, "" in models that were saved before it was kept: there, any word is 1. `blanks` are
    other words, in lower case, that counted as missing at fit.
    """

    kind: ClassVar[str] = "boolean"
    form: Literal["presence"] = "presence"
    value: str = Field(default="", max_length=_LONGEST)
    blanks: list[str] = Field(default=[], max_length=1000)

    @classmethod
    def fit(cls, cells: Cells, name: str, example: str) -> Learned:
        """Learn the column, whose only value may be spelled in several ways; `example` is one of its words."""
        words = as_words(cells)
        rows = np.where(is_blank(words.words), 0, words.counts)
        value = words.words[int(np.argmax(rows))].as_py() if rows.any() else example
        other = ~_same(words.words, value)
        blanks = {word.lower() for word in words.words.filter(pa.array(other)).to_pylist()}
        column = cls(name=name, value=value[:_LONGEST], blanks=sorted(blanks)[:1000])
        missing = int(words.missing.sum() + words.counts[other].sum())
        return Learned(column, f"{value[:40]!r} is 1, missing is 0", (), missing)

    def transform(self, cells: Cells, habits: Habits, told: list[str]) -> list[Output]:
        """Tell which cells hold the value; words for false and for missing are 0, others are 1 and said."""
        if not self.value:
            return [Output((~cells.missing).astype(np.float64), self.name)]
        words = as_words(cells)
        same = _same(words.words, self.value)
        nothing = ~same & (
            _zero(words.words) | (truth_of(words.words) == 0) | is_blank(words.words, frozenset(self.blanks))
        )
        new = np.flatnonzero(~same & ~nothing & (words.counts > 0))
        if len(new):
            new = new[np.argsort(-words.counts[new], kind="stable")]
            found = words.words.take(pa.array(new)).to_pylist()
            counts = dict(zip(found, words.counts[new].tolist(), strict=True))
            told.append(
                f"Column {self.name!r} held {self.value[:40]!r} or nothing at fit; other words count as that value: "
                f"{shown_counts(counts)}."
            )
        return [Output(words.spread((~nothing).astype(np.float64), 0.0), self.name)]


def _same(words: pa.Array, value: str) -> NDArray[np.bool_]:
    """Tell which words are a value in any spelling; "yes" is any value that does not mean false."""
    start = pc.utf8_lower(pc.utf8_slice_codeunits(words, 0, _LONGEST))
    same = pc.equal(start, value[:_LONGEST].lower()).to_numpy(zero_copy_only=False).astype(bool)
    here = pa.array([value], pa.large_string())
    truth, numbers = truth_of(here)[0], _numbers(here)[0]
    same |= truth_of(words) == (0.0 if truth == 0 else 1.0)
    with np.errstate(invalid="ignore"):
        return same | (np.abs(_numbers(words) - numbers) <= _ROUNDING * np.abs(numbers))


def _zero(words: pa.Array) -> NDArray[np.bool_]:
    return _numbers(words) == 0


def _numbers(words: pa.Array) -> NDArray[np.float64]:
    return read_numbers(WordCells(words), comma=None, table_comma=None).values
