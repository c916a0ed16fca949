"""What comes beside the columns: the group of each row, and its position in time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.table.target import one_line

__all__ = ["group_codes", "moments"]


def group_codes(values: Any, n_rows: int) -> NDArray[np.int64] | None:
    """Return group codes of rows, None for None; a row without a group stands alone.

    Raises
    ------
    InputError
        When there is not one per row.
    """
    if values is None:
        return None
    given = pd.Series(np.asarray(values, dtype=object).ravel())
    if len(given) != n_rows:
        raise InputError(
            sentence(f"X has {n_rows:,} rows and groups has {len(given):,}", expected="one per row")
        )
    codes = pd.factorize(given)[0].astype(np.int64)
    alone = codes < 0
    codes[alone] = codes.max() + 1 + np.arange(int(alone.sum()))
    return codes


def moments(values: Any, n_rows: int) -> NDArray[np.float64] | None:
    """Return positions in time as numbers, None for None.

    Raises
    ------
    InputError
        When there is not one per row, or one is missing, infinite or neither number nor date.
    """
    if values is None:
        return None
    given = pd.Series(np.asarray(values).ravel()).infer_objects()  # a column of a mixed table holds objects
    if len(given) != n_rows:
        raise InputError(
            sentence(f"X has {n_rows:,} rows and time has {len(given):,}", expected="one per row")
        )
    if not pd.api.types.is_numeric_dtype(given.dtype):
        try:
            dates = pd.to_datetime(given, utc=True)
        except (ValueError, TypeError) as error:
            raise InputError(
                sentence(f"time holds {given.iloc[0]!r}", expected="numbers or dates", why=one_line(error))
            ) from error
        given = (
            dates.astype("int64").astype("float64").where(dates.notna())
        )  # a missing one is an integer too
    positions = given.to_numpy(np.float64, na_value=np.nan)
    missing = int((~np.isfinite(positions)).sum())
    if missing:
        got = f"time is missing or infinite in {missing:,} of {n_rows:,} rows"
        raise InputError(sentence(got, expected="a position in time for every row", remedy="Drop these rows"))
    return positions
