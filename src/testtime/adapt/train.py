"""The steps themselves: one step with its length from a line search, or several with decay.

Both lower the learner's loss on episodes from a pool of rows: their context is drawn from the pool, at the length that
will be served, or, every other time, is the very context that will be served where that is apart from the pool. Both
return deltas with a record of the losses. Neither decides whether the result is good; that is for rows that were not
trained on (:mod:`testtime.adapt.mix`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from testtime.adapt.adamw import AdamW
from testtime.adapt.budget import Budget
from testtime.adapt.delta import Delta, DeltaSpec
from testtime.adapt.episodes import Episode, sample_episode, sample_query, stratified_order
from testtime.adapt.learner import Learner, Rows, Weights, predict_rows
from testtime.adapt.trained import State, Trained
from testtime.errors import InputError, sentence

__all__ = ["TrainConfig", "class_codes", "first_delta", "line_search", "train"]

LENGTHS = tuple(2.0**k for k in range(-3, 6))
"""Multiples of the base step that the line search tries, besides zero."""


@dataclass(frozen=True)
class TrainConfig:
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
    snapshots
        Numbers of steps after which the delta is remembered; the last step always is.
    rates
        Multiples of the learning rate by prefix of the weight's name; the longest prefix counts.
    line_search
        For one step: choose the length on held-out rows, zero allowed. False takes `learning_rate` as it is.
    n_gradient_episodes
        For one step: episodes whose gradients are averaged.
    served_share
        Share of the episodes whose context is the one that will be served, where that is apart from the pool. All of
        them would be the papers' procedure; contexts drawn from the pool keep an adapter from learning one by heart.
    """

    n_steps: int
    n_context: int
    n_query: int = 128
    learning_rate: float = 1e-3
    clip: float = 1.0
    spec: DeltaSpec = field(default_factory=DeltaSpec)
    snapshots: tuple[int, ...] = ()
    rates: Mapping[str, float] = field(default_factory=dict)
    line_search: bool = True
    n_gradient_episodes: int = 2
    served_share: float = 0.5

    def __post_init__(self) -> None:
        for name in ("n_steps", "n_context", "n_query", "n_gradient_episodes"):
            if getattr(self, name) < 1:
                got = f"{name}={getattr(self, name)}"
                raise InputError(sentence(got, expected="an integer of at least 1"))
        if not self.learning_rate > 0 or not np.isfinite(self.learning_rate):
            got = f"step_size={self.learning_rate}"
            raise InputError(sentence(got, expected="a positive finite number, or 'auto'"))

    def rate(self, key: str) -> float:
        """Return the multiple of the learning rate for the tensor `key` of a delta."""
        prefixes = [prefix for prefix in self.rates if key.startswith(prefix)]
        return self.rates[max(prefixes, key=len)] if prefixes else 1.0


def class_codes(rows: Rows) -> NDArray[np.int64] | None:
    """Return the class codes of classification rows, ``(N,)``; None for real-valued targets."""
    return None if rows.y.is_floating_point() else rows.y.cpu().numpy()


