"""Whether differences of nearly equal columns stand beside them: where the frozen model then predicts better."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from testtime.adapt.budget import Budget
from testtime.adapt.mix import standard_error
from testtime.adapt.task import Task
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone, Encoded
from testtime.table.columns import TableColumns
from testtime.table.columns.kinds.between import Between, between_numbers
from testtime.table.columns.said import listed
from testtime.table.encoding import EncodedRows, with_levels
from testtime.table.levels import LevelStatistics
from testtime.table.trial import Trial

__all__ = ["choose_between"]

_FEWEST = 60  # rows; fewer say little about a loss
_ERRORS = 2.0  # standard errors by which the loss must fall
_LEAST, _LEAST_LOSS = 0.05, 0.01
"""Part of the loss that it must fall by, and a loss from which on there is something to gain."""


def choose_between(
    columns: TableColumns,
    levels: LevelStatistics,
    rows: EncodedRows,
    task: Task,
    backbone: Backbone,
    device: torch.device,
    seed: np.random.SeedSequence,
    budget: Budget,
    work: Work = UNWATCHED,
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
    task, backbone, device
        What is predicted, by which model, and where it is computed.
    seed
        As the statistics were made with; nothing is spawned from it.
    budget
        Where a tenth of what is left is not enough to try it, nothing is taken.
    work
        Told what is done.

    Returns
    -------
    columns, levels, rows, note
        The same with the differences, and a sentence; unchanged and "" where none is taken.
    """
    unchanged = columns, levels, rows, ""
    pairs = _pairs(columns, rows) if len(rows.y) >= _FEWEST else []
    if not pairs or rows.x.shape[1] + len(pairs) > backbone.limits.features:
        return unchanged
    work.say("trying differences of columns")
    draw = int(seed.generate_state(1)[0])
    together = rows.together(task, np.random.default_rng(draw))
    added = replace(rows, encoded=_with(rows.encoded, pairs), found=together)
    levels_beside, added = with_levels(added, task, seed)
    trial = Trial.of(added, together.codes, task, backbone, device, draw)
    losses = trial.run((lambda _: (rows, task.score), lambda _: (added, task.score)), budget)
    if losses is None:
        return unchanged
    gains = losses[0] - losses[1]
    error = standard_error(gains, None if together.codes is None else together.codes[trial.measured])
    before = float(losses[0].mean())
    if before < _LEAST_LOSS or gains.mean() <= max(_ERRORS * error, _LEAST * before):
        return unchanged
    note = (
        f"Beside the columns stands what lies between those that are nearly the same: "
        f"{listed([pair.name for pair in pairs])}. On other rows, the frozen model's {task.loss_name} is then "
        f"{losses[1].mean():.4f} instead of {before:.4f} (the difference has a standard error of "
        f"{error:.4f})."
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
