"""Times of day and durations as people and pandas write them: 14:30, 2:30 PM, 14h30, 14:30 Uhr, 2 days 03:00:00."""
# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["bare_hours", "minutes_lead", "read_clock", "times_of_day"]

_HALF = r"(?P<half>[AaPp]\.?\s?[Mm]\.?)"
_CLOCK = (
    r"^(?P<sign>-)?(?:(?P<days>[0-9]{1,9}) days?,? \+?)?(?P<hours>[0-9]{1,3})(?:(?P<letter>\s?[hH]\s?)|:)"
    r"(?P<minutes>[0-5][0-9])(?::(?P<seconds>[0-5][0-9](?:[.,][0-9]+)?))?"
    rf"(?:\s?(?:{_HALF}|(?P<word>[Uu]hr|[hH])|(?:[Zz]|UTC|GMT)))?$"
)
_BARE = rf"^(?P<hours>[0-9]{{1,2}})(?:\s?{_HALF}|(?:\.(?P<minutes>[0-5][0-9]))?\s?[Uu]hr|\s?[hH])$"
_LAST_HOUR = 23  # of a clock
_NOON = 12
_AN_HOUR = 60  # minutes, from which hours are written
_PER_MINUTE = 60


def minutes_lead(words: pa.Array) -> bool:
    """Tell whether two numbers are minutes and seconds: ``24:37`` beside ``1:05:10``, which no clock shows.

    >>> minutes_lead(pa.array(["24:37", "1:05:10"])), minutes_lead(pa.array(["14:30", "14:30:05"]))
    (True, False)
    """
    parts = pc.extract_regex(words, pattern=_CLOCK)
    matched = pc.is_valid(parts).to_numpy(zero_copy_only=False)
    hours, seconds = _number(parts, "hours"), _number(parts, "seconds")
    short, full = matched & np.isnan(seconds), matched & ~np.isnan(seconds)
    return bool(full.any() and (hours[short] > _LAST_HOUR).any() and (hours[short] < _AN_HOUR).all())


def times_of_day(words: pa.Array) -> bool:
    """Tell whether hours alone are times here, and no numbers with a unit, as other words show.

    >>> times_of_day(pa.array(["2:30 PM", "3 PM"])), times_of_day(pa.array(["9 AM", "3 PM"]))
    (True, True)
    >>> times_of_day(pa.array(["154 pm", "3 pm"])), times_of_day(pa.array(["14h", "3h"]))
    (False, False)
    """
    parts = pc.extract_regex(words, pattern=_CLOCK)
    if _marked(parts).any():
        return True
    late = _late(pc.extract_regex(words, pattern=_BARE))
    return bool((late == 0).any() and (late == 1).any())


def bare_hours(words: pa.Array) -> NDArray[np.bool_]:
    """Tell which words are hours alone, or with minutes as only a clock has them.

    >>> bare_hours(pa.array(["3 PM", "14.30 Uhr", "14h", "14:30", "3"])).tolist()
    [True, True, True, False, False]
    """
    found = pc.match_substring_regex(words, _BARE)
    return pc.fill_null(found, False).to_numpy(zero_copy_only=False).astype(bool)


def read_clock(words: pa.Array, *, short_minutes: bool = False, clock: bool = False) -> NDArray[np.float64]:
    """Return seconds, NaN for words that are no times.

    With `short_minutes`, two numbers are minutes and seconds; with `clock`, hours may stand beside a mark or alone.

    >>> read_clock(pa.array(["14:30", "-1 days +23:00:00", "16:9"])).tolist()
    [52200.0, -3600.0, nan]
    >>> read_clock(pa.array(["24:37", "1:05:10"]), short_minutes=True).tolist()
    [1477.0, 3910.0]
    >>> read_clock(pa.array(["2:30 PM", "12:15 a.m.", "14h30", "2 PM"]), clock=True).tolist()
    [52200.0, 900.0, 52200.0, 50400.0]
    """
    found = np.full(len(words), np.nan)
    for form in (_CLOCK, _BARE) if clock else (_CLOCK,):
        matched = pc.match_substring_regex(words, form).to_numpy(zero_copy_only=False).astype(bool)
        if matched.any():
            parts = pc.extract_regex(words, pattern=form)
            matched &= clock | ~_marked(parts)
            found = np.where(matched, _seconds(parts, short_minutes), found)
    return found


def _seconds(parts: pa.StructArray, short_minutes: bool) -> NDArray[np.float64]:
    days, hours, minutes, seconds = (_number(parts, name) for name in ("days", "hours", "minutes", "seconds"))
    sign = np.where(_filled(parts, "sign"), -1.0, 1.0)
    late = _late(parts)
    # 12:15 AM is a quarter past midnight; 14:30 PM is what it says, and 14:30 AM or minus 2 PM are no times.
    hours = np.where(np.isnan(late), hours, hours % _NOON + _NOON * late)
    hours[(late == 0) & (_number(parts, "hours") > _NOON)] = np.nan
    hours[~np.isnan(late) & ((_number(parts, "hours") > _LAST_HOUR) | ~np.isnan(days) | (sign < 0))] = np.nan
    clock = 3600 * hours + 60 * np.nan_to_num(minutes) + np.nan_to_num(seconds)
    if short_minutes:
        clock = np.where(np.isnan(seconds), clock / _PER_MINUTE, clock)
    return np.where(np.isnan(days), sign * clock, sign * 86_400 * np.nan_to_num(days) + clock)


def _marked(parts: pa.StructArray) -> NDArray[np.bool_]:
    """Whether something says that hours are meant: PM, Uhr or h."""
    return _filled(parts, "half") | _filled(parts, "word") | _filled(parts, "letter")


def _late(parts: pa.StructArray) -> NDArray[np.float64]:
    """1 for PM, 0 for AM, NaN for neither."""
    first = pc.utf8_lower(pc.utf8_slice_codeunits(pc.struct_field(parts, "half"), 0, 1))
    at = pc.index_in(first, value_set=pa.array(["a", "p"], first.type))
    return pc.cast(at, pa.float64()).to_numpy(zero_copy_only=False)


def _filled(parts: pa.StructArray, name: str) -> NDArray[np.bool_]:
    if parts.type.get_field_index(name) < 0:
        return np.zeros(len(parts), bool)
    there = pc.not_equal(pc.fill_null(pc.struct_field(parts, name), ""), "")
    return there.to_numpy(zero_copy_only=False).astype(bool)


def _number(parts: pa.StructArray, name: str) -> NDArray[np.float64]:
    if parts.type.get_field_index(name) < 0:
        return np.full(len(parts), np.nan)
    text = pc.replace_substring(pc.struct_field(parts, name), ",", ".")
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)
    return pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
