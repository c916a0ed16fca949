"""The steps themselves: one step with its length from a line search, or several with decay.

Both train an attached adapter on episodes drawn from a pool of rows, at the context length that will be served, and
both return the adapter's state with a record of the losses. Neither decides whether the result is good; that is the
guard's job.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from testtime.adapt.adamw import AdamW
from testtime.adapt.adapters import Adapter, AdapterSpec, attached
from testtime.adapt.episodes import sample_episode, stratified_order
from testtime.adapt.learner import Learner, Rows, frozen_row_losses
from testtime.errors import InputError, sentence

__all__ = ["StepPlan", "Steps", "class_codes", "line_search", "train"]

LENGTHS = tuple(2.0**k for k in range(-3, 6))
"""Multiples of the base step that the line search tries, besides zero."""


@dataclass(frozen=True)
class StepPlan:
    """How to step.

    Attributes
    ----------
    n_steps
        Number of steps; 1 means one step with a line search.
    n_context, n_query
        Rows of an episode: context (the length that will be served) and query.
    learning_rate
        AdamW's rate at the first step; it decays linearly to zero. For one step, the base length of the line search.
    clip
        Largest norm of the gradient.
    spec
        What is trained.
    line_search
        For one step: choose the length on held-out rows, zero allowed. False takes `learning_rate` as it is.
    n_gradient_episodes
        For one step: episodes whose gradients are averaged.
    """

    n_steps: int
    n_context: int
    n_query: int = 256
    learning_rate: float = 5e-4
    clip: float = 1.0
    spec: AdapterSpec = field(default_factory=AdapterSpec)
    line_search: bool = True
    n_gradient_episodes: int = 4

    def __post_init__(self) -> None:
        for name in ("n_steps", "n_context", "n_query", "n_gradient_episodes"):
            if getattr(self, name) < 1:
                raise InputError(
                    sentence(f"{name}={getattr(self, name)}", expected="an integer of at least 1")
                )
        if not self.learning_rate > 0 or not np.isfinite(self.learning_rate):
            raise InputError(
                sentence(f"step_size={self.learning_rate}", expected="a positive finite number, or 'auto'")
            )


@dataclass(frozen=True)
class Steps:
    """What came out of training.

    Attributes
    ----------
    state
        The adapter's tensors, in memory of their own.
    losses
        Training loss before each step, in nats for log loss.
    n_steps
        Steps taken; fewer than planned when time ran out or the loss became non-finite.
    finite
        Whether every loss and gradient was finite.
    step_length
        For one step: the chosen multiple of the base length (0: stay). None otherwise.
    n_trainable
        Number of trained values.
    seconds
        Wall time.
    out_of_time
        Whether the deadline ended training early.
    """

    state: dict[str, Tensor]
    losses: tuple[float, ...]
    n_steps: int
    finite: bool
    n_trainable: int
    seconds: float = 0.0
    out_of_time: bool = False
    step_length: float | None = None


def class_codes(rows: Rows) -> NDArray | None:
    """Return the class codes of classification rows, ``(N,)``; None for real-valued targets."""
    return None if rows.y.is_floating_point() else rows.y.cpu().numpy()


def train(
    learner: Learner,
    rows: Rows,
    pool: NDArray,
    plan: StepPlan,
    seed: np.random.SeedSequence,
    *,
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    on_step: Callable[[int, float], None] | None = None,
) -> Steps:
    """Train an adapter on rows of `pool`.

    Parameters
    ----------
    learner
        The model; its weights are not written.
    rows
        All rows of the table.
    pool
        Indices of the rows that may be trained on.
    plan
        How to step.
    seed
        Seeds episodes and the low-rank factors.
    deadline
        Value of `clock` after which no step is begun.
    clock
        Monotonic clock in seconds.
    on_step
        Called with the number of steps done and the loss.
    """
    episode_seed, factor_seed = seed.spawn(2)
    rng = np.random.default_rng(episode_seed)
    generator = torch.Generator().manual_seed(int(factor_seed.generate_state(1, np.uint64)[0] >> 1))
    started = clock()
    with attached(learner, plan.spec, generator) as adapter:
        job = _Job(learner, adapter, rows, pool, plan, rng, deadline, clock, on_step)
        steps = _single_step(job) if plan.n_steps == 1 else _many_steps(job)
    return replace(steps, seconds=clock() - started)


@dataclass(frozen=True)
class _Job:
    """An attached adapter and everything it is trained with; see :func:`train`."""

    learner: Learner
    adapter: Adapter
    rows: Rows
    pool: NDArray
    plan: StepPlan
    rng: np.random.Generator
    deadline: float | None
    clock: Callable[[], float]
    on_step: Callable[[int, float], None] | None

    def episode_loss(self, pool: NDArray) -> Tensor | None:
        """Draw an episode from `pool` and return its mean loss, or None when it has no query row to learn from."""
        plan = self.plan
        episode = sample_episode(pool, class_codes(self.rows), plan.n_context, plan.n_query, self.rng)
        if len(episode.query) == 0:  # every query class was absent from the context
            return None
        context, query = (self.rows.take(torch.as_tensor(part)) for part in (episode.context, episode.query))
        return self.learner.row_losses(self.learner.output(context, query.x), query.y).mean()


def _many_steps(job: _Job) -> Steps:
    plan, adapter, clock = job.plan, job.adapter, job.clock
    parameters = adapter.parameters()
    optimizer = AdamW(parameters)
    losses: list[float] = []
    finite, out_of_time, longest = True, False, 0.0
    for step in range(plan.n_steps):
        started = clock()
        if job.deadline is not None and started + longest > job.deadline:
            out_of_time = True
            break
        loss = job.episode_loss(job.pool)
        if loss is None:
            continue
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, plan.clip)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            finite = False
            break
        optimizer.step(plan.learning_rate * (1.0 - step / plan.n_steps))
        losses.append(float(loss.detach()))
        longest = max(longest, clock() - started)
        if job.on_step is not None:
            job.on_step(step + 1, losses[-1])
    return Steps(
        adapter.state(), tuple(losses), len(losses), finite, adapter.n_trainable, out_of_time=out_of_time
    )


def _descent_direction(parameters: list[torch.nn.Parameter]) -> list[Tensor]:
    """Negative gradients, each tensor scaled to unit root mean square, so that one length fits matrices and biases."""
    directions = []
    for parameter in parameters:
        gradient = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        size = gradient.square().mean().sqrt()
        directions.append(-gradient / size if size > 0 else torch.zeros_like(gradient))
    return directions


def _single_step(job: _Job) -> Steps:
    rows, pool, plan, adapter, clock = job.rows, job.pool, job.plan, job.adapter, job.clock
    labels = class_codes(rows)
    pool_labels = None if labels is None else labels[pool]
    order = pool[stratified_order(pool_labels, len(pool), job.rng)]
    n_held_out = len(pool) // 3 if plan.line_search else 0
    held_out, training = order[:n_held_out], order[n_held_out:]
    parameters = adapter.parameters()
    losses: list[float] = []
    out_of_time, longest = False, 0.0
    for _ in range(plan.n_gradient_episodes):
        started = clock()
        # The line search needs the time of several episodes: half of what is left must stay for it.
        if job.deadline is not None and started + 2.0 * longest > job.deadline:
            out_of_time = True
            break
        loss = job.episode_loss(training)
        if loss is None:
            continue
        loss.backward()
        losses.append(float(loss.detach()))
        longest = max(longest, clock() - started)
    zero = {key: value.clone() for key, value in adapter.state().items()}
    if not losses:
        return Steps(zero, (), 0, True, adapter.n_trainable, out_of_time=out_of_time)
    mean_loss = float(np.mean(losses))
    gradients_finite = all(p.grad is None or bool(torch.isfinite(p.grad).all()) for p in parameters)
    if not (np.isfinite(mean_loss) and gradients_finite):
        return Steps(zero, (mean_loss,), 0, False, adapter.n_trainable)
    move = dict(zip(zero, _descent_direction(parameters), strict=True))

    def go(multiple: float) -> None:
        adapter.load({key: zero[key] + multiple * plan.learning_rate * move[key] for key in zero})

    length = 1.0
    if plan.line_search:
        context = sample_episode(training, labels, plan.n_context, 1, job.rng).context
        length = line_search(job.learner, rows, context, held_out, go, deadline=job.deadline, clock=clock)
    go(length)
    if job.on_step is not None:
        job.on_step(1, mean_loss)
    return Steps(
        adapter.state(),
        (mean_loss,),
        1,
        True,
        adapter.n_trainable,
        out_of_time=out_of_time,
        step_length=length,
    )


def line_search(
    learner: Learner,
    rows: Rows,
    context: NDArray,
    held_out: NDArray,
    go: Callable[[float], None],
    lengths: tuple[float, ...] = LENGTHS,
    *,
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> float:
    """Return the length with the smallest held-out loss; zero is a candidate.

    The search walks up the lengths and stops after two rises, since the loss along one direction is close to a
    parabola, or when the next length would not be measured before the deadline.

    Parameters
    ----------
    context, held_out
        Indices of the context rows and of the rows the loss is measured on.
    go
        Moves the model to a multiple of the base step.
    lengths
        Multiples to try, increasing.
    deadline, clock
        As in :func:`train`.
    """
    context_rows = rows.take(torch.as_tensor(context))
    query_rows = rows.take(torch.as_tensor(held_out))

    def loss_at(length: float) -> float:
        go(length)
        return float(frozen_row_losses(learner, context_rows, query_rows).mean())

    best, best_loss, rises = 0.0, np.inf, 0
    longest = 0.0
    for length in (0.0, *lengths):
        started = clock()
        if deadline is not None and started + longest > deadline:
            break
        loss = loss_at(length)
        longest = max(longest, clock() - started)
        if loss < best_loss:
            best, best_loss, rises = length, loss, 0
        else:
            rises += 1
            if rises == 2 or not np.isfinite(loss):
                break
    return best
