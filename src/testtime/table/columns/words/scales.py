"""Words for large numbers: which stand for a factor, and for which one, is told by all words of a column.

``B`` is billions beside ``M`` and bytes beside ``KB``; ``m`` is metres, and millions beside ``k``.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from testtime.table.columns.words.currencies import LETTERS, is_currency
from testtime.table.columns.words.times import SECONDS, seconds_of

__all__ = ["factors_of", "is_scale", "parted"]

# fmt: off
_WORDS = {
    1e3: ("k", "K", "tsd", "tausend", "thousand"),
    1e5: ("lakh",),
    1e6: ("M", "mn", "mio", "mln", "million", "millionen"),
    1e7: ("crore",),
    1e9: ("B", "bn", "bln", "mrd", "mld", "billion", "milliard", "milliarde", "milliarden"),
    1e12: ("trillion", "billionen"),
}
# fmt: on
_ALONE = {word: factor for factor, words in _WORDS.items() for word in words}
_THOUSANDS = frozenset(("k", "K", "thousand"))
_BILLIONS = frozenset(("b", "B", "bn", "bln", "billion"))
_BESIDE = {  # letters that are units or codes, unless one of these words stands in the same column
    "m": (1e6, _THOUSANDS | _BILLIONS),
    "b": (1e9, _THOUSANDS | {"m", "M", "mn", "mln", "million", "T", "tn", "trillion"}),
    "t": (1e12, {"b", "bn"}),
    "T": (1e12, _THOUSANDS | _BILLIONS | {"M", "G"}),
    "tn": (1e12, _BILLIONS | {"mn", "million"}),
    "G": (1e9, {"K", "M", "T"}),
    "bio": (1e12, {"mio", "mrd"}),
}
_BYTES = {"B": 1.0, "byte": 1.0} | {
    f"{letter}{end}": base**power
    for power, letter in enumerate("kmgtp", start=1)
    for end, base in (("b", 1e3), ("ib", 1024.0))
}
_TIME = {**SECONDS, "ms": 1e-3}
_MEASURES: tuple[dict[str, float], ...] = (
    {"mg": 1e-3, "g": 1.0, "kg": 1e3, "t": 1e6},
    {"mm": 1e-3, "cm": 1e-2, "dm": 0.1, "m": 1.0, "km": 1e3},
    {"ml": 1e-3, "cl": 1e-2, "dl": 0.1, "l": 1.0, "L": 1.0, "hl": 100.0},
    _TIME,
    {"lb": 16.0, "lbs": 16.0, "oz": 1.0},
    {"in": 1.0, "ft": 12.0, "yd": 36.0},
    {"mHz": 1e-3, "hz": 1.0, "khz": 1e3, "mhz": 1e6, "ghz": 1e9},
    {"mW": 1e-3, "W": 1.0, "kw": 1e3, "mw": 1e6, "gw": 1e9},
)
# After these, those of two systems: what is in one of them keeps its unit. A gallon is one of two, and is none here.
_POUND, _INCH = 453.59237, 0.0254
_BOTH: tuple[dict[str, float], ...] = (
    {
        **_MEASURES[0],
        **dict.fromkeys(("lb", "lbs", "pound", "pounds"), _POUND),
        **dict.fromkeys(("oz", "ounce", "ounces"), _POUND / 16),
    },
    {
        **_MEASURES[1],
        **dict.fromkeys(("in", "inch", "inche"), _INCH),
        **dict.fromkeys(("ft", "foot", "feet"), 12 * _INCH),
        **dict.fromkeys(("yd", "yard", "yards"), 36 * _INCH),
        **dict.fromkeys(("mi", "mile", "miles"), 63_360 * _INCH),
    },
)
"""Units of one quantity; of a column with two of them and no others, all are factors."""


def is_scale(word: str) -> bool:
    """Tell whether a word stands for a factor in some columns."""
    return word in _ALONE or word in _BESIDE


def factors_of(
    units: Collection[str], at_fit: Mapping[str, float] | None = None, not_at_fit: Collection[str] = ()
) -> dict[str, float]:
    """Return what each word is a factor of, in a column that has these words beside its numbers.

    Parameters
    ----------
    units
        The words.
    at_fit
        Those that were factors when the column was fitted.
    not_at_fit
        Those that were units then: they are no factors now.

    >>> factors_of(["B", "kb"])["B"], factors_of(["B", "M"])["B"]
    (1.0, 1000000000.0)
    >>> "m" in factors_of(["m"]), factors_of(["m", "k"])["m"]
    (False, 1000000.0)
    >>> factors_of(["m", "cm"])["cm"], factors_of(["m", "h"])["m"], factors_of(["km"], not_at_fit=["m"])["km"]
    (0.01, 60.0, 1000.0)
    >>> factors_of(["kg", "lb"])["lb"], factors_of(["lb"], not_at_fit=["kg"])["lb"], factors_of(["lb", "oz"])["lb"]
    (453.59237, 0.45359237, 16.0)
    >>> factors_of(["y", "m"])["m"], "h" in factors_of(["h", "min"], not_at_fit=["kg"])
    (2629800.0, False)
    """
    known = dict(at_fit or {})
    found = frozenset(units) | known.keys()
    barred = frozenset(not_at_fit)
    for measures in (*_MEASURES, *_BOTH):
        if barred and not barred & measures.keys():
            continue  # all numbers of fit measured something else
        if measures is _TIME:
            measures = {**_TIME, "m": seconds_of(found | barred)["m"]}
        if len((found | barred) & measures.keys()) > 1 and found <= measures.keys():
            unit = next((measures[word] for word in barred if word in measures), 1.0)  # all had one at fit
            unit = next((measures[word] / factor for word, factor in known.items() if word in measures), unit)
            return {word: factor / unit for word, factor in measures.items()} | known
    sizes = found & _BYTES.keys()
    if len(sizes) > 1 and not sizes <= {"B", "byte"}:
        factors = _BYTES
    else:
        factors = _ALONE | {word: factor for word, (factor, beside) in _BESIDE.items() if found & beside}
    if {"G", "B"} <= found:
        factors = factors | {"B": 1.0}  # as "du -h" writes sizes
    if barred & _BYTES.keys():
        barred |= _BYTES.keys()
    return {word: factor for word, factor in (factors | known).items() if word not in barred}


def parted(unit: str) -> tuple[str, str]:
    """Take a factor and a currency apart.

    >>> parted("Mio. €"), parted("k€"), parted("Mrd. EUR"), parted("kg")
    (('Mio.', '€'), ('k', '€'), ('Mrd.', 'EUR'), ('kg', ''))
    """
    found = re.fullmatch(r"([^\W\d_]+\.?)\s?([^\w\s.]|[^\W\d_]{2,3})", unit)
    if not found or not is_scale(_plain(found[1])):
        return unit, ""
    sign = found[2]
    apart = is_currency(sign) if len(sign) == 1 else sign.casefold() in LETTERS and not unit.isalpha()
    return (found[1], sign) if apart else (unit, "")


def _plain(word: str) -> str:
    word = word.rstrip(".")
    return word if len(word) < 2 else word.lower()
