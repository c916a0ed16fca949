"""Training on many tasks at once: what :func:`testtime.adapt.train.train` does, in one vectorised pass per step.

A small model on a short context leaves most of a core idle: the time goes into calling operations, not into computing
them. ``torch.func.vmap`` over tasks, each with a delta of its own, calls every operation once for all of them. The
learner's operations must have a batching rule; attention is computed by its definition here, since fused kernels have
none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.func import grad_and_value, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from testtime.adapt.adamw import AdamW
from testtime.adapt.budget import Budget
from testtime.adapt.delta import Delta
from testtime.adapt.episodes import Episode, sample_episode
from testtime.adapt.learner import Learner, Rows
from testtime.adapt.train import TrainConfig, first_delta
from testtime.adapt.trained import State, Trained
from testtime.errors import InputError, sentence

__all__ = ["Draw", "train_each"]

Draw = Callable[[NDArray[np.int64], int, np.random.Generator], Episode]
"""Draws an episode from a pool at a step; the sizes depend on the step alone."""


def train_each(
    learner: Learner,
    tables: Sequence[Rows],
    pools: Sequence[NDArray[np.int64]],
    config: TrainConfig,
    seeds: Sequence[np.random.SeedSequence],
    *,
    draw: Draw | None = None,
    starts: Sequence[Mapping[str, Tensor]] | None = None,
    budget: Budget | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> list[Trained]:
    """Train one delta per task, several steps each, all tasks together.

    Task b gets the episodes and the first delta that ``train(learner, tables[b], pools[b], config, seeds[b])`` gives
    it, so the results are those of the loop up to the order in which sums are taken.

    Parameters
    ----------
    learner
        One model for all tasks; its weights are not written.
    tables
        Rows of each task, all of one shape.
    pools
        Indices of the rows of each task that may be trained on, all of one length.
    config
        How to step; two steps or more.
    seeds
        One for each task.
    draw
        What the episode of a step is; None draws context and query at random, in the sizes of `config`. Classes need
        one, since random episodes of classes differ in size.
    starts
        Delta of each task to begin with; None begins at zero.
    budget
        No step is begun that would not end within it.
    on_step
        Called with the number of steps done and the mean loss.

    Raises
    ------
    InputError
        When tables or pools differ in shape, classes come without `draw`, or a single step is asked for.
    """
    _check(tables, pools, config, seeds, drawn=draw is not None)
    began = (budget := budget or Budget()).clock()
    x, y = torch.stack([rows.x for rows in tables]), torch.stack([rows.y for rows in tables])
    delta = Delta(learner, config.spec)
    generators, first = zip(*(first_delta(delta, seed) for seed in seeds), strict=True)
    state = {key: torch.stack([one[key] for one in starts or first]) for key in first[0]}
    tensors = list(state.values())
    optimizer = AdamW(tensors, [config.rate(key) for key in state])

    def episode_loss(state: State, cx: Tensor, cy: Tensor, qx: Tensor, qy: Tensor) -> Tensor:
        weights = delta.weights(state)
        return learner.loss(learner.predict(weights, learner.read(weights, Rows(cx, cy)), qx), qy).mean()

    def at_random(pool: NDArray[np.int64], step: int, rng: np.random.Generator) -> Episode:
        return sample_episode(pool, None, config.n_context, config.n_query, rng)

    step_each = vmap(grad_and_value(episode_loss))
    records = [_Record() for _ in tables]
    longest, out_of_time, done = 0.0, False, 0
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        for step in range(config.n_steps):
            at = budget.clock()
            if out_of_time := not budget.fits(longest):
                break
            drawn = [
                (draw or at_random)(pool, step, rng) for pool, rng in zip(pools, generators, strict=True)
            ]
            gradients, losses = step_each(state, *_rows_of(x, y, drawn))
            norms = _clip_each(gradients, config.clip)
            finite = (torch.isfinite(losses) & torch.isfinite(norms)).tolist()
            # A task whose loss is not finite ends here; its numbers are beside those of the others, and go on unread.
            optimizer.step(
                [gradients[key] for key in state], config.learning_rate * (1.0 - step / config.n_steps)
            )
            done = step + 1
            for b, record in enumerate(records):
                record.add(finite[b], float(losses[b]), done if done in config.snapshots else None, state, b)
            longest = max(longest, budget.clock() - at)
            if on_step is not None:
                on_step(done, float(losses.mean()))
    n_trainable = sum(value.numel() for value in first[0].values())
    seconds = budget.clock() - began
    return [
        record.trained(done, state, b, n_trainable, seconds, out_of_time) for b, record in enumerate(records)
    ]


class _Record:
    """What is remembered of one task."""

    def __init__(self) -> None:
        self.finite = True
        self.losses: list[float] = []
        self.snapshots: dict[int, State] = {}

    def add(
        self, finite: bool, loss: float, snapshot: int | None, state: Mapping[str, Tensor], b: int
    ) -> None:
        self.finite &= finite
        if not self.finite:
            return
        self.losses.append(loss)
        if snapshot is not None:
            self.snapshots[snapshot] = _of(state, b)

    def trained(
        self,
        done: int,
        state: Mapping[str, Tensor],
        b: int,
        n_trainable: int,
        seconds: float,
        out_of_time: bool,
    ) -> Trained:
        if self.finite and done:
            self.snapshots.setdefault(done, _of(state, b))
        return Trained(
            self.snapshots if self.losses else {},
            tuple(self.losses),
            len(self.losses),
            self.finite,
            n_trainable,
            seconds=seconds,
            out_of_time=out_of_time,
        )


def _of(state: Mapping[str, Tensor], b: int) -> State:
    return {key: value[b].clone() for key, value in state.items()}


def _rows_of(x: Tensor, y: Tensor, drawn: Sequence[Episode]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows of each task's episode: context ``(B, n, D)``, ``(B, n)`` and query ``(B, q, D)``, ``(B, q)``."""
    tasks = torch.arange(len(drawn), device=x.device)[:, None]
    context, query = (
        torch.as_tensor(np.stack([getattr(one, part) for one in drawn]), device=x.device)
        for part in ("context", "query")
    )
    return x[tasks, context], y[tasks, context], x[tasks, query], y[tasks, query]


