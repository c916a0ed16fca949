"""What is minimised: cross-entropy of classes, or the pinball loss of quantiles."""

from __future__ import annotations

import torch
from tabicl._model.tabicl import TabICL
from torch import Tensor
from torch.nn import functional

from testtime.adapt.losses import pinball

from .model import lean_logits
from .prior import Batch


def row_losses(output: Tensor, target: Tensor) -> Tensor:
    """Loss of every row, (B, q, K), (B, q) -> (B, q): nats for class codes, pinball for numbers."""
    if target.is_floating_point():
        return pinball(output, target)
    flat = functional.cross_entropy(output.flatten(0, 1), target.flatten(), reduction="none")
    return flat.reshape(target.shape)


def batch_loss(model: TabICL, batch: Batch) -> Tensor:
    """Mean loss over the query rows that count."""
    output = lean_logits(model, batch.x, batch.y[:, : batch.n_context].float())
    return masked_mean(row_losses(output, batch.y[:, batch.n_context :]), batch.mask)


def masked_mean(loss: Tensor, mask: Tensor) -> Tensor:
    """Mean of the losses where the mask is true; 0 where it never is."""
    weight = mask.to(loss.dtype)
    return torch.sum(loss * weight) / weight.sum().clamp_min(1)
