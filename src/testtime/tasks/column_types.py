"""The type of a column read from a file: found from its values, or the one another file had."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from testtime.errors import InputError, sentence

__all__ = ["convert_column"]

_DECIMAL_COMMA = r"^[+-]?\d*,?\d+([eE][+-]?\d+)?$"
_ISO_DATE = r"^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?$"


def convert_column(
    column: pa.ChunkedArray, wanted: str | None, where: str, *, typed: bool, comma_possible: bool
) -> tuple[pd.Series, str, bool]:
    """Turn a column of Arrow into pandas.

    Parameters
    ----------
    column
        Values of any type that Parquet has; text for CSV.
    wanted
        "number", "boolean", "date" or "text"; None finds the type from the values.
    where
        What to call the column in a message.
    typed
        Whether the file has types, as Parquet does, so that text is text even if it reads like numbers.
    comma_possible
        Whether text may hold numbers with a decimal comma.

    Returns
    -------
    values, type, comma
        `comma` tells whether numbers had a decimal comma.

    Raises
    ------
    InputError
        If a value is not of the wanted type, or the column holds lists, bytes or the like.
    """
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    numeric = pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if pa.types.is_boolean(kind) and wanted in (None, "boolean"):
        return column.to_pandas(), "boolean", False
    if (pa.types.is_timestamp(kind) or pa.types.is_date(kind)) and wanted in (None, "date"):
        return _dates(column.cast(pa.timestamp("us")).to_pandas()), "date", False
    if numeric and wanted in (None, "number", "boolean"):
        return column.to_pandas(), "number", False
    if (pa.types.is_decimal(kind) or pa.types.is_boolean(kind)) and wanted in (None, "number"):
        return column.cast(pa.float64()).to_pandas(), "number", False
    if typed and wanted is None and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return column.to_pandas(), "text", False
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_duration(kind):
        raise _unusable(where, kind)
    try:
        text = column.cast(pa.string())
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid) as error:  # lists, structs and the like
        raise _unusable(where, kind) from error
    return _convert_text(text, wanted, comma_possible, where)


def _convert_text(
    text: pa.ChunkedArray, wanted: str | None, comma_possible: bool, where: str
) -> tuple[pd.Series, str, bool]:
    if wanted in (None, "number", "boolean"):
        for comma in (False, True) if comma_possible else (False,):
            numbers = _numbers(text, comma)
            if numbers is not None:
                return numbers, "number", comma
    if wanted == "boolean":
        truth = text.to_pandas().str.lower().map({"true": True, "false": False})
        if int(truth.isna().sum()) == text.null_count:
            return truth, "boolean", False
    if wanted in (None, "date") and pc.all(pc.match_substring_regex(text, _ISO_DATE), min_count=0).as_py():
        dates = pd.to_datetime(text.to_pandas(), format="ISO8601", errors="coerce")
        if int(dates.isna().sum()) == text.null_count and (wanted or text.null_count < len(text)):
            return _dates(dates), "date", False
    if wanted in (None, "text"):
        return text.to_pandas(), "text", False
    raise _not_as_before(where, text.to_pandas().dropna(), wanted)


def _dates(values: pd.Series) -> pd.Series:
    """Give dates one unit: pandas keeps the one of the file, and an estimator would take it for another time."""
    return pd.to_datetime(values).astype("datetime64[us]")


def _numbers(text: pa.ChunkedArray, comma: bool) -> pd.Series | None:
    """Return text as numbers, or None if one value is none."""
    if comma:
        if not pc.all(pc.match_substring_regex(text, _DECIMAL_COMMA)).as_py():
            return None
        text = pc.replace_substring(text, ",", ".")
    numbers = pd.to_numeric(text.to_pandas(), errors="coerce")
    return numbers if int(numbers.isna().sum()) == text.null_count else None


def _unusable(where: str, kind: pa.DataType) -> InputError:
    return InputError(
        sentence(
            f"{where} has the type {kind}",
            expected="numbers, text, booleans or dates",
            remedy="Convert or drop it",
        )
    )


def _not_as_before(where: str, values: pd.Series, wanted: str) -> InputError:
    """Say which value is not of the type the column had."""
    if wanted == "boolean":
        good = values.str.lower().isin(["true", "false"])
    elif wanted == "date":
        good = values.str.match(_ISO_DATE) & pd.to_datetime(values, errors="coerce").notna()
    else:
        good = pd.to_numeric(values, errors="coerce").notna()
    return InputError(
        sentence(
            f"{where} holds {values[~good].iloc[0]!r}",
            expected=f"a {wanted}, as in the training table",
            remedy="Correct the value, or leave it empty if it is missing",
        )
    )
