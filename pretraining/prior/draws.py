"""Random draws for the prior: one seed feeds scalar decisions and tensors."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class Draws:
    """Scalar and tensor draws from one seed.

    Decisions that shape a whole batch (how many layers, which generator) come from ``random.Random``;
    everything that differs between tables comes from a ``torch.Generator``. The global generators are never
    touched.

    Parameters
    ----------
    seed : int
        Any non-negative integer below 2**63.
    levels, tails, useless, imbalance : bool
    rare : float
        Ingredients of the prior, see ``PriorConfig``; they travel with the draws because they act deep inside.
    """

    def __init__(
        self,
        seed: int,
        *,
        levels: bool = True,
        tails: bool = True,
        useless: bool = True,
        imbalance: bool = True,
        rare: float = 0.0,
    ) -> None:
        self.levels, self.tails, self.useless, self.imbalance = levels, tails, useless, imbalance
        self.rare = rare
        self.scalar = random.Random(seed)
        self.generator = torch.Generator().manual_seed(seed)

    def coin(self, probability: float) -> bool:
        """One decision."""
        return self.scalar.random() < probability

    def pick(self, options: Sequence[str] | Mapping[str, float]) -> str:
        """One of the options, with the weights of a mapping."""
        if isinstance(options, Mapping):
            return self.scalar.choices(list(options), list(options.values()))[0]
        return self.scalar.choice(options)

    def integer(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, both included."""
        return self.scalar.randint(low, max(low, high))

    def log_integer(self, low: int, high: int) -> int:
        """A whole number from ``low`` to ``high``, uniform on the log scale."""
        value = math.exp(self.scalar.uniform(math.log(low), math.log(high + 1)))
        return min(high, max(low, int(value)))

    def uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        """Uniform tensor."""
        return torch.rand(*shape, generator=self.generator) * (high - low) + low

    def log_uniform(self, *shape: int, low: float, high: float) -> Tensor:
        """Tensor uniform on the log scale."""
        return self.uniform(*shape, low=math.log(low), high=math.log(high)).exp()

    def normal(self, *shape: int) -> Tensor:
        """Standard normal tensor."""
        return torch.randn(*shape, generator=self.generator)

    def gumbel(self, *shape: int) -> Tensor:
        """Standard Gumbel tensor."""
        return -(-self.uniform(*shape).clamp_min(1e-9).log()).clamp_min(1e-9).log()

    def integers(self, high: int, *shape: int) -> Tensor:
        """Whole numbers in [0, high)."""
        return torch.randint(high, shape, generator=self.generator)

    def bernoulli(self, probability: float | Tensor, *shape: int) -> Tensor:
        """Boolean tensor."""
        return torch.rand(*shape, generator=self.generator) < probability

    def permutations(self, *shape: int) -> Tensor:
        """Permutations along the last axis."""
        return torch.rand(*shape, generator=self.generator).argsort(-1)


def unit(x: Tensor) -> Tensor:
    """Centre and scale along the row axis (axis 1 of tables, rows, ...)."""
    x = x - x.mean(1, keepdim=True)
    return x / x.std(1, keepdim=True).clamp_min(1e-4)


def ranks(x: Tensor) -> Tensor:
    """Ranks along the row axis, scaled to [0, 1); ties are broken by position."""
    return x.argsort(1).argsort(1).float() / x.shape[1]
