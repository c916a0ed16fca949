"""Whether a target is predicted as numbers or as classes where nobody says: one rule for commands and for groups.

Text, truth values and dates are classes. Numbers are predicted as numbers if one of them is not whole, or if there are
more than ten different ones; a few whole numbers are usually codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from testtime.errors import InputError, sentence
from testtime.table.columns.alone import unlike_classes
from testtime.table.read_target import MOST_CODES

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["check_classes", "is_numeric", "why_numbers"]


def is_numeric(target: pd.Series) -> bool:
    """Whether a column holds numbers; truth values are none."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return is_numeric_dtype(target.dtype) and not is_bool_dtype(target.dtype)


def why_numbers(target: pd.Series, distinct: int) -> str:
    """Say why a column of numbers without missing ones, `distinct` of them different, is none of codes; "" if it is."""
    if not bool((target == target.round()).all()):
        return "holds numbers that are not whole"
    if distinct > MOST_CODES:
        return f"holds {distinct:,} different numbers, more than the {MOST_CODES} that are taken for codes"
    return ""


def check_classes(target: pd.Series, name: str, distinct: int, otherwise: str) -> None:
    """Refuse more dates or quantities than are taken for codes: nobody means a class for each of them.

    Raises
    ------
    InputError
        If they are; `otherwise` says what to pass where they are classes all the same.
    """
    what, remedy = unlike_classes(target) if distinct > MOST_CODES else ("", "")
    if what:
        raise InputError(
            sentence(
                f"{name} holds {distinct:,} different values, which are {what}",
                expected=f"numbers, or at most {MOST_CODES} different ones as classes",
                remedy=f"{remedy}, or pass {otherwise} if each is a class of its own",
            )
        )
