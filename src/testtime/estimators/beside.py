"""What comes beside the columns: the group of each row, and its position in time."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.table.columns import DataWarning
from testtime.table.columns.cells import Cells, TimeCells, WordCells, read_cells
from testtime.table.columns.words.dates import read_dates
from testtime.table.columns.words.numbers import read_numbers

__all__ = ["group_codes", "moments"]


def group_codes(values: Any, n_rows: int) -> NDArray[np.int64] | None:
    """Return group codes of rows, None for None; a row without a group stands alone.

    Raises
    ------
    InputError
        When there is not one per row, or one is nothing that could be equal to another, as a list is.
    """
    if values is None:
        return None
    given = pd.Series(np.asarray(values, dtype=object).ravel())
    if len(given) != n_rows:
        raise InputError(
            sentence(f"X has {n_rows:,} rows and groups has {len(given):,}", expected="one per row")
        )
    try:
        codes = pd.factorize(given)[0].astype(np.int64)
    except TypeError as error:  # what cannot be hashed
        one = next(value for value in given if not _is_hashable(value))
        got = f"groups holds {str(one)[:60]!r}, a {type(one).__name__}"
        raise InputError(sentence(got, expected="a name, a number or a date for each row")) from error
    alone = codes < 0
    codes[alone] = codes.max() + 1 + np.arange(int(alone.sum()))
    return codes


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def moments(values: Any, n_rows: int) -> NDArray[np.float64] | None:
    """Return positions in time as numbers, None for None.

    Raises
    ------
    InputError
        When there is not one per row, or one is missing, infinite or neither number nor date.
    """
    if values is None:
        return None
    given = values if isinstance(values, (pd.Series, pd.Index)) else np.asarray(values).ravel()
    given = pd.Series(given).infer_objects()  # a column of a mixed table holds objects
    if len(given) != n_rows:
        raise InputError(
            sentence(f"X has {n_rows:,} rows and time has {len(given):,}", expected="one per row")
        )
    positions = _positions(read_cells(given, "time"))
    missing = int((~np.isfinite(positions)).sum())
    if missing:
        got = f"time is missing or infinite in {missing:,} of {n_rows:,} rows"
        raise InputError(sentence(got, expected="a position in time for every row", remedy="Drop these rows"))
    return positions


def _positions(cells: Cells) -> NDArray[np.float64]:
    """Return times as numbers; words are read as they are in columns, as numbers where all are, else as dates."""
    if isinstance(cells, WordCells):
        numbers = read_numbers(cells, comma=None, table_comma=None)
        if not numbers.stray:
            return numbers.values
        dates = read_dates(cells, day_first=None, table_day_first=None)
        if dates.stray:
            word = next(iter(dates.stray))
            raise InputError(sentence(f"time holds {word!r}", expected="numbers or dates"))
        doubt = dates.orders.doubt("time")
        if doubt:
            warnings.warn(doubt, DataWarning, stacklevel=4)
        cells = TimeCells(dates.values)
    if isinstance(cells, TimeCells):
        return np.where(np.isnat(cells.values), np.nan, cells.values.astype(np.int64))
    return cells.values
