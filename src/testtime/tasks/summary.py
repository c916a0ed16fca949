"""How large a training table is and how its target is spread: for the reader of a report, not for the model."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from testtime.results import Result

__all__ = ["TableSummary", "summarise"]


@dataclass(frozen=True)
class TableSummary(Result):
    """A table and its target.

    Attributes
    ----------
    rows, n_columns
        Size, without the target.
    target
        Name of the target.
    classes
        Rows of each class, the most frequent first; empty for a numeric target.
    target_values
        Mean, standard deviation and quantiles of a numeric target; empty for classes.
    """

    rows: int
    n_columns: int
    target: str
    classes: dict[str, int]
    target_values: dict[str, float] = field(default_factory=dict)


def summarise(n_columns: int, labels: pd.Series, *, numeric: bool = False) -> TableSummary:
    """Describe a target beside `n_columns` features; `numeric` takes it as numbers rather than classes.

    >>> summary = summarise(3, pd.Series(["a", "b", "a"], name="kind"))
    >>> summary.target, summary.classes
    ('kind', {'a': 2, 'b': 1})
    """
    counts = {} if numeric else labels.value_counts()
    return TableSummary(
        rows=len(labels),
        n_columns=n_columns,
        target=str(labels.name),
        classes={str(label): int(count) for label, count in counts.items()},
        target_values=_spread(labels) if numeric else {},
    )


def _spread(values: pd.Series) -> dict[str, float]:
    numbers = values.to_numpy(np.float64)
    names = {0.0: "smallest", 0.1: "10% quantile", 0.5: "median", 0.9: "90% quantile", 1.0: "largest"}
    quantiles = {name: float(np.quantile(numbers, level)) for level, name in names.items()}
    return {"mean": float(numbers.mean()), "standard deviation": float(numbers.std()), **quantiles}
