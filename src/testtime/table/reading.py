"""How a table is read: its columns, what their levels say, and how its target is modelled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.episodes import stratified_order
from testtime.adapt.task import Task
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone
from testtime.backbones.scaling import TargetScaler
from testtime.errors import InputError, sentence
from testtime.table.choose_beside import choose_beside
from testtime.table.choose_codes import choose_codes
from testtime.table.choose_curve import choose_curve
from testtime.table.choose_keys import choose_keys
from testtime.table.choose_linear import Modelled, Scale, choose_linear
from testtime.table.columns import TableColumns
from testtime.table.columns.file_habits import FileHabits
from testtime.table.config import FitConfig
from testtime.table.encoding import EncodedRows, TableEncoding, with_levels
from testtime.table.levels import LevelStatistics, has_statistics
from testtime.table.rows import MOST_ROWS, fewest_rows, pool_rows
from testtime.table.target import NumericTarget, Target
from testtime.table.trial import Judge

__all__ = ["InDoubt", "Reading", "ReadingSeeds", "choose_reading", "drawn_rows", "encode_rows"]

ReadingSeeds: TypeAlias = tuple[np.random.SeedSequence, np.random.SeedSequence, np.random.SeedSequence]
"""Of statistics of levels, of the choice of a curve, and of that of a linear part."""


@dataclass(frozen=True)
class Reading:
    """A table as models are shown it.

    Attributes
    ----------
    encoding
        How its columns become numbers.
    target, rows
        The target as it is modelled, and the encoded rows with it.
    notes
        What was chosen and why, in sentences.
    in_doubt
        How the table may be read as well, which only training tells; or None.
    """

    encoding: TableEncoding
    target: Target
    rows: EncodedRows
    notes: list[str]
    in_doubt: InDoubt | None = None


@dataclass(frozen=True)
class InDoubt:
    """A linear part that makes the frozen model better, and that adapters may learn themselves.

    Attributes
    ----------
    scaler
        The scale of the target as it is.
    read
        Reads the table with it.
    """

    scaler: TargetScaler
    read: Callable[[], Reading]


def choose_reading(
    frame: pd.DataFrame,
    columns: TableColumns,
    levels: LevelStatistics,
    rows: EncodedRows,
    target: Target,
    backbone: Backbone,
    config: FitConfig,
    seeds: ReadingSeeds,
    budget: Budget,
    work: Work = UNWATCHED,
) -> Reading:
    """Choose by the frozen model what its own rows cannot tell: codes, what stands beside them, a curve, keys.

    Parameters
    ----------
    frame
        The rows as they are, ``(N, D)``.
    columns, levels, rows
        As :func:`encode_rows` gave them.
    target
        What is predicted, as it is.
    budget
        Each choice takes a tenth of what is left of it, or is not made.
    """
    level_seed, *of_target = seeds
    judge = Judge(target.task, backbone, config.device, level_seed, budget, work)
    numbers = columns.undeclared_numbers
    levels, rows, note = choose_codes(levels, rows, judge, numbers=numbers)
    notes = [note] if note else []
    enough = pool_rows(len(rows.y)) >= fewest_rows(backbone.recipe, target.task.n_classes)
    trains = enough if config.n_steps is None else config.n_steps > 0
    columns, levels, rows, beside = choose_beside(frame, columns, levels, rows, judge)
    notes += beside
    fixed = columns.declared_numbers + columns.of_words  # some words together name nothing

    def with_keys(target: Target, levels: LevelStatistics, rows: EncodedRows, notes: list[str]) -> Reading:
        levels, rows, note = choose_keys(levels, rows, judge, numbers=numbers, fixed=fixed, trains=trains)
        return Reading(TableEncoding(columns, levels), target, rows, [*notes, note] if note else notes)

    if not isinstance(target, NumericTarget):
        return with_keys(target, levels, rows, notes)

    def modelled(one: Modelled, said: list[str]) -> Reading:
        told = _told(one.rows, target.task, level_seed) if said else (levels, one.rows)
        return with_keys(one.target, *told, [*notes, *said])

    (taken, said), other = _modelled((target, rows), config, judge, of_target, trains=trains)
    read = modelled(taken, said)
    if other is None:
        return read
    return replace(read, in_doubt=InDoubt(target.scaler, lambda: modelled(*other)))


def _modelled(
    plain: Scale,
    config: FitConfig,
    judge: Judge,
    seeds: Sequence[np.random.SeedSequence],
    *,
    trains: bool,
) -> tuple[tuple[Modelled, list[str]], tuple[Modelled, list[str]] | None]:
    """Choose how a numeric target is modelled: on which curve, and with or without its linear part.

    The statistics of levels in the rows that are returned are still of the target as it is. What is modelled comes with
    notes; behind it what is in doubt until adapters are trained.
    """
    curve_seed, linear_seed = seeds
    bent, y, note = choose_curve(*plain, judge.backbone, config, curve_seed, judge.budget, judge.work)
    scales = [(bent, replace(plain[1], y=y, found=None)), plain] if note else [plain]
    taken, in_doubt = choose_linear(scales, replace(judge, seed=linear_seed), trains=trains)

    def told(one: Modelled) -> tuple[Modelled, list[str]]:
        of_curve = note if note and one.target.curve is bent.curve else ""
        return one, [said for said in (of_curve, one.note) if said]

    return told(taken), None if in_doubt is None else told(in_doubt)


def encode_rows(
    frame: pd.DataFrame,
    y: NDArray,
    task: Task,
    backbone: Backbone,
    seed: np.random.SeedSequence,
    kinds: Mapping[str, str] | None = None,
    groups: NDArray[np.int64] | None = None,
    time: NDArray[np.float64] | None = None,
    file: FileHabits | None = None,
) -> tuple[TableColumns, LevelStatistics, EncodedRows]:
    """Read the columns of a table and encode its rows.

    Parameters
    ----------
    seed
        How rows are dealt where statistics of levels are taken from other rows.
    frame, y, kinds, groups, time, file
        As in :func:`testtime.table.build.fit_table`, with the rows that are used.

    Raises
    ------
    InputError
        When there are more columns than the model can take.
    """
    columns = TableColumns(kinds)
    if columns.exceeds(backbone.limits.features, frame):
        raise _too_many(len(frame.columns), backbone)
    columns.fit(frame, file)
    encoded = columns.transform(frame)
    levels, rows = _told(EncodedRows(encoded, encoded.x, y, groups, time), task, seed)
    if rows.x.shape[1] > backbone.limits.features:
        raise _too_many(rows.x.shape[1], backbone)
    return columns, levels, rows


def _told(rows: EncodedRows, task: Task, seed: np.random.SeedSequence) -> tuple[LevelStatistics, EncodedRows]:
    """Look for rows that repeat each other where columns have levels, and put beside them what the levels say."""
    if has_statistics(rows.encoded) or rows.keys:
        rows = replace(rows, found=rows.together(task, np.random.default_rng(int(seed.generate_state(1)[0]))))
    return with_levels(rows, task, seed)


def _too_many(n_columns: int, backbone: Backbone) -> InputError:
    return InputError(
        sentence(
            f"{n_columns:,} columns",
            expected=f"at most {backbone.limits.features}",
            why=f"the {backbone.name} model attends over all columns of a row",
            remedy="Select columns first, for example with sklearn.feature_selection.SelectKBest",
        )
    )


def drawn_rows(
    n_rows: int, labels: NDArray | None, seed: np.random.SeedSequence
) -> tuple[NDArray[np.int64], list[str]]:
    """Rows the fit looks at: all, or a draw that shows every class."""
    if n_rows <= MOST_ROWS:
        return np.arange(n_rows), []
    order = stratified_order(labels, n_rows, np.random.default_rng(seed.spawn(1)[0]))
    note = f"{MOST_ROWS:,} of {n_rows:,} rows were drawn and used: the steps of a fit visit no more."
    return np.sort(order[:MOST_ROWS]), [note]
