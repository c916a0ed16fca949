"""Lengths of time in several units: 1h 20m, 1 hour and 20 minutes, 1 Std. 20 Min., 1d 3h, PT1H20M.

A number with one unit, as ``20m``, may be metres or millions: it is a length of time where others in its column, or
those of fit, tell so.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from testtime.table.columns.words.reading import matches
from testtime.table.columns.words.times import SECONDS, SPELLED, seconds_of

__all__ = ["Lengths", "are_of_time", "find_lengths"]

_REMEMBERED = ("h", "min", "m")  # by a fitted column; the other units go with them
_NUMBER = r"[0-9]+(?:[.,][0-9]+)?"
_SEVERAL = rf"^-?\s?{_NUMBER}\s?\pL+\.?,?\s*(?:(?:and|und|et|&)\s*)?[0-9]"
_PIECE = re.compile(rf"({_NUMBER})\s?([^\W\d_]+)\.?(?:,?\s+(?:and|und|et|&)\s+|,?\s*)")
_ONE = re.compile(rf"-?\s?{_NUMBER}\s?([^\W\d_]+)\.?")
_NO_CODES = 10
_ISO = re.compile(
    rf"P(?:({_NUMBER})Y)?(?:({_NUMBER})M)?(?:({_NUMBER})W)?(?:({_NUMBER})D)?"
    rf"(T(?:({_NUMBER})H)?(?:({_NUMBER})M)?(?:({_NUMBER})S)?)?"
)
_HOURS_MINUTES = r"^[0-9]{1,3}\s?[hH]\s?[0-5][0-9]$"  # a clock or a length of time
_MINUTES = r"^[0-9]+(?:[.,][0-9]+)?\s?(?i:mn|mins?|minutes?|minuten|s|secs?|seconds?|sek)\.?$"


@dataclass(frozen=True)
class Lengths:
    """Which words are lengths of time in several units, and what units mean there.

    Attributes
    ----------
    values
        In seconds, or in the unit of fit; NaN for other words.
    factors
        What a number with one unit is multiplied with; nothing where no word tells that units are of time, or where
        numbers stay in a unit of fit.
    unit
        The seconds of that unit.
    """

    values: NDArray[np.float64]
    factors: dict[str, float] = field(default_factory=dict)
    unit: float = 1.0

    @property
    def remembered(self) -> dict[str, float]:
        """What a column remembers in order to read them again; nothing if there are none."""
        there = bool(self.factors) and not np.isnan(self.values).all()
        return {word: self.factors[word] for word in _REMEMBERED} if there else {}


def find_lengths(words: pa.Array, at_fit: Mapping[str, float], units: Collection[str]) -> Lengths:
    """Find lengths of time.

    Parameters
    ----------
    words
        Different words of a column.
    at_fit
        The factors that stood beside numbers when the column was fitted.
    units
        The units that did; numbers in one unit of time stay in it, and what a clock shows is converted to it.

    >>> find_lengths(pa.array(["1h 20m", "1 Std. 20 Min.", "P1DT2H", "20m"]), {}, []).values.tolist()
    [4800.0, 4800.0, 93600.0, nan]
    >>> find_lengths(pa.array(["1h 20m", "20m"]), {}, []).factors["m"], find_lengths(pa.array(["20m"]), {}, []).factors
    (60.0, {})
    >>> find_lengths(pa.array(["1h 20m"]), {}, ["min"]).values.tolist()
    [80.0]
    """
    nothing = np.full(len(words), np.nan)
    unit = next((SECONDS[word] for word in units if word in SECONDS), 0.0)
    if units and not unit:
        return Lengths(nothing)  # numbers in kilograms
    values, sure = nothing.copy(), are_of_time(at_fit) or _all_of_days(words)
    beside = set[str]()
    for at in np.flatnonzero(matches(words, _SEVERAL)):
        word = words[int(at)].as_py()
        values[at] = _of_pieces(word)
        if not np.isnan(values[at]):
            sure = True
            beside |= _units(word)
    for at in np.flatnonzero(matches(words, "^-?P[0-9T]")):
        values[at], told = _of_iso(words[int(at)].as_py())
        sure |= told
    # "1h20" may be a time of day, and "45 min" beside it tells that it is none.
    sure = sure or bool(matches(words, _HOURS_MINUTES).any() and matches(words, _MINUTES).any())
    if not sure:
        return Lengths(nothing, unit=unit or 1.0)
    if unit:
        return Lengths(values / unit, unit=unit)  # numbers with one unit are converted as if they stood alone
    known = seconds_of(beside | {word for word in _alone(words) if word in SECONDS})
    known = known | {word: seconds for word, seconds in at_fit.items() if word in known}
    upper = {word.upper(): seconds for word, seconds in known.items() if len(word) == 1}
    return Lengths(values, known | upper)


def _all_of_days(words: pa.Array) -> bool:
    """Tell whether all words are lengths such as ``P85D``, and so many different ones that they are no codes."""
    there = words.drop_null()
    return len(there) >= _NO_CODES and bool(matches(there, rf"^-?P{_NUMBER}[YMWD]$").all())


def _units(word: str) -> set[str]:
    return {found[2] for found in _PIECE.finditer(word.lower())}


def _alone(words: pa.Array) -> set[str]:
    """Return what stands behind a single number, in lower case."""
    found = (_ONE.fullmatch(word) for word in words.to_pylist() if word is not None)
    return {one[1].lower() for one in found if one}


def are_of_time(factors: Mapping[str, float]) -> bool:
    """Tell whether factors are those of units of time.

    >>> are_of_time({"min": 60.0, "h": 3600.0}), are_of_time({"m": 1.0, "km": 1e3}), are_of_time({"m": 1e6})
    (True, False, False)
    """
    return any(SECONDS.get(word) == seconds for word, seconds in factors.items())


def _of_pieces(word: str) -> float:
    """Return seconds of two or more numbers with units, the larger unit first; NaN for anything else.

    >>> _of_pieces("1 hour, 20 minutes"), _of_pieces("-1h20m30s"), _of_pieces("2y 6m") == _of_pieces("30 mo 0 d")
    (4800.0, -4830.0, True)
    >>> _of_pieces("20m"), _of_pieces("5m 10cm"), _of_pieces("5m 3h")
    (nan, nan, nan)
    """
    text = word.lower()
    at = len(text) - len(text.lstrip("- "))
    sizes, total = list[float](), 0.0
    while at < len(text):
        found = _PIECE.match(text, at)
        size = SECONDS.get(found[2]) if found else None
        if found is None or size is None:
            return np.nan
        if found[2] == "m" and sizes[-1:] == [SECONDS["y"]]:
            size = SECONDS["mo"]
        sizes.append(size)
        total += size * float(found[1].replace(",", "."))
        at = found.end()
    falling = len(sizes) > 1 and all(one > other for one, other in pairwise(sizes))
    return (-total if text.startswith("-") else total) if falling else np.nan


def _of_iso(word: str) -> tuple[float, bool]:
    """Return seconds of a length of time in ISO 8601, and whether it is no code such as ``P3D``; NaN if it is none.

    >>> _of_iso("PT1H20M"), _of_iso("P3D"), _of_iso("PT")
    ((4800.0, True), (259200.0, False), (nan, False))
    """
    found = _ISO.fullmatch(word.removeprefix("-"))
    if found is None:
        return np.nan, False
    *dates, clock, hours, minutes, seconds = found.groups()
    given = [
        size * float(number.replace(",", "."))
        for size, number in zip(SPELLED, (*dates, hours, minutes, seconds), strict=True)
        if number
    ]
    if not given or clock == "T":
        return np.nan, False
    return -sum(given) if word.startswith("-") else sum(given), bool(clock) or len(given) > 1
