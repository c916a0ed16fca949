"""Which rows are context, which guard, which are drawn at all, and how many steps: the choices behind "auto"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtime.adapt.episodes import deal_folds
from testtime.backbones.base import Limits, Recipe
from testtime.errors import InputError, sentence
from testtime.table.config import FitConfig

__all__ = [
    "FEWEST_STEPS",
    "MOST_GUARD_ROWS",
    "MOST_ROWS",
    "N_FOLDS",
    "choose_steps",
    "deal_rows",
    "fewest_rows",
    "plan_context",
    "pool_rows",
    "reference_rows",
]

MOST_ROWS = 20_000
"""Rows a fit looks at; the steps of a fit visit no more than these, so that others would only cost time."""

MOST_REFERENCE_ROWS = 1_024
"""Rows that views are made from where fewer are served: they know scales and ranks well enough."""

MOST_GUARD_ROWS = 1_024
"""Guard rows of one fold: a few thousand in all know a loss well enough."""

N_FOLDS = 4
FEWEST_STEPS = 5


def plan_context(config: FitConfig, limits: Limits, n_rows: int, n_classes: int) -> int:
    """Return the number of rows that are served when nothing is measured: as asked, else all up to the limit.

    Raises
    ------
    InputError
        When that many rows are not there, or do not show every class.
    """
    if config.n_context is None:
        return min(n_rows, limits.context)
    reserved = 0 if config.n_steps == 0 else 2 * N_FOLDS
    most = n_rows - reserved
    if config.n_context > most:
        held = f", {reserved:,} of them needed for training and guard" if reserved else ""
        remedy = f"Lower n_context to {most:,} or less, or add rows"
        if most < max(n_classes, 1):
            remedy = "Add rows, or pass n_steps=0 for plain in-context learning"
        got = f"n_context={config.n_context:,} is more than the rows there are ({n_rows:,} rows{held})"
        raise InputError(sentence(got, remedy=remedy))
    if limits.context_on_cpu is not None and config.n_context > limits.context:
        raise InputError(
            sentence(
                f"n_context={config.n_context:,} on a CPU",
                expected=f"at most {limits.context:,} with this model",
                why="more rows take it very long without an accelerator",
                remedy=f"Lower n_context to {limits.context:,}, or pass device='cuda'",
            )
        )
    if config.n_context < n_classes:
        raise InputError(
            sentence(
                f"n_context={config.n_context} is less than the number of classes, {n_classes}",
                expected="at least one context row of each class",
                remedy=f"Pass n_context={n_classes} or more",
            )
        )
    return config.n_context


def reference_rows(config: FitConfig, limits: Limits) -> int:
    """Return how many of the first rows of an ordering views are made from, and are saved: all that may be served."""
    if config.serves_all:
        return limits.context
    return max(config.n_context or 0, min(limits.context, MOST_REFERENCE_ROWS))


def pool_rows(n_rows: int, n_short: int = 0) -> int:
    """Return how many rows an adapter of a fold is trained on; a short context of `n_short` rows has no part in it."""
    return (n_rows - n_short) * (N_FOLDS - 1) // N_FOLDS


def fewest_rows(recipe: Recipe, n_classes: int) -> int:
    """Return the fewest training rows of an adapter from which a fit with automatic steps trains at all."""
    return max(recipe.min_rows, 4 * n_classes)


def choose_steps(config: FitConfig, recipe: Recipe, n_pool: int, *, short: bool) -> int:
    """Return the number of steps: as asked, else one for every few training rows up to the recipe's most."""
    if config.n_steps is not None:
        return config.n_steps
    most = recipe.n_steps_short if short else recipe.n_steps
    return int(np.clip(n_pool // recipe.rows_per_step, FEWEST_STEPS, most))


@dataclass(frozen=True)
class DealtRows:
    """Rows of one fold, as indices of the table.

    Attributes
    ----------
    pool, context, guard, rival
        As in :class:`testtime.table.outside.Fold`.
    held
        All rows of the fold, of which `guard` are predicted.
    """

    pool: NDArray[np.int64]
    context: NDArray[np.int64]
    guard: NDArray[np.int64]
    rival: NDArray[np.int64]
    held: NDArray[np.int64]


def deal_rows(
    order: NDArray[np.int64],
    labels: NDArray | None,
    groups: NDArray[np.int64] | None,
    n_served: int | None,
    n_folds: int,
    limits: Limits,
    rng: np.random.Generator,
    time: NDArray[np.float64] | None = None,
) -> list[DealtRows]:
    """Deal rows into folds.

    Parameters
    ----------
    order
        A stratified ordering of the rows; contexts are taken from its front.
    labels, groups
        Class codes and group codes of the rows, or None.
    n_served
        Length of a short context, which stays out of all folds and is the same for each; None serves all rows, and the
        context of a fold are the rows outside it.
    time
        Position of each row in time, or None. With it, folds are blocks of the later rows, in order, and what a fold
        may see are the rows before it.
    """
    if time is not None:
        return _deal_in_time(order, labels, groups, n_served, n_folds, limits, time)
    served = order[: n_served or 0]
    rest = order[n_served or 0 :]
    beside = np.empty(0, dtype=np.int64)
    if groups is not None and len(served):  # a row of a served group may be trained on, but measures nothing
        known = np.isin(groups[rest], groups[served])
        rest, beside = rest[~known], rest[known]
    folds = deal_folds(rest, labels, groups, n_folds, rng)
    place = np.empty(int(order.max()) + 1, dtype=np.int64)
    place[order] = np.arange(len(order))
    dealt = []
    for held in folds:
        outside = np.setdiff1d(np.concatenate([rest, beside]), held)
        outside = outside[np.argsort(place[outside])]
        everything = np.concatenate([served, outside])[: limits.context]
        guard = held
        if len(held) > MOST_GUARD_ROWS:
            guard = np.sort(held[np.argsort(place[held])][:MOST_GUARD_ROWS])
        context, rival = (served, everything) if n_served else (everything, everything[:0])
        guard = _shown(guard, labels, context)
        dealt.append(DealtRows(outside, context, guard, rival, held))
    return dealt


_GUARDED_IN_TIME = 0.4  # share of the moments, the last ones, that folds guard


def _deal_in_time(
    order: NDArray[np.int64],
    labels: NDArray | None,
    groups: NDArray[np.int64] | None,
    n_served: int | None,
    n_folds: int,
    limits: Limits,
    time: NDArray[np.float64],
) -> list[DealtRows]:
    """Blocks of the later rows guard what was trained on earlier ones; rows of one moment stay together."""
    moments = np.unique(time[order])
    if len(moments) <= n_folds:
        raise InputError(
            sentence(
                f"time has {len(moments)} different values",
                expected=f"at least {n_folds + 1}",
                why=f"{n_folds} blocks of later rows are predicted from earlier ones",
                remedy="Pass finer positions in time, or leave time out",
            )
        )
    width = max(1, round(_GUARDED_IN_TIME * len(moments) / n_folds))
    edges = moments[len(moments) - width * np.arange(n_folds, 0, -1)]
    dealt = []
    for begin, end in zip(edges, [*edges[1:], np.inf], strict=True):
        held = np.sort(order[(time[order] >= begin) & (time[order] < end)])
        outside = order[time[order] < begin]
        if len(outside) < 2:
            raise InputError(
                sentence(
                    f"the first {np.searchsorted(moments, begin)} moments of time have "
                    f"{len(outside)} of {len(order):,} rows",
                    expected="at least 2",
                    why="blocks of later rows are predicted from them",
                    remedy="Add earlier rows, or leave time out",
                )
            )
        if groups is not None:  # an earlier row of a guarded group would be remembered
            outside = outside[~np.isin(groups[outside], groups[held])]
            if len(outside) < 2:
                raise InputError(
                    sentence(
                        "every group has rows in the last part of the time",
                        expected="groups that end before it",
                        why="what is measured may hold no row of a group that was trained on, and none of the past",
                        remedy="Pass groups or time, not both",
                    )
                )
        everything = outside[: limits.context]
        context = outside[:n_served] if n_served else everything
        rival = everything if n_served else order[:0]
        guard = _shown(held[:MOST_GUARD_ROWS], labels, context)
        dealt.append(DealtRows(outside, context, guard, rival, held))
    return dealt


def _shown(guard: NDArray[np.int64], labels: NDArray | None, context: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the guard rows whose class the context shows: the others measure how rare their class is, and no model.

    Classes of a single row are all of that kind; where nothing else is left, they stay.
    """
    if labels is None:
        return guard
    found = guard[np.isin(labels[guard], labels[context])]
    return found if len(found) else guard
