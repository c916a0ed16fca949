"""How many rows are context, how many steps are taken, and why: the choices behind "auto"."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from testtime.adapt.learner import Learner, Rows
from testtime.adapt.probes import ContextProbe, choose_context, probe_contexts, probe_sizes
from testtime.errors import InputError, sentence
from testtime.estimators.settings import Settings

__all__ = ["MAX_CONTEXT", "RowPlan", "plan_rows"]

MAX_CONTEXT = 1024
"""Longest context plain in-context learning is given by "auto"; the embedded model was pretrained up to about this."""

MIN_ROWS = 160
"""Fewest rows at which "auto" adapts: below, rows are worth more as context than as training rows."""

FEW_ROWS = 600
"""Below, all folds may be trained before the guard decides; above, two folds hold enough guard rows."""

MAX_STEPS, MIN_STEPS = 150, 10
N_FOLDS = 4
N_QUERY = 128  # twice as many gain nothing measurable and cost a quarter more
_ROWS_PER_STEP = 6


@dataclass
class RowPlan:
    """What ``fit`` will do with the rows.

    Attributes
    ----------
    n_context
        Rows served as context if the adapted weights are kept.
    n_plain
        Rows served as context if they are not.
    n_steps
        Steps; 0 for plain in-context learning.
    n_query
        Query rows of an episode.
    probes
        Losses of the frozen model, when they were measured.
    notes
        Sentences about choices that were made.
    """

    n_context: int
    n_plain: int
    n_steps: int
    n_query: int = N_QUERY
    probes: tuple[ContextProbe, ...] = ()
    notes: list[str] = field(default_factory=list)


def _check_context(n_context: int, n_rows: int, n_classes: int, n_reserved: int) -> None:
    if n_context > n_rows - n_reserved:
        held = f", {n_reserved:,} of them needed for training and guard" if n_reserved else ""
        most = n_rows - n_reserved
        remedy = f"Lower n_context to {most:,} or less, or add rows"
        if most < n_classes:
            remedy = "Add rows, or pass n_steps=0 for plain in-context learning"
        raise InputError(
            sentence(
                f"n_context={n_context:,} is more than the rows there are ({n_rows:,} rows{held})",
                remedy=remedy,
            )
        )
    if n_context < n_classes:
        raise InputError(
            sentence(
                f"n_context={n_context} is less than the number of classes, {n_classes}",
                expected="at least one context row of each class",
                remedy=f"Pass n_context={n_classes} or more",
            )
        )


def plan_rows(
    settings: Settings, learner: Learner, rows: Rows, n_classes: int, order: NDArray[np.int64]
) -> RowPlan:
    """Choose context length and steps; what the user fixed stays fixed.

    Parameters
    ----------
    n_classes
        Number of classes, 0 for a numeric target.
    order
        A stratified ordering of the rows; contexts are its prefixes.
    """
    n_rows = len(rows)
    everything = min(n_rows, MAX_CONTEXT)
    if settings.n_steps == 0:
        n_context = everything if settings.n_context is None else settings.n_context
        _check_context(n_context, n_rows, n_classes, 0)
        plan = RowPlan(n_context, n_context, 0)
        if settings.n_context is None and everything < n_rows:
            drawn = "a stratified" if n_classes else "a random"
            plan.notes.append(f"The context is {drawn} draw of {everything:,} of {n_rows:,} rows.")
        return plan

    least = 2 * N_FOLDS
    too_few = n_rows - max(n_classes, n_rows // 4) < least
    if (settings.n_steps is None and n_rows < MIN_ROWS) or (settings.n_context is None and too_few):
        n_context = everything if settings.n_context is None else settings.n_context
        _check_context(n_context, n_rows, n_classes, 0)
        plan = RowPlan(n_context, n_context, 0)
        plan.notes.append(
            f"There are only {n_rows:,} rows, and rows are worth more as context than as training rows."
        )
        return plan

    probes: tuple[ContextProbe, ...] = ()
    notes: list[str] = []
    seconds_per_row = 0.0
    sizes = probe_sizes(n_rows, n_classes)
    if settings.n_context is not None:
        n_context = settings.n_context
        _check_context(n_context, n_rows, n_classes, least)
    elif not sizes:
        n_context = max(n_classes, n_rows // 4)
    else:
        started = time.monotonic()
        probes = probe_contexts(learner, rows, order, sizes)
        seconds_per_row = (time.monotonic() - started) / sum(n + 512 for n in sizes)
        n_context = choose_context(probes)
        losses = ", ".join(f"{probe.loss:.3f} at {probe.n_context}" for probe in probes)
        notes.append(
            f"A context of {n_context} rows was chosen: the frozen model's loss on other rows was {losses}."
        )

    n_pool = (n_rows - n_context) * (N_FOLDS - 1) // N_FOLDS
    if settings.n_steps is not None:
        n_steps = settings.n_steps
    else:
        n_steps = int(np.clip(n_pool // _ROWS_PER_STEP, MIN_STEPS, MAX_STEPS))
        if settings.time_limit is not None and seconds_per_row > 0:
            # A training step costs about three forward passes; the guard and one more fold need time as well.
            share = 0.5 * settings.time_limit / settings.n_members
            affordable = int(share / (3.0 * seconds_per_row * (n_context + N_QUERY)))
            if affordable < n_steps:
                n_steps = max(affordable, MIN_STEPS)
                notes.append(f"The time limit of {settings.time_limit:g} s allows about {n_steps} steps.")
    n_plain = settings.n_context if settings.n_context is not None else everything
    return RowPlan(n_context, n_plain, n_steps, N_QUERY, probes, notes)