def train(
    learner: Learner,
    rows: Rows,
    pool: NDArray[np.int64],
    config: TrainConfig,
    seed: np.random.SeedSequence,
    *,
    served: NDArray[np.int64] | None = None,
    budget: Budget | None = None,
    start: Mapping[str, Tensor] | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> Trained:
    """Train a delta on rows of `pool`.

    Parameters
    ----------
    learner
        The model; its weights are not written.
    rows
        All rows of the table.
    pool
        Indices of the rows that may be trained on.
    config
        How to step.
    seed
        Seeds episodes and the low-rank factors.
    served
        Indices of the context that will be served, apart from `pool`, for ``config.served_share`` of the episodes. None
        draws the context of each episode from `pool`.
    budget
        No step is begun that would not end within it.
    start
        Delta to begin with; None begins at zero.
    on_step
        Called with the number of steps done and the loss.
    """
    budget = budget or Budget()
    delta = Delta(learner, config.spec)
    rng, begin = first_delta(delta, seed)
    if start is not None:
        begin = {key: value.clone() for key, value in start.items()}
    job = _Job(learner, delta, begin, rows, class_codes(rows), pool, served, config, rng, budget, on_step)
    began = budget.clock()
    with torch.enable_grad():
        trained = _single_step(job) if config.n_steps == 1 else _many_steps(job)
    return replace(trained, seconds=budget.clock() - began)


def first_delta(delta: Delta, seed: np.random.SeedSequence) -> tuple[np.random.Generator, State]:
    """Return what a seed decides: the generator of the episodes, and the delta at zero with its low-rank factors."""
    episode_seed, factor_seed = seed.spawn(2)
    generator = torch.Generator().manual_seed(int(factor_seed.generate_state(1, np.uint64)[0]) >> 1)
    return np.random.default_rng(episode_seed), delta.zero(generator)


@dataclass(frozen=True)
class _Job:
    """A delta and everything it is trained with; see :func:`train`."""

    learner: Learner
    delta: Delta
    begin: State
    rows: Rows
    labels: NDArray[np.int64] | None
    pool: NDArray[np.int64]
    served: NDArray[np.int64] | None
    config: TrainConfig
    rng: np.random.Generator
    budget: Budget
    on_step: Callable[[int, float], None] | None

    @property
    def n_trainable(self) -> int:
        return sum(value.numel() for value in self.begin.values())

    def episode(self, pool: NDArray[np.int64], served_share: float) -> Episode:
        """Draw an episode from `pool`; with that probability it has the served context, where there is one."""
        n_context, n_query = self.config.n_context, self.config.n_query
        if self.served is None or self.rng.random() >= served_share:
            return sample_episode(pool, self.labels, n_context, n_query, self.rng)
        return sample_query(self.served, pool, self.labels, n_context, n_query, self.rng)

    def episode_loss(self, weights: Weights, pool: NDArray[np.int64]) -> Tensor | None:
        """Draw an episode from `pool` and return its mean loss, or None when it has no query row to learn from."""
        episode = self.episode(pool, self.config.served_share)
        if len(episode.query) == 0:  # every query class was absent from the context
            return None
        context, query = self.rows.take(episode.context), self.rows.take(episode.query)
        output = self.learner.predict(weights, self.learner.read(weights, context), query.x)
        return self.learner.loss(output, query.y).mean()


def _gradients(loss: Tensor, tensors: list[Tensor]) -> list[Tensor | None]:
    """Gradients of a loss; None for a tensor it does not depend on."""
    return (
        list(torch.autograd.grad(loss, tensors, allow_unused=True))
        if loss.requires_grad
        else [None] * len(tensors)
    )


def _clip(gradients: list[Tensor | None], largest: float) -> Tensor:
    """Scale gradients in place so that their common norm is at most `largest`; returns the norm they had."""
    given = [gradient for gradient in gradients if gradient is not None]
    norms = [torch.linalg.vector_norm(gradient) for gradient in given]
    norm = torch.linalg.vector_norm(torch.stack(norms)) if norms else torch.zeros(())
    factor = (largest / (norm + 1e-6)).clamp(max=1.0)
    for gradient in given:
        gradient.mul_(factor)
    return norm


def _many_steps(job: _Job) -> Trained:
    config, budget = job.config, job.budget
    state = {key: value.requires_grad_() for key, value in job.begin.items()}
    tensors = list(state.values())
    optimizer = AdamW(tensors, [config.rate(key) for key in state])
    snapshots: dict[int, State] = {}
    losses: list[float] = []
    finite, out_of_time, longest, done = True, False, 0.0, 0
    for step in range(config.n_steps):
        began = budget.clock()
        if not budget.fits(longest):
            out_of_time = True
            break
        loss = job.episode_loss(job.delta.weights(state), job.pool)
        if loss is not None:
            gradients = _gradients(loss, tensors)
            norm = _clip(gradients, config.clip)
            if not (torch.isfinite(loss) and torch.isfinite(norm)):
                finite = False
                break
            optimizer.step(gradients, config.learning_rate * (1.0 - step / config.n_steps))
            losses.append(float(loss.detach()))
        if step + 1 in config.snapshots:
            snapshots[step + 1] = _remembered(state)
        done = step + 1
        longest = max(longest, budget.clock() - began)
        if job.on_step is not None:
            job.on_step(done, losses[-1] if losses else float("nan"))
    if done and finite and losses:
        snapshots.setdefault(done, _remembered(state))
    elif not losses:
        snapshots = {}
    return Trained(snapshots, tuple(losses), len(losses), finite, job.n_trainable, out_of_time=out_of_time)


def _remembered(state: Mapping[str, Tensor]) -> State:
    return {key: value.detach().clone() for key, value in state.items()}


def _single_step(job: _Job) -> Trained:
    """One step along the negative gradient, each tensor scaled to unit root mean square; its length is searched.

    The scale lets one length fit matrices and biases.
    """
    config, budget = job.config, job.budget
    pool_labels = None if job.labels is None else job.labels[job.pool]
    order = job.pool[stratified_order(pool_labels, len(job.pool), job.rng)]
    n_held_out = len(order) // 3 if config.line_search else 0
    held_out, training = order[:n_held_out], order[n_held_out:]
    state = {key: value.requires_grad_() for key, value in job.begin.items()}
    tensors = list(state.values())
    total = [torch.zeros_like(tensor) for tensor in tensors]
    losses: list[float] = []
    out_of_time, longest = False, 0.0
    search = max(0.0, budget.left() / 2)  # the line search needs the time of several episodes
    for _ in range(config.n_gradient_episodes):
        began = budget.clock()
        if not budget.fits(longest + search):
            out_of_time = True
            break
        loss = job.episode_loss(job.delta.weights(state), training)
        if loss is None:
            continue
        for sum_, gradient in zip(total, _gradients(loss, tensors), strict=True):
            if gradient is not None:
                sum_ += gradient
        losses.append(float(loss.detach()))
        longest = max(longest, budget.clock() - began)
    zero = _remembered(state)
    if not losses:
        return Trained({}, (), 0, True, job.n_trainable, out_of_time=out_of_time)
    mean_loss = float(np.mean(losses))
    sizes = [gradient.square().mean().sqrt() for gradient in total]
    if not (np.isfinite(mean_loss) and all(torch.isfinite(size) for size in sizes)):
        return Trained({}, (mean_loss,), 0, False, job.n_trainable)
    move = {
        key: -config.rate(key) * config.learning_rate * (gradient / size if size > 0 else gradient)
        for key, gradient, size in zip(zero, total, sizes, strict=True)
    }

    def moved(multiple: float) -> State:
        return {key: zero[key] + multiple * move[key] for key in zero}

    length = 1.0
    if config.line_search:
        context = job.episode(training, served_share=1.0).context
        rows = job.rows.take(context), job.rows.take(held_out)
        length = line_search(job.learner, *rows, lambda at: job.delta.weights(moved(at)), budget=budget)
    if job.on_step is not None:
        job.on_step(1, mean_loss)
    return Trained(
        {1: moved(length)},
        (mean_loss,),
        1,
        True,
        job.n_trainable,
        out_of_time=out_of_time,
        step_length=length,
    )


def line_search(
    learner: Learner,
    context: Rows,
    held_out: Rows,
    weights_at: Callable[[float], Weights],
    lengths: tuple[float, ...] = LENGTHS,
    *,
    budget: Budget | None = None,
) -> float:
    """Return the length with the smallest held-out loss; zero is a candidate.

    The search walks up the lengths and stops after two rises, since the loss along one direction is close to a
    parabola, or when the next length would not be measured within the budget.

    Parameters
    ----------
    context, held_out
        The context rows and the rows the loss is measured on.
    weights_at
        Weights after so many multiples of the base step.
    lengths
        Multiples to try, increasing.
    budget
        As in :func:`train`.
    """
    budget = budget or Budget()
    best, best_loss, rises, longest = 0.0, np.inf, 0, 0.0
    for length in (0.0, *lengths):
        began = budget.clock()
        if not budget.fits(longest):
            break
        with torch.no_grad():
            weights = weights_at(length)
            output = predict_rows(learner, weights, learner.read(weights, context), held_out.x)
            loss = float(learner.loss(output, held_out.y).mean())
        longest = max(longest, budget.clock() - began)
        if loss < best_loss:
            best, best_loss, rises = length, loss, 0
        else:
            rises += 1
            if rises == 2 or not np.isfinite(loss):
                break
    return best
