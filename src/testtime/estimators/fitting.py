"""From encoded rows to members and their adaptation: the part of ``fit`` that does the work."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.adapters import AdapterSpec, state_bytes
from testtime.adapt.crossfit import GuardPlan, Outcome, fit_guarded, fit_unguarded
from testtime.adapt.episodes import RowSplit, split_rows, stratified_order
from testtime.adapt.guard import decide
from testtime.adapt.step import StepPlan
from testtime.backbones.base import Backbone
from testtime.estimators.members import Member, draw_member
from testtime.estimators.rowplan import FEW_ROWS, MAX_CONTEXT, N_FOLDS, RowPlan, plan_rows
from testtime.estimators.settings import Settings
from testtime.results import Adaptation, Status

__all__ = ["Fitted", "fit_members"]

AUTO_RATES = {"encoders": 1e-3, "all": 5e-4, "norms": 3e-3, "head": 1e-3, "lora": 3e-3}
"""AdamW's first rate by what is trained, and the base length of the line search for one step."""


@dataclass(frozen=True)
class Fitted:
    """What :func:`fit_members` returns.

    Attributes
    ----------
    members
        The members that are averaged.
    order
        All rows: the kept context first, then the guard rows of the first adapter, then the rest.
    adaptation
        The record of what was done; its ``n_context`` is the length of the prefix of `order` that is served.
    """

    members: tuple[Member, ...]
    order: NDArray[np.int64]
    adaptation: Adaptation


