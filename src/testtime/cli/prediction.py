"""Predict a file in pieces with a saved model, and write what was predicted as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from testtime.errors import InputError, sentence
from testtime.estimators.saved import load
from testtime.store import open_adapter
from testtime.table.writers import write_table
from testtime.tasks.files import iterate_table

if TYPE_CHECKING:
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

__all__ = ["labelled_table", "typed_pieces", "write_predictions"]

_LEVELS = (0.1, 0.9)


def write_predictions(model: Path, table: Path, out: Path, *, labels_only: bool) -> int:
    """Write a row of predictions for each row of `table` and return their number.

    Columns are ``prediction`` and, unless `labels_only`, ``probability_CLASS`` for each class, or for a regressor
    ``quantile_0.1`` and ``quantile_0.9``.

    Raises
    ------
    InputError
        If the table has no rows or other columns or types than the training table.
    StoreError
        If the model is damaged or `out` cannot be written.
    """
    estimator = load(model)
    pieces = typed_pieces(table, *feature_types(model))
    first = next(pieces, None)
    if first is None:
        raise InputError(sentence(f"{str(table)!r} has a header and no rows", remedy="Add rows"))
    return write_table((_predicted(estimator, piece, labels_only) for piece in chain([first], pieces)), out)


def feature_types(model: Path) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Return the type of each column of the training table, and the levels that are not text.

    A model that was saved from Python knows which columns were numbers; the file types of a model that
    `testtime adapt` made are saved with it.
    """
    with open_adapter(model) as saved:
        columns, training = saved.meta["columns"], saved.document("training")
    levels = {
        column["name"]: {str(level): level for level in column["levels"]}
        for column in columns
        if any(not isinstance(level, str) for level in column["levels"])
    }
    if training is not None:
        unused = {column["name"] for column in columns if column["kind"] == "unused"}
        return {name: "text" if name in unused else kind for name, kind in training["types"].items()}, levels
    return {column["name"]: "number" if column["kind"] == "number" else "text" for column in columns}, levels


def typed_pieces(
    table: Path, types: Mapping[str, str], levels: Mapping[str, Mapping[str, Any]]
) -> Iterator[pd.DataFrame]:
    """Yield the rows of a file as the estimator saw them at fit."""
    for piece in iterate_table(table, types):
        for name, known in levels.items():
            piece[name] = piece[name].map(lambda text, known=known: known.get(text, text), na_action="ignore")
        yield piece


def labelled_table(
    model: Path, table: Path, target: str, classes: Any | None
) -> tuple[pd.DataFrame, pd.Series]:
    """Read a table with its target: labels in the type of `classes`, or numbers if that is None.

    Raises
    ------
    InputError
        If a column is missing, the target among them.
    """
    types, levels = feature_types(model)
    kind = "number" if classes is None else "text"
    whole = pd.concat(typed_pieces(table, {**types, target: kind}, levels), ignore_index=True)
    labels = whole.pop(target)
    if labels.isna().any():
        raise InputError(
            sentence(
                f"{int(labels.isna().sum()):,} held-out rows have no {target!r}", remedy="Leave them out"
            )
        )
    if classes is None:
        return whole, labels
    known = {str(label): label for label in classes.tolist()}
    return whole, labels.map(lambda text: known.get(text, text)).astype(object)


def _predicted(
    estimator: TTTClassifier | TTTRegressor, piece: pd.DataFrame, labels_only: bool
) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    if hasattr(estimator, "predict_quantiles"):
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
