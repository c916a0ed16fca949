"""From a table with mixed columns to numbers: column kinds, category levels, and what must be said about them."""

from __future__ import annotations

import warnings
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.errors import InputError, sentence

__all__ = ["ColumnEncoder", "DataWarning", "as_frame"]

_TICKS_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}
_NUMBER_TYPES = (bool, int, float, Decimal, np.integer, np.floating, np.bool_)


class DataWarning(UserWarning):
    """Something about the data a user should know, though it can be used."""


def as_frame(X: Any) -> pd.DataFrame:
    """Return `X` as a pandas frame: pandas as it is, polars converted, arrays with numbered columns.

    Raises
    ------
    InputError
        When column names repeat.
    """
    if hasattr(X, "to_pandas") and not isinstance(X, pd.DataFrame):  # polars, pyarrow, cuDF
        X = X.to_pandas()
    if not isinstance(X, pd.DataFrame):
        array = np.asarray(X)
        X = pd.DataFrame(array, columns=range(array.shape[1]))
        if array.dtype == object:
            X = X.infer_objects()
    repeated = X.columns[X.columns.duplicated()].unique()
    if len(repeated):
        raise InputError(
            sentence(
                f"the column name {repeated[0]!r} occurs more than once",
                expected="different names",
                why="columns are told apart by name at prediction",
                remedy="Rename one of them",
            )
        )
    return X


@dataclass
class _Column:
    """One column as it was at fit."""

    name: str
    kind: str  # "number", "category" or "unused"
    levels: list[Any] = field(default_factory=list)


def _as_numbers(values: pd.Series) -> NDArray[np.float64] | None:
    """Return a numeric, boolean or time column as floats with NaN for missing; None when it is none of these."""
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return None
    if pd.api.types.is_datetime64_any_dtype(dtype) or pd.api.types.is_timedelta64_dtype(dtype):
        # In seconds whatever the unit: the same file read by another library may come in another one.
        ticks = values.astype("int64").to_numpy(np.float64) / _TICKS_PER_SECOND[values.dt.unit]
        return np.where(values.isna(), np.nan, ticks)
    if pd.api.types.is_complex_dtype(dtype):
        return None
    if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    if pd.api.types.is_object_dtype(dtype):
        present = values.dropna()
        if len(present) and all(isinstance(v, _NUMBER_TYPES) for v in present):
            return pd.to_numeric(values, errors="coerce").to_numpy(dtype=np.float64)
        if len(present) == 0:
            return np.full(len(values), np.nan)
    return None


def _level(value: Any) -> Any:
    """Return a category level as a plain Python value: text, number or truth value."""
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    return str(value)


