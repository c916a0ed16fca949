"""Nominal columns with many levels: how often a level occurs, what it means for the target, which code it has.

Real tables name regions, products, plans and occupations: tens or hundreds of levels, most of them rare, and an
effect by level that has nothing to do with the code. Shapes: B tables, T rows, K nominal columns, L levels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .draws import Draws, ranks, unit
from .labels import MAX_CLASSES, from_logits, from_score


@dataclass(frozen=True)
class Layout:
    """How many columns of a batch are what, before and after the view that a model is served.

    Attributes
    ----------
    n_raw, n_nominal : int
        Columns of the raw tables; the last ``n_nominal`` of them are nominal.
    frequency : bool
        Whether a column with the frequency of the level stands beside each nominal one.
    n_means : int
        Columns with the target's mean by level beside each nominal one.
    n_extra : int
        Labelled rows that level statistics are read off but that are not served as context.
    """

    n_raw: int
    n_nominal: int
    frequency: bool
    n_means: int
    n_extra: int


def draw_layout(draws: Draws, n_features: int, n_rows: int, *, statistics: float, numeric: bool) -> Layout:
    """How the columns of a batch are divided; ``statistics`` is the share of batches with level statistics."""
    frequency, n_means, n_extra = False, 0, 0
    if draws.coin(statistics):
        frequency = draws.coin(0.8)
        n_means = 1 if numeric else draws.integer(1, 3)
        n_extra = draws.integer(0, n_rows) if draws.coin(0.4) else 0
    most = n_features // (1 + frequency + n_means)
    n_nominal = draws.log_integer(1, min(8, most)) if most else 0
    n_raw = n_features - n_nominal * (frequency + n_means)
    return Layout(n_raw, n_nominal, frequency, n_means, n_extra)


def to_nominal(draws: Draws, x: Tensor, most_levels: int) -> tuple[Tensor, Tensor]:
    """Cut numeric columns (B, T, K) into 3..most_levels levels with frequencies between equal and Zipf's.

    Returns
    -------
    value : Tensor of shape (B, T, K)
        What the level contributes to a target: a draw of its own, or where it lies in the column.
    code : Tensor of shape (B, T, K), int64
        In random order, or in the order of the column.
    """
    n_tables, _, width = x.shape
    n_levels = draws.log_uniform(n_tables, width, 1, low=3, high=most_levels + 1).long()
    exponent = draws.uniform(n_tables, width, 1, low=-0.3, high=1.6).clamp_min(0)
    place = draws.permutations(n_tables, width, most_levels)
    weight = (place + 1.0).pow(-exponent) * (torch.arange(most_levels) < n_levels)
    cuts = (weight.cumsum(2) / weight.sum(2, keepdim=True))[:, :, :-1].contiguous()
    where = ranks(x + 1e-4 * draws.normal(*x.shape)).transpose(1, 2).contiguous()
    cell = torch.minimum(torch.searchsorted(cuts, where, right=True), n_levels - 1)
    own = draws.normal(n_tables, width, most_levels).gather(2, cell)
    ordered = unit(cell.float().transpose(1, 2))
    by_order = draws.bernoulli(0.35, n_tables, 1, width)
    value = torch.where(by_order, ordered, own.transpose(1, 2))
    key = draws.uniform(n_tables, width, most_levels) + 2.0 * (torch.arange(most_levels) >= n_levels)
    rename = torch.where(
        draws.bernoulli(0.8, n_tables, width, 1), key.argsort(2), torch.arange(most_levels)
    ).gather(2, cell)
    return value, rename.transpose(1, 2)


def random_effects(draws: Draws, x: Tensor, code: Tensor, n_levels: int, n_classes: Tensor | None) -> Tensor:
    """A mixed model: an effect per level, slopes that differ by level, effects of pairs, linear terms, and noise.

    ``x`` (B, T, H) are the numeric columns, ``code`` (B, T, K) the nominal ones.
    """
    n_tables, n_rows, width = code.shape
    outputs = MAX_CLASSES if n_classes is not None and draws.coin(0.5) else 1
    relevance = draws.normal(n_tables, 1, width, 1).exp()
    total = (relevance * _by_level(draws, code, n_levels, outputs)).sum(2)
    if x.shape[2]:
        linear = draws.normal(n_tables, x.shape[2], outputs) * draws.bernoulli(0.5, n_tables, x.shape[2], 1)
        total = total + draws.uniform(n_tables, 1, 1, high=1.5) * unit(x @ linear)
        if draws.coin(0.4):
            slope = _by_level(draws, code[:, :, :1], n_levels, outputs).squeeze(2)
            total = total + draws.uniform(n_tables, 1, 1) * slope * unit(x[:, :, :1])
    if width > 1 and draws.coin(0.4):
        pair = (code[:, :, :1] * 31 + code[:, :, 1:2] * 17) % n_levels
        total = total + draws.uniform(n_tables, 1, 1) * _by_level(draws, pair, n_levels, outputs).squeeze(2)
    noise = draws.log_uniform(n_tables, 1, 1, low=0.05, high=3.0)
    total = unit(total) + noise * draws.normal(n_tables, n_rows, outputs)
    if outputs > 1:
        return from_logits(draws, total, n_classes)
    return from_score(draws, total.squeeze(2), n_classes)


def _by_level(draws: Draws, code: Tensor, n_levels: int, outputs: int) -> Tensor:
    """A random effect of every level of every column, (B, T, K, outputs); heavy-tailed in some batches."""
    n_tables, n_rows, width = code.shape
    effect = draws.normal(n_tables, width * n_levels, outputs)
    if draws.coin(0.3):
        effect = effect * (0.8 * draws.normal(n_tables, width * n_levels, 1)).exp()
    index = (code + torch.arange(width) * n_levels).reshape(n_tables, -1, 1).expand(-1, -1, outputs)
    return effect.gather(1, index).reshape(n_tables, n_rows, width, outputs)
