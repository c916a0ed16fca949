r"""Quantiles of TabPFN's bar distributions: piecewise uniform, with half-normal tails in the two outer bars.

The probabilities :math:`p_1..p_B` of the bars have borders :math:`b_0 < \dots < b_B`. Within an inner bar the quantile
function is linear; in the last bar it is :math:`b_{B-1}` plus a half-normal whose median is the bar's width, and in the
first bar the mirror image. tabpfn computes one level at a time, which repeats the softmax; here all
levels share it.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["bar_quantiles"]

_HALF_NORMAL_MEDIAN = 0.6744897501960817


def bar_quantiles(logits: Tensor, borders: Tensor, levels: Tensor) -> Tensor:
    """Quantiles at `levels`, ``(..., B), (B + 1,), (K,) -> (..., K)``; increasing in the level, differentiable.

    Parameters
    ----------
    logits
        Unnormalised log probabilities of the bars.
    borders
        Borders of the bars, increasing.
    levels
        Between 0 and 1, without the ends.

    >>> borders = torch.tensor([-1.0, 0.0, 1.0, 2.0])
    >>> bar_quantiles(torch.zeros(3), borders, torch.tensor([0.5])).round(decimals=4).tolist()
    [0.5]
    """
    probabilities = torch.softmax(logits, dim=-1)
    upto = torch.cumsum(probabilities, dim=-1)
    wanted = levels.expand(*logits.shape[:-1], len(levels)).contiguous()
    bar = torch.searchsorted(upto.detach(), wanted).clamp(max=logits.shape[-1] - 1)
    before = torch.cat([torch.zeros_like(upto[..., :1]), upto[..., :-1]], dim=-1)
    share = ((wanted - before.gather(-1, bar)) / probabilities.gather(-1, bar)).clamp(0.0, 1.0)
    widths = borders.diff()
    inner = borders[bar] + widths[bar] * share
    low = borders[1] - _half_normal(1.0 - share, widths[0])
    high = borders[-2] + _half_normal(share, widths[-1])
    inner = torch.where(bar == 0, low, inner)
    return torch.where(bar == logits.shape[-1] - 1, high, inner)


def _half_normal(share: Tensor, median: Tensor) -> Tensor:
    """Quantile of a half-normal with this median."""
    inside = share.clamp(max=1.0 - 1e-6)  # the outermost millionth would reach to infinity
    return median / _HALF_NORMAL_MEDIAN * 2**0.5 * torch.erfinv(inside)
