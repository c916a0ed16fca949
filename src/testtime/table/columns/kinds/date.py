"""Columns of dates: what a model can use of a point in time."""

from __future__ import annotations

from typing import ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from testtime.table.columns.cells import Cells, NumberCells, TimeCells, WordCells, as_words
from testtime.table.columns.kinds.base import (
    Habits,
    Learned,
    Lossy,
    Output,
    is_constant,
    missing_matters,
    told_lost,
)
from testtime.table.columns.sentinels import said_of_days
from testtime.table.columns.words.dates import DateReading, are_compact, read_dates
from testtime.table.columns.words.orders import Orders
from testtime.table.columns.words.reading import SAMPLE, RejectColumn, blank_words, likely, matches, nearly
from testtime.table.columns.words.serials import NO_SERIALS

__all__ = ["DateColumn"]

_Part: TypeAlias = Literal["year", "month", "weekday", "hour"]
_PARTS: tuple[_Part, ...] = ("year", "month", "weekday", "hour")
_MICROSECONDS_PER_DAY = 86_400e6
_ZONE = r"(?:[T :][0-9]{1,2}:[0-9]{2}|T[0-9]{4}).*(?:[Zz]|[0-9]\s?[+-][0-9]{2}(?::?[0-9]{2})?|\s[A-Z]{3,5})$"
"""What ends in a zone, behind a time of day."""
_NO_DAYS = (
    "numbers are read as dates where they are written as 20201231 or 202012; seconds since 1970 and days of a "
    "spreadsheet are dates after pandas.to_datetime(values, unit='s') or (values, unit='D', origin='1899-12-30')"
)


class DateColumn(Lossy):
    """Days since 1970 in UTC and, where they vary at fit, year, month, day of the week and hour."""

    kind: ClassVar[str] = "date"
    form: Literal["date"] = "date"
    day_first: bool | None = None
    year_first: bool | None = None  # of dates of six digits, where there are some
    zoned: bool | None = (
        None  # whether times had a zone; None in models that were saved before this was looked at
    )
    serials: list[float] = Field(  # which days a number among dates stands for
        default=list(NO_SERIALS), min_length=2, max_length=2
    )
    parts: list[_Part] = Field(default=[], max_length=4)

    @classmethod
    def fit(cls, cells: Cells, name: str, habits: Habits, *, asked: bool = False) -> Learned:
        """Learn the column.

        Raises
        ------
        RejectColumn
            If hardly any cell is a date; with `asked`, only if none is.
        """
        were_numbers = isinstance(cells, NumberCells)
        if isinstance(cells, NumberCells) and (asked or are_compact(cells)):
            cells = as_words(cells)  # 20201231
        if isinstance(cells, NumberCells) or (isinstance(cells, WordCells) and cells.order and not asked):
            raise RejectColumn("it has another type")
        if (
            isinstance(cells, WordCells)
            and not asked
            and not likely(read_dates(cells.sample(SAMPLE), day_first=None, table_day_first=None))
        ):
            raise RejectColumn("it holds words that are no dates")
        if isinstance(cells, TimeCells):
            reading, times = None, cells.values
        else:
            reading = read_dates(
                cells, day_first=None, table_day_first=habits.day_first, shown=habits.dates(name)
            )
            times = reading.values
        if reading is not None and not (reading.enough or (asked and reading.n_read)):
            said = nearly(reading, "dates")
            said = f"{said}. Declare it as date to count those as missing" if said else ""
            raise RejectColumn(_NO_DAYS if were_numbers else "it holds words that are no dates", said)
        if reading is not None and reading.short.are_days and not asked:
            raise RejectColumn("it holds days without a year")
        days = _days(times)
        column = cls(
            name=name,
            day_first=reading.orders.day_first if reading else None,
            year_first=reading.orders.year_first if reading else None,
            parts=[part for part in _PARTS if not is_constant(_present(_part(times, part)))],
            serials=list(reading.serials.limits if reading else NO_SERIALS),
            zoned=_zoned(cells),
            blanks=blank_words(reading) if reading else [],
            indicator=missing_matters(days),
        )
        missing = int(np.isnan(days).sum())
        notes = (*_notes(reading, name), *said_of_days(days, name))
        return Learned(column, _parsed(times, column), notes, missing)

    def transform(self, cells: Cells, habits: Habits, told: list[str]) -> list[Output]:
        """Read new cells as at fit, whatever form their dates have."""
        if isinstance(cells, NumberCells):
            cells = as_words(cells)
        if isinstance(cells, WordCells):
            reading = read_dates(
                cells,
                day_first=self.day_first,
                table_day_first=None if self.day_first is not None else habits.day_first,
                known=frozenset(self.blanks),
                year_first=self.year_first,
                shown=habits.dates(self.name),
                serials=(self.serials[0], self.serials[1]),
            )
            self.accept(reading, "dates", told)
            told += [*reading.doubts(f"Column {self.name!r}"), *self._other_orders(reading.orders)]
            times = reading.values
        else:
            times = cells.values
        days = _days(times)
        if self.zoned not in (None, now := _zoned(cells)) and not np.isnan(days).all():
            told.append(self._other_zones(now))
        parts = [Output(_part(times, part), f"{self.name}: {part}") for part in self.parts]
        return [Output(days, self.name), *parts, *self.with_indicator(days)]

    def _other_zones(self, zoned: bool) -> str:
        """Say that times have a zone where those of fit had none, or the other way round."""
        have, had = ("a time zone", "none") if zoned else ("no time zone", "one")
        return (
            f"Times of column {self.name!r} have {have}, and had {had} at fit: all are read in UTC, those without a "
            "zone as if they were UTC. Write them with their zone, or in UTC, if they are local times."
        )

    def _other_orders(self, now: Orders) -> list[str]:
        """Say whether the order of new dates is another one than at fit."""
        before = _first(self.day_first, self.year_first)
        there = _first(now.day_first, now.year_first)
        if before and there != before:
            return [f"Dates of column {self.name!r} have the {there} first; at fit it was the {before}."]
        return []


