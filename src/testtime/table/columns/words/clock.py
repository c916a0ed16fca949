"""Times of day and durations as people and pandas write them: 14:30, 14:30:05, 2 days 03:00:00."""
# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["minutes_lead", "read_clock"]

_CLOCK = (
    r"^(?P<sign>-)?(?:(?P<days>[0-9]{1,9}) days?,? \+?)?(?P<hours>[0-9]{1,3}):(?P<minutes>[0-5][0-9])"
    r"(?::(?P<seconds>[0-5][0-9](?:\.[0-9]+)?))?$"
)
_LAST_HOUR = 23  # of a clock
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


def read_clock(words: pa.Array, *, short_minutes: bool = False) -> NDArray[np.float64]:
    """Return seconds, NaN for words that are no times; with `short_minutes`, two numbers are minutes and seconds.

    >>> read_clock(pa.array(["14:30", "-1 days +23:00:00", "16:9"])).tolist()
    [52200.0, -3600.0, nan]
    >>> read_clock(pa.array(["24:37", "1:05:10"]), short_minutes=True).tolist()
    [1477.0, 3910.0]
    """
    matched = pc.match_substring_regex(words, _CLOCK).to_numpy(zero_copy_only=False)
    if not matched.any():
        return np.full(len(words), np.nan)
    parts = pc.extract_regex(words, pattern=_CLOCK)
    days, hours, minutes, seconds = (_number(parts, name) for name in ("days", "hours", "minutes", "seconds"))
    behind = pc.equal(pc.struct_field(parts, "sign"), "-").fill_null(False).to_numpy(zero_copy_only=False)
    sign = np.where(behind, -1.0, 1.0)
    clock = 3600 * np.nan_to_num(hours) + 60 * np.nan_to_num(minutes) + np.nan_to_num(seconds)
    if short_minutes:
        clock = np.where(np.isnan(seconds), clock / _PER_MINUTE, clock)
    whole = np.where(np.isnan(days), sign * clock, sign * 86_400 * np.nan_to_num(days) + clock)
    return np.where(matched, whole, np.nan)


def _number(parts: pa.StructArray, name: str) -> NDArray[np.float64]:
    text = pc.struct_field(parts, name)
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)
    return pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
