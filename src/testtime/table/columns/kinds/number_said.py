"""What is said of a column of numbers: in its record, at fit, and where new rows are written in another way."""

from __future__ import annotations

import numpy as np

from testtime.table.columns.cells import WordCells
from testtime.table.columns.kinds.base import told_lost
from testtime.table.columns.sentinels import said_of_numbers
from testtime.table.columns.words.bounds import are_bounds
from testtime.table.columns.words.manner import NumberReading
from testtime.table.columns.words.quantities import unread_quantities
from testtime.table.columns.words.reading import nearly

__all__ = [
    "NEAR",
    "TOO_LARGE",
    "bounds",
    "dressed",
    "example",
    "marks",
    "nearly_numbers",
    "notes_of",
    "parsed",
    "shares_beside",
]

NEAR = 10.0
"""How many times smaller than per cent numbers must be to be shares rather than per cent."""

TOO_LARGE = "{n:,} numbers of column {name!r} are beyond 1.8e308 and count as missing."


def shares_beside(bare: np.ndarray, sizes: np.ndarray, name: str, unit: str) -> list[str]:
    """Say that numbers without a unit beside per cent may be shares, if they are far smaller."""
    bare = bare[np.isfinite(bare) & (bare != 0)]
    if not len(bare) or not len(sizes) or np.median(np.abs(bare)) >= np.median(sizes) / NEAR:
        return []
    return [
        f"Column {name!r} holds {bare[0]:.15g} without a unit beside numbers in {unit}, which is taken as {unit}, too, "
        f"though it may be a share. Write all with their unit, such as 29 {unit}."
    ]


def parsed(reading: NumberReading) -> str:
    """Say how a column was read, for its record."""
    parts = []
    if reading.example[0]:
        parts.append(example(reading))
    if reading.comma:
        parts.append("decimal comma")
    if reading.lost:
        parts.append(f"{sum(reading.n_lost):,} words count as missing")
    return "; ".join(parts)


def notes_of(reading: NumberReading, name: str) -> list[str]:
    """Say what had to be decided to read a column at fit."""
    notes = []
    if reading.lost:
        notes.append(told_lost(name, reading, "numbers"))
    if reading.n_bounds:
        notes.append(bounds(reading, name, f" in {reading.n_bounds:,} rows"))
    if reading.n_noted:
        notes.append(marks(reading, name, f" in {reading.n_noted:,} rows"))
    notes += reading.doubts(f"Column {name!r}")
    if reading.too_large:
        notes.append(TOO_LARGE.format(n=reading.too_large, name=name))
    return notes + said_of_numbers(reading.values, name)


def nearly_numbers(reading: NumberReading, cells: WordCells) -> str:
    """Say what kept words from being numbers where most are, and what to do; empty if hardly any is."""
    if (reading.units or reading.scales) and (mixed := unread_quantities(cells)):
        return mixed
    said, remedy = nearly(reading, "numbers"), "count those as missing"
    if are_bounds(list(reading.stray)):
        remedy = "read those as the numbers that they hold"
    if reading.apart:
        marked, bare = map(repr, reading.apart)
        said = f"what stands beside a part of its numbers may be a sign, as in {marked} and {bare}"
    return f"{said}. Declare it as number to {remedy}" if said else ""


def bounds(reading: NumberReading, name: str, where: str) -> str:
    """Say that bounds were read; `where` follows the first of them."""
    word, value = reading.bound
    read = f"they are read as the number itself ({value:.15g})"
    return f"Column {name!r} holds bounds or rough numbers such as {word[:40]!r}{where}: {read}."


def marks(reading: NumberReading, name: str, where: str) -> str:
    """Say that marks of footnotes were taken off; `where` follows the first of them."""
    word, value = reading.noted
    return (
        f"Column {name!r} holds marks behind numbers as in {word[:40]!r}{where}: they are taken off, as those of "
        f"footnotes ({value:.15g}). Write them into a column of their own if they say something."
    )


def dressed(reading: NumberReading) -> str:
    """Return how the first number that is not plain was read; empty if there is none."""
    return example(reading) if reading.example[0] and not reading.ambiguous else ""


def example(reading: NumberReading) -> str:
    """Return the first number that is not plain, and what it was read as."""
    return f"{reading.example[0]!r} is {reading.example[1]:.15g}"
