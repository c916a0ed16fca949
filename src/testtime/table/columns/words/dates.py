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
from testtime.table.columns.words.orders import Orders, Shown, full_years, lead_with_years
from testtime.table.columns.words.reading import ENOUGH, SAMPLE, Reading, is_blank, judge

__all__ = ["DateReading", "are_compact", "are_months", "read_dates", "shown_orders"]

_CLOCK = (
    r"(?:(?:[T ]| at |, )\s*(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2}(?:[.,][0-9]+)?))?"
    r"(?: Uhr)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
_MONTHS = (  # English, German, French, Spanish, Italian and Dutch, short and in full
    "jan january januar jänner janvier janv ene enero gen gennaio januari",
    "feb february februar février févr fév fevrier febrero febbraio februari",
    "mar march mär mrz märz mars marzo mrt maart",
    "apr april avr avril abr abril aprile",
    "may mai mayo mag maggio mei",
    "jun june juni juin junio giu giugno",
    "jul july juli juillet juil julio lug luglio",
    "aug august août aout ago agosto augustus",
    "sep sept september septembre septiembre set settembre",
    "oct october okt oktober octobre octubre ott ottobre",
    "nov november novembre noviembre",
    "dec december dez dezember déc décembre decembre dic diciembre dicembre",
)
_MONTH_OF = {word: number for number, words in enumerate(_MONTHS, start=1) for word in words.split()}
_NAMED = r"(?P<named>\pL{3,10})\.?"
_WEEKDAY = r"(?:(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?|Sun)(?:day)?,? )?"
_FORMS = (
    rf"^(?P<year>[0-9]{{4}})[-/.](?P<month>[0-9]{{1,2}})(?:[-/.](?P<day>[0-9]{{1,2}}))?{_CLOCK}(?:/[0-9-]{{10}})?$",
    rf"^(?P<first>[0-9]{{1,2}})(?P<mark>[-/. ])(?P<next>[0-9]{{1,2}})[-/. ](?P<year>[0-9]{{4}}|[0-9]{{2}}){_CLOCK}$",
    rf"^{_WEEKDAY}(?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?[-/. ]+{_NAMED}[-/., ]+(?P<year>[0-9]{{4}}|[0-9]{{2}}){_CLOCK}$",
    rf"^{_WEEKDAY}{_NAMED} (?P<day>[0-9]{{1,2}})(?:st|nd|rd|th)?,? (?P<year>[0-9]{{4}}){_CLOCK}$",
    rf"^{_NAMED}(?:[-/., ]+(?P<year>[0-9]{{4}})|-(?P<short>[0-9]{{2}}))$",
    r"^(?P<month>0?[1-9]|1[0-2])/(?P<year>[0-9]{4})$",
    r"^(?P<month>0[1-9]|1[0-2])\.(?P<year>(?:19|20)[0-9]{2})$",
    r"^(?P<year>[0-9]{4})-?W(?P<week>[0-5][0-9])(?:-?(?P<weekday>[1-7]))?$",
    r"^(?P<year>[0-9]{4})-?[Qq](?P<quarter>[1-4])$",
    r"^[Qq](?P<quarter>[1-4])[-/ ]?(?P<year>[0-9]{4})$",
    r"^(?P<year>(?:19|20)[0-9]{2})(?P<month>0[1-9]|1[0-2])(?P<day>[0-3][0-9])"
    r"(?:T(?P<hour>[0-9]{2})(?P<minute>[0-9]{2})(?P<second>[0-9]{2})?(?P<zone>Z)?)?$",
    r"^(?P<year>(?:19|20)[0-9]{2})(?P<month>0[1-9]|1[0-2])$",
)
_COMPACT = r"^(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])?$"
_FEWEST_MONTHS = 6  # different ones that are no chance: one of eight numbers ends as a month does
_EARLIEST, _LATEST = 190_001, 20_991_231
_NUMERIC_FORM = 1  # the one with two readings
_NOT_A_TIME = np.datetime64("NaT", "us")
_NONE = Orders()


@dataclass(frozen=True)
class DateReading(Reading):
    """Times, and what had to be decided to read them: which of their numbers is what."""

    orders: Orders = _NONE


def are_months(cells: WordCells) -> bool:
    """Tell whether every value is a month with its year, as in ``01.2020``, which numbers are not written like."""
    if not _all_months(cells.sample(SAMPLE)):
        return False
    return _all_months(cells) and bool(pc.any(pc.starts_with(cells.words, "0")).as_py())


def are_compact(cells: Cells) -> bool:
    """Tell whether a column holds days without marks, as 20240131, or months, as 202401, and hardly anything else.

    Whole numbers that all end in a month and a day are no quantities: of random ones, one in thirty does.

    >>> are_compact(NumberCells(np.array([20231231.0, 20240101.0, np.nan])))
    True
    >>> are_compact(NumberCells(np.array([20231231.0, 20241301.0])))
    False
    """
    if isinstance(cells, NumberCells):
        there = cells.values[~cells.missing]
        inside = (there >= _EARLIEST) & (there <= _LATEST) & (there == np.floor(there))
        if inside.sum() < max(1, ENOUGH * len(there)):
            return False
        cells = as_words(cells)
    if not isinstance(cells, WordCells) or cells.order:
        return False
    sample = cells.sample(SAMPLE)
    if _n_compact(sample) < max(1, ENOUGH * sample.counts.sum()):
        return False
    reading = read_dates(cells, day_first=None, table_day_first=None)
    there = cells.words.filter(pa.array(cells.counts > 0))
    days = pc.any(pc.match_substring_regex(there, "^[0-9]{8}$")).as_py()
    return reading.enough and (bool(days) or len(there) >= _FEWEST_MONTHS)


def _n_compact(cells: WordCells) -> int:
    fits = pc.match_substring_regex(cells.words, _COMPACT).to_numpy(zero_copy_only=False).astype(bool)
    return int(cells.counts[fits].sum())


def _all_months(cells: WordCells) -> bool:
    words = cells.words.filter(pa.array((cells.counts > 0) & ~is_blank(cells.words)))
    fits = pc.match_substring_regex(words, r"^(?:0[1-9]|1[0-2])\.(?:19|20)[0-9]{2}$")
    return len(words) > 0 and bool(pc.all(fits).as_py())


def shown_orders(cells: WordCells) -> Shown:
    """Return what the numeric dates of a column show of the order of day, month and year."""
    words = cells.words
    return Shown.of(_fields(words, _FORMS[_NUMERIC_FORM]), words, cells.counts)


def read_dates(
    cells: WordCells,
    *,
    day_first: bool | None,
    table_day_first: bool | None,
    known: frozenset[str] = frozenset(),
    year_first: bool | None = None,
    shown: Shown | None = None,
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
    """
    words = cells.words
    times = np.full(len(words), _NOT_A_TIME)
    orders = Orders(day_first, year_first)
    for number, form in enumerate(_FORMS):
        left = np.flatnonzero(np.isnat(times))
        if not len(left):
            break
        fields = _fields(words.take(pa.array(left)), form)
        matched = fields["matched"] > 0
        if not matched.any():
            continue
        if number == _NUMERIC_FORM:
            shown = shown or Shown.of(fields, words.take(pa.array(left)), cells.counts[left])
            orders = shown.orders(day_first, year_first, table_day_first)
            # With points the day comes first, with slashes the month, unless something tells otherwise.
            _order(fields, fields["pointed"] if orders.leads is None else np.full(len(left), orders.leads))
            if orders.year_first:
                lead_with_years(fields)
        times[left[matched]] = _times(fields)[matched]
    reading = judge(cells, times, ~np.isnat(times), _NOT_A_TIME, known)
    return DateReading(
        reading.values,
        reading.n_read,
        reading.blanks,
        reading.stray,
        reading.n_lost,
        orders,
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
    numbers = np.array([*_MONTH_OF.values(), np.nan])
    at = pc.fill_null(pc.index_in(lower, value_set=pa.array(list(_MONTH_OF), lower.type)), len(_MONTH_OF))
    return numbers[at.to_numpy(zero_copy_only=False)]


def _zone_minutes(text: pa.Array) -> NDArray[np.float64]:
    """Minutes that a zone is ahead of UTC; 0 for none."""
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
    return np.where(behind, -1.0, 1.0) * (60 * hours + minutes)


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
