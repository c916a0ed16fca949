"""Columns that are fitted, saved and used in one step."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd

from testtime.table.columns import Encoded, TableColumns, as_frame

NAN = float("nan")


def fitted(data: object, kinds: dict[str, str] | None = None) -> tuple[TableColumns, Encoded]:
    """Fit and encode; the columns must survive as plain values."""
    frame = as_frame(data)
    columns = TableColumns(kinds)
    encoded = columns.fit_transform(frame)
    again = TableColumns.from_state(json.loads(json.dumps(columns.to_state())))
    np.testing.assert_array_equal(again.transform(frame).x, encoded.x)
    assert (again.records, again.notes, again.required) == (columns.records, columns.notes, columns.required)
    return columns, encoded


def encode(values: object, new: object | None = None, **options: object) -> list[float]:
    """Encode one column, fitted on `values`."""
    columns, encoded = fitted(pd.DataFrame({"c": pd.Series(values, **options)}))
    if new is not None:
        encoded = columns.transform(pd.DataFrame({"c": new}))
    return encoded.x[:, 0].tolist()


def same(left: list[float], right: list[float]) -> bool:
    return np.array_equal(left, right, equal_nan=True)
