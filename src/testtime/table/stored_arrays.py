"""What the arrays of a saved table may hold: kinds, shapes, and that they fit the record and each other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from testtime.store import Form, check_forms, damaged
from testtime.table.schema import TableMeta

__all__ = ["WHERE", "check_arrays"]

WHERE = "the saved model"


def check_arrays(meta: TableMeta, arrays: Mapping[str, NDArray]) -> None:
    """Raise unless the arrays are those of a table with this record.

    Raises
    ------
    StoreError
        Naming what is missing, unknown, of another kind or shape, or out of bounds.
    """
    is_classes = "classes" in arrays
    forms = {
        "x": Form("f", ("rows", "columns")),
        "y": Form("i" if is_classes else "f", ("rows",)),
        "check": Form("f", ("checked rows", "shown columns")),
        "levels_targets": Form("i", ("level targets",)),
        "levels_positions": Form("i", ("level columns",)),
    }
    if is_classes:
        forms["classes"] = Form("biufOU", ("classes",))
    else:
        forms["target_moments"] = Form("f", (2,))
        if "target_curve" in arrays:
            forms |= {"target_curve": Form("i", (1,)), "target_curve_numbers": Form("f", ("curve numbers",))}
        if any(name.startswith("target_linear_") for name in arrays):
            forms["target_linear_numbers"] = Form("f", (4,))
            of_terms = dict.fromkeys(("middles", "scales", "lows", "highs", "weights"), "f")
            for name, kind in {"forms": "i", "places": "i", **of_terms}.items():
                forms[f"target_linear_{name}"] = Form(kind, ("terms",))
    check_forms(arrays, forms | _level_forms(meta, arrays), {"columns": len(meta.names)}, WHERE)
    n_rows = len(arrays["x"])
    if max(meta.n_reference, meta.record.n_context) > n_rows:
        raise damaged(WHERE, f"its record speaks of more than its {n_rows:,} rows")
    if np.isinf(arrays["x"]).any():
        raise damaged(WHERE, "its rows hold infinity")
    if is_classes:
        codes, n_classes = arrays["y"], len(arrays["classes"])
        if n_classes < 2 or codes.min() < 0 or codes.max() >= n_classes:
            raise damaged(WHERE, f"its labels are not codes of {n_classes} classes")
    elif not (np.isfinite(arrays["y"]).all() and np.isfinite(arrays["target_moments"]).all()):
        raise damaged(WHERE, "its target holds something else than finite numbers")


def _level_forms(meta: TableMeta, arrays: Mapping[str, NDArray]) -> dict[str, Form]:
    """Forms of the statistics of levels, which follow from the columns they belong to."""
    positions = arrays.get("levels_positions", np.empty(0, dtype=np.int64))
    forms = {}
    for i, position in enumerate(positions.ravel().tolist()):
        if not isinstance(position, int) or not 0 <= position < len(meta.names):
            raise damaged(WHERE, f"it has statistics of levels of a column {position}")
        n_levels, shares = meta.n_levels[position], arrays.get(f"levels_shares_{i}")
        values, key = arrays.get(f"levels_values_{i}"), arrays.get(f"levels_key_{i}")
        if key is not None:  # columns that name something together
            n_levels = _check_key(key, values, position, len(meta.names))
            forms |= {
                f"levels_key_{i}": Form("i", key.shape),
                f"levels_values_{i}": Form("f", (n_levels, len(key))),
            }
        elif values is not None:  # numbers that are codes
            n_levels = values.size
            ascending = (
                values.dtype == np.float64
                and np.isfinite(values).all()
                and (np.diff(values.ravel()) > 0).all()
            )
            if not (n_levels and ascending and meta.kinds[position] == "number"):
                raise damaged(WHERE, f"the codes of its column {position} are not ascending numbers")
            forms[f"levels_values_{i}"] = Form("f", (n_levels,))
        for told in (arrays.get(f"levels_means_{i}"), shares):
            if told is not None and told.dtype.kind == "f" and not np.isfinite(told).all():
                raise damaged(WHERE, f"what levels of its column {position} say is not finite")
        forms[f"levels_means_{i}"] = Form("f", (n_levels + 1, "level targets"))
        n_shares = 0 if shares is not None and shares.size == 0 else n_levels + 1
        forms[f"levels_shares_{i}"] = Form("f", (n_shares,))
        if f"levels_alone_{i}" in arrays:
            forms[f"levels_alone_{i}"] = Form("f", (1,))
    return forms


def _check_key(key: NDArray, values: NDArray | None, position: int, n_columns: int) -> int:
    """Raise unless these are several columns, `position` first, and different values of them; return how many."""
    if not (
        key.dtype == np.int64
        and key.ndim == 1
        and len(key) > 1
        and key[0] == position
        and (np.diff(key) > 0).all()
        and key[-1] < n_columns
    ):
        raise damaged(WHERE, f"the columns of its key at column {position} are none")
    if not (
        values is not None
        and values.dtype == np.float64
        and values.ndim == 2
        and values.shape[1] == len(key)
        and len(values)
        and not np.isinf(values).any()
        and len(np.unique(np.nan_to_num(values, nan=np.inf), axis=0)) == len(values)
    ):
        raise damaged(WHERE, f"the values of its key at column {position} are not different rows of numbers")
    return len(values)
