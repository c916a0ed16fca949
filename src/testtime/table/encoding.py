"""From a frame to the numbers a model is shown: columns, and what their levels say about the target."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.adapt.task import Task
from testtime.backbones.base import Backbone, Encoded, View
from testtime.table.columns import TableColumns
from testtime.table.columns.file_habits import FileHabits
from testtime.table.columns.frame import DataWarning
from testtime.table.keys import Key
from testtime.table.levels import LevelStatistics, has_statistics
from testtime.table.linear import Reduced
from testtime.table.repeats import Groups, rows_together

__all__ = ["EncodedRows", "TableEncoding", "encode_fold", "with_levels", "with_statistics"]


@dataclass(frozen=True)
class TableEncoding:
    """The fitted encoding of a table.

    Attributes
    ----------
    columns
        Kinds, levels and parsing rules of the columns.
    levels
        Statistics of levels, of all rows of the fit.
    """

    columns: TableColumns
    levels: LevelStatistics

    def transform(
        self, frame: pd.DataFrame, file: FileHabits | None = None, notes: list[str] | None = None
    ) -> NDArray[np.float64]:
        """Encode new rows, ``(q, D + S)``, which may be a piece of a `file` whose habits are known.

        What is to be said about them goes into `notes`, or is warned of: cells that cannot be read, and levels that
        nobody has seen where that changes the answer.
        """
        encoded = self.columns.transform(frame, file, notes)
        strange = self.levels.strange(encoded.x)
        for column, rows in zip(self.levels.columns, strange.T, strict=True):
            if rows.any():
                note = _new_values([encoded.names[at] for at in column.key], rows)
                if notes is None:
                    warnings.warn(note, DataWarning, stacklevel=2)
                else:
                    notes.append(note)
        return self.levels.transform(encoded)


def _new_values(names: Sequence[str], rows: NDArray[np.bool_]) -> str:
    """Say that `rows` hold a value of a column, or a combination of values, that was not there at fit."""
    what, new, all_of = f"{names[0]!r} holds what was not there at fit", "value", "values"
    if len(names) > 1:
        listed = f"{', '.join(map(repr, names[:-1]))} and {names[-1]!r}"
        what, new = f"{listed} hold a combination that was not there at fit", "combination"
        all_of = "combinations"
    return (
        f"In {int(rows.sum()):,} of {len(rows):,} rows {what}, where nearly all {all_of} occurred several times; they "
        f"are answered by the frozen model, without what rows of the same {new} say."
    )


def with_statistics(encoded: Encoded, x: NDArray[np.float64]) -> Encoded:
    """Return `x`, the columns of `encoded` and the statistics beside them, with names and kinds."""
    extra = x.shape[1] - len(encoded.names)
    return Encoded(
        x,
        (*encoded.names, *(f"statistic {i}" for i in range(extra))),
        (*encoded.kinds, *["number"] * extra),
        (*encoded.n_levels, *[0] * extra),
    )


def encode_fold(
    encoded: Encoded,
    y: NDArray,
    n_classes: int,
    fold: NDArray[np.int64],
    seed: np.random.SeedSequence,
    groups: NDArray[np.int64] | None = None,
    time: NDArray[np.float64] | None = None,
    keys: Collection[Key] = (),
) -> NDArray[np.float64]:
    """Encode all rows so that nothing of the fold's targets is in any of them, ``(N, D + S)``.

    Rows outside the fold get statistics of other rows outside it, but not of those of their group;
    rows of the fold get those of all rows outside it. With `time` only what came before the fold is outside it, and
    what came after is encoded like its rows.
    """
    outside = np.setdiff1d(np.arange(len(y)), fold)
    if time is not None:
        outside = outside[time[outside] < time[fold].min()]
    own = replace(encoded, x=encoded.x[outside])
    apart = None if groups is None else groups[outside]
    levels = LevelStatistics.fit(own, y[outside], n_classes, apart, keys)
    crossed = levels.cross_fitted(own, y[outside], int(seed.generate_state(1)[0]), apart)
    x = np.empty((len(y), crossed.shape[1]))
    x[outside] = crossed
    others = np.setdiff1d(np.arange(len(y)), outside)
    x[others] = levels.transform(replace(encoded, x=encoded.x[others]))
    return x


@dataclass(frozen=True)
class EncodedRows:
    """The rows of a fit.

    Attributes
    ----------
    encoded
        Columns as numbers, without what their levels say about the target.
    x
        The same with statistics of levels, each row's from other rows, ``(N, D + S)``.
    y
        Class codes or standardised numbers, ``(N,)``.
    groups
        Group codes of the user, or None.
    time
        Position of each row in time, or None. With it, later rows guard what was trained on earlier ones.
    found
        The user's groups joined with rows that repeat each other, where these were looked for.
    keys
        Columns of numbers that are codes, and sets of columns that name something together.
    reduced
        What `y` is left of, where a linear part was taken out.
    """

    encoded: Encoded
    x: NDArray[np.float64]
    y: NDArray
    groups: NDArray[np.int64] | None = None
    time: NDArray[np.float64] | None = None
    found: Groups | None = None
    keys: tuple[Key, ...] = ()
    reduced: Reduced | None = None

    @property
    def apart(self) -> NDArray[np.int64] | None:
        """Codes of rows that tell each other's statistics nothing: the user's groups, and copies if they are many."""
        return self.found.codes if self.found is not None and self.found.repeat else self.groups

    def together(self, task: Task, rng: np.random.Generator) -> Groups:
        """Return which rows belong together; they are looked for where they were not."""
        if self.found is not None:
            return self.found
        return rows_together(self.encoded, self.y, task, self.groups, self.time, rng)

    def views(
        self, reference: NDArray[np.int64], backbone: Backbone, task: Task, n: int, seed: int
    ) -> tuple[View, ...]:
        """Return `n` views that are made from the reference rows, statistics of levels with them."""
        described = with_statistics(self.encoded, self.x[reference])
        return tuple(backbone.views(described, self.y[reference], task, n, np.random.SeedSequence(seed)))

    def without(
        self, held: NDArray[np.int64], task: Task, seed: np.random.SeedSequence, *, later: bool = False
    ) -> NDArray[np.float64]:
        """Return all rows, encoded so that nothing of the held rows' targets is in any of them, ``(N, D + S)``.

        With `later`, the held rows are a block in time, and nothing of what came after them is in them either.
        """
        if not (has_statistics(self.encoded) or self.keys):
            return self.x
        time = self.time if later else None
        return encode_fold(self.encoded, self.y, task.n_classes, held, seed, self.apart, time, self.keys)

    def targets_without(self, held: NDArray[np.int64]) -> NDArray:
        """Return the targets ``(N,)``, modelled so that nothing of the held rows' targets is in those of the others.

        Where rows have a time, the held rows are a block in it, and nothing of what came after them is in the others.
        """
        if self.reduced is None:
            return self.y
        known = np.setdiff1d(np.arange(len(self.y)), held)
        if self.time is not None:
            known = known[self.time[known] < self.time[held].min()]
        return self.reduced.known_by(self.encoded, known)[0]


def with_levels(
    rows: EncodedRows, task: Task, seed: np.random.SeedSequence
) -> tuple[LevelStatistics, EncodedRows]:
    """Put beside the columns of `rows` what levels say about the target; a copy of a row says nothing to it."""
    number = int(seed.generate_state(1)[0])
    levels = LevelStatistics.fit(rows.encoded, rows.y, task.n_classes, rows.apart, rows.keys)
    return levels, replace(rows, x=levels.cross_fitted(rows.encoded, rows.y, number, rows.apart))
