"""Classes of groups that are read one at a time: whole numbers are the same classes however a file holds them.

A column of whole numbers becomes one of floats where one of them is missing, and of texts such as ``1.0`` where it then
went through a file of text.
"""

from __future__ import annotations

import re
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pandas.api.types import is_float_dtype

from testtime.table.columns.alone import without_value

__all__ = ["Texts", "texts_among", "whole_classes", "without_label"]

Texts = Literal["", "text", "number"]
"""What a text such as ``1.0`` is: itself, the text ``1``, or the number 1."""

_WHOLE = re.compile(r"\s*(?P<number>-?(?:0|[1-9][0-9]*))(?:\.0*)?\s*")
_EXACT = 2.0**53  # beyond, floats cannot tell whole numbers apart


def without_label(labels: pd.Series) -> NDArray[np.bool_]:
    """Tell which rows have no target: nothing, or a word such as ``NA``, which is none for a model of one table either.

    Raises
    ------
    InputError
        When a label is a list or the like, or no Unicode.

    >>> without_label(pd.Series(["yes", "NA", None])).tolist()
    [False, True, True]
    """
    missing = labels.isna().to_numpy(dtype=bool)
    if labels.dtype.kind in "biufcmM":
        return missing
    return missing | without_value(labels)


def texts_among(labels: pd.Series) -> Texts:
    """Say what texts are, given labels of many groups: numbers if others are, and themselves if one is no number.

    >>> texts_among(pd.Series(["1.0", "0"])), texts_among(pd.Series(["1.0", 0])), texts_among(pd.Series(["1.0", "no"]))
    ('text', 'number', '')
    """
    if labels.dtype.kind in "biufcmM":
        return ""
    values = labels.dropna().tolist()
    if any(_as_whole(value, "number") is None for value in values):
        return ""
    return "text" if all(isinstance(value, str) for value in values) else "number"


def whole_classes(labels: pd.Series, texts: Texts = "") -> pd.Series:
    """Return labels without missing values as integers, or as texts of integers, if each of them is a whole number.

    >>> whole_classes(pd.Series([1.0, 0.0])).tolist(), whole_classes(pd.Series([1.0, 0.5])).tolist()
    ([1, 0], [1.0, 0.5])
    >>> whole_classes(pd.Series(["1.0", "0"]), "text").tolist(), whole_classes(pd.Series(["1.0", 0]), "number").tolist()
    (['1', '0'], [1, 0])
    """
    if is_float_dtype(labels.dtype):
        values = labels.to_numpy(np.float64)
        whole = bool(((np.abs(values) <= _EXACT) & (values == np.round(values))).all())
        return pd.Series(values.astype(np.int64), labels.index, name=labels.name) if whole else labels
    if labels.dtype.kind in "biufcmM":
        return labels
    found = [_as_whole(value, texts) for value in labels]
    if any(value is None for value in found):
        return labels
    return pd.Series(found, labels.index, name=labels.name)


def _as_whole(value: Any, texts: Texts) -> int | str | None:
    """Return the integer that a label is; None if it is none."""
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, (float, np.floating)) and abs(value) <= _EXACT and float(value).is_integer():
        return int(value)
    found = _WHOLE.fullmatch(value) if texts and isinstance(value, str) else None
    if found is None:
        return None
    return int(found["number"]) if texts == "number" else found["number"]