def _zoned(cells: Cells) -> bool:
    """Tell whether any time has a zone."""
    if isinstance(cells, WordCells):
        return bool((matches(cells.words, _ZONE) & (cells.counts > 0)).any())
    return isinstance(cells, TimeCells) and cells.zoned


def _days(times: NDArray[np.datetime64]) -> NDArray[np.float64]:
    missing = np.isnat(times)
    return np.where(missing, np.nan, times.astype(np.int64) / _MICROSECONDS_PER_DAY)


def _part(times: NDArray[np.datetime64], part: _Part) -> NDArray[np.float64]:
    days = times.astype("datetime64[D]")
    if part == "year":
        values = 1970.0 + days.astype("datetime64[Y]").astype(np.int64)
    elif part == "month":
        values = 1.0 + days.astype("datetime64[M]").astype(np.int64) % 12
    elif part == "weekday":  # Monday is 0; the first day of 1970 was a Thursday
        values = (days.astype(np.int64) + 3.0) % 7
    else:
        values = (times - days).astype(np.int64) / 3600e6
    return np.where(np.isnat(times), np.nan, values)


def _present(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return values[~np.isnan(values)]


def _parsed(times: NDArray[np.datetime64], column: DateColumn) -> str:
    present = times[~np.isnat(times)]
    if not len(present):
        return ""
    order = _first(column.day_first, column.year_first)
    return f"{str(present.min())[:10]} to {str(present.max())[:10]}{f', {order} first' if order else ''}"


def _first(day_first: bool | None, year_first: bool | None) -> str:
    """Name what comes first in numeric dates; "" where nothing is known of it."""
    return "year" if year_first else {None: "", True: "day", False: "month"}[day_first]


def _notes(reading: DateReading | None, name: str) -> list[str]:
    if reading is None:
        return []
    lost = [told_lost(name, reading, "dates")] if reading.lost else []
    serials = [reading.serials.note(name)] if reading.serials.shown else []
    return [*lost, *serials, *reading.doubts(f"Column {name!r}")]
