"""Whether columns name something together: where the frozen model, told what such rows say, predicts others better."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from testtime.adapt.task import Task
from testtime.table.encoding import EncodedRows, with_levels
from testtime.table.keys import Key, Leftovers, find_key, key_columns
from testtime.table.levels import LevelStatistics, room_for_keys, signals_of, told_classes
from testtime.table.rows import DealtRows
from testtime.table.trial import FEWEST_ROWS, Gain, Judge, Measure, Trial

__all__ = ["choose_keys"]

_LEAST_BEFORE_TRAINING = 0.05  # share of the loss: adapters learn much of a small effect themselves
_SIGMAS = 3.5  # many sets are tried; of errors that mean nothing the largest is seldom above 2.5
_LEAST_LOSS = 0.01  # in the unit of the fit, below which nothing is left to gain;
_LEAST_OF_TARGET = 0.001  # in deviations of the target, where the fit's unit is what a linear part leaves
_MOST_KEYS = 3
_SHARE_OF_LIMIT = 0.1  # of a time limit, after which nothing more is tried


def choose_keys(
    levels: LevelStatistics,
    rows: EncodedRows,
    judge: Judge,
    *,
    numbers: Collection[str],
    fixed: Collection[str],
    trains: bool = True,
) -> tuple[LevelStatistics, EncodedRows, str]:
    """Tell the model what rows say that agree in several columns, where that pays.

    Each fold is predicted by the frozen model from the rows outside it, or before it where rows have a time. The set
    of columns whose values together say most about what it leaves (:func:`testtime.table.keys.find_key`) is tried:
    what rows with the same values say about the target stands beside the columns. So many sets may be that the best
    says something about the very rows it was found with, whatever the columns mean; so each fold is predicted with the
    set that the *other* folds name, or those before it. If the loss is lower by two standard errors, the set that all
    folds name is taken, and what is left now is searched, for up to three sets. Where what the model leaves names no
    first one that pays, the target itself is searched: a model that knows part of what such rows say leaves too little
    to see them by. Where adapters are trained after that, which learn much of a small effect themselves, the loss must
    fall by a twentieth. Nothing is looked for where it is below .01 as it is, or below a thousandth of the target's
    deviation where a linear part was taken out.

    Parameters
    ----------
    levels, rows
        Statistics of nominal columns and of codes, and the rows with them, whose target is as it is modelled.
    judge
        The frozen model, with the seed that the statistics were made with. Once a tenth of what is left of its budget
        is spent, nothing more is tried.
    numbers
        Names of the columns that may be a key alone.
    fixed
        Names of the columns that are in no key.
    trains
        Whether adapters are trained.

    Returns
    -------
    levels, rows, note
        The same with the keys, and a sentence; unchanged and "" where there are none.
    """
    unchanged, task, budget = (levels, rows, ""), judge.task, judge.budget
    names, told = rows.encoded.names, told_classes(rows.y, task.n_classes)
    room = min(
        _MOST_KEYS,
        room_for_keys(len(told)) - len(rows.keys),
        (judge.backbone.limits.features - rows.x.shape[1]) // (len(told) + 1),
    )
    if len(rows.y) < FEWEST_ROWS or room < 1:
        return unchanged
    limit, before = _SHARE_OF_LIMIT * budget.left(), budget.spent()
    positions, codes = key_columns(rows.encoded, [k for k, name in enumerate(names) if name not in fixed])
    alone = frozenset(k for k, name in enumerate(names) if name in numbers)
    if not positions or not (len(positions) > 1 or alone.intersection(positions)):
        return unchanged
    together = judge.together(rows)
    trial = Trial.of(judge, rows, together.codes)
    if not trial.dealt:
        return unchanged
    judge.work.say("looking for columns that name something together")
    tried = _Tried(trial, told, lambda: budget.spent() - before > limit)
    search = _Search(positions, codes[trial.measured], trial.units, alone, tried.late)
    keyed, found, gains = replace(rows, found=together), list[Key](), np.zeros(len(trial.measured))
    as_is = answers = tried.answers(keyed)
    unit = 1.0 if rows.reduced is None else rows.reduced.left
    if as_is is None or as_is.losses.mean() < max(_LEAST_LOSS, _LEAST_OF_TARGET / unit):
        return unchanged
    least = _LEAST_BEFORE_TRAINING * as_is.losses.mean() if trains else 0.0
    others = trial.others(later=rows.time is None)
    searched = [as_is.left, _left_of_nothing(rows.y[trial.measured], task)]
    while answers is not None and searched and len(found) < room:
        left = searched.pop(0)
        key = search.key(left, keyed.keys)
        of_folds = [search.key(left, keyed.keys, among) for among in others] if key else []
        apart = tried.answers(keyed, of_folds) if key else None
        if apart is None:
            continue
        gained = answers.losses - apart.losses
        one = Gain.of(answers.losses, apart.losses, trial.units)
        if not one.is_clear() or (gains + gained).mean() <= least:
            continue
        gains += gained
        found.append(key)
        keyed = replace(keyed, keys=(*keyed.keys, key))
        answers = apart if set(of_folds) == {key} else tried.answers(keyed) if len(found) < room else None
        searched = [answers.left] if answers else []
    if not found:
        return unchanged
    listed = ", in ".join(" and ".join(repr(names[k]) for k in key) for key in found)
    gain = Gain.of(as_is.losses, as_is.losses - gains, trial.units)
    note = (
        f"What rows say about the target that agree in {listed} stands beside the columns: "
        f"{gain.told(task.loss_name)}."
    )
    return *with_levels(keyed, task, judge.seed), note


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


@dataclass(frozen=True)
class _Tried:
    """Ways to read rows, tried on folds.

    Attributes
    ----------
    trial, told
        The folds, and the classes that are told.
    late
        Whether the share of the time that may be used is spent.
    """

    trial: Trial
    told: tuple[int, ...]
    late: Callable[[], bool]

    def answers(self, rows: EncodedRows, of_folds: Sequence[Key] = ()) -> _Answers | None:
        """Predict the folds with rows read like this, each with one more key; None where there is no time."""
        keys = iter(of_folds)
        measure = _measure(self.trial.judge.task, self.told)

        def way(fold: DealtRows) -> tuple[EncodedRows, Measure]:
            key = next(keys, Key())
            more = (*rows.keys, key) if key else rows.keys
            return replace(rows, y=rows.targets_without(fold.held), reduced=None, keys=more), measure

        measured = None if self.late() else self.trial.run((way,))
        return None if measured is None else _Answers(measured[0][:, 0], measured[0][:, 1:])


@dataclass(frozen=True)
class _Search:
    """The search for a key among the rows that are measured; fields as of :func:`testtime.table.keys.find_key`."""

    positions: Sequence[int]
    codes: NDArray[np.int64]
    units: NDArray[np.int64] | None
    alone: frozenset[int]
    late: Callable[[], bool]

    def key(
        self, left: NDArray[np.float64], known: Collection[Key], among: NDArray[np.bool_] | None = None
    ) -> Key:
        """Return the key that rows name by what is left of them, ``(g, S)``, all of them or some.

        Of fewer rows as much is asked for as they can say.
        """
        if among is None:
            among = np.ones(len(self.codes), dtype=bool)
        if not among.any():
            return Key()
        return find_key(
            self.positions,
            self.codes[among],
            Leftovers(left[among], None if self.units is None else self.units[among]),
            alone=self.alone,
            known=known,
            least=_SIGMAS * float(np.sqrt(among.mean())),
            late=self.late,
        )


def _left_of_nothing(y: NDArray, task: Task) -> NDArray[np.float64]:
    """What is left of targets ``(g,)`` by an answer that tells no row from another, ``(g, S)``."""
    signals = signals_of(y, task.n_classes)
    return signals - signals.mean(axis=0)


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
