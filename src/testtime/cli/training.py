"""What ``testtime adapt`` fits: a file taken apart into features, target, groups and times, and rows held out of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.cli.target import REGRESS, choose_task, one_spelling
from testtime.errors import InputError, nearest, sentence
from testtime.evaluation.splits import copies, hold_out
from testtime.table.columns import TableColumns
from testtime.table.columns.alone import NumbersRead, read_as_numbers, without_value
from testtime.table.columns.words.reading import ENOUGH, shown_counts
from testtime.table.read_target import MOST_CODES
from testtime.table.readers import FileFacts, read_table
from testtime.table.repeats import MANY_COPIES

__all__ = ["Training", "declared_kinds", "kept_ids", "numeric_target", "read_training"]

_FEWEST_TO_HOLD_OUT = 200  # rows; below, every row is worth more for the fit than for a score


@dataclass(frozen=True)
class Training:
    """Rows to fit or to score.

    Attributes
    ----------
    X
        Features.
    labels
        The target as it stands in the file, without missing values.
    numbers
        The same as numbers; None if it holds none.
    groups
        Group of each row, or None.
    time
        Position of each row in time, or None.
    """

    X: pd.DataFrame
    labels: pd.Series
    numbers: pd.Series | None = None
    groups: pd.Series | None = None
    time: NDArray[np.float64] | None = None

    def rows(self, chosen: NDArray[np.int64]) -> Training:
        """Return some of the rows."""
        return Training(
            self.X.iloc[chosen],
            self.labels.iloc[chosen],
            None if self.numbers is None else self.numbers.iloc[chosen],
            None if self.groups is None else self.groups.iloc[chosen],
            None if self.time is None else self.time[chosen],
        )

    def of_numbers(self) -> Training:
        """Return the same rows with the target as numbers."""
        return self if self.numbers is None else replace(self, labels=self.numbers)

    def of_classes(self) -> tuple[Training, str]:
        """Return the same rows with one label for each number, and a sentence if some had several spellings."""
        if self.numbers is None:
            return self, ""
        labels, said = one_spelling(self.labels, self.numbers)
        return replace(self, labels=labels), said

    def of_task(self, asked: str) -> tuple[Training, str, tuple[str, ...]]:
        """Return the rows with the target as the task has it, the task, and what is to be said of both.

        Raises
        ------
        InputError
            As :func:`testtime.cli.target.choose_task`.
        """
        spelled = None if self.numbers is None else self.labels
        task, chosen = choose_task(asked, self.of_numbers().labels, spelled)
        if task == REGRESS:
            return self.of_numbers(), task, (chosen,)
        if asked == task:  # who asks for classes gets them as they are spelled
            return self, task, (chosen,)
        data, merged = self.of_classes()
        return data, task, (chosen, merged) if merged else (chosen,)

    def split(
        self, share: float, seed: int, *, numeric: bool, unseen: Collection[str] = ()
    ) -> tuple[Training, Training, str]:
        """Return the rows to fit, those to score, and a sentence that says so.

        Rows that are copies of each other, but for columns that are `unseen` by the model, are on one side.
        """
        n_rows = len(self.X)
        classes = np.zeros(n_rows) if numeric else self.labels
        own = share if n_rows >= _FEWEST_TO_HOLD_OUT else 0.0
        same = None
        if own and self.time is None:
            same = copies(self.X.loc[:, [name not in unseen for name in self.X]], self.labels)
        fitted, scored = hold_out(classes, own, seed, groups=self.groups, time=self.time, copies=same)
        said = self._said(len(fitted), len(scored), share)
        if same is not None and (n_copies := n_rows - len(np.unique(same))) > MANY_COPIES * n_rows:
            said += f" {n_copies:,} rows are copies of other ones; copies are on one side."
        return self.rows(fitted), self.rows(scored), said

    def _said(self, n_fitted: int, n_scored: int, share: float) -> str:
        n_rows = len(self.X)
        if n_scored:
            which = (
                ", the latest,"
                if self.time is not None
                else ", whole groups,"
                if self.groups is not None
                else ""
            )
            unknown = n_rows - n_fitted - n_scored
            left = f" {unknown:,} rows of classes that no fitted row has were left out." if unknown else ""
            return (
                f"{n_scored:,} of {n_rows:,} rows{which} were held out and only scored; the saved model was fitted on "
                f"{'the other ' if not unknown else ''}{n_fitted:,}.{left}"
            )
        none = "none was held out" if share == 0 else "too few to hold some out"
        return f"{n_fitted:,} of {n_rows:,} rows were fitted: {none}, so nothing was scored."


def read_training(
    path: Path,
    target: str,
    *,
    task: str = "auto",
    groups: str | None = None,
    time: str | None = None,
    max_rows: int | None = None,
    seed: int = 0,
) -> tuple[Training, FileFacts, list[str]]:
    """Read a file and take the columns out that are no features; rows without a target are dropped and it is said.

    Parameters
    ----------
    path
        The file, or ``-`` for standard input.
    target, groups, time
        Names of columns; None where there is none.
    task
        "classify" takes the target's words as they are; else it is read as numbers if it holds some.
    max_rows, seed
        As in :func:`testtime.table.readers.read_table`.

    Raises
    ------
    InputError
        If the file cannot be read, a column is not there, or the target is missing everywhere.
    """
    frame, facts = read_table(path, max_rows=max_rows, random_state=seed)
    taken = {"--target": target, "--groups": groups, "--time": time}
    names = [name for name in taken.values() if name is not None]
    for option, name in taken.items():
        if name is not None and name not in frame:
            raise InputError(
                sentence(f"{str(path)!r} has no column {name!r}", remedy=nearest(name, frame.columns))
            )
        if name is not None and names.count(name) > 1:
            raise InputError(sentence(f"{option} {name} is also another one of {', '.join(taken)}"))
    values: Any = frame[target]
    missing = without_value(values)
    beside = frame.drop(columns=names)
    read = None if task == "classify" else numeric_target(values, beside)
    notes = [] if read is None else _notes_on(read, target)
    if read is not None:
        missing |= np.isnan(read.values)
    notes += _rows_without_target(path, target, missing)
    there = np.flatnonzero(~missing)
    frame = frame.iloc[there]
    columns = {name: frame.pop(name) for name in names}
    if not len(frame.columns):
        beside = ", ".join(map(repr, names))
        raise InputError(sentence(f"{str(path)!r} has no column besides {beside}", remedy="Add features"))
    labels = columns[target]
    if isinstance(labels.dtype, pd.CategoricalDtype):
        labels = labels.astype(labels.cat.categories.dtype)
    data = Training(
        frame,
        labels,
        None if read is None else pd.Series(read.values[there], labels.index, name=target),
        None if groups is None else columns[groups].mask(without_value(columns[groups])),
        None if time is None else _moments(columns[time], frame),
    )
    return data, facts, notes


def kept_ids(frame: pd.DataFrame, kinds: dict[str, str]) -> dict[str, str]:
    """Return kinds under which columns that look like names of rows are used all the same."""
    found = TableColumns(kinds).fit(frame).records
    names = [record.name for record in found if record.kind == "id" and record.name not in kinds]
    return kinds | {
        str(name): "nominal" if read_as_numbers(column, frame) is None else "number"
        for name, column in frame[names].items()
    }


def declared_kinds(options: dict[str, tuple[str, Sequence[str] | None]]) -> dict[str, str]:
    """Return the kind of each column that is declared, from ``{option: (kind, columns)}``.

    Raises
    ------
    InputError
        If a column is declared to be two things.

    >>> declared_kinds({"--numeric": ("number", ["size"]), "--id": ("id", None)})
    {'size': 'number'}
    """
    kinds: dict[str, str] = {}
    said: dict[str, str] = {}
    for option, (kind, columns) in options.items():
        for name in columns or ():
            if name in said and said[name] != option:
                raise InputError(
                    sentence(
                        f"column {name!r} is given to {said[name]} and to {option}",
                        expected="one kind for each column",
                        remedy="Remove one of them",
                    )
                )
            kinds[name], said[name] = kind, option
    return kinds


def numeric_target(column: pd.Series, beside: pd.DataFrame) -> NumbersRead | None:
    """Read a target as numbers; a few codes beside a frequent word such as "none" are classes, the word among them."""
    read = read_as_numbers(column, beside)
    if read is None:
        return None
    there = int((~np.isnan(read.values)).sum())
    few = len(np.unique(read.values)) <= MOST_CODES + 1  # NaN is one
    return None if few and there < ENOUGH * (there + sum(read.lost.values())) else read


def _notes_on(read: NumbersRead, target: str) -> list[str]:
    word, value = read.example
    notes = [f"The target {target!r} is read as numbers: {word!r} is {value:.15g}."] if word else []
    if read.lost:
        notes.append(
            f"The target {target!r} holds numbers; these count as missing: {shown_counts(read.lost)}."
        )
    return [*notes, read.doubt] if read.doubt else notes


def _rows_without_target(path: Path, target: str, without: NDArray[np.bool_]) -> list[str]:
    missing = int(without.sum())
    if missing == len(without):
        raise InputError(
            sentence(
                f"the target {target!r} is missing in all {missing:,} rows of {str(path)!r}",
                expected="a value in each row that is to be learned from",
                remedy="Check that --target names the right column",
            )
        )
    if not missing:
        return []
    return [f"{missing:,} of {len(without):,} rows have no {target!r} and were dropped."]


def _moments(column: pd.Series, beside: pd.DataFrame) -> NDArray[np.float64]:
    """Positions in time: numbers as they are, dates in days, read as dates among the features are."""
    read = read_as_numbers(column, beside)
    if read is not None:
        moments = read.values
    else:
        name = str(column.name)
        moments = TableColumns({name: "date"}).fit_transform(column.to_frame()).x[:, 0]
    missing = int(np.isnan(moments).sum())
    if missing:
        raise InputError(
            sentence(
                f"the time {str(column.name)!r} is missing in {missing:,} of {len(moments):,} rows",
                expected="numbers or dates, one for each row",
                remedy="Drop these rows",
            )
        )
    return moments
