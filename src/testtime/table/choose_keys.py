"""Whether columns name something together: where the frozen model, told what such rows say, predicts others better."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.mix import standard_error
from testtime.adapt.task import Task
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone
from testtime.table.encoding import EncodedRows, with_levels
from testtime.table.keys import Key, Leftovers, find_key, key_columns
from testtime.table.levels import LevelStatistics, told_classes
from testtime.table.rows import DealtRows
from testtime.table.trial import Measure, Trial

__all__ = ["choose_keys"]

_FEWEST = 60  # rows; fewer say little about a loss
_ERRORS = 2.0  # standard errors by which the loss must fall
_LEAST_LOSS = 0.01  # nats or standard deviations, below which nothing is left to gain
_MOST_KEYS = 3
_SHARE_OF_LIMIT = 0.1  # of a time limit, for the search


def choose_keys(
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
    fixed: Collection[str],
) -> tuple[LevelStatistics, EncodedRows, str]:
    """Tell the model what rows say that agree in several columns, where that pays.

    Each fold is predicted by the frozen model from the rows outside it, or before it where rows have a time. The set
    of columns whose values together say most about what it leaves (:func:`testtime.table.keys.find_key`) is tried:
    what rows with the same values say about the target stands beside the columns. It is taken if the loss is lower by
    two standard errors; then what is left now is searched, for up to three sets. Nothing is looked for where the loss
    is below .01 as it is.

    Parameters
    ----------
    levels, rows
        Statistics of nominal columns and of codes, and the rows with them, whose target is as it is modelled.
    task, backbone, device
        What is predicted, by which model, and where it is computed.
    seed
        As the statistics were made with; nothing is spawned from it.
    budget
        Where a tenth of what is left is not enough to predict the folds, nothing is tried; a search ends after that.
    work
        Told what is done.
    numbers
        Names of the columns that may be a key alone.
    fixed
        Names of the columns that are in no key.

    Returns
    -------
    levels, rows, note
        The same with the keys, and a sentence; unchanged and "" where there are none.
    """
    unchanged = levels, rows, ""
    names = rows.encoded.names
    if len(rows.y) < _FEWEST:
        return unchanged
    positions, codes = key_columns(rows.encoded, [k for k, name in enumerate(names) if name not in fixed])
    alone = {k for k, name in enumerate(names) if name in numbers}
    if not positions or not (len(positions) > 1 or alone.intersection(positions)):
        return unchanged
    draw = int(seed.generate_state(1)[0])
    together = rows.together(task, np.random.default_rng(draw))
    trial = Trial.of(rows, together.codes, task, backbone, device, draw)
    work.say("looking for columns that name something together")
    told = told_classes(rows.y, task.n_classes)
    limit, before = _SHARE_OF_LIMIT * budget.left(), budget.spent()
    as_is = _Answers.of(trial, rows, task, told, budget)
    if as_is is None or as_is.losses.mean() < _LEAST_LOSS:
        return unchanged
    answers = as_is
    units = None if together.codes is None else together.codes[trial.measured]
    keyed, found = replace(rows, found=together), list[Key]()
    room = (backbone.limits.features - rows.x.shape[1]) // (len(told) + 1)
    while len(found) < min(_MOST_KEYS, room):
        left = Leftovers(answers.left, units)
        key = find_key(
            positions,
            codes[trial.measured],
            left,
            alone=alone,
            known=keyed.keys,
            late=lambda: budget.spent() - before > limit,
        )
        tried = replace(keyed, keys=(*keyed.keys, key))
        after = _Answers.of(trial, tried, task, told, budget) if key else None
        if after is None or not _lower(after.losses, answers.losses, units):
            break
        keyed, answers = tried, after
        found.append(key)
    if not found:
        return unchanged
    listed = ", in ".join(" and ".join(repr(names[k]) for k in key) for key in found)
    error = standard_error(as_is.losses - answers.losses, units)
    note = (
        f"What rows say about the target that agree in {listed} stands beside the columns: on other rows, the frozen "
        f"model's {task.loss_name} is then {answers.losses.mean():.4f} instead of {as_is.losses.mean():.4f} (the "
        f"difference has a standard error of {error:.4f})."
    )
    return *with_levels(keyed, task, seed), note


def _lower(after: NDArray[np.float64], before: NDArray[np.float64], units: NDArray[np.int64] | None) -> bool:
    gains = before - after
    return bool(gains.mean() > _ERRORS * standard_error(gains, units))


@dataclass(frozen=True)
class _Answers:
    """What the frozen model says of the rows of all folds.

    Attributes
    ----------
    losses
        Loss of each row, ``(g,)``.
    left
        What it leaves of the target, ``(g, S)``.
    """

    losses: NDArray[np.float64]
    left: NDArray[np.float64]

    @classmethod
    def of(
        cls, trial: Trial, rows: EncodedRows, task: Task, told: tuple[int, ...], budget: Budget
    ) -> _Answers | None:
        """Predict the folds with rows read like this; None where there are no folds, or no time."""
        measure = _measure(task, told)

        def way(fold: DealtRows) -> tuple[EncodedRows, Measure]:
            return replace(rows, y=rows.targets_without(fold.held), reduced=None), measure

        measured = trial.run((way,), budget)
        return None if measured is None else cls(measured[0][:, 0], measured[0][:, 1:])


def _measure(task: Task, told: tuple[int, ...]) -> Measure:
    """Loss and what is left of the target, ``(g, 1 + S)``.

    Left of a class is how much more it happened than the answer says; of a number the share of the quantiles below it,
    less a half, which far values do not rule.
    """

    def measure(answers: NDArray[np.float64], y: NDArray) -> NDArray[np.float64]:
        if task.n_classes:
            left = (y[:, None] == np.array(told)) - answers[:, told]
        else:
            below, level = answers < y[:, None], answers == y[:, None]
            left = (below.mean(1) + level.mean(1) / 2 - 0.5)[:, None]
        return np.column_stack([task.score(answers, y), left])

    return measure
