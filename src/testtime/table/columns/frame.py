"""Any table a caller may hold, as a pandas frame with different column names."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from testtime.errors import InputError, sentence

__all__ = ["DataWarning", "as_frame", "dense"]

_MOST_DENSE = 50_000_000  # numbers: 400 MB


class DataWarning(UserWarning):
    """Something about the data a user should know, though it can be used."""


def as_frame(X: Any) -> pd.DataFrame:
    """Return `X` as a pandas frame: pandas as it is, polars and Arrow converted, arrays with numbered columns.

    Raises
    ------
    InputError
        When column names repeat, or an array has not two axes.
    """
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
