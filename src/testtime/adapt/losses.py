"""Losses of predicted distributions that learners share."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["pinball", "quantile_levels"]


def quantile_levels(n_quantiles: int, like: Tensor) -> Tensor:
    """Levels of equally spaced quantiles, ``k / (K + 1)`` for ``k = 1..K``, ``(K,)``; dtype and device of `like`.

    >>> quantile_levels(3, torch.zeros(1)).tolist()
    [0.25, 0.5, 0.75]
    """
    return torch.arange(1, n_quantiles + 1, dtype=like.dtype, device=like.device) / (n_quantiles + 1)


def pinball(quantiles: Tensor, target: Tensor) -> Tensor:
    r"""Pinball loss, averaged over levels: ``(..., K), (...,) -> (...,)``.

    For a level :math:`\tau` and an error :math:`e = y - q_\tau` the loss is :math:`\max(\tau e, (\tau - 1) e)`; its
    expectation is smallest at the true quantile (Koenker and Bassett, 1978, "Regression Quantiles", Econometrica 46).
    Twice its mean over all levels is the continuous ranked probability score.

    >>> pinball(torch.tensor([[0.0]]), torch.tensor([2.0])).tolist()
    [1.0]
    """
    levels = quantile_levels(quantiles.shape[-1], quantiles)
    error = target.unsqueeze(-1) - quantiles
    return torch.maximum(levels * error, (levels - 1) * error).mean(-1)