def _clip_each(gradients: Mapping[str, Tensor], largest: float) -> Tensor:
    """Scale each task's gradients in place to a norm of at most `largest`; returns the norms they had, ``(B,)``."""
    squares = [value.square().flatten(1).sum(1) for value in gradients.values()]
    norms = torch.stack(squares).sum(0).sqrt()
    factors = (largest / (norms + 1e-6)).clamp(max=1.0)
    for value in gradients.values():
        value.mul_(factors.reshape(-1, *(1,) * (value.ndim - 1)))
    return norms


def _check(
    tables: Sequence[Rows],
    pools: Sequence[NDArray[np.int64]],
    config: TrainConfig,
    seeds: Sequence[np.random.SeedSequence],
    *,
    drawn: bool,
) -> None:
    if not tables or not len(tables) == len(pools) == len(seeds):
        got = f"{len(tables)} tables, {len(pools)} pools and {len(seeds)} seeds"
        raise InputError(sentence(got, expected="one of each for every task, and a task"))
    if config.n_steps < 2:
        raise InputError(
            sentence(
                f"n_steps={config.n_steps}",
                expected="2 or more",
                why="a single step has its length searched for each task",
                remedy="Call train for each task",
            )
        )
    if not drawn and not all(rows.y.is_floating_point() for rows in tables):
        raise InputError(
            sentence("targets are classes", expected="numbers", why="episodes of classes differ in size")
        )
    for name, sizes in (
        ("tables", {tuple(rows.x.shape) for rows in tables}),
        ("pools", {len(p) for p in pools}),
    ):
        if len(sizes) > 1:
            remedy = "Group tasks of one size"
            raise InputError(sentence(f"{name} of sizes {sorted(sizes)}", expected="one size", remedy=remedy))