class ColumnEncoder:
    """Numbers stay, categories become ordinal codes, missing becomes NaN; levels are pinned at fit.

    Columns without information (one value, or nothing but missing) are left out, with a warning that names them.
    """

    def __init__(self) -> None:
        self._columns: list[_Column] = []

    @property
    def n_used(self) -> int:
        """Number of columns the model sees."""
        return sum(column.kind != "unused" for column in self._columns)

    @property
    def unused(self) -> list[str]:
        """Names of the columns that were left out."""
        return [column.name for column in self._columns if column.kind == "unused"]

    @property
    def n_categorical(self) -> int:
        """Number of used columns that hold categories."""
        return sum(column.kind == "category" for column in self._columns)

    def fit_transform(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Learn kinds and levels from a frame ``(N, D)`` and encode it.

        Raises
        ------
        InputError
            For infinite values, cells that hold lists or complex numbers, or when no column carries information.
        """
        self._columns, encoded = [], []
        for name in frame.columns:
            values = frame[name]
            numbers = _as_numbers(values)
            if numbers is not None:
                column = _Column(str(name), "number")
                _refuse_infinite(numbers, name)
            else:
                _refuse_structures(values, name)
                column = _Column(str(name), "category", _levels(values))
                numbers = _codes(values, column.levels)
            present = numbers[~np.isnan(numbers)]
            if len(present) == 0 or (present == present[0]).all():
                column = _Column(str(name), "unused")
            else:
                encoded.append(numbers)
            self._columns.append(column)
        if not encoded:
            raise InputError(
                sentence(
                    f"none of the {len(self._columns)} columns holds two different values",
                    expected="at least one column that varies",
                    why="there is nothing to learn from",
                )
            )
        if self.unused:
            warnings.warn(
                f"Columns with a single value or nothing but missing values are left out: {_names(self.unused)}.",
                DataWarning,
                stacklevel=3,
            )
        return np.column_stack(encoded)

    def transform(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Encode new rows ``(N, D)`` -> ``(N, n_used)``; categories never seen count as missing, with a warning.

        Raises
        ------
        InputError
            When a column that held numbers now holds text, or a value is infinite.
        """
        encoded, unseen = [], []
        for column, name in zip(self._columns, frame.columns, strict=True):
            if column.kind == "unused":
                continue
            values = frame[name]
            if column.kind == "number":
                numbers = _as_numbers(values)
                if numbers is None:
                    example = next((v for v in values.dropna() if not _is_number(v)), None)
                    if example is not None:
                        raise InputError(
                            sentence(
                                f"column {column.name!r} holds {example!r}",
                                expected="numbers, as at fit",
                                remedy="Convert the column, or fit again on text",
                            )
                        )
                    numbers = pd.to_numeric(values.astype(object), errors="coerce").to_numpy(dtype=np.float64)
                _refuse_infinite(numbers, name)
            else:
                _refuse_structures(values, name)
                if _as_numbers(values) is not None and all(isinstance(level, str) for level in column.levels):
                    values = values.map(str, na_action="ignore")  # digits that were text at fit
                numbers = _codes(values, column.levels)
                n_unseen = int((np.isnan(numbers) & values.notna().to_numpy()).sum())
                if n_unseen:
                    unseen.append(f"{column.name!r} ({n_unseen:,} rows)")
            encoded.append(numbers)
        if unseen:
            warnings.warn(
                f"Categories that were not there at fit are treated as missing in {', '.join(unseen[:5])}.",
                DataWarning,
                stacklevel=3,
            )
        return np.column_stack(encoded)

    def to_list(self) -> list[dict[str, Any]]:
        """Return the fitted columns as plain values, for the store."""
        return [asdict(column) for column in self._columns]

    @classmethod
    def from_list(cls, columns: list[dict[str, Any]]) -> ColumnEncoder:
        """Rebuild an encoder from :meth:`to_list`."""
        encoder = cls()
        encoder._columns = [_Column(**column) for column in columns]
        return encoder


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _names(names: list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _levels(values: pd.Series) -> list[Any]:
    """Levels of a categorical column: declared order when it is ordered, else sorted."""
    if isinstance(values.dtype, pd.CategoricalDtype) and values.dtype.ordered:
        return list(dict.fromkeys(_level(level) for level in values.dtype.categories))
    # bool < number < text, so that mixed columns sort as well
    return sorted(
        {_level(value) for value in values.dropna().unique()}, key=lambda v: (isinstance(v, str), v)
    )


def _codes(values: pd.Series, levels: list[Any]) -> NDArray[np.float64]:
    lookup = {level: float(code) for code, level in enumerate(levels)}
    unique = {value: lookup.get(_level(value), np.nan) for value in values.dropna().unique()}
    return values.map(unique).to_numpy(dtype=np.float64, na_value=np.nan)


def _refuse_structures(values: pd.Series, name: object) -> None:
    """Refuse complex numbers, lists, dicts, arrays: what is neither a number nor a category."""
    if values.dtype != object and not pd.api.types.is_complex_dtype(values.dtype):
        return
    for value in values:
        if isinstance(value, (complex, np.complexfloating, list, dict, set, tuple, np.ndarray)):
            raise InputError(
                sentence(
                    f"column {str(name)!r} holds {value!r}, a {type(value).__name__}",
                    expected="a number, a text or a missing value in each cell",
                    remedy="Split it into columns of its own",
                )
            )


def _refuse_infinite(numbers: NDArray[np.float64], name: object) -> None:
    rows = np.flatnonzero(np.isinf(numbers))
    if len(rows):
        raise InputError(
            sentence(
                f"column {str(name)!r} holds infinity in {len(rows):,} rows (the first is row {rows[0]})",
                expected="finite numbers or missing values",
                remedy="Replace infinity by a missing value or a bound",
            )
        )
