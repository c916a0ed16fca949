"""Temporal drift: later rows, which come last and are mostly queries, look different."""

from __future__ import annotations

import torch
from torch import Tensor

from .draws import Draws, unit


def drift(draws: Draws, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Make time out of the order of the rows (B, T): what is measured moves, or who is measured changes.

    Either some columns gain a trend that has nothing to do with the target, or rows are sorted, loosely, by a
    mix of columns, so that the last rows come from another region; the relation of x and y stays what it was.
    """
    n_tables, n_rows, n_features = x.shape
    if draws.coin(0.5):
        time = torch.linspace(-0.5, 0.5, n_rows)[None, :, None]
        moved = draws.bernoulli(0.4, n_tables, 1, n_features)
        trend = draws.normal(n_tables, 1, n_features) * draws.log_uniform(n_tables, 1, 1, low=0.2, high=2.0)
        return unit(x) + moved * trend * time, y
    mix = unit(x) @ draws.normal(n_tables, n_features, 1)
    looseness = draws.log_uniform(n_tables, 1, 1, low=0.5, high=4.0)
    order = (unit(mix) + looseness * draws.normal(n_tables, n_rows, 1)).argsort(1)
    return x.gather(1, order.expand(-1, -1, n_features)), y.gather(1, order.squeeze(2))
