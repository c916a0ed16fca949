"""Whether parts of text stand beside the columns: where the frozen model then predicts other rows better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from testtime.backbones.base import Encoded
from testtime.table.columns import TableColumns
from testtime.table.columns.kinds.base import Output
from testtime.table.columns.kinds.parts import CodeParts, TextWords
from testtime.table.encoding import EncodedRows, with_levels
from testtime.table.levels import LevelStatistics
from testtime.table.trial import FEWEST_ROWS, Gain, Judge, Trial

__all__ = ["choose_parts"]

_LEAST, _LEAST_LOSS = 0.05, 0.01
"""Part of the loss that it must fall by, and a loss from which on there is something to gain."""

_MOST = 4  # columns of text that are tried, since each takes time


def choose_parts(
    frame: pd.DataFrame, columns: TableColumns, levels: LevelStatistics, rows: EncodedRows, judge: Judge
) -> tuple[TableColumns, LevelStatistics, EncodedRows, str]:
    """Put what stands in columns of text beside the others, where that pays.

    Text that occurs once is left out as a whole, and of text that is rarely repeated little is known; what is in it
    (:mod:`testtime.table.columns.kinds.parts`) may occur often. Column by column, each fold is predicted by the frozen
    model from the rows outside it, or before it where rows have a time, with and without that. It is taken if the loss
    is lower by two standard errors and by a twentieth.

    Parameters
    ----------
    frame
        The rows as they are, ``(N, D)``.
    columns, levels, rows
        Columns, statistics of their levels, and the rows with them.
    judge
        The frozen model, with the seed that the statistics were made with.

    Returns
    -------
    columns, levels, rows, note
        The same with the parts, and a sentence; unchanged and "" where none are taken.
    """
    unchanged, task = (columns, levels, rows, ""), judge.task
    found = columns.parts_in(frame)[:_MOST] if len(rows.y) >= FEWEST_ROWS else []
    if not found:
        return unchanged
    judge.work.say("trying parts of text")
    rows = replace(rows, found=judge.together(rows))
    together = None if rows.found is None else rows.found.codes
    trial = Trial.of(judge, rows, together)
    before = first = trial.run((lambda _: (rows, task.score),))
    if before is None or first is None or before[0].mean() < _LEAST_LOSS:
        return unchanged
    taken: list[CodeParts | TextWords] = []
    for parts, outputs in found:
        added = replace(rows, encoded=_with(rows.encoded, outputs))
        levels_beside, added = with_levels(added, task, judge.seed)
        if added.x.shape[1] > judge.backbone.limits.features:
            continue
        after = trial.run((lambda _, added=added: (added, task.score),))
        if after is None:
            break
        if Gain.of(before[0], after[0], trial.units).is_clear(_LEAST):
            taken, before, levels, rows = [*taken, parts], after, levels_beside, added
    if not taken:
        return unchanged
    gain = Gain.of(first[0], before[0], trial.units)
    listed = " and ".join(f"{parts.said} of {parts.source!r}" for parts in taken)
    note = f"Beside the columns stand {listed}; {gain.told(task.loss_name)}."
    return columns.with_parts(taken), levels, rows, note


def _with(encoded: Encoded, outputs: list[Output]) -> Encoded:
    """Return encoded rows with more columns behind the others."""
    return Encoded(
        np.column_stack([encoded.x, *(output.values for output in outputs)]),
        (*encoded.names, *(output.name for output in outputs)),
        (*encoded.kinds, *(output.kind for output in outputs)),
        (*encoded.n_levels, *(output.n_levels for output in outputs)),
    )
