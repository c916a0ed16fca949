"""``fit_table``: a frame and a target in, an adapted table out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.delta import DeltaSpec, delta_bytes
from testtime.adapt.episodes import stratified_order
from testtime.adapt.parallel import alone
from testtime.adapt.task import Task
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone
from testtime.backbones.many_class import with_classes
from testtime.errors import InputError, sentence
from testtime.results import Adaptation, Part, Status
from testtime.table.adapted import AdaptedTable, Member
from testtime.table.choose_codes import choose_codes
from testtime.table.choose_curve import choose_curve
from testtime.table.choose_linear import Scale, choose_linear
from testtime.table.columns import TableColumns
from testtime.table.config import FitConfig
from testtime.table.encoding import EncodedRows, TableEncoding, with_levels, with_statistics
from testtime.table.fit import Chosen, choose
from testtime.table.forecast.plan import reason_to_skip
from testtime.table.levels import LevelStatistics, has_statistics
from testtime.table.rows import MOST_ROWS
from testtime.table.target import NumericTarget, Target

__all__ = ["drawn_rows", "encode_rows", "fit_table", "served_table"]


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
    columns, levels, rows = encode_rows(frame, y, task, backbone, level_seed, kinds, groups, time)
    told = levels, rows, task, backbone, config.device, level_seed, budget, work
    levels, rows, note = alone(lambda: choose_codes(*told, numbers=columns.undeclared_numbers), budget=budget)
    notes += [note] if note else []
    if isinstance(target, NumericTarget):
        plain, seeds = (target, rows), (curve_seed, linear_seed)
        target, rows, chosen_notes = alone(
            lambda: _modelled(plain, backbone, config, seeds, budget, work), budget=budget
        )
        if chosen_notes:
            notes += chosen_notes
            levels, rows = _told(rows, task, level_seed)
    skipped = None
    if config.planned and config.n_steps != 0:
        work.say("forecasting")
        skipped = alone(lambda: reason_to_skip(backbone, task, rows, forecast_seed, config), budget=budget)
    if skipped is not None:
        notes.append(skipped)
        config = replace(config, n_steps=0)
    chosen = alone(lambda: choose(backbone, task, config, rows, choice_seed, budget, work), budget=budget)
    chosen.notes[:0] = notes
    if skipped is not None:
        chosen.status = Status.SKIPPED
    table = served_table(chosen, TableEncoding(columns, levels), rows, target, backbone, config, budget)
    return table, drawn[chosen.order[: chosen.n_context]]


def _modelled(
    plain: Scale,
    backbone: Backbone,
    config: FitConfig,
    seeds: tuple[np.random.SeedSequence, np.random.SeedSequence],
    budget: Budget,
    work: Work,
) -> tuple[NumericTarget, EncodedRows, list[str]]:
    """Choose how a numeric target is modelled: on which curve, and with or without its linear part.

    The statistics of levels in the rows that are returned are still of the target as it is.
    """
    curve_seed, linear_seed = seeds
    bent, y, note = choose_curve(*plain, backbone, config, curve_seed, budget, work)
    scales = [(bent, replace(plain[1], y=y, found=None)), plain] if note else [plain]
    target, rows, linear_note = choose_linear(scales, backbone, config.device, linear_seed, budget, work)
    notes = [note] if note and target.curve is bent.curve else []
    return target, rows, [*notes, linear_note] if linear_note else notes


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
        record=_record(chosen, task, config, backbone, encoding.columns, budget),
        names=described.names,
        kinds=described.kinds,
        n_levels=described.n_levels,
        device=config.device,
        dtype=config.dtype_on(backbone.limits),
    )


def encode_rows(
    frame: pd.DataFrame,
    y: NDArray,
    task: Task,
    backbone: Backbone,
    seed: np.random.SeedSequence,
    kinds: Mapping[str, str] | None = None,
    groups: NDArray[np.int64] | None = None,
    time: NDArray[np.float64] | None = None,
) -> tuple[TableColumns, LevelStatistics, EncodedRows]:
    """Read the columns of a table and encode its rows.

    Parameters
    ----------
    seed
        How rows are dealt where statistics of levels are taken from other rows.
    frame, y, kinds, groups, time
        As in :func:`fit_table`, with the rows that are used.

    Raises
    ------
    InputError
        When there are more columns than the model can take.
    """
    columns = TableColumns(kinds)
    if columns.exceeds(backbone.limits.features, frame):
        raise _too_many(len(frame.columns), backbone)
    columns.fit(frame)
    encoded = columns.transform(frame)
    levels, rows = _told(EncodedRows(encoded, encoded.x, y, groups, time), task, seed)
    if rows.x.shape[1] > backbone.limits.features:
        raise _too_many(rows.x.shape[1], backbone)
    return columns, levels, rows


def _told(rows: EncodedRows, task: Task, seed: np.random.SeedSequence) -> tuple[LevelStatistics, EncodedRows]:
    """Look for rows that repeat each other where columns have levels, and put beside them what the levels say."""
    if has_statistics(rows.encoded) or rows.numbers:
        rows = replace(rows, found=rows.together(task, np.random.default_rng(int(seed.generate_state(1)[0]))))
    return with_levels(rows, task, seed)


def _too_many(n_columns: int, backbone: Backbone) -> InputError:
    return InputError(
        sentence(
            f"{n_columns:,} columns",
            expected=f"at most {backbone.limits.features}",
            why=f"the {backbone.name} model attends over all columns of a row",
            remedy="Select columns first, for example with sklearn.feature_selection.SelectKBest",
        )
    )


def drawn_rows(
    n_rows: int, labels: NDArray | None, seed: np.random.SeedSequence
) -> tuple[NDArray[np.int64], list[str]]:
    """Rows the fit looks at: all, or a draw that shows every class."""
    if n_rows <= MOST_ROWS:
        return np.arange(n_rows), []
    order = stratified_order(labels, n_rows, np.random.default_rng(seed.spawn(1)[0]))
    note = f"{MOST_ROWS:,} of {n_rows:,} rows were drawn and used: the steps of a fit visit no more."
    return np.sort(order[:MOST_ROWS]), [note]


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
    chosen: Chosen, task: Task, config: FitConfig, backbone: Backbone, columns: TableColumns, budget: Budget
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
        loss_name=task.loss_name,
        unit=task.unit,
        rival_loss=chosen.rival_loss,
        start_scale=chosen.start_scale,
    )
