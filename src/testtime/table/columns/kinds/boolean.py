"""Columns with two states: true and false in any spelling, or one value that is there or not."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from testtime.errors import InputError, sentence
from testtime.table.columns.cells import Cells, NumberCells, TimeCells, WordCells
from testtime.table.columns.kinds.base import (
    Fitted,
    Habits,
    Learned,
    Lossy,
    Output,
    missing_matters,
    told_lost,
)
from testtime.table.columns.words.reading import RejectColumn, blank_words
from testtime.table.columns.words.truth import read_truth

__all__ = ["BooleanColumn", "PresenceColumn"]


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
                got = f"column {self.name!r} holds {others[0]:g}"
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
    """One value that is there or missing: 1 and 0."""

    kind: ClassVar[str] = "boolean"
    form: Literal["presence"] = "presence"

    @classmethod
    def fit(cls, cells: Cells, name: str, example: str) -> Learned:
        """Learn the column, of which `example` is the only value."""
        return Learned(cls(name=name), f"{example[:40]!r} is 1, missing is 0", (), int(cells.missing.sum()))

    def transform(self, cells: Cells, habits: Habits, told: list[str]) -> list[Output]:
        """Tell which cells hold a value, whatever it is."""
        return [Output((~cells.missing).astype(np.float64), self.name)]
