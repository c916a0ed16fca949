"""Which of the three numbers of a date is the day, the month, the year: what a column shows, and what follows from it.

What is shown are counts of rows, so that the pieces of a file add up to the file.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from testtime.table.columns.words.reading import ENOUGH

__all__ = ["Orders", "Shown", "full_years", "lead_with_years", "like_days"]

_FIRST_SHORT = 30  # 29 is 2029 and 30 is 1930: years of birth reach further back than plans reach ahead
_LAST_MONTH, _LAST_DAY, _SHORTEST_MONTH = 12, 31, 28
_DAY, _MONTH, _OPEN, _DOUBTED, _READ, _YEAR_ONLY, _DAY_ONLY, _BOTH = range(8)
_FEWEST_VALUES = 3  # of a part beside one that is always 1, that make a month of it
_FEWEST_DAYS, _EARLY, _LATE = 10, 5, 27
"""So many different days, one of the first and one of the last, make a day of a part."""

_MANY_DAYS = 20  # different ones are no years


@dataclass(frozen=True)
class _Tally:
    """Rows of dates whose years have equally many digits.

    `values` are the rows of each value of the three numbers, ``(3, 100)``; `rows` those of each kind of date, with a
    `word` of each: surely the day first, surely the month first, open, open without a point; readable, with the year
    first only, with the year last only, as two dates. `words` counts different words, `points` those with points.
    """

    values: NDArray[np.int64]
    rows: NDArray[np.int64]
    word: tuple[str, ...]
    words: int
    points: int

    @classmethod
    def of(
        cls, fields: dict[str, NDArray[Any]], words: pa.Array, rows: NDArray[np.int64], of: NDArray[np.bool_]
    ) -> _Tally:
        parts = [np.nan_to_num(fields[name]).astype(np.int64) for name in ("first", "next", "third")]
        first, following, third = parts
        short = (first <= _LAST_MONTH) & (following <= _LAST_MONTH)
        open_ = short & (first != following)
        year, day = _year_leads(fields), _year_follows(first, following)
        kinds = [
            (first > _LAST_MONTH) & (first <= _LAST_DAY) & (following <= _LAST_MONTH),
            (following > _LAST_MONTH) & (following <= _LAST_DAY) & (first <= _LAST_MONTH),
            open_,
            open_ & ~fields["pointed"],
            year | day,
            year & ~day,
            day & ~year,
            year & day & (first != third),
        ]
        found = [of & kind & (rows > 0) for kind in kinds]
        return cls(
            np.array([np.bincount(part[of], rows[of], 100) for part in parts]).astype(np.int64),
            np.array([rows[which].sum() for which in found], np.int64),
            tuple(words[int(np.argmax(which))].as_py() if which.any() else "" for which in found),
            int(of.sum()),
            int((of & fields["pointed"]).sum()),
        )

    def __add__(self, other: _Tally) -> _Tally:
        return _Tally(
            self.values + other.values,
            self.rows + other.rows,
            tuple(mine or its for mine, its in zip(self.word, other.word, strict=True)),
            self.words + other.words,
            self.points + other.points,
        )

    @property
    def lead(self) -> int:
        """Rows that show the day first, minus those that show the month first."""
        return int(self.rows[_DAY] - self.rows[_MONTH])

    def one_is_day(self) -> bool | None:
        """Whether the first number (True) or the second (False) is always 1, and the other several months."""
        if self.points or self.lead:
            return None
        first, following = (np.flatnonzero(part) for part in self.values[:2])
        for constant, other, answer in ((first, following, True), (following, first, False)):
            if constant.tolist() == [1] and len(other) >= _FEWEST_VALUES and other[-1] <= _LAST_MONTH:
                return answer
        return None

    def only_year(self) -> bool | None:
        """Whether the year must be first (True) or last (False), since the other way too many rows are no dates."""
        most = (1 - ENOUGH) * self.rows[_READ]
        first, last = self.rows[_DAY_ONLY] <= most, self.rows[_YEAR_ONLY] <= most
        if first and self._days() == (True, False):  # 00.05.21 beside 17.05.21: the day is not known
            return None
        return None if first == last else bool(first)

    def year_first(self, at_fit: bool | None) -> tuple[bool, bool]:
        """Tell whether the year is first, and whether that is sure; what is not shown is as at fit."""
        only = self.only_year()
        if only is not None:
            return only, True
        alone = int(self.rows[_YEAR_ONLY] - self.rows[_DAY_ONLY])
        first, third = self._days()
        # Ends of quarters and years, 31.12.01 to 31.12.30, are no days of 2031.
        if first != third and not (third and self._at_ends()):
            sure = first or alone > 0 or self._hardly_years()
            if sure or at_fit is None:
                return third, sure
        if at_fit is not None:
            return at_fit, True
        if alone:
            return alone > 0, bool(min(self.rows[_YEAR_ONLY], self.rows[_DAY_ONLY]) == 0)
        compact = _span(self.values[0]) > _span(self.values[2])
        return False, compact or (not third and bool(self.values[0][1] == self.values[0].sum()))

    def _days(self) -> tuple[bool, bool]:
        """Whether the first and the third number run from the first days of a month to the last."""
        return like_days(self.values[0]), like_days(self.values[2])

    def _at_ends(self) -> bool:
        """Whether the first number is never another day than the first or last ones of a month."""
        return not self.values[0][2:_SHORTEST_MONTH].any()

    def _hardly_years(self) -> bool:
        """Whether the third number has as many values as days have, and the first few."""
        first, third = (np.count_nonzero(self.values[at]) for at in (0, 2))
        return bool(third >= _MANY_DAYS and 2 * first <= third)


@dataclass(frozen=True)
class Orders:
    """How the numeric dates of a column are read, and what is not sure of it.

    Attributes
    ----------
    day_first
        Whether ``05/06/2020`` is the 5th of June; None if no such value occurs.
    year_first
        Whether ``22-08-19`` is a day of August 2022; None if no such value occurs.
    leads
        Whether the day is first where the month may be; None if the mark says so: a point, and no slash.
    ambiguous
        A value with two readings, with nothing in its column to decide; empty if there is none.
    one
        Whether the day was found by being 1 everywhere.
    both
        Where dates with the day first stand beside dates with the month first: one of each, with its number of rows.
    open_rows
        Number of rows whose date has two readings.
    year_or_day
        A value whose year may be first or last, with nothing that is sure in its column; empty if there is none.
    """

    day_first: bool | None = None
    year_first: bool | None = None
    leads: bool | None = None
    ambiguous: str = ""
    one: bool = False
    both: tuple[tuple[str, int], ...] = ()
    open_rows: int = 0
    year_or_day: str = ""

    def doubt(self, what: str) -> str:
        """Say how dates with two readings were read, if there are some; `what` begins the sentence."""
        order = "day" if self.day_first else "month"
        if self.year_or_day and (self.year_first or not (self.both or self.ambiguous)):
            order, other = ("year", "day") if self.year_first else (order, "year")
            why = f"though it may be the {other}"
            return f"{what} holds {self.year_or_day!r}: the {order} is taken to come first, {why}."
        if self.both:
            (day, days), (month, months) = self.both
            return (
                f"{what} holds dates with the day first ({days:,}, such as {day!r}) and with the month first "
                f"({months:,}, such as {month!r}). Of {self.open_rows:,} that can be read both ways, the {order} is "
                "taken to come first. Write all dates in one way."
            )
        if self.ambiguous:
            why = "since no date of the column tells"
            if self.one:
                why = f"since the {'first' if self.day_first else 'second'} number, always 1, seems to be the day"
            return f"{what} holds {self.ambiguous!r}: the {order} is taken to come first, {why}."
        return ""


@dataclass(frozen=True)
class Shown:
    """What dates such as ``05/06/2020`` (`full`) and ``05/06/20`` (`brief`) of a column show; pieces can be added."""

    full: _Tally
    brief: _Tally

    @classmethod
    def of(cls, fields: dict[str, NDArray[Any]], words: pa.Array, rows: NDArray[np.int64]) -> Shown:
        """Count words, of which the parts were extracted, each with its number of `rows`."""
        matched, brief = fields["matched"] > 0, fields["brief"]
        return cls(*(_Tally.of(fields, words, rows, matched & which) for which in (~brief, brief)))

    def __add__(self, other: Shown) -> Shown:
        return Shown(self.full + other.full, self.brief + other.brief)

    @property
    def lead(self) -> int:
        """Rows that show the day first, minus those that show the month first."""
        return self._with_year_last(None)[0].lead

    def is_open(self, day_first: bool | None, year_first: bool | None) -> bool:
        """Tell whether more of the file may let some dates be read in another way; the orders are those of fit."""
        if self.brief.rows[_BOTH] and (year_first is None or self.brief.only_year() != year_first):
            return True
        counted = self._with_year_last(year_first)[0]
        settled = day_first is not None and counted.lead != 0 and (counted.lead > 0) == day_first
        return bool(counted.rows[_OPEN]) and not settled

    def orders(self, day_first: bool | None, year_first: bool | None, table: bool | None) -> Orders:
        """Decide: what is shown comes first, then what was shown at fit, then what other columns of the table show."""
        counted, leads_year, sure = self._with_year_last(year_first)
        sure |= not leads_year and (
            day_first is not None or self.full.words > 0
        )  # one more with the year at its end
        either = self.brief.word[_BOTH] if not sure else ""
        found = Orders(day_first, leads_year if self.brief.words else year_first, year_or_day=either)
        if not counted.words:
            return found
        both = counted.rows[_DAY] > 0 and counted.rows[_MONTH] > 0
        own = counted.lead > 0 if counted.lead and not (both and day_first is not None) else day_first
        own = table if own is None else own
        one = counted.one_is_day() if own is None else None
        own = one if own is None else own
        return replace(
            found,
            day_first=counted.points > counted.words / 2 if own is None else own,
            leads=own,
            ambiguous=counted.word[_DOUBTED] if counted.lead == 0 and day_first is None else "",
            one=one is not None,
            both=tuple((counted.word[at], int(counted.rows[at])) for at in (_DAY, _MONTH)) if both else (),
            open_rows=int(counted.rows[_OPEN]),
        )

    def _with_year_last(self, at_fit: bool | None) -> tuple[_Tally, bool, bool]:
        """Return the dates with the year last, whether years of two digits are first, and if that is sure."""
        year, sure = self.brief.year_first(at_fit)
        return (self.full if year else self.full + self.brief), year, sure


def lead_with_years(fields: dict[str, NDArray[Any]]) -> None:
    """Take the first number for the year wherever that gives a date."""
    leads = _year_leads(fields)
    fields["year"] = np.where(leads, full_years(fields["first"]), fields["year"])
    fields["month"] = np.where(leads, fields["next"], fields["month"])
    fields["day"] = np.where(leads, fields["third"], fields["day"])


def full_years(years: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return years of two digits in full, as spreadsheets have it."""
    return years + np.where(years < _FIRST_SHORT, 2000, 1900)


def _year_leads(fields: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
    """Which dates the year can begin: of two digits, and a month and a day follow."""
    month, day = fields["next"], fields["third"]
    fits = (month >= 1) & (month <= _LAST_MONTH) & (day >= 1) & (day <= _LAST_DAY)
    return fits & fields["brief"] & fields["two_digits"]


def _year_follows(first: NDArray[np.int64], following: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which dates the year can end: a day and a month precede it, in any order."""
    smaller, larger = np.minimum(first, following), np.maximum(first, following)
    return (smaller >= 1) & (smaller <= _LAST_MONTH) & (larger <= _LAST_DAY)


def like_days(rows: NDArray[np.int64]) -> bool:
    """Tell whether a number runs from the first days of a month to the last."""
    there = np.flatnonzero(rows[: _LAST_DAY + 1])
    there = there[there > 0]
    return len(there) >= _FEWEST_DAYS and bool(there[0] <= _EARLY) and bool(there[-1] >= _LATE)


def _span(rows: NDArray[np.int64]) -> float:
    """Return how many years a number covers, if it is one."""
    years = full_years(np.flatnonzero(rows).astype(np.float64))
    return float(np.ptp(years)) if len(years) else 0.0
