"""What every kind of column has: a state that can be saved, and a way to turn cells into output columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from testtime.errors import InputError, sentence
from testtime.table.columns.cells import Cells, WordCells
from testtime.table.columns.words.dates import shown_orders
from testtime.table.columns.words.numbers import decimal_comma
from testtime.table.columns.words.orders import Shown
from testtime.table.columns.words.reading import SAMPLE, Reading, shown_counts

__all__ = [
    "Fitted",
    "Habits",
    "Learned",
    "Output",
    "is_constant",
    "missing_matters",
    "never_infinite",
    "told_lost",
]

_ROUNDING = 1e-12  # differences that are smaller parts of the values than this are rounding noise


@dataclass(frozen=True)
class Output:
    """One column for the model: values ``(N,)``, its name, "number", "ordinal" or "nominal", and its levels."""

    values: NDArray[np.float64]
    name: str
    kind: str = "number"
    n_levels: int = 0


class Fitted(BaseModel):
    """One column as it was at fit."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    kind: ClassVar[str]
    name: str = Field(max_length=100_000)

    def transform(self, cells: Cells, habits: Habits, told: list[str]) -> list[Output]:
        """Turn cells into output columns; sentences for the user are added to `told`."""
        raise NotImplementedError


class Lossy(Fitted):
    """A kind whose cells may turn out to hold no value.

    `blanks` are the words, in lower case, that counted as missing at fit although they are not known to mean that;
    `indicator` tells whether a column that says "missing" stands beside the values.
    """

    blanks: list[str] = Field(default=[], max_length=1000)
    indicator: bool = False

    @property
    def indicator_name(self) -> str:
        """Name of the column of missing values."""
        return f"{self.name} is missing"

    def with_indicator(self, values: NDArray[np.float64]) -> list[Output]:
        """Return the column of missing values, if there is to be one."""
        return [Output(np.isnan(values).astype(np.float64), self.indicator_name)] if self.indicator else []

    def accept(self, reading: Reading, expected: str, told: list[str]) -> None:
        """Take what could be read of new cells, or refuse them.

        Raises
        ------
        InputError
            When more than a few words are not of the kind of the column.
        """
        if reading.stray and not reading.enough:
            raise InputError(
                sentence(
                    f"column {self.name!r} holds {next(iter(reading.stray))[:80]!r}",
                    expected=f"{expected}, as at fit",
                    remedy="Correct the value, leave it empty if it is missing, or fit again",
                )
            )
        if reading.lost:
            told.append(told_lost(self.name, reading, expected))


@dataclass(frozen=True)
class Learned:
    """What fitting a column gave: the column, how it was read in words, and what to tell the user.

    `dressed` is a value that no programming language reads as a number, and what it was read as.
    """

    column: Fitted
    parsed: str = ""
    notes: tuple[str, ...] = ()
    n_missing: int = 0
    dressed: str = ""


@dataclass
class Habits:
    """How a table is written, from all of its columns, for a column that does not tell by itself.

    `numbers` are the columns that were numbers at fit, each with whether it had decimal commas then; None if nothing
    told.
    """

    columns: Sequence[Cells] = field(default=(), repr=False)
    numbers: Sequence[tuple[Cells, bool | None]] = field(default=(), repr=False)

    @cached_property
    def comma(self) -> bool | None:
        """Whether numbers of other columns have decimal commas; None if none tells."""
        told = {decimal_comma(cells) for cells in self._words()} - {None}
        return None if not told else True in told

    @cached_property
    def turned(self) -> bool:
        """Whether numbers are written in another way than at fit: by another program, so that fit tells nothing.

        Points that may separate thousands do not show that: where commas were decimal signs, that is what they do.
        """
        words = [(cells, then) for cells, then in self.numbers if isinstance(cells, WordCells)]
        shown = [(decimal_comma(cells, sure=True), then) for cells, then in words]
        return any(now is not None and now != then for now, then in shown)

    @cached_property
    def day_first(self) -> bool | None:
        """Whether dates of other columns have the day first; None if none tells."""
        evidence = sum(shown_orders(cells.sample(SAMPLE)).lead for cells in self._words())
        return None if evidence == 0 else evidence > 0

    def dates(self, name: str) -> Shown | None:
        """What the dates of a column show beyond the cells that are given; None if these are all there is."""
        return None

    def sign(self, name: str) -> bool | None:
        """Whether a column shows decimal commas beyond the cells that are given; None if these are all there is."""
        return None

    def _words(self) -> list[WordCells]:
        return [cells for cells in self.columns if isinstance(cells, WordCells)]


def told_lost(name: str, reading: Reading, expected: str) -> str:
    """Say which words count as missing in a column."""
    return f"Column {name!r} holds {expected}; counted as missing: {shown_counts(reading.lost)}."


def missing_matters(values: NDArray[np.float64]) -> bool:
    """Tell whether missing values are frequent enough for a column of their own to be learned from."""
    missing = int(np.isnan(values).sum())
    return missing >= 5 and missing >= 0.01 * len(values) and len(values) - missing >= 5


def is_constant(present: NDArray[np.float64]) -> bool:
    """Tell whether values are one number but for rounding, at any scale.

    >>> is_constant(np.array([0.3, 0.1 + 0.2])), is_constant(1.6e-19 * np.arange(1, 6))
    (True, False)
    """
    if len(present) == 0:
        return True
    low, high = float(present.min()), float(present.max())
    with np.errstate(over="ignore"):
        return bool(high - low <= _ROUNDING * max(abs(low), abs(high)))


def never_infinite(values: NDArray[np.float64], name: str) -> NDArray[np.float64]:
    """Return the values.

    Raises
    ------
    InputError
        If one of them is infinite.
    """
    rows = np.flatnonzero(np.isinf(values))
    if len(rows):
        raise InputError(
            sentence(
                f"column {name!r} holds infinity in {len(rows):,} rows (the first is row {rows[0]})",
                expected="finite numbers or missing values",
                remedy="Replace infinity by a missing value or a bound",
            )
        )
    return values
