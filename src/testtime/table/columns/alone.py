"""One column that a command reads by itself, a target or a position in time, the way features are read."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.table.columns.cells import Cells, NumberCells, WordCells, read_cells
from testtime.table.columns.kinds.base import Habits
from testtime.table.columns.words.dates import are_months
from testtime.table.columns.words.manner import NumberReading
from testtime.table.columns.words.numbers import read_numbers

__all__ = ["NumbersRead", "read_as_numbers", "without_value"]


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
    if not reading.enough:
        return None
    if reading.either:
        reading = _read(cells, Habits(_texts(beside)).comma)
    doubt = " ".join(reading.doubts(f"Column {str(column.name)!r}"))
    return NumbersRead(reading.values, reading.lost, reading.example, doubt)


def _read(cells: WordCells, table_comma: bool | None) -> NumberReading:
    return read_numbers(cells, comma=None, table_comma=table_comma)


def _texts(frame: pd.DataFrame) -> list[Cells]:
    """The columns of text, which alone show how a table writes numbers."""
    return [
        read_cells(column, str(name))
        for name, column in frame.items()
        if pd.api.types.is_string_dtype(column.dtype)
    ]
