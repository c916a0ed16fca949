"""Rows that a model is scored on and was fitted on: their scores say how well it remembers."""

from __future__ import annotations

import numpy as np
import pandas as pd

from testtime.table.adapted import AdaptedTable

__all__ = ["n_fitted_rows"]


def n_fitted_rows(table: AdaptedTable, frame: pd.DataFrame) -> int:
    """Return how many rows of a frame ``(q, D)`` are equal to rows of the fit, in all columns that the model sees.

    Of a large table the model holds a part, so that these are the fewest it can be. Rows that are equal by chance, as
    in a table of a few categories, count as well.
    """
    new = table.encoding.columns.transform(frame, notes=[]).x
    known = {row.tobytes() for row in _comparable(table.x[:, : new.shape[1]])}
    return sum(row.tobytes() in known for row in _comparable(new))


def _comparable(x: np.ndarray) -> np.ndarray:
    """Write each missing value, and each zero, with the same bytes."""
    return np.ascontiguousarray(np.where(np.isnan(x), np.nan, x + 0.0))
