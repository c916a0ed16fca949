"""Dates as people write them: ISO with zones, 31.12.2020, 12/31/2020, 31-Dec-20, years with months, quarters, weeks.

Times are points in UTC: a zone is converted, none is taken as UTC. ``05/06/2020`` has two readings; what decides is
the rest of the column, then the other columns of the table, then a number that is always 1 (the day), then the point
(day first) or the slash (month first). In ``22-08-19`` the year may be first, which the rest of the column tells.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.columns.cells import Cells, NumberCells, WordCells, as_words
from testtime.table.columns.words.date_forms import (
    DAYS,
    FORMS,
    LONG_DAYS,
    MONTH_OF,
    NUMERIC_FORM,
    SHORT_DAYS,
    ZONES,
)
from testtime.table.columns.words.orders import Orders, Shown, full_years, lead_with_years
from testtime.table.columns.words.reading import ENOUGH, SAMPLE, Reading, is_blank, judge
from testtime.table.columns.words.serials import Limits, Serials, find_serials, serial_limits
from testtime.table.columns.words.short_years import ShortYears, short_years

__all__ = ["DateReading", "are_compact", "are_months", "read_dates", "shown_orders"]

_FEWEST_MONTHS = 6  # different ones that are no chance: one of eight numbers ends as a month does
_EARLIEST, _LATEST = 190_001, 20_991_231
_FIRST_MINUTE, _LAST_SECOND = 190_001_010_000, 20_991_231_235_959
_NOT_A_TIME = np.datetime64("NaT", "us")
_NONE, _NO_YEARS, _NO_NUMBERS = Orders(), ShortYears(), Serials()


@dataclass(frozen=True)
class DateReading(Reading):
    """Times, and what had to be decided to read them: which of their numbers is what."""

    orders: Orders = _NONE
    short: ShortYears = _NO_YEARS
    serials: Serials = _NO_NUMBERS

    def doubts(self, what: str) -> list[str]:
        """Say what may be meant in another way than it was read; `what` begins the sentences."""
        return [said for said in (self.orders.doubt(what), self.short.doubt(what)) if said]


def are_months(cells: WordCells) -> bool:
    """Tell whether every value is a month with its year, as in ``01.2020``, which numbers are not written like."""
    if not _all_months(cells.sample(SAMPLE)):
        return False
    return _all_months(cells) and bool(pc.any(pc.starts_with(cells.words, "0")).as_py())


def are_compact(cells: Cells) -> bool:
    """Tell whether a column holds days without marks, as 20240131, or months, as 202401, and hardly anything else.

    Whole numbers that all end in a month and a day are no quantities: of random ones, one in thirty does. With a time
    of day, as 20240131235959, there must be nothing else.

    >>> are_compact(NumberCells(np.array([20231231.0, 20240101.0, np.nan])))
    True
    >>> are_compact(NumberCells(np.array([20231231.0, 20241301.0])))
    False
    """
    if isinstance(cells, NumberCells):
        there = cells.values[~cells.missing]
        inside = (there >= _EARLIEST) & (there <= _LATEST)
        inside |= (there >= _FIRST_MINUTE) & (there <= _LAST_SECOND)
        inside &= there == np.floor(there)
        if inside.sum() < max(1, ENOUGH * len(there)):
            return False
        cells = as_words(cells)
    if not isinstance(cells, WordCells) or cells.order:
        return False
    sample = cells.sample(SAMPLE)
    brief = _share(sample, SHORT_DAYS) >= ENOUGH
    if not brief and (_share(sample, LONG_DAYS) < 1 or _share(cells, LONG_DAYS) < 1):
        return False
    reading = read_dates(cells, day_first=None, table_day_first=None)
    there = cells.words.filter(pa.array(cells.counts > 0))
    days = pc.any(pc.match_substring_regex(there, DAYS)).as_py()
    if not brief and reading.n_lost[1]:
        return False  # of so many digits, a day that no month has is rather an identifier than an error
    return reading.enough and (bool(days) or len(there) >= _FEWEST_MONTHS)


def _share(cells: WordCells, form: str) -> float:
    """The share of the rows with a value that are written so."""
    fits = pc.match_substring_regex(cells.words, form).to_numpy(zero_copy_only=False).astype(bool)
    return float(cells.counts[fits].sum() / max(1, cells.counts.sum()))


def _all_months(cells: WordCells) -> bool:
    words = cells.words.filter(pa.array((cells.counts > 0) & ~is_blank(cells.words)))
    fits = pc.match_substring_regex(words, r"^(?:0[1-9]|1[0-2])\.(?:19|20)[0-9]{2}$")
    return len(words) > 0 and bool(pc.all(fits).as_py())


def shown_orders(cells: WordCells) -> Shown:
    """Return what the numeric dates of a column show of the order of day, month and year."""
    words = cells.words
    return Shown.of(_fields(words, FORMS[NUMERIC_FORM]), words, cells.counts)


def read_dates(
    cells: WordCells,
    *,
    day_first: bool | None,
    table_day_first: bool | None,
    known: frozenset[str] = frozenset(),
    year_first: bool | None = None,
    shown: Shown | None = None,
    serials: Limits | None = None,
) -> DateReading:
    """Read words as times.

    Parameters
    ----------
    cells
        The column.
    day_first
        The order of the column when it was fitted, for values that do not tell; None if nothing told.
    table_day_first
        The order that other columns show, None if they show none.
    known
        Words that counted as missing at fit, in lower case.
    year_first
        Whether the year was first in dates of six digits at fit; None if there were none.
    shown
        What the file shows of which `cells` are a piece; None for cells that are all there is.
    serials
        Which days a number stood for at fit; None when there was no fit, and the dates of `cells` tell.
    """
    words = cells.words
    times = np.full(len(words), _NOT_A_TIME)
    orders, short = Orders(day_first, year_first), _NO_YEARS
    for number, form in enumerate(FORMS):
        left = np.flatnonzero(np.isnat(times))
        if not len(left):
            break
        fields = _fields(words.take(pa.array(left)), form)
        matched = fields["matched"] > 0
        if not matched.any():
            continue
        if number == NUMERIC_FORM:
            shown = shown or Shown.of(fields, words.take(pa.array(left)), cells.counts[left])
            orders = shown.orders(day_first, year_first, table_day_first)
            # With points the day comes first, with slashes the month, unless something tells otherwise.
            _order(fields, fields["pointed"] if orders.leads is None else np.full(len(left), orders.leads))
            if orders.year_first:
                lead_with_years(fields)
        if "short" in fields:
            own = words.take(pa.array(left))
            short = short_years(fields["month"], fields["short"], own, cells.counts[left])
        times[left[matched]] = _times(fields)[matched]
    limits = serial_limits(times, cells.counts) if serials is None else serials
    of_numbers, said = find_serials(words, limits)
    times = np.where(np.isnat(times), of_numbers, times)
    reading = judge(cells, times, ~np.isnat(times), _NOT_A_TIME, known)
    return DateReading(
        reading.values,
        reading.n_read,
        reading.blanks,
        reading.stray,
        reading.n_lost,
        orders,
        short,
        Serials(limits, said) if said else _NO_NUMBERS,
    )


def _order(fields: dict[str, NDArray[Any]], day_first: NDArray[np.bool_]) -> None:
    """Say which of two numbers is the day; a number above 12 decides for its own value."""
    first, following = fields["first"], fields["next"]
    day_leads = np.where(first > 12, True, np.where(following > 12, False, day_first))
    fields["day"] = np.where(day_leads, first, following)
    fields["month"] = np.where(day_leads, following, first)


def _fields(words: pa.Array, form: str) -> dict[str, NDArray[Any]]:
    """Extract the parts of a form as numbers, NaN where a part is absent."""
    parts = pc.extract_regex(words, pattern=form)
    found = {"matched": pc.is_valid(parts).to_numpy(zero_copy_only=False).astype(np.float64)}
    for field in parts.type:
        text = pc.struct_field(parts, field.name)
        if field.name == "named":
            found["month"] = _month_numbers(text)
        elif field.name == "half":
            found["half"] = _codes(pc.utf8_lower(pc.utf8_slice_codeunits(text, 0, 1)), ["a", "p"])
        elif field.name == "zone":
            found["zone"] = _zone_minutes(text)
        elif field.name == "mark":
            found["pointed"] = pc.fill_null(pc.equal(text, "."), False).to_numpy(zero_copy_only=False)
        else:
            text = pc.if_else(
                pc.equal(text, ""), pa.scalar(None, text.type), pc.replace_substring(text, ",", ".")
            )
            found[field.name] = pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
            two = pc.fill_null(pc.equal(pc.utf8_length(text), 2), False).to_numpy(zero_copy_only=False)
            if field.name == "first":
                found["two_digits"] = two
            if field.name == "year":
                found["brief"], found["third"] = two, np.where(two, found["year"], np.nan)
                found["year"] = np.where(two, full_years(found["year"]), found["year"])
    if "week" in found:
        _of_week(found)
    if "short" in found:
        found["year"] = np.where(np.isnan(found["year"]), full_years(found["short"]), found["year"])
    return found


def _of_week(fields: dict[str, NDArray[Any]]) -> None:
    """Say which day a week of ISO 8601 is, its Monday if no day is told; a week that its year does not have is none."""
    year = np.nan_to_num(fields["year"], nan=1970.0).astype(np.int64)
    fourth = (year - 1970).astype("datetime64[Y]").astype(
        "datetime64[D]"
    ) + 3  # of January, always in the first week
    monday = fourth - (fourth.astype(np.int64) + 3) % 7
    monday += 7 * (np.nan_to_num(fields["week"], nan=1.0).astype(np.int64) - 1)
    there = (monday + 3).astype("datetime64[Y]").astype(
        np.int64
    ) + 1970 == year  # a week is where its Thursday is
    day = monday + np.nan_to_num(fields["weekday"], nan=1.0).astype(np.int64) - 1
    month = day.astype("datetime64[M]")
    fields["year"] = day.astype("datetime64[Y]").astype(np.int64) + 1970.0
    fields["month"] = np.where(there, month.astype(np.int64) % 12 + 1.0, np.nan)
    fields["day"] = (day - month.astype("datetime64[D]")).astype(np.int64) + 1.0


def _codes(text: pa.Array, words: list[str]) -> NDArray[np.float64]:
    at = pc.index_in(text, value_set=pa.array(words, text.type))
    return pc.cast(at, pa.float64()).to_numpy(zero_copy_only=False)


def _month_numbers(text: pa.Array) -> NDArray[np.float64]:
    lower = pc.utf8_lower(text)
    numbers = np.array([*MONTH_OF.values(), np.nan])
    at = pc.fill_null(pc.index_in(lower, value_set=pa.array(list(MONTH_OF), lower.type)), len(MONTH_OF))
    return numbers[at.to_numpy(zero_copy_only=False)]


def _zone_minutes(text: pa.Array) -> NDArray[np.float64]:
    """Minutes that a zone is ahead of UTC; 0 for none."""
    named = pc.index_in(text, value_set=pa.array(list(ZONES), text.type))
    ahead = np.array([*ZONES.values(), 0.0])[pc.fill_null(named, len(ZONES)).to_numpy(zero_copy_only=False)]
    parts = pc.extract_regex(text, pattern=r"^(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?$")
    hours, minutes = (
        pc.cast(
            pc.if_else(
                pc.not_equal(pc.fill_null(pc.struct_field(parts, name), ""), ""),
                pc.struct_field(parts, name),
                pa.scalar("0", text.type),
            ),
            pa.float64(),
        ).to_numpy(zero_copy_only=False)
        for name in ("hours", "minutes")
    )
    behind = pc.fill_null(pc.equal(pc.struct_field(parts, "sign"), "-"), False).to_numpy(zero_copy_only=False)
    return ahead + np.where(behind, -1.0, 1.0) * (60 * hours + minutes)


def _times(fields: dict[str, NDArray[Any]]) -> NDArray[np.datetime64]:
    """Put the parts together; a day that its month does not have is no time."""
    zeros = np.zeros(len(fields["year"]))
    year = fields["year"]
    month = (
        fields["month"]
        if "month" in fields
        else 3 * fields["quarter"] - 2
        if "quarter" in fields
        else zeros + 1
    )
    day = np.where(np.isnan(fields["day"]), 1, fields["day"]) if "day" in fields else zeros + 1
    hour, minute, second = (np.nan_to_num(fields.get(name, zeros)) for name in ("hour", "minute", "second"))
    if "half" in fields:
        clock12 = ~np.isnan(fields["half"])
        hour = np.where(clock12, hour % 12 + 12 * np.nan_to_num(fields["half"]), hour)
    valid = (month >= 1) & (month <= 12) & (day >= 1) & (hour <= 24) & (minute < 60) & (second < 61)
    months = np.where(valid, (year - 1970) * 12 + month - 1, 0).astype(np.int64).astype("datetime64[M]")
    lengths = ((months + 1).astype("datetime64[D]") - months.astype("datetime64[D]")).astype(np.int64)
    valid &= np.where(valid, day, 0) <= lengths
    micro = np.round((hour * 3600 + minute * 60 + second - 60 * fields.get("zone", zeros)) * 1e6)
    days = months.astype("datetime64[D]") + np.where(valid, day - 1, 0).astype(np.int64)
    times = days.astype("datetime64[us]") + np.where(valid, micro, 0).astype(np.int64)
    return np.where(valid, times, _NOT_A_TIME)
