"""Predict a file in pieces with a saved model, and write what was predicted as it comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from testtime.adapt.work import UNWATCHED, Work
from testtime.cli.output import warn_of_file
from testtime.errors import InputError, nearest, sentence
from testtime.estimators.regressor import at_levels
from testtime.estimators.saved import load
from testtime.evaluation.evaluate import decide
from testtime.store import open_adapter
from testtime.table.columns.alone import read_as_numbers, without_value
from testtime.table.columns.file_habits import FileHabits
from testtime.table.readers import Format, iterate_table, open_table, read_table, with_names
from testtime.table.writers import write_table

__all__ = ["labelled_table", "training_of", "write_predictions"]

_LEVELS = (0.1, 0.9)


def write_predictions(
    model: Path,
    table: Path,
    out: Path,
    *,
    levels: Sequence[float] | None = None,
    carried: Sequence[str] = (),
    labels_only: bool = False,
    work: Work = UNWATCHED,
) -> int:
    """Write a row of predictions for each row of `table` and return their number.

    Columns are those that name rows, ``prediction`` and, unless `labels_only`, ``probability_CLASS`` for each class, or
    for a number ``quantile_LEVEL`` for each level.

    Raises
    ------
    InputError
        If the table has no rows or lacks a column, or an option does not fit the model.
    StoreError
        If the model is damaged or `out` cannot be written.
    """
    estimator: Any = load(model)
    training = training_of(model) or {}
    numbers = hasattr(estimator, "predict_quantiles")
    if levels is not None and not numbers:
        got = f"--quantiles and {str(model)!r}, which predicts classes"
        raise InputError(sentence(got, remedy="Leave --quantiles out; probabilities are written"))
    costs = training.get("costs")
    weights = None if costs is None else [costs[str(label)] for label in estimator.classes_.tolist()]
    found = training.get("carried", ())
    required = estimator._table.encoding.columns.required
    opened = with_names(open_table(table), [*required, *carried, *found])
    warn_of_file(opened.source.name, opened.notes)
    names = _carried(list(opened.names), carried, found, estimator)
    pieces = _known(_pieces(opened, estimator, names, training), opened, estimator, work)
    first = next(pieces, None)
    if first is None:
        raise InputError(sentence(f"{str(table)!r} has a header and no rows", remedy="Add rows"))

    def predicted(piece: pd.DataFrame, file: FileHabits | None) -> pd.DataFrame:
        work.say("predicting")
        columns: dict[str, Any] = {name: piece[name] for name in names}
        if numbers:
            columns |= _numbers(estimator, piece, file, () if labels_only else levels or _LEVELS)
        else:
            columns |= _classes(estimator, piece, file, weights, labels_only)
        return pd.DataFrame(columns)

    return write_table((predicted(*piece) for piece in chain([first], pieces)), out)


def _known(
    pieces: Iterator[pd.DataFrame], opened: Format, estimator: Any, work: Work
) -> Iterator[tuple[pd.DataFrame, FileHabits | None]]:
    """Yield each piece with how its file is written, so that all dates and numbers of a column are read in one way.

    The file is read a first time for that once a piece holds what can be read in two ways; not if it is the only one.
    """
    columns = estimator._table.encoding.columns
    file, alone = None, True
    following = next(pieces, None)
    while following is not None:
        piece, following = following, next(pieces, None)
        alone &= following is None
        if file is None and not alone and columns.leaves_open(piece):
            work.say("reading the file")
            file = columns.habits_of(iterate_table(opened, list(piece.columns), known=opened.names))
        yield piece, file


def _pieces(
    opened: Format, estimator: Any, carried: Sequence[str], training: Mapping[str, Any]
) -> Iterator[pd.DataFrame]:
    """Read what the model needs, and what is carried.

    A model that Python fitted to an array takes all columns, in their order. One that was fitted to a file knows them
    by name, also where its header was 0, 1, 2.
    """
    known = [column["name"] for column in estimator.adaptation_.columns]
    if "file" not in training and known == [str(place) for place in range(len(known))]:
        return iterate_table(opened, opened.names)
    beside = [training.get("target", ""), *training.get("beside", ())]
    required = estimator._table.encoding.columns.required
    return iterate_table(opened, required, carried=carried, known=[*known, *beside])


def training_of(model: Path) -> dict[str, Any] | None:
    """Return what `testtime adapt` wrote about the training table; None for a model saved from Python."""
    with open_adapter(model) as saved:
        return saved.document("training")


def labelled_table(table: Path, target: str, classes: Any | None) -> tuple[pd.DataFrame, pd.Series]:
    """Read a table with its target: labels in the type of `classes`, or numbers if that is None.

    Raises
    ------
    InputError
        If the target is no column, or misses a value.
    """
    frame, facts = read_table(table)
    warn_of_file(facts.path, facts.notes)
    if target not in frame:
        remedy = nearest(target, frame.columns)
        raise InputError(sentence(f"{str(table)!r} has no column {target!r}", remedy=remedy))
    labels = frame.pop(target)
    missing = int(without_value(labels).sum())
    if missing:
        rows = "1 held-out row has" if missing == 1 else f"{missing:,} held-out rows have"
        got = f"{rows} no {target!r}"
        raise InputError(sentence(got, remedy="Leave them out"))
    if classes is not None:
        return frame, _as_fitted(labels.astype(object), classes.tolist())
    read = read_as_numbers(labels, frame)
    if read is None or np.isnan(read.values).any():
        bad = labels.iloc[0] if read is None else next(iter(read.lost))
        got = f"column {target!r} of {str(table)!r} holds {str(bad)!r}"
        raise InputError(sentence(got, expected="a number", remedy="Correct the value, or drop its row"))
    return frame, pd.Series(read.values, labels.index, name=target)


def _as_fitted(labels: pd.Series, classes: list[Any]) -> pd.Series:
    """Return labels as those of the fit, where they are the same number, truth value or word in other spelling too."""

    def canonical(label: Any) -> str:
        word = str(label).strip().lower()
        if isinstance(classes[0], bool):
            word = {"true": "1", "false": "0"}.get(word, word)
        try:
            return repr(float(word))
        except ValueError:
            return word

    known = {str(label): label for label in classes}
    alike = {canonical(label): label for label in classes}
    if len(alike) < len(classes):  # classes that differ in case only
        alike = {}
    return labels.map(lambda label: known.get(str(label), alike.get(canonical(label), label)))


def _carried(there: list[str], asked: Sequence[str], found: Sequence[str], estimator: Any) -> list[str]:
    """Return the columns to copy: those that are asked for, and those of the training that are there."""
    for name in asked:
        if name not in there:
            raise InputError(sentence(f"--id {name}: there is no such column", remedy=nearest(name, there)))
    names = list(dict.fromkeys([*(name for name in found if name in there), *asked]))
    own = {"prediction"} | {f"probability_{label}" for label in getattr(estimator, "classes_", ())}
    taken = [name for name in names if name in own or name.startswith("quantile_")]
    if taken:
        raise InputError(
            sentence(
                f"the column {taken[0]!r}, which names rows, has the name of a column that is written",
                remedy="Rename it in the table",
            )
        )
    return names


def _numbers(
    estimator: Any, piece: pd.DataFrame, file: FileHabits | None, levels: Sequence[float]
) -> dict[str, Any]:
    predicted = estimator._predict_at(piece, file=file)  # once, for the mean and all levels
    columns: dict[str, Any] = {"prediction": predicted.mean(axis=1)}
    if levels:
        names = [f"quantile_{level:g}" for level in levels]
        columns |= dict(zip(names, at_levels(predicted, levels).T, strict=True))
    return columns


def _classes(
    estimator: Any,
    piece: pd.DataFrame,
    file: FileHabits | None,
    costs: Sequence[float] | None,
    labels_only: bool,
) -> dict[str, Any]:
    probabilities = estimator._predict_at(piece, file=file)
    columns: dict[str, Any] = {"prediction": estimator.classes_[decide(probabilities, costs)]}
    if not labels_only:
        for label, column in zip(estimator.classes_.tolist(), probabilities.T, strict=True):
            columns[f"probability_{label}"] = column
    return columns
