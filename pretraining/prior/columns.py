"""What happens to columns after the label is known, and the preprocessing contract.

Real columns are rounded, coded, skewed, mostly zero, missing, duplicated or irrelevant. All functions take
and return tables of shape (B tables, T rows, H features).
"""

from __future__ import annotations

import torch
from torch import Tensor

from .draws import Draws, ranks, unit

CLIP = 6.0
RANK_WEIGHT = 0.5


def standardise(x: Tensor, n_context: int, rank_weight: float = RANK_WEIGHT) -> Tensor:
    r"""THE preprocessing contract: what the embedded model expects to see, from context rows only.

    For a column with present (non-missing) context values :math:`c_1..c_m` and any value :math:`x` of it,

    .. math:: s(x) = (1-w)\,\mathrm{clip}\Big(\frac{x-\bar c}{\hat\sigma_c}, -6, 6\Big)
              + w\,\sqrt{12}\Big(\frac{\#\{c_i<x\}+\#\{c_i\le x\}}{2m}-\frac12\Big)

    with the population standard deviation :math:`\hat\sigma_c` and :math:`w` = ``rank_weight`` = 0.5. The
    first half is the usual z-score; the second is the mid-rank, which keeps skewed and mostly-zero columns
    readable. A missing value (NaN), a column that is constant over the context and a column without any
    present value give 0. Categorical columns come as ordinal codes. The rule is a function of the context
    rows: query rows never enter.

    Parameters
    ----------
    x : Tensor of shape (B, T, H), float32
        Context rows first; NaN is missing.
    n_context : int
        Number of context rows.
    rank_weight : float
        Weight of the rank half.

    Returns
    -------
    Tensor of shape (B, T, H), float32
        Finite, within -6 and 6.
    """
    columns = x.transpose(1, 2).contiguous()
    missing = columns.isnan()
    any_missing = bool(missing.any())
    filled = columns.masked_fill(missing, 0.0) if any_missing else columns
    context = filled[:, :, :n_context]
    if any_missing:
        present = (~missing[:, :, :n_context]).to(x.dtype)
        count = present.sum(2, keepdim=True).clamp_min(1)
        mean = context.sum(2, keepdim=True) / count
        variance = ((context - mean).square() * present).sum(2, keepdim=True) / count
        ordered = context.masked_fill(missing[:, :, :n_context], torch.inf).sort(2).values
    else:
        count = torch.full((1, 1, 1), float(n_context))
        mean = context.mean(2, keepdim=True)
        variance = (context - mean).square().mean(2, keepdim=True)
        ordered = context.sort(2).values
    scale = variance.sqrt()
    constant = scale <= 1e-6 * mean.abs().clamp_min(1e-6)
    z = ((filled - mean) / scale.masked_fill(constant, 1.0)).clamp(-CLIP, CLIP)
    if rank_weight:
        below = torch.searchsorted(ordered, filled) + torch.searchsorted(ordered, filled, right=True)
        middle = (below.to(x.dtype) / (2 * count)).clamp_max(1.0) - 0.5
        z = (1 - rank_weight) * z + rank_weight * 12**0.5 * middle
    return z.masked_fill(missing | constant, 0.0).transpose(1, 2).contiguous()


def to_levels(draws: Draws, x: Tensor, max_levels: int) -> Tensor:
    """Cut every column into 2..max_levels levels; the codes of half the columns are put in random order."""
    n_tables, _, n_features = x.shape
    n_cuts = draws.integers(max_levels - 1, n_tables, 1, n_features) + 1
    place = ranks(x + 1e-3 * draws.normal(*x.shape)) if draws.coin(0.5) else torch.sigmoid(1.7 * unit(x))
    code = torch.zeros(x.shape, dtype=torch.int64)
    for i in range(max_levels - 1):
        cut = draws.uniform(n_tables, 1, n_features, low=0.05, high=0.95)
        code += (place > cut) & (i < n_cuts)
    rename = draws.permutations(n_tables, n_features, max_levels)
    keep = draws.bernoulli(0.5, n_tables, n_features, 1)
    rename = torch.where(keep, torch.arange(max_levels), rename).transpose(1, 2)
    return rename.gather(1, code).float()


def roughen(draws: Draws, x: Tensor) -> Tensor:
    """Discretise, round, skew, zero-inflate, replace by noise and duplicate some columns of some tables."""
    n_tables, n_rows, n_features = x.shape
    x = unit(x)

    def some(share_of_tables: float, high: float) -> Tensor:
        rate = draws.uniform(n_tables, 1, 1, high=high) * draws.bernoulli(share_of_tables, n_tables, 1, 1)
        return draws.bernoulli(rate, n_tables, 1, n_features)

    if draws.coin(0.4) and draws.tails:
        skew = draws.log_uniform(n_tables, 1, n_features, low=0.3, high=2.5)
        x = torch.where(
            some(0.6, 1.2),
            (skew * x).clamp(-12, 12).exp() * (1 - 2.0 * draws.bernoulli(0.3, n_tables, 1, n_features)),
            x,
        )
    if draws.coin(0.25) and draws.tails:
        power = draws.log_uniform(n_tables, 1, n_features, low=0.4, high=3.0)
        x = torch.where(some(0.5, 1.0), x.sign() * x.abs().pow(power), x)
    if draws.coin(0.25):
        x = torch.where(
            some(0.5, 1.2), torch.relu(x - draws.uniform(n_tables, 1, n_features, low=-0.5, high=1.5)), x
        )
    if draws.coin(0.4) and draws.levels:
        x = torch.where(some(0.6, 1.2), to_levels(draws, x, 2), x)
    if draws.coin(0.4) and draws.levels:
        x = torch.where(some(0.6, 1.2), to_levels(draws, x, draws.log_integer(3, 32)), x)
    if draws.coin(0.2):
        step = draws.log_uniform(n_tables, 1, n_features, low=0.1, high=1.0)
        x = torch.where(some(0.6, 1.2), torch.round(x / step) * step, x)
    if draws.coin(0.35) and draws.useless:
        shuffled = x.gather(1, draws.uniform(n_tables, n_rows, n_features).argsort(1))
        x = torch.where(some(0.7, 0.9), shuffled, x)
    if draws.coin(0.15) and draws.useless:
        twin = x.gather(2, draws.permutations(n_tables, n_features)[:, None].expand(-1, n_rows, -1))
        x = torch.where(
            some(0.7, 0.6), twin + 0.3 * draws.uniform(n_tables, 1, 1) * draws.normal(*x.shape), x
        )
    return x


def remove_values(draws: Draws, x: Tensor) -> Tensor:
    """Make values missing (NaN): at random, or where the value itself is large."""
    rate = draws.uniform(len(x), 1, x.shape[2], low=-0.3, high=0.4).clamp_min(0)
    by_value = draws.bernoulli(0.3, len(x), 1, x.shape[2]) & (
        x > draws.uniform(len(x), 1, x.shape[2], low=0.3, high=2)
    )
    gone = draws.bernoulli(rate, *x.shape) | (by_value & draws.bernoulli(0.8, *x.shape))
    return x.masked_fill(gone & draws.bernoulli(0.7, len(x), 1, 1), torch.nan)
