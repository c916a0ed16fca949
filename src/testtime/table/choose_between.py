"""Whether differences of nearly equal columns stand beside them: where the frozen model then predicts better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from testtime.backbones.base import Encoded
from testtime.table.columns import TableColumns
from testtime.table.columns.kinds.between import Between, between_numbers
from testtime.table.columns.said import listed
from testtime.table.encoding import EncodedRows, with_levels
from testtime.table.levels import LevelStatistics
from testtime.table.trial import FEWEST_ROWS, Judge, Trial

__all__ = ["choose_between"]

_LEAST, _LEAST_LOSS = 0.05, 0.01
"""Part of the loss that it must fall by, and a loss from which on there is something to gain."""


def choose_between(
    columns: TableColumns,
    levels: LevelStatistics,
    rows: EncodedRows,
    judge: Judge,
) -> tuple[TableColumns, LevelStatistics, EncodedRows, str]:
    """Put what lies between two columns of numbers that are nearly the same beside them, where that pays.

    Of a price before and after, or of two readings of a meter, the difference is lost to a model that sees both on the
    scale of their own range. All pairs of :func:`testtime.table.columns.kinds.between.between_numbers` are tried
    together, all or none: each fold is predicted by the frozen model from the rows outside it, or before it where rows
    have a time, with and without the differences. They are taken if the loss is lower by two standard errors and by a
    twentieth.

    Parameters
    ----------
    columns, levels, rows
        Columns, statistics of their levels, and the rows with them.
    judge
        The frozen model, with the seed that the statistics were made with.

    Returns
    -------
    columns, levels, rows, note
        The same with the differences, and a sentence; unchanged and "" where none is taken.
    """
    unchanged, task = (columns, levels, rows, ""), judge.task
    pairs = _pairs(columns, rows) if len(rows.y) >= FEWEST_ROWS else []
    if not pairs or rows.x.shape[1] + len(pairs) > judge.backbone.limits.features:
        return unchanged
    judge.work.say("trying differences of columns")
    together = judge.together(rows)
    added = replace(rows, encoded=_with(rows.encoded, pairs), found=together)
    levels_beside, added = with_levels(added, task, judge.seed)
    gain = Trial.of(judge, added, together.codes).gain(rows, added)
    if gain is None or gain.before < _LEAST_LOSS or not gain.is_clear(_LEAST):
        return unchanged
    note = (
        f"Beside the columns stands what lies between those that are nearly the same: "
        f"{listed([pair.name for pair in pairs])}; {gain.told(task.loss_name)}."
    )
    return columns.with_between(pairs), levels_beside, added, note


def _pairs(columns: TableColumns, rows: EncodedRows) -> list[Between]:
    """Pairs of columns of numbers that are nearly the same; codes are names, and have no difference."""
    codes = {rows.encoded.names[key[0]] for key in rows.keys if len(key) == 1}
    places = {name: at for at, name in enumerate(rows.encoded.names)}
    asked = [name for name in columns.numbers if name not in codes]
    return between_numbers({name: rows.encoded.x[:, places[name]] for name in asked})


def _with(encoded: Encoded, pairs: list[Between]) -> Encoded:
    """Return encoded rows with the differences behind the other columns."""
    values = dict(zip(encoded.names, encoded.x.T, strict=True))
    outputs = [pair.output(values) for pair in pairs]
    return Encoded(
        np.column_stack([encoded.x, *(output.values for output in outputs)]),
        (*encoded.names, *(output.name for output in outputs)),
        (*encoded.kinds, *("number" for _ in outputs)),
        (*encoded.n_levels, *(0 for _ in outputs)),
    )
