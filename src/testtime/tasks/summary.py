"""What is in a table, in a few numbers per column: for the reader of a report, not for the model."""

from __future__ import annotations

from dataclasses import dataclass, field

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
        Rows of each class, the most frequent first; empty for a numeric target.
    columns
        The first 200 columns.
    target_values
        Mean, standard deviation and quantiles of a numeric target; empty for classes.
    """

    rows: int
    n_columns: int
    target: str
    classes: dict[str, int]
    columns: tuple[ColumnSummary, ...]
    target_values: dict[str, float] = field(default_factory=dict)


def summarise(X: pd.DataFrame, labels: pd.Series, *, numeric: bool = False) -> TableSummary:
    """Describe features and target; `numeric` takes the target as numbers rather than classes.

    >>> table = pd.DataFrame({"size": [1.0, None], "colour": ["red", "red"]})
    >>> summary = summarise(table, pd.Series(["a", "b"], name="kind"))
    >>> [column.example for column in summary.columns], summary.classes
    (['1 to 1', 'red'], {'a': 1, 'b': 1})
    """
    counts = {} if numeric else labels.value_counts()
    return TableSummary(
        rows=len(X),
        n_columns=X.shape[1],
        target=str(labels.name),
        classes={str(label): int(count) for label, count in counts.items()},
        columns=tuple(_column(str(name), X[name]) for name in X.columns[:_MAX_COLUMNS]),
        target_values=_spread(labels) if numeric else {},
    )


def _spread(values: pd.Series) -> dict[str, float]:
    numbers = values.astype("float64")
    names = {0.0: "smallest", 0.1: "10% quantile", 0.5: "median", 0.9: "90% quantile", 1.0: "largest"}
    quantiles = {name: float(numbers.quantile(level)) for level, name in names.items()}
    return {"mean": float(numbers.mean()), "standard deviation": float(numbers.std(ddof=0)), **quantiles}


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
