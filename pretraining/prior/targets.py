"""What happens to a numeric target after its mean is known: noise, tails, rounding, and the target's scale."""

from __future__ import annotations

import torch
from torch import Tensor

from .draws import Draws, unit


def finish_target(draws: Draws, y: Tensor) -> Tensor:
    """Noise (equal or growing with the target), skew, limits, rounding and outliers for some tables, (B, T).

    Real targets are prices, counts, ages and rates: skewed, cut off, rounded, and never without noise.
    """
    n_tables = len(y)

    def some(share: float) -> Tensor:
        return draws.bernoulli(share, n_tables, 1)

    y = unit(y[:, :, None]).squeeze(2).clamp(-8, 8)
    level = draws.log_uniform(n_tables, 1, low=0.01, high=0.8)
    uneven = torch.where(some(0.2), (0.6 * y).clamp(-3, 3).exp(), torch.ones(()))
    noise = draws.normal(*y.shape)
    heavy = noise / draws.uniform(*y.shape, low=0.05).sqrt()
    y = y + level * uneven * torch.where(some(0.15) & draws.tails, heavy, noise)
    skew = draws.log_uniform(n_tables, 1, low=0.2, high=1.2)
    y = torch.where(some(0.25) & draws.tails, (skew * y).clamp(-8, 8).exp(), y)
    y = torch.where(some(0.08), y.sign() * y.abs().pow(draws.uniform(n_tables, 1, low=0.5, high=2.0)), y)
    cut = draws.uniform(n_tables, 1, low=-1.5, high=0.3)
    y = torch.where(some(0.08), torch.maximum(y, cut), y)
    step = draws.log_uniform(n_tables, 1, low=0.05, high=0.7)
    y = torch.where(some(0.15), torch.round(y / step) * step, y)
    wild = draws.bernoulli(0.01, *y.shape) & some(0.08) & draws.tails
    return torch.where(wild, 6 * draws.normal(*y.shape), y)


def standardise_target(y: Tensor, n_context: int, clip: float = 20.0) -> Tensor:
    """Zero mean and unit variance over the context rows, clipped, (B, T)."""
    context = y[:, :n_context]
    scale = context.std(1, correction=0, keepdim=True)
    return ((y - context.mean(1, keepdim=True)) / scale.clamp_min(1e-6)).clamp(-clip, clip)
