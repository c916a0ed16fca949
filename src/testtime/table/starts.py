"""Where the steps of many tables begin: at the frozen model, at what the other tables have in common, or between.

The first is a cold start, the second a warm one. The theory of linear attention says that warm is better with few rows
and cold with many (:func:`testtime.theory.linear.start_transition`), and that a scaled start beats both
(:func:`testtime.theory.linear.best_scaled_start`). Here each of a few scales is trained, and the guard rows choose.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from testtime.adapt.learner import Rows
from testtime.adapt.train import State, TrainConfig
from testtime.adapt.train_each import train_each
from testtime.backbones.tabicl_tail import Trunk
from testtime.table.tail_episodes import Episodes, TailRecipe
from testtime.table.tails import TAIL, Prepared

__all__ = ["COLD", "SCALES", "SharedStart", "half_of", "scaled", "shared_start", "train_start"]

COLD = 0.0
SCALES = (COLD, 0.5, 1.0)
"""Multiples of the shared start that are tried: cold, scaled, warm."""


@dataclass(frozen=True)
class SharedStart:
    """What groups have in common: one change of the tail for each half of them, trained on the other half.

    A group's own rows therefore have no part in the start it gets, and its guard rows measure it fairly.

    Attributes
    ----------
    halves
        For groups of half 0 and of half 1; empty where the other half held nothing to train on.
    """

    halves: tuple[State, State]

    def of(self, name: str) -> State:
        """Return the start of a group; empty for none."""
        return self.halves[half_of(name)]

    @property
    def sha256(self) -> str:
        """What an adapter that began here depends on."""
        digest = hashlib.sha256()
        for half in self.halves:
            for key in sorted(half):
                digest.update(key.encode() + half[key].numpy().tobytes())
        return digest.hexdigest()


def half_of(name: str) -> int:
    """Return which half a group belongs to, whatever other groups there are."""
    return hashlib.sha256(name.encode()).digest()[0] % 2


def shared_start(prepared: Mapping[str, Prepared], recipe: TailRecipe, seed: int) -> SharedStart:
    """Train both halves on some groups by name."""
    halves: list[State] = []
    for half in (0, 1):
        others = [one for name, one in sorted(prepared.items()) if half_of(name) != half]
        halves.append(train_start(others, recipe, np.random.SeedSequence([seed, half])))
    return SharedStart((halves[0], halves[1]))


def train_start(prepared: Sequence[Prepared], recipe: TailRecipe, seed: np.random.SeedSequence) -> State:
    """Train one change of the tail on episodes of many tables, those of the most common shape; empty for none."""
    alike: dict[tuple[int, ...], list[tuple[Trunk, Episodes]]] = defaultdict(list)
    for one in prepared:
        if one.training is not None:
            episodes = one.training.episodes
            sizes = one.target.task.n_classes, episodes.n_context, episodes.n_query
            alike[sizes].append((one.trunk, episodes))
    if not alike:
        return {}
    (_, n_context, n_query), tables = max(alike.items(), key=lambda found: (len(found[1]), found[0]))
    rows = Rows(*(torch.cat([getattr(one.rows, part) for _, one in tables]) for part in ("x", "y")))
    together = Episodes(rows, n_context, n_query)
    shuffled = np.random.default_rng(seed).permutation(together.n_episodes)
    config = TrainConfig(recipe.start_steps, n_context, n_query, recipe.learning_rate, spec=TAIL)
    [trained] = train_each(
        tables[0][0].tail,
        [rows],
        [np.arange(len(rows))],
        config,
        [seed],
        draw=lambda pool, step, rng: together.at(int(shuffled[step % len(shuffled)])),
    )
    return trained.snapshots.get(recipe.start_steps, {})


def scaled(start: Mapping[str, Tensor], scale: float) -> State:
    """Return a multiple of a start."""
    return {key: scale * value for key, value in start.items()}
