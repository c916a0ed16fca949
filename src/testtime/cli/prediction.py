"""Predict a file in pieces with a saved model, and write what was predicted as it comes."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import pandas as pd

from testtime.cli.training import typed
from testtime.errors import InputError, nearest, sentence
from testtime.estimators.classifier import TTTClassifier
from testtime.estimators.regressor import TTTRegressor
from testtime.estimators.saved import load
from testtime.table.writers import write_table
from testtime.tasks.files import iterate_table, read_table

__all__ = ["labelled_table", "write_predictions"]

_LEVELS = (0.1, 0.9)


def write_predictions(model: Path, table: Path, out: Path, *, labels_only: bool) -> int:
    """Write a row of predictions for each row of `table` and return their number.

    Columns are ``prediction`` and, unless `labels_only`, ``probability_CLASS`` for each class, or for a regressor
    ``quantile_0.1`` and ``quantile_0.9``.

    Raises
    ------
    InputError
        If the table has no rows, lacks a column that the model uses, or holds values that cannot be used.
    StoreError
        If the model is damaged or `out` cannot be written.
    """
    estimator = load(model)
    pieces = iterate_table(table)
    first = next(pieces, None)
    if first is None:
        raise InputError(sentence(f"{str(table)!r} has a header and no rows", remedy="Add rows"))
    return write_table((_predicted(estimator, piece, labels_only) for piece in chain([first], pieces)), out)


def labelled_table(table: Path, target: str, classes: Any | None) -> tuple[pd.DataFrame, pd.Series]:
    """Read a table with its target: labels in the type of `classes`, or numbers if that is None.

    Raises
    ------
    InputError
        If the target is no column, or misses a value.
    """
    frame, facts = read_table(table)
    if target not in frame:
        remedy = nearest(target, frame.columns)
        raise InputError(sentence(f"{str(table)!r} has no column {target!r}", remedy=remedy))
    labels = frame.pop(target)
    if labels.isna().any():
        got = f"{int(labels.isna().sum()):,} held-out rows have no {target!r}"
        raise InputError(sentence(got, remedy="Leave them out"))
    if classes is not None:
        known = {str(label): label for label in classes.tolist()}
        return frame, labels.astype(object).map(lambda label: known.get(str(label), label))
    numbers = typed(labels, facts)
    if not pd.api.types.is_numeric_dtype(numbers.dtype):
        bad = next((value for value in labels if not _is_number(value)), labels.iloc[0])
        got = f"column {target!r} of {str(table)!r} holds {str(bad)!r}"
        raise InputError(sentence(got, expected="a number", remedy="Correct the value, or drop its row"))
    return frame, numbers


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _predicted(
    estimator: TTTClassifier | TTTRegressor, piece: pd.DataFrame, labels_only: bool
) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    if isinstance(estimator, TTTRegressor):
        columns["prediction"] = estimator.predict(piece)
        if not labels_only:
            quantiles = estimator.predict_quantiles(piece, _LEVELS)
            columns |= {
                f"quantile_{level}": column for level, column in zip(_LEVELS, quantiles.T, strict=True)
            }
        return pd.DataFrame(columns)
    probabilities = estimator.predict_proba(piece)
    columns["prediction"] = estimator.classes_[probabilities.argmax(axis=1)]
    if not labels_only:
        for label, column in zip(estimator.classes_.tolist(), probabilities.T, strict=True):
            columns[f"probability_{label}"] = column
    return pd.DataFrame(columns)
