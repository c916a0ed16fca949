"""From encoded rows to a fitted table: context and steps are chosen, folds are run, the mixture is fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.delta import DeltaSpec
from testtime.adapt.episodes import stratified_order
from testtime.adapt.learner import Learner
from testtime.adapt.mix import Mix, fit_mix
from testtime.adapt.task import Task
from testtime.adapt.train import TrainConfig
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone, Recipe, View
from testtime.results import Status
from testtime.table.config import FitConfig
from testtime.table.coverage import MOST_COVERED, best_coverage
from testtime.table.encoding import EncodedRows
from testtime.table.outside import Fold, FoldAnswers, FoldRuns, in_order
from testtime.table.probes import Probe, choose_context, probe_contexts
from testtime.table.rows import (
    FEWEST_STEPS,
    N_FOLDS,
    DealtRows,
    choose_steps,
    deal_rows,
    fewest_rows,
    plan_context,
    pool_rows,
    reference_rows,
)
from testtime.table.timing import StepTimer

__all__ = ["Chosen", "Outside", "choose", "decide", "fold_of", "too_few"]


@dataclass(frozen=True)
class Outside:
    """What is served, as it answers rows that no part of it has seen.

    Attributes
    ----------
    rows
        The rows, as indices of the table, ``(n,)``.
    y
        Their targets as modelled in their fold, ``(n,)``.
    answers
        Of the mixture, ``(n, A)``.
    """

    rows: NDArray[np.int64]
    y: NDArray
    answers: NDArray[np.float64]


@dataclass
class Chosen:
    """What :func:`choose` decided.

    Attributes
    ----------
    order
        All rows; the first `n_context` are served. For a short context these cover the table, otherwise they are a
        stratified draw.
    n_context
        Their number.
    n_reference
        Number of the first rows of `order` that the views are made from.
    views, view_seed
        The frozen views and what they were drawn with; adapter ``k`` lives in view ``k``.
    status, mix
        How it ended; the mixture, where one was fitted.
    states
        The deltas that are served, one for each adapter; empty when the frozen model is.
    n_steps, n_pool
        Steps behind each of them, and rows it was trained on.
    answers
        Of each fold, as far as folds were run.
    config
        How the adapters were trained, if they were.
    outside
        What the mixture answers out of fold, where one was fitted.
    probes, notes, rival_loss, start_scale
        For the record.
    """

    order: NDArray[np.int64]
    n_context: int
    n_reference: int
    views: tuple[View, ...]
    view_seed: int
    status: Status
    mix: Mix | None = None
    states: tuple[dict[str, torch.Tensor], ...] = ()
    n_steps: int = 0
    n_pool: int = 0
    answers: list[FoldAnswers] = field(default_factory=list)
    config: TrainConfig | None = None
    outside: Outside | None = None
    probes: tuple[Probe, ...] = ()
    notes: list[str] = field(default_factory=list)
    rival_loss: float | None = None
    start_scale: float = 0.0

    @property
    def weight(self) -> float:
        """Share of the adapters in what is served."""
        if not self.states:
            return 0.0
        return 1.0 if self.mix is None else self.mix.weight


def choose(
    backbone: Backbone,
    task: Task,
    config: FitConfig,
    rows: EncodedRows,
    seed: np.random.SeedSequence,
    budget: Budget,
    work: Work = UNWATCHED,
) -> Chosen:
    """Choose the context, train adapters on folds and fit the mixture.

    Parameters
    ----------
    seed
        Root of every random choice.
    budget
        Time for everything that is done here.
    work
        Told what is planned and done, from any thread.

    Raises
    ------
    InputError
        When the context that is asked for is not there.
    """
    recipe, n_rows = backbone.recipe, len(rows.y)
    limits = backbone.limits.on(config.device, rows.x.shape[1])
    labels = task.strata(rows.y)
    order_seed, deal_seed, view_seed, group_seed, fold_seed, member_seed, cover_seed = seed.spawn(7)
    stratified = stratified_order(labels, n_rows, np.random.default_rng(order_seed))
    n_context = plan_context(config, limits, n_rows, task.n_classes)
    n_views = recipe.n_views if config.n_members > 1 else 1
    view_number = int(view_seed.generate_state(1, np.uint64)[0])
    n_reference = min(n_rows, reference_rows(config, limits))
    views = rows.views(stratified[:n_reference], backbone, task, n_views, view_number)
    chosen = Chosen(stratified, n_context, n_reference, views, view_number, Status.PLAIN)

    def settle(n: int, status: Status = Status.PLAIN) -> Chosen:
        """Serve `n` rows. The same number gives the same rows and views, with training, without, and reverted."""
        chosen.n_context, chosen.status, chosen.order, chosen.views = n, status, stratified, views
        if not config.serves_all and rows.time is None and n <= min(n_rows // 2, MOST_COVERED):
            chosen.order = best_coverage(
                backbone, task, rows, stratified, n, cover_seed, config.device, budget
            )
            chosen.views = rows.views(chosen.order[:n_reference], backbone, task, n_views, view_number)
        return chosen

    n_plain = plan_context(replace(config, n_steps=0), limits, n_rows, task.n_classes)
    probed = config.n_context is None and not config.serves_all
    if probed:  # where nothing can be compared: a quarter of the rows, as for the longest length that is
        n_plain = max(n_plain // 4, task.n_classes, 1)

    def probe(learner: Learner) -> None:
        """Choose how short the context is, where the user does not say."""
        chosen.n_context = n_plain
        work.say("choosing the context")
        chosen.probes = probe_contexts(learner, views[0], rows, stratified, recipe.sizes, task)
        if chosen.probes:
            chosen.n_context = choose_context(chosen.probes)
            chosen.notes.append(_said(chosen.probes, chosen.n_context))

    if config.n_steps == 0:
        if probed:
            probe(backbone.learner(task, config.device, torch.float32))
            return settle(chosen.n_context)
        settle(n_plain)
        _note_draw(chosen, config, n_rows)
        return chosen

    timer = StepTimer(backbone, task, config.device, budget)
    timer.measure(views[0], rows.x[stratified], rows.y[stratified])
    fewest_steps = FEWEST_STEPS if config.n_steps is None else min(config.n_steps, FEWEST_STEPS)
    if not timer.reaches(fewest_steps, recipe.episode_rows(n_context)):
        return settle(n_plain, Status.REVERTED_TIME)
    groups = rows.together(task, np.random.default_rng(group_seed))
    chosen.notes += [groups.note] if groups.note else []
    if probed:
        probe(timer.learner)
        n_plain = chosen.n_context
    n_units = n_rows if groups.codes is None else len(np.unique(groups.codes))
    short = not config.serves_all
    n_pool = pool_rows(n_rows, chosen.n_context if short else 0)
    fewest = fewest_rows(recipe, task.n_classes) if config.n_steps is None else 2 * N_FOLDS
    if min(n_pool, n_units) < fewest:
        return settle(n_plain, too_few(chosen.notes, n_rows, n_pool, n_units, fewest))

    settle(chosen.n_context)
    dealt = deal_rows(
        chosen.order,
        labels,
        groups.codes,
        chosen.n_context if short else None,
        N_FOLDS,
        limits,
        np.random.default_rng(deal_seed),
        rows.time,
    )
    folds = [fold_of(rows, task, one, own) for one, own in zip(dealt, fold_seed.spawn(N_FOLDS), strict=True)]
    n_steps = choose_steps(config, recipe, n_pool, short=short)
    adapt = config.adapt or recipe.adapt
    train_config = TrainConfig(
        n_steps=n_steps,
        n_context=recipe.episode_rows(chosen.n_context),
        n_query=recipe.n_query,
        learning_rate=config.step_size or recipe.rate(adapt),
        spec=DeltaSpec(adapt, config.rank),
        rates=recipe.tensor_rates if adapt == recipe.adapt else {},
        line_search=config.step_size is None,
        served_share=recipe.served_share,
    )
    n_guard_views = min(recipe.guard_views, n_views)
    plan = timer.plan(folds, train_config, config.n_members, n_guard_views, min(n_steps, fewest_steps))
    n_fit, folds = plan.n_steps, plan.folds
    if n_fit == 0:
        return settle(n_plain, Status.REVERTED_TIME)
    if n_fit < n_steps:
        chosen.notes.append(f"The time limit allows {n_fit} of {n_steps} steps.")
    if plan.n_adapters < config.n_members:
        chosen.notes.append(f"The time limit allows {plan.n_adapters} of {config.n_members} adapters.")
    chosen.n_pool = len(dealt[0].pool)
    chosen.config = with_snapshots(train_config, n_fit, recipe.snapshots)
    runs = FoldRuns(
        backbone,
        task,
        folds,
        chosen.views,
        n_guard_views,
        member_seed.spawn(plan.n_adapters),
        config.device,
        budget,
        work,
    )
    work.say("adapting")
    chosen.answers = runs.run(chosen.config)
    decide(chosen, task, folds, groups.codes, plan.n_adapters, guard=config.guard)
    if config.n_steps is not None or short:
        return chosen
    if any(trained.out_of_time for one in chosen.answers for trained in one.trained):
        return chosen
    for multiple in _while_it_pays(chosen, recipe):
        stage = with_snapshots(chosen.config, round(multiple * n_fit), recipe.snapshots)
        if timer.steps(folds, stage, plan.n_adapters, 0) < stage.n_steps:
            chosen.notes.append("The time limit ended training while more steps still paid.")
            break
        work.say("adapting further")
        answers = runs.run(stage, chosen.answers)
        if not all(one.finite for one in answers):
            chosen.notes.append(f"More than {chosen.n_steps} steps led to losses that are no numbers.")
            break
        chosen.answers = answers
        decide(chosen, task, folds, groups.codes, plan.n_adapters, guard=config.guard)
        chosen.notes.append(
            f"Training went on for {stage.n_steps} more steps, since those before had paid; what is served are the "
            f"adapters after {chosen.n_steps} steps."
        )
    return chosen


def _while_it_pays(chosen: Chosen, recipe: Recipe) -> Iterator[float]:
    """Yield multiples of the steps to take on top, until what was decided since the last one is worth little more."""
    worth = 0.0
    for multiple in recipe.longer:
        mix = chosen.mix
        if mix is None or mix.expected_gain - worth < recipe.worth_longer * (
            mix.frozen_loss - mix.expected_gain
        ):
            return
        worth = mix.expected_gain
        yield multiple


def with_snapshots(config: TrainConfig, n_steps: int, shares: Sequence[float]) -> TrainConfig:
    """Return the settings for so many steps, with the delta remembered after these shares of them."""
    snapshots = sorted({max(1, round(share * n_steps)) for share in shares})
    return replace(config, n_steps=n_steps, snapshots=tuple(snapshots))


def too_few(notes: list[str], n_rows: int, n_pool: int, n_units: int, fewest: int) -> Status:
    """Tell what there are too few of to train: rows, or groups of rows that stay together, whose number is noted."""
    if n_pool < fewest:
        return Status.REVERTED_TOO_FEW
    parts = "1 group of rows that belong" if n_units == 1 else f"{n_units:,} groups of rows that belong"
    notes.append(
        f"The {n_rows:,} rows are {parts} together and stay on one side of every split; to train and to guard takes "
        f"{fewest:,} groups or more."
    )
    return Status.REVERTED_FEW_GROUPS


def fold_of(rows: EncodedRows, task: Task, dealt: DealtRows, seed: np.random.SeedSequence) -> Fold:
    """Encode the rows for one fold: nothing of the targets it holds is in any of them."""
    y = rows.targets_without(dealt.held)
    x = replace(rows, y=y).without(dealt.held, task, seed, later=rows.time is not None)
    return Fold(x, y, dealt.pool, dealt.context, dealt.guard, dealt.rival)


def decide(
    chosen: Chosen,
    task: Task,
    folds: list[Fold],
    groups: NDArray[np.int64] | None,
    n_members: int,
    *,
    guard: bool,
    doubt: float | None = None,
) -> None:
    """Fit the mixture on what the folds answered, for the number of steps that makes it best.

    `doubt` is explained in :func:`testtime.adapt.mix.fit_mix`.
    """
    answers = chosen.answers
    measured = np.concatenate([folds[k].guard for k in range(len(answers))])
    y = np.concatenate([folds[k].y[folds[k].guard] for k in range(len(answers))])
    trained = in_order([one.trained for one in answers])
    rivals = [one.rival for one in answers if one.rival is not None]
    if rivals:
        chosen.rival_loss = float(task.score(np.concatenate(rivals, axis=1).mean(0), y).mean())
    # Folds may have one adapter more or less; as many as all have are measured.
    n_common = min(len(one.trained) for one in answers)
    common = sorted(set.intersection(*(set(one.adapted) for one in answers)))
    adapted = {n: np.concatenate([one.adapted[n][:n_common] for one in answers], axis=1) for n in common}
    finite = all(one.finite for one in trained) and all(np.isfinite(part).all() for part in adapted.values())
    if not finite or not common:
        out_of_time = any(one.out_of_time for one in trained)
        nothing = Status.REVERTED_TIME if out_of_time else Status.REVERTED_TOO_FEW
        chosen.status = nothing if finite else Status.REVERTED_NON_FINITE
        return
    if not guard:
        chosen.status, chosen.n_steps = Status.UNGUARDED, common[-1]
        chosen.states = tuple(one.snapshots[common[-1]] for one in trained)
        return
    frozen = np.concatenate([one.frozen for one in answers], axis=1)
    own_groups = None if groups is None else groups[measured]
    served = {"n_views": len(chosen.views), "n_members": n_members, "groups": own_groups, "doubt": doubt}
    mixes = {n: fit_mix(task, frozen, adapted[n], y, **served) for n in common}
    best = max(mixes, key=lambda n: mixes[n].expected_gain)
    chosen.mix, chosen.n_steps = mixes[best], best
    weight = chosen.mix.weight
    mixed = (1.0 - weight) * frozen.mean(0) + weight * adapted[best].mean(0)
    chosen.outside = Outside(measured, y, mixed)
    if weight > 0:
        chosen.status = Status.KEPT
        chosen.states = tuple(one.snapshots[best] for one in trained)
    else:
        chosen.status = Status.REVERTED_NO_GAIN


def _note_draw(chosen: Chosen, config: FitConfig, n_rows: int) -> None:
    if config.n_context is None and chosen.n_context < n_rows:
        chosen.notes.append(f"The context is a draw of {chosen.n_context:,} of {n_rows:,} rows.")


def _said(probes: tuple[Probe, ...], n_context: int) -> str:
    losses = ", ".join(f"{probe.loss:.3f} at {probe.n_context}" for probe in probes)
    return f"A context of {n_context} rows was chosen: the frozen model's loss on other rows was {losses}."
