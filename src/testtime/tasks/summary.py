"""What is in a table, in a few numbers per column: for the reader of a report, not for the model."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from testtime.results import Result

__all__ = ["ColumnSummary", "TableSummary", "summarise"]

_MAX_COLUMNS = 200  # a report with more is not read


@dataclass(frozen=True)
class ColumnSummary(Result):
    """One column.

    Attributes
    ----------
    name, kind
        Its name, and "number", "boolean", "date" or "category".
    missing
        Share of missing values.
    distinct
        Different values.
    example
        Range of a number or date, most frequent value of a category.
    """

    name: str
    kind: str
    missing: float
    distinct: int
    example: str


@dataclass(frozen=True)
class TableSummary(Result):
    """A table and its target.

    Attributes
    ----------
    rows, n_columns
        Size.
    target
        Name of the target.
    classes
        Rows of each class, the most frequent first.
    columns
        The first 200 columns.
    """

    rows: int
    n_columns: int
    target: str
    classes: dict[str, int]
    columns: tuple[ColumnSummary, ...]


def summarise(X: pd.DataFrame, labels: pd.Series) -> TableSummary:
    """Describe features and target.

    >>> table = pd.DataFrame({"size": [1.0, None], "colour": ["red", "red"]})
    >>> summary = summarise(table, pd.Series(["a", "b"], name="kind"))
    >>> [column.example for column in summary.columns], summary.classes
    (['1 to 1', 'red'], {'a': 1, 'b': 1})
    """
    counts = labels.value_counts()
    return TableSummary(
        rows=len(X),
        n_columns=X.shape[1],
        target=str(labels.name),
        classes={str(label): int(count) for label, count in counts.items()},
        columns=tuple(_column(str(name), X[name]) for name in X.columns[:_MAX_COLUMNS]),
    )


def _column(name: str, values: pd.Series) -> ColumnSummary:
    present = values.dropna()
    if pd.api.types.is_bool_dtype(values.dtype):
        kind, example = "boolean", f"{present.mean():.0%} true" if len(present) else ""
    elif pd.api.types.is_datetime64_any_dtype(values.dtype):
        kind, example = (
            "date",
            f"{present.min():%Y-%m-%d} to {present.max():%Y-%m-%d}" if len(present) else "",
        )
    elif pd.api.types.is_numeric_dtype(values.dtype):
        kind, example = "number", f"{present.min():.6g} to {present.max():.6g}" if len(present) else ""
    else:
        kind, example = "category", str(present.mode().iloc[0])[:80] if len(present) else ""
    return ColumnSummary(name, kind, float(values.isna().mean()), int(present.nunique()), example)
