"""Text that may be numbers, for the few columns that a command reads itself: a target, a time."""

from __future__ import annotations

import pandas as pd

__all__ = ["as_numbers"]

_DECIMAL_COMMA = r"[+-]?\d*,?\d+([eE][+-]?\d+)?"


def as_numbers(text: pd.Series, *, decimal_comma: bool) -> pd.Series:
    """Return text as numbers if every value is one, else as it is; missing values stay missing.

    Parameters
    ----------
    text
        A column of a text file.
    decimal_comma
        Whether a comma may stand before the decimals, as in "1,5".

    >>> as_numbers(pd.Series(["1,5", None, "2"]), decimal_comma=True).tolist()
    [1.5, nan, 2.0]
    >>> as_numbers(pd.Series(["1", "two"]), decimal_comma=True).tolist()
    ['1', 'two']
    """
    present = text.dropna().astype(str)
    for comma in (False, True) if decimal_comma else (False,):
        if comma and not present.str.fullmatch(_DECIMAL_COMMA).all():
            continue
        spelled = present.str.replace(",", ".", regex=False) if comma else present
        numbers = pd.to_numeric(spelled, errors="coerce")
        if numbers.notna().all():
            return numbers.reindex(text.index)
    return text
