"""Whether columns of numbers are read as codes: where the frozen model then predicts other rows better."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import torch

from testtime.adapt.budget import Budget
from testtime.adapt.mix import standard_error
from testtime.adapt.task import Task
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone
from testtime.table.codes import code_columns
from testtime.table.encoding import EncodedRows, with_levels
from testtime.table.levels import LevelStatistics, signals_of
from testtime.table.trial import Trial

__all__ = ["choose_codes"]

_FEWEST = 60  # rows; fewer say little about a loss
_ERRORS = 2.0  # standard errors by which the loss must fall


def choose_codes(
    levels: LevelStatistics,
    rows: EncodedRows,
    task: Task,
    backbone: Backbone,
    device: torch.device,
    seed: np.random.SeedSequence,
    budget: Budget,
    work: Work = UNWATCHED,
    *,
    numbers: Collection[str],
) -> tuple[LevelStatistics, EncodedRows, str]:
    """Read columns of numbers as codes where that pays.

    Columns whose numbers look like codes (:func:`testtime.table.codes.code_columns`) are tried, all or none: each fold
    is predicted by the frozen model from the rows outside it, or before it where rows have a time, with and without
    what their numbers say about the target. They are taken if the loss is lower by two standard errors.

    Parameters
    ----------
    levels, rows
        Statistics of nominal columns, and the rows with them.
    task, backbone, device
        What is predicted, by which model, and where it is computed.
    seed
        As the statistics were made with; nothing is spawned from it.
    budget
        Where a tenth of what is left is not enough to try it, no column is taken.
    work
        Told what is done.
    numbers
        Names of the columns that may be codes.

    Returns
    -------
    levels, rows, note
        The same with the codes, and a sentence; unchanged and "" where none is read.
    """
    unchanged = levels, rows, ""
    signals, names = signals_of(rows.y, task.n_classes), rows.encoded.names
    asked = [k for k, name in enumerate(names) if name in numbers]
    found = code_columns(rows.encoded, signals, rows.groups, asked) if len(rows.y) >= _FEWEST else ()
    if not found:
        return unchanged
    draw = int(seed.generate_state(1)[0])
    together = rows.together(task, np.random.default_rng(draw))
    if together.codes is not None:  # copies agree, whatever their numbers are
        found = code_columns(rows.encoded, signals, together.codes, found)
    n_columns = rows.x.shape[1] + len(found) * (signals.shape[1] + 1)
    if not found or n_columns > backbone.limits.features:
        return unchanged
    work.say("telling numbers from codes")
    coded = replace(rows, keys=tuple((k,) for k in found), found=together)
    trial = Trial.of(coded, together.codes, task, backbone, device, draw)
    # As many rows are context as can be served: the more there are, the more of them the model matches by itself.
    losses = trial.run((lambda _: (rows, task.score), lambda _: (coded, task.score)), budget)
    if losses is None:
        return unchanged
    gains = losses[0] - losses[1]
    error = standard_error(gains, None if together.codes is None else together.codes[trial.measured])
    if gains.mean() <= _ERRORS * error:
        return unchanged
    listed = ", ".join(repr(names[k]) for k in found)
    note = (
        f"The numbers of {listed} look like codes: beside them stands what rows of the same number say. On other rows, "
        f"the frozen model's {task.loss_name} is then {losses[1].mean():.4f} instead of {losses[0].mean():.4f} (the "
        f"difference has a standard error of {error:.4f})."
    )
    return *with_levels(coded, task, seed), note
