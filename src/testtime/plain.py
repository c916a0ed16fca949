"""Values as strict JSON for people and scripts; the one place that says what becomes of numbers JSON has no word for.

NaN becomes null, an infinity the text ``"inf"`` or ``"-inf"``, and a time the text of ISO 8601. This is one-way: what
is read back exactly, in saved adapters, is written by :mod:`testtime.store.values`.
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from typing import Any

__all__ = ["all_finite", "in_one_line", "json_text", "plain"]


def plain(value: Any) -> Any:
    """Turn a value into what strict JSON holds: NumPy becomes Python, a result its fields, an enum its name.

    >>> plain({"loss": float("inf"), 3: (float("nan"), 0.5)})
    {'loss': 'inf', '3': [None, 0.5]}
    """
    if isinstance(value, Enum):  # before str: some are both
        return value.name
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None if math.isnan(value) else str(float(value))
    if isinstance(value, (dt.date, dt.time, dt.timedelta)):
        if value != value:  # NaT of pandas
            return None
        return str(value) if isinstance(value, dt.timedelta) else value.isoformat()
    if isinstance(value, Decimal):
        return plain(float(value))
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    for method in ("to_dict", "tolist"):  # results; NumPy scalars and arrays, without importing NumPy
        if hasattr(value, method):
            return plain(getattr(value, method)())
    return value


def all_finite(value: Any) -> bool:
    """Whether a value is a finite number, or an array or list of them.

    >>> all_finite([1, 2.5]), all_finite(float("inf")), all_finite("1")
    (True, False, False)
    """
    import numpy as np

    try:
        numbers = np.asarray(value)
        return numbers.dtype.kind not in "SUc" and bool(np.isfinite(numbers.astype(np.float64)).all())
    except (TypeError, ValueError, OverflowError):
        return False


def in_one_line(text: str) -> str:
    r"""Return text for a line of a table or a log; what would end it or move the cursor is written as in Python.

    >>> print(in_one_line("new\nline, näher"))
    new\nline, näher
    """
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def json_text(value: Any, *, indent: int | None = 2, ascii_only: bool = True) -> str:
    """Return :func:`plain` of a value as strict JSON.

    Raises
    ------
    TypeError
        If something in it is neither a number, text, time, bytes, boolean, None, list, mapping, array or result.

    >>> json_text([float("inf"), float("nan")], indent=None)
    '["inf", null]'
    """
    return json.dumps(plain(value), indent=indent, ensure_ascii=ascii_only, allow_nan=False)
