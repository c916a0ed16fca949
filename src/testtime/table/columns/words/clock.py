"""Times of day and durations as people and pandas write them: 14:30, 14:30:05, 2 days 03:00:00."""
# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["read_clock"]

_CLOCK = (
    r"^(?P<sign>-)?(?:(?P<days>[0-9]{1,9}) days?,? \+?)?(?P<hours>[0-9]{1,3}):(?P<minutes>[0-5][0-9])"
    r"(?::(?P<seconds>[0-5][0-9](?:\.[0-9]+)?))?$"
)


def read_clock(words: pa.Array) -> NDArray[np.float64]:
    """Return seconds, NaN for words that are no times.

    >>> read_clock(pa.array(["14:30", "-1 days +23:00:00", "16:9"])).tolist()
    [52200.0, -3600.0, nan]
    """
    matched = pc.match_substring_regex(words, _CLOCK).to_numpy(zero_copy_only=False)
    if not matched.any():
        return np.full(len(words), np.nan)
    parts = pc.extract_regex(words, pattern=_CLOCK)
    days, hours, minutes, seconds = (_number(parts, name) for name in ("days", "hours", "minutes", "seconds"))
    behind = pc.equal(pc.struct_field(parts, "sign"), "-").fill_null(False).to_numpy(zero_copy_only=False)
    sign = np.where(behind, -1.0, 1.0)
    clock = 3600 * np.nan_to_num(hours) + 60 * np.nan_to_num(minutes) + np.nan_to_num(seconds)
    whole = np.where(np.isnan(days), sign * clock, sign * 86_400 * np.nan_to_num(days) + clock)
    return np.where(matched, whole, np.nan)


def _number(parts: pa.StructArray, name: str) -> NDArray[np.float64]:
    text = pc.struct_field(parts, name)
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)
    return pc.cast(text, pa.float64()).to_numpy(zero_copy_only=False)
