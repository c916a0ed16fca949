"""What tables of businesses and offices have: counts, rates, dates, repeated rows, values missing for a reason.

Shapes: B tables, T rows, H features.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .draws import Draws, ranks, unit

DAYS = torch.tensor([1.0, 365.25, 30.44, 7.0])
"""Lengths of what a date is taken apart into."""


def count_and_rate(draws: Draws, x: Tensor) -> Tensor:
    """Turn some columns of some tables into counts, rates of small counts, or ratios of two columns."""
    n_tables, n_rows, n_features = x.shape
    x = unit(x)
    some = draws.bernoulli(draws.uniform(n_tables, 1, 1, low=-0.3, high=0.9), n_tables, 1, n_features)
    level = draws.uniform(n_tables, 1, n_features, low=-2.0, high=4.0)
    mean = (draws.uniform(n_tables, 1, n_features, low=0.2, high=1.2) * x + level).clamp(-6, 7).exp()
    count = torch.poisson(mean, generator=draws.generator)
    trials = draws.log_uniform(n_tables, n_rows, n_features, low=1, high=60).floor()
    rate = torch.round(torch.sigmoid(x) * trials) / trials
    twin = x.gather(2, draws.permutations(n_tables, n_features)[:, None].expand(-1, n_rows, -1))
    ratio = x.exp() / (0.1 + (0.5 * twin).exp())
    kind = draws.uniform(n_tables, 1, n_features)
    return torch.where(some, torch.where(kind < 0.5, count, torch.where(kind < 0.8, rate, ratio)), x)


def dates(draws: Draws, x: Tensor) -> Tensor:
    """Replace the first four columns by a date taken apart: elapsed days, year, month, day of the week."""
    n_tables = len(x)
    if x.shape[2] < 5:
        return x
    span = draws.log_uniform(n_tables, 1, 1, low=60, high=4000)
    day = (ranks(x[:, :, :1]) * span + draws.integers(365, n_tables, 1, 1)).floor()
    year = (day / DAYS[1]).floor()
    month = ((day % DAYS[1]) / DAYS[2]).floor()
    return torch.cat([day, year, month, day % DAYS[3], x[:, :, 4:]], 2)


def repeat_rows(draws: Draws, n_tables: int, n_rows: int) -> Tensor:
    """For every row the row it is a copy of, (B, T): itself, but in up to half of a table another one."""
    rate = draws.uniform(n_tables, 1, low=0.02, high=0.5)
    other = draws.integers(n_rows, n_tables, n_rows)
    return torch.where(draws.bernoulli(rate, n_tables, n_rows), other, torch.arange(n_rows))


def entities(draws: Draws, n_tables: int, n_rows: int) -> Tensor:
    """For every row the row that stands for its entity, (B, T); an entity has 2 to 12 rows on the mean of a table."""
    rows_each = draws.log_uniform(n_tables, 1, low=2, high=12)
    return (draws.uniform(n_tables, n_rows) * (n_rows / rows_each)).long()


def remove_for_a_reason(draws: Draws, x: Tensor, y: Tensor) -> Tensor:
    """Make values missing (NaN) depending on the target or on another column; some columns become indicators."""
    n_tables, n_rows, n_features = x.shape
    cause = torch.where(
        draws.bernoulli(0.5, n_tables, 1, 1),
        unit(y.float()[:, :, None]).expand(-1, -1, n_features),
        unit(
            x.nan_to_num().gather(2, draws.permutations(n_tables, n_features)[:, None].expand(-1, n_rows, -1))
        ),
    )
    affected = draws.bernoulli(draws.uniform(n_tables, 1, 1, high=0.6), n_tables, 1, n_features)
    logit = draws.normal(n_tables, 1, n_features) * cause + draws.uniform(
        n_tables, 1, n_features, low=-4.0, high=1.0
    )
    gone = affected & draws.bernoulli(torch.sigmoid(logit), n_tables, n_rows, n_features)
    neighbour = gone.roll(1, 2)
    indicator = affected.roll(1, 2) & ~affected & draws.bernoulli(0.5, n_tables, 1, 1)
    return torch.where(indicator, neighbour.to(x.dtype), x.masked_fill(gone, torch.nan))
