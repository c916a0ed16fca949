"""Whether columns of numbers are read as codes: where the frozen model then predicts other rows better."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.learner import FROZEN
from testtime.adapt.mix import standard_error
from testtime.adapt.task import Task
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone
from testtime.errors import InputError
from testtime.table.codes import code_columns
from testtime.table.encoding import EncodedRows, with_levels, with_statistics
from testtime.table.fit import fold_of
from testtime.table.levels import LevelStatistics, signals_of
from testtime.table.outside import answer_rows
from testtime.table.rows import DealtRows, deal_rows

__all__ = ["choose_codes"]

_N_FOLDS = 3
_FEWEST = 60  # rows; fewer say little about a loss
_ERRORS = 2.0  # standard errors by which the loss must fall
_SHARE_OF_LIMIT = 0.1


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
    coded = replace(rows, numbers=found, found=together)
    dealt = _folds(coded, together.codes, task, backbone, device, draw)
    losses = _losses((rows, coded), dealt, task, backbone, device, draw, budget)
    if losses is None:
        return unchanged
    gains, measured = losses[0] - losses[1], np.concatenate([fold.guard for fold in dealt])
    error = standard_error(gains, None if together.codes is None else together.codes[measured])
    if gains.mean() <= _ERRORS * error:
        return unchanged
    listed = ", ".join(repr(names[k]) for k in found)
    note = (
        f"The numbers of {listed} look like codes: beside them stands what rows of the same number say. On other rows, "
        f"the frozen model's {task.loss_name} is then {losses[1].mean():.4f} instead of {losses[0].mean():.4f} (the "
        f"difference has a standard error of {error:.4f})."
    )
    return *with_levels(coded, task, seed), note


def _folds(
    rows: EncodedRows,
    together: NDArray[np.int64] | None,
    task: Task,
    backbone: Backbone,
    device: torch.device,
    draw: int,
) -> list[DealtRows]:
    """Deal the rows; none where they cannot be dealt, or a fold measures nothing.

    As many rows are context as can be served: the more there are, the more of them the model matches by itself.
    """
    rng = np.random.default_rng(draw)
    order, limits = rng.permutation(len(rows.y)), backbone.limits.on(device, rows.x.shape[1])
    try:
        dealt = deal_rows(order, task.strata(rows.y), together, None, _N_FOLDS, limits, rng, rows.time)
    except InputError:  # too few moments, or groups that last to the end: what needs folds will say so
        return []
    can = all(len(fold.guard) and len(fold.context) >= max(2, task.n_classes) for fold in dealt)
    return dealt if can else []


def _losses(
    ways: tuple[EncodedRows, EncodedRows],
    dealt: Sequence[DealtRows],
    task: Task,
    backbone: Backbone,
    device: torch.device,
    draw: int,
    budget: Budget,
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Losses of the guarded rows in both ways, ``(g,)``; None where there are no folds, or no time."""
    limit, before = _SHARE_OF_LIMIT * budget.left(), budget.spent()
    losses: tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]] = ([], [])
    for fold in dealt:
        for own, rows in zip(losses, ways, strict=True):
            own.append(_fold_losses(rows, fold, task, backbone, device, draw))
            n_done = len(losses[0]) + len(losses[1])
            if n_done <= 2 and (budget.spent() - before) * 2 * len(dealt) > limit * n_done:
                return None
    return (np.concatenate(losses[0]), np.concatenate(losses[1])) if dealt else None


def _fold_losses(
    rows: EncodedRows, dealt: DealtRows, task: Task, backbone: Backbone, device: torch.device, draw: int
) -> NDArray[np.float64]:
    """Losses of the frozen model in one view for rows of a fold, ``(g,)``; the same view and rows for equal draws."""
    fold = fold_of(rows, task, dealt, np.random.SeedSequence(draw))
    x, y = fold.x[fold.context], fold.y[fold.context]
    seed = np.random.SeedSequence(draw)
    view = backbone.views(with_statistics(rows.encoded, x), y, task, 1, seed)[0]
    learner = backbone.learner(task, device, torch.float32)
    answers = answer_rows(learner, FROZEN, view, (x, y), fold.x[fold.guard])
    return task.score(answers, rows.y[fold.guard])
