"""How groups are called: one name for each, however a file spells what names them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

from testtime.errors import InputError, sentence
from testtime.table.columns.cells import NOTHING

__all__ = ["as_day", "half_a_character", "keys_of", "named", "spelled_alike", "written"]

_NOTHING = frozenset(NOTHING.to_pylist())
_MIDNIGHT = re.compile(r"(?<=\A[0-9]{4}-[0-9]{2}-[0-9]{2}) 00:00:00(\.0+)?\Z")
_WHOLE = re.compile(r"-?[0-9]+(\.0+)?")
_WITH_A_POINT = re.compile(r"\A(-?(?:0|[1-9][0-9]*))\.0+\Z")  # 007.0 is no number that became a float


def keys_of(column: pd.Series) -> pd.Series:
    """Return what names the group of each row; of text, with one spelling for each name and None where there is none.

    >>> keys_of(pd.Series(["7.0", "8", "NA", "7 "])).tolist()
    ['7', '8', None, '7']
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(column.dtype.categories.dtype)
    if column.dtype.kind in "biufcmM":
        return column
    try:
        codes, distinct = pd.factorize(column)
    except TypeError:  # cells that cannot be hashed, which name no groups
        return column
    keys = np.empty(len(distinct) + 1, dtype=object)  # the last one is for rows without a value
    keys[:-1] = spelled_alike(list(distinct))
    return pd.Series(keys[codes], column.index, dtype=object, name=column.name)


def spelled_alike(keys: Iterable[Any]) -> list[Any]:
    """Return the keys of a column with one spelling for each text: trimmed, and letters with their accents as one.

    Texts such as ``NA`` are None. Where all others are whole numbers, a point and zeros are taken off: pandas writes
    7.0 where a whole number is missing.

    >>> spelled_alike(["7.0", "8", "?"]), spelled_alike(["7.0", "8.5"]), spelled_alike(["007", "7.0"])
    (['7', '8', None], ['7.0', '8.5'], ['007', '7'])
    """
    found = [_tidy(key) if isinstance(key, str) else key for key in keys]
    if not all(_WHOLE.fullmatch(key) for key in found if isinstance(key, str)):
        return found
    return [_WITH_A_POINT.sub(r"\1", key) if isinstance(key, str) else key for key in found]


def _tidy(text: str) -> str | None:
    tidy = unicodedata.normalize("NFC", text.strip())
    return None if tidy in _NOTHING else tidy


def named(
    keys: Sequence[Any], by: Sequence[str], taken: Mapping[str, Sequence[str]]
) -> tuple[str, list[str]]:
    """Return the name of a group, the value or ``a=1,b=2`` for several columns, and the values in it as text.

    Parameters
    ----------
    keys
        The group's value of each column.
    by
        The columns.
    taken
        Names of other groups, with their values.

    Raises
    ------
    InputError
        If another group has the name, or it is no Unicode.
    """
    values = [written(key) for key in keys]
    name = values[0] if len(by) == 1 else ",".join(f"{c}={v}" for c, v in zip(by, values, strict=True))
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise half_a_character(error) from error
    if name in taken:
        got = f"two groups are called {name!r}"
        if values == taken[name]:
            why, remedy = (
                "their keys differ in type only, such as 1 and '1'",
                "Give the column one type first",
            )
        else:
            why = "their values hold ',' and '=', with which a name joins those of several columns"
            remedy = "Write other signs in these values first"
        raise InputError(sentence(got, why=why, remedy=remedy))
    return name, values


def half_a_character(error: UnicodeEncodeError) -> InputError:
    """Return what is said of a name that is no Unicode."""
    got, why = f"a group is called {error.object!r}", "half of a character cannot be written"
    return InputError(sentence(got, why=why, remedy="Give the group another name"))


def written(key: Any) -> str:
    """Return a key as a file of text has it: a whole number without a point, a whole day without a time.

    >>> written(7.0), written(np.float32(7)), written(Decimal("7.00")), written(7.5)
    ('7', '7', '7', '7.5')
    """
    if isinstance(key, (float, np.floating)) and float(key).is_integer():
        return str(int(key))
    if isinstance(key, Decimal) and key.is_finite() and key == key.to_integral_value():
        return str(int(key))
    if isinstance(key, datetime) and key.tzinfo is None and key.time() == time():
        return str(key.date())
    return str(key)


def as_day(key: Any) -> Any:
    """Return the name of a folder; pandas writes a day of a column of times as one with a time."""
    return _MIDNIGHT.sub("", key) if isinstance(key, str) else key
