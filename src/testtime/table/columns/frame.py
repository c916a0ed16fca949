"""Any table a caller may hold, as a pandas frame with different column names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from testtime.errors import InputError, sentence

__all__ = ["DataWarning", "as_frame", "dense", "refuse_no_table"]

_MOST_DENSE = 50_000_000  # numbers: 400 MB


class DataWarning(UserWarning):
    """Something about the data a user should know, though it can be used."""


def as_frame(X: Any) -> pd.DataFrame:
    """Return `X` as a pandas frame: pandas as it is, polars and Arrow converted, arrays with numbered columns.

    Raises
    ------
    InputError
        When column names repeat, an array has not two axes, or it is no table yet, as of :func:`refuse_no_table`.
    """
    refuse_no_table(X)
    if hasattr(X, "to_pandas") and not isinstance(X, pd.DataFrame):  # polars, pyarrow, cuDF
        X = X.to_pandas()
    if not isinstance(X, pd.DataFrame):
        X = _numbered(np.asarray(X))
    names = X.columns.map(
        str
    )  # a file has text names only: the columns 0 and "0" could not be told apart there
    repeated = names[names.duplicated()].unique()
    if len(repeated):
        raise InputError(
            sentence(
                f"the column name {str(repeated[0])!r} occurs more than once",
                expected="different names",
                why="columns are told apart by name at prediction",
                remedy="Rename one of them",
            )
        )
    return X


def refuse_no_table(X: Any) -> None:
    """Refuse what is no table yet, but is one after a call.

    Raises
    ------
    InputError
        For a query that was not run, as a LazyFrame of polars is, and for rows or columns as dictionaries.
    """
    kind = type(X).__name__
    if hasattr(X, "collect") and not hasattr(X, "shape"):
        call = ".toPandas()" if hasattr(X, "toPandas") else ".collect()"
        raise InputError(
            sentence(f"the table is a {kind}, a query that was not run", remedy=f"Call {call} first")
        )
    rows = isinstance(X, (list, tuple)) and len(X) > 0 and all(isinstance(row, Mapping) for row in X)
    columns = isinstance(X, Mapping) and not hasattr(X, "toarray")  # some sparse arrays are dictionaries, too
    if rows or columns:
        raise InputError(
            sentence(
                f"the table is a {kind}{' of dictionaries' if rows else ''}",
                expected="a frame or an array",
                remedy="Pass pandas.DataFrame(X)",
            )
        )


def dense(X: Any) -> Any:
    """Return a sparse matrix as an array, and anything else as it is.

    Raises
    ------
    InputError
        When the array would hold more than 50 million numbers.
    """
    if not (hasattr(X, "toarray") and hasattr(X, "nnz")):
        return X
    cells = int(np.prod(X.shape, dtype=np.int64))
    if cells > _MOST_DENSE:
        raise InputError(
            sentence(
                f"a sparse matrix of {X.shape[0]:,} rows and {X.shape[1]:,} columns",
                expected=f"at most {_MOST_DENSE:,} cells",
                why="the model reads every cell of a row, zeros among them, so that the matrix is made dense",
                remedy="Select columns, or reduce them, for example with sklearn.decomposition.TruncatedSVD",
            )
        )
    return X.toarray()


def _numbered(array: np.ndarray) -> pd.DataFrame:
    if array.ndim != 2:
        raise InputError(
            sentence(
                f"the table has the shape {array.shape}",
                expected="rows and columns",
                remedy="Pass one row as X.reshape(1, -1), one column as X.reshape(-1, 1)",
            )
        )
    if (
        array.dtype.kind not in "biufcmM"
    ):  # pandas would look for text, and raise its own error at what is no Unicode
        array = array.astype(object)
    return pd.DataFrame(array, columns=range(array.shape[1]), dtype=array.dtype)
