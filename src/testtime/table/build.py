"""``fit_table``: a frame and a target in, an adapted table out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.delta import DeltaSpec, delta_bytes
from testtime.adapt.parallel import alone
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone
from testtime.backbones.many_class import with_classes
from testtime.results import Adaptation, Part, Status
from testtime.table.adapted import AdaptedTable, Member
from testtime.table.columns import TableColumns
from testtime.table.columns.file_habits import FileHabits
from testtime.table.config import FitConfig
from testtime.table.encoding import EncodedRows, TableEncoding, with_statistics
from testtime.table.fit import Chosen, choose
from testtime.table.forecast.plan import reason_to_skip
from testtime.table.in_doubt import settle_doubt
from testtime.table.reading import Reading, choose_reading, drawn_rows, encode_rows
from testtime.table.target import Target

__all__ = ["fit_table", "served_table"]


def fit_table(
    frame: pd.DataFrame,
    target: Target,
    y: NDArray,
    backbone: Backbone,
    config: FitConfig,
    seed: np.random.SeedSequence,
    *,
    kinds: Mapping[str, str] | None = None,
    groups: NDArray[np.int64] | None = None,
    time: NDArray[np.float64] | None = None,
    file: FileHabits | None = None,
    budget: Budget | None = None,
    work: Work = UNWATCHED,
) -> tuple[AdaptedTable, NDArray[np.int64]]:
    """Adapt a backbone to a table.

    Parameters
    ----------
    frame
        Features, ``(N, D)``.
    target, y
        What is predicted, and its encoded values, ``(N,)``.
    kinds
        Kinds of columns that the user knows, by name.
    groups, time
        Group code and position in time of each row, or None.
    file
        How the file is written of which the table is a part; None where it is all there is.
    budget
        Time for the fit, begun by the caller; None begins one of ``config.time_limit`` seconds.
    work
        As in :func:`testtime.table.fit.choose`.

    Returns
    -------
    table
        The adapted table.
    context
        Positions in `frame` of the rows that are served as context.

    Raises
    ------
    InputError
        When the table or an argument cannot be used.
    """
    budget = budget or Budget(config.time_limit)
    task = target.task
    config.dtype_on(backbone.limits)  # refused before anything is trained
    backbone = with_classes(backbone, task)
    drawn, notes = drawn_rows(len(y), y if task.n_classes else None, seed)
    frame, y = frame.iloc[drawn], y[drawn]
    groups = None if groups is None else groups[drawn]
    time = None if time is None else time[drawn]

    work.say("reading columns")
    level_seed, choice_seed, forecast_seed, curve_seed, linear_seed = seed.spawn(5)
    seeds = level_seed, curve_seed, linear_seed
    columns, levels, rows = encode_rows(frame, y, task, backbone, level_seed, kinds, groups, time, file)
    read = alone(
        lambda: choose_reading(frame, columns, levels, rows, target, backbone, config, seeds, budget, work),
        budget=budget,
    )
    skipped = None
    if config.planned and config.n_steps != 0:
        work.say("forecasting")
        skipped = alone(
            lambda: reason_to_skip(backbone, task, read.rows, forecast_seed, config), budget=budget
        )
    if skipped is not None:
        config = replace(config, n_steps=0)

    def fit(read: Reading) -> Chosen:
        # Spawned anew each time: a second fit deals the same rows and draws the same episodes.
        own = np.random.SeedSequence(choice_seed.entropy, spawn_key=choice_seed.spawn_key)
        return choose(backbone, task, config, read.rows, own, budget, work)

    read, chosen = alone(lambda: settle_doubt(read, fit, budget), budget=budget)
    chosen.notes[:0] = notes + read.notes
    if skipped is not None:
        chosen.notes.append(skipped)
        chosen.status = Status.SKIPPED
    table = served_table(chosen, read.encoding, read.rows, read.target, backbone, config, budget)
    return table, drawn[chosen.order[: chosen.n_context]]


def served_table(
    chosen: Chosen,
    encoding: TableEncoding,
    rows: EncodedRows,
    target: Target,
    backbone: Backbone,
    config: FitConfig,
    budget: Budget,
) -> AdaptedTable:
    """Return what is served of what was chosen."""
    order, task = chosen.order, target.task
    described = with_statistics(rows.encoded, rows.x)
    return AdaptedTable(
        backbone=backbone,
        task=task,
        encoding=encoding,
        target=target,
        x=rows.x[order],
        y=rows.y[order],
        views=chosen.views,
        view_seed=chosen.view_seed,
        n_reference=chosen.n_reference,
        members=_members(chosen),
        spec=DeltaSpec(config.adapt or backbone.recipe.adapt, config.rank),
        record=_record(chosen, target, config, backbone, encoding.columns, budget),
        names=described.names,
        kinds=described.kinds,
        n_levels=described.n_levels,
        device=config.device,
        dtype=config.dtype_on(backbone.limits),
    )


def _members(chosen: Chosen) -> tuple[Member, ...]:
    """The frozen views and the adapters with their weights; what has none is left out."""
    weight, n_views = chosen.weight, len(chosen.views)
    frozen = [Member(view, None, (1.0 - weight) / n_views) for view in range(n_views)] if weight < 1 else []
    n_adapters = len(chosen.states)
    adapted = [
        Member(k % n_views, state, weight / n_adapters) for k, state in enumerate(chosen.states) if weight > 0
    ]
    return (*frozen, *adapted)


def _record(
    chosen: Chosen,
    target: Target,
    config: FitConfig,
    backbone: Backbone,
    columns: TableColumns,
    budget: Budget,
) -> Adaptation:
    """Put numbers and choices into the record users see."""
    mix = chosen.mix
    states = {id(state): state for state in chosen.states}.values()  # views may share one adapter
    trained = [trained for one in chosen.answers for trained in one.trained]
    parts = ()
    if mix is not None:
        parts = (
            Part("frozen", mix.frozen_loss, 1.0 - mix.weight),
            Part(f"adapted, {chosen.n_steps} steps", mix.adapted_loss, mix.weight),
        )
    adapt = config.adapt or backbone.recipe.adapt
    rate = config.step_size or backbone.recipe.rate(adapt)
    length = trained[0].step_length if trained else None
    n_taken = chosen.n_steps or (trained[0].n_steps if trained else 0)
    return Adaptation(
        kept=bool(chosen.states) and chosen.weight > 0,
        status=chosen.status,
        objective=config.objective,
        loss_before=mix.frozen_loss if mix else float("nan"),
        loss_after=mix.loss if mix else float("nan"),
        gain=mix.gain if mix else float("nan"),
        expected_gain=mix.expected_gain if mix else float("nan"),
        standard_error=mix.standard_error if mix else float("nan"),
        weight=chosen.weight,
        parts=parts,
        n_steps=n_taken,
        n_context=chosen.n_context,
        n_query=chosen.n_pool,
        n_guard=mix.n_rows if mix else 0,
        n_members=len(states),
        n_views=len(chosen.views),
        n_trainable=trained[0].n_trainable if trained else 0,
        adapter_bytes=sum(map(delta_bytes, states)),
        adapt=adapt,
        step_size=rate if length is None else rate * length,
        seconds=budget.spent(),
        losses=trained[0].losses if trained else (),
        probes=tuple(probe.to_dict() for probe in chosen.probes),
        columns=tuple(record.to_dict() for record in columns.records),
        notes=tuple(chosen.notes),
        loss_name=target.task.loss_name,
        unit=target.unit,
        rival_loss=chosen.rival_loss,
        start_scale=chosen.start_scale,
    )
