"""One column that a command reads by itself, a target or a position in time, the way features are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from testtime.table.columns.cells import Cells, NumberCells, TimeCells, WordCells, read_cells
from testtime.table.columns.kinds.base import Habits
from testtime.table.columns.words.dates import are_months, read_dates
from testtime.table.columns.words.manner import NumberReading
from testtime.table.columns.words.numbers import read_numbers
from testtime.table.columns.words.quantities import units_shown
from testtime.table.columns.words.unread_dates import unread_dates

__all__ = ["NumbersRead", "read_as_numbers", "unlike_classes", "without_value"]


_PLAIN = "Write plain numbers in one unit"


@dataclass(frozen=True)
class NumbersRead:
    """A column read as numbers.

    Attributes
    ----------
    values
        One per row; NaN where there is none.
    lost
        Words that count as missing, the most frequent first, with their number of rows.
    example
        A word that no programming language reads as a number, and its value; ("", 0.0) if there is none.
    doubt
        What is to be said about values that could be read in two ways; "" if there is nothing.
    """

    values: NDArray[np.float64]
    lost: dict[str, int]
    example: tuple[str, float] = ("", 0.0)
    doubt: str = ""


def without_value(column: pd.Series) -> NDArray[np.bool_]:
    """Tell which cells are empty or hold a word such as ``NA``.

    >>> without_value(pd.Series(["yes", "NA", None])).tolist()
    [False, True, True]
    """
    return read_cells(column, str(column.name)).missing


def read_as_numbers(column: pd.Series, beside: pd.DataFrame) -> NumbersRead | None:
    """Read a column as numbers; None unless almost all of its values are some.

    Parameters
    ----------
    column
        Text of a file, or values with a type.
    beside
        The other columns of the table, which tell what ``1,234`` is where the column does not.

    >>> price = pd.Series(["$1,200.50", "$800", "n.a."] + ["$900"] * 40, name="price")
    >>> read = read_as_numbers(price, pd.DataFrame())
    >>> read.values[:3].tolist(), read.lost, read.example
    ([1200.5, 800.0, nan], {'n.a.': 1}, ('$1,200.50', 1200.5))
    """
    cells = read_cells(column, str(column.name))
    if isinstance(cells, NumberCells):
        boolean = pd.api.types.is_bool_dtype(column.dtype)
        return None if boolean else NumbersRead(cells.values, {})
    if not isinstance(cells, WordCells) or cells.order or are_months(cells):
        return None
    reading = _read(cells, None)
    if not reading.nearly_all:  # rows without a target are left out
        return None
    if reading.either:
        reading = _read(cells, Habits(_texts(beside)).comma)
    doubt = " ".join(reading.doubts(f"Column {str(column.name)!r}"))
    return NumbersRead(reading.values, reading.lost, reading.example, doubt)


def unlike_classes(column: pd.Series) -> tuple[str, str]:
    """Return what many different values of a column are rather than classes, and what to do; ("", "") if they may be.

    >>> unlike_classes(pd.Series(["2020-01-31", "2020-02-29"]))[0]
    "dates, such as '2020-01-31'"
    >>> unlike_classes(pd.Series([f"{i} {'kg' if i % 2 else 'g'}" for i in range(20)]))[0]
    "numbers in more than one unit, such as '0 g' and '1 kg'"
    >>> unlike_classes(pd.Series(["Oslo", "Rome"]))
    ('', '')
    """
    cells = read_cells(column, str(column.name))
    if isinstance(cells, NumberCells) or cells.missing.all():
        return "", ""
    days = "Write them as numbers, such as the days since the first one"
    if isinstance(cells, TimeCells):
        return f"dates, such as '{str(cells.values[~cells.missing][0])[:10]}'", days
    if cells.order:
        return "", ""
    words = cells.words.filter(pa.array(cells.counts > 0))[:1].to_pylist()
    if read_dates(cells, day_first=None, table_day_first=None).enough:
        return f"dates, such as {words[0]!r}", days
    if unread_dates(cells):
        return f"what looks like dates, such as {words[0]!r}", days
    reading = _read(cells, None)
    if reading.apart:
        marked, bare = map(repr, reading.apart)
        return f"numbers of which a part has a mark that may be a sign, as {marked} and {bare}", _PLAIN
    if units := units_shown(cells):
        return f"numbers in more than one unit, such as {' and '.join(map(repr, units))}", _PLAIN
    return "", ""


def _read(cells: WordCells, table_comma: bool | None) -> NumberReading:
    return read_numbers(cells, comma=None, table_comma=table_comma)


def _texts(frame: pd.DataFrame) -> list[Cells]:
    """The columns of text, which alone show how a table writes numbers."""
    return [
        read_cells(column, str(name))
        for name, column in frame.items()
        if pd.api.types.is_string_dtype(column.dtype)
    ]