def fit_members(
    backbone: Backbone,
    settings: Settings,
    x: NDArray[np.float64],
    y: NDArray,
    n_classes: int,
    seed: np.random.SeedSequence,
    *,
    on_plan: Callable[[RowPlan], None] | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Fitted:
    """Choose context and steps, split the rows, train and guard.

    Parameters
    ----------
    x, y
        Scaled features ``(N, D)`` and class codes or standardised numbers ``(N,)``.
    n_classes
        Number of classes, 0 for a numeric target.
    seed
        Root of every random choice.
    on_plan, on_step
        Called once with the choices, then after each step with the steps done and the loss.
    """
    started = time.monotonic()
    split_seed, draw_seed, *member_seeds = seed.spawn(2 + settings.n_members)
    rng, draw_rng = np.random.default_rng(split_seed), np.random.default_rng(draw_seed)
    learner = backbone.learner(backbone.new_module().to(settings.device), n_classes)
    members = [draw_member(m, x.shape[1], n_classes, draw_rng) for m in range(settings.n_members)]
    labels = y if n_classes else None  # what rows are stratified by
    order = stratified_order(labels, len(y), rng)
    rows = members[0].rows(x, y, torch.float32, settings.device)
    plan = plan_rows(settings, learner, rows, n_classes, order)
    if on_plan is not None:
        on_plan(plan)
    if plan.n_steps == 0:
        status = Status.PLAIN if settings.n_steps == 0 else Status.REVERTED_TOO_FEW
        record = _record(settings, plan, [], status, n_classes, len(members), time.monotonic() - started)
        return Fitted(tuple(members), order, record)

    split = split_rows(order, labels, plan.n_context, N_FOLDS, rng)
    steps = StepPlan(
        n_steps=plan.n_steps,
        n_context=plan.n_context,
        n_query=plan.n_query,
        learning_rate=settings.step_size or AUTO_RATES[settings.adapt],
        spec=AdapterSpec(settings.adapt, settings.rank),
        line_search=settings.step_size is None,
    )
    deadline = None if settings.time_limit is None else started + settings.time_limit
    guard = GuardPlan(
        min_folds=2,  # two adapters are averaged, whatever the first one gained
        max_folds=None if len(y) < FEW_ROWS else 2,
        rival_rows=MAX_CONTEXT if settings.n_context is None else 0,
    )
    outcomes: list[Outcome] = []
    member_deadline = deadline
    for index, (member, member_seed) in enumerate(zip(members, member_seeds, strict=True)):
        own_rows = rows if index == 0 else member.rows(x, y, torch.float32, settings.device)
        if deadline is not None:  # every member gets its share of the time that is left
            now = time.monotonic()
            member_deadline = now + (deadline - now) / (len(members) - index)
        first = index % N_FOLDS  # members leave out different folds, which makes their average better
        turned = RowSplit(split.context, split.folds[first:] + split.folds[:first])
        if settings.guard:
            outcome = fit_guarded(
                learner,
                own_rows,
                turned,
                steps,
                guard,
                member_seed,
                deadline=member_deadline,
                on_step=on_step,
            )
        else:
            outcome = fit_unguarded(
                learner, own_rows, turned, steps, member_seed, deadline=member_deadline, on_step=on_step
            )
        outcomes.append(outcome)
        if not outcome.states and index == 0:
            break  # the verdict on the first member stands for the table

    adapted = [
        replace(member, state=state)
        for member, outcome in zip(members, outcomes, strict=False)
        for state in outcome.states
    ]
    if adapted:
        members = adapted
        # Of several adapters each was trained on the others' guard rows; those of the first come first.
        guarded = split.folds[outcomes[0].folds[0]] if outcomes[0].folds else split.folds[0][:0]
        trained = np.setdiff1d(np.concatenate(split.folds), guarded)
        # Longer contexts than the served one are prefixes too, so each part is put in a stratified order again.
        parts = [
            part[stratified_order(None if labels is None else labels[part], len(part), rng)]
            for part in (guarded, trained)
        ]
        order = np.concatenate([split.context, *parts])
    status = outcomes[0].verdict.status
    record = _record(settings, plan, outcomes, status, n_classes, len(members), time.monotonic() - started)
    return Fitted(tuple(members), order, record)


def _record(
    settings: Settings,
    plan: RowPlan,
    outcomes: list[Outcome],
    status: Status,
    n_classes: int,
    n_members: int,
    seconds: float,
) -> Adaptation:
    """Put numbers and choices into the record users see; without outcomes, nothing was trained."""
    states = [state for o in outcomes for state in o.states]
    n_kept = sum(bool(o.states) for o in outcomes)
    outcome = outcomes[0] if outcomes else None
    verdict = outcome.verdict if outcome else decide([], [])
    notes = list(plan.notes)
    if 0 < n_kept < settings.n_members:
        lost = {o.verdict.status.value for o in outcomes if not o.states}
        notes.append(
            f"{n_kept} of {settings.n_members} members are averaged; others: {'; '.join(sorted(lost))}."
        )
    if outcome and outcome.steps.out_of_time and outcome.steps.n_steps:
        notes.append(f"The time limit ended training after {outcome.steps.n_steps} of {plan.n_steps} steps.")
    length = outcome.steps.step_length if outcome else None
    rate = settings.step_size or AUTO_RATES[settings.adapt]
    return Adaptation(
        kept=bool(states),
        status=status,
        loss_before=verdict.loss_before,
        loss_after=verdict.loss_after,
        difference=verdict.difference,
        standard_error=verdict.standard_error,
        margin=verdict.margin,
        n_steps=outcome.steps.n_steps if outcome else 0,
        n_context=plan.n_context if states else plan.n_plain,
        n_context_trained=plan.n_context if outcome else 0,
        n_query=outcome.n_training if outcome else 0,
        n_guard=verdict.n_rows,
        n_folds=outcome.n_folds if outcome else 0,
        n_members=n_members,
        n_trainable=outcome.steps.n_trainable if outcome else 0,
        adapter_bytes=sum(map(state_bytes, states)),
        adapt=settings.adapt,
        step_size=rate if length is None else rate * length,
        seconds=seconds,
        losses=outcome.steps.losses if outcome else (),
        probes=tuple(probe.to_dict() for probe in plan.probes),
        notes=tuple(notes),
        loss_name="log loss" if n_classes else "CRPS",
        rival_loss=outcome.rival_loss if outcome else None,
    )
