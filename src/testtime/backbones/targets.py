"""How targets go into a model and its outputs come back: what views and learners of all models share."""

from __future__ import annotations

import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from testtime.adapt.losses import pinball

__all__ = ["ClassAnswers", "QuantileAnswers", "location_and_scale", "view_targets"]

_CONSTANT = 1e-6  # standard deviations of the table's target; a context that varies less is taken as constant


def view_targets(y: NDArray, codes: NDArray, like: Tensor) -> Tensor:
    """Return the targets ``(n,)`` that a view shows: ``codes[y]`` (int64), or numbers in the dtype of `like`.

    Parameters
    ----------
    y
        Class codes, or numbers.
    codes
        ``codes[c]`` is the code of class ``c`` in the view; empty for a numeric target.
    like
        Has the dtype and the device of the model.
    """
    if len(codes):
        return torch.as_tensor(codes[y], device=like.device)
    return torch.as_tensor(y, dtype=like.dtype, device=like.device)


def location_and_scale(y: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and standard deviation of the targets of a context; 1 where they are constant.

    >>> [value.item() for value in location_and_scale(torch.tensor([3.0, 3.0]))]
    [3.0, 1.0]
    """
    scale = y.std(correction=0)
    return y.mean(), torch.where(scale > _CONSTANT, scale, torch.ones_like(scale))


class ClassAnswers:
    """Loss and answers of a learner whose outputs are logits of the table's classes."""

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Log loss per row in nats."""
        return F.cross_entropy(output, y, reduction="none")

    def answer(self, output: Tensor) -> Tensor:
        """Probabilities of the classes."""
        return torch.softmax(output, dim=-1)


class QuantileAnswers:
    """Loss and answers of a learner whose outputs are quantiles of a number, at the levels ``k / (K + 1)``."""

    def loss(self, output: Tensor, y: Tensor) -> Tensor:
        """Continuous ranked probability score per row: twice the pinball loss, averaged over the levels."""
        return 2.0 * pinball(output, y)

    def answer(self, output: Tensor) -> Tensor:
        """The quantiles in order.

        Quantiles are predicted one by one and may cross; sorted, they are the quantile function of a distribution
        whose pinball loss is never higher (Chernozhukov, Fernandez-Val and Galichon, 2010, Econometrica 78).
        """
        return output.sort(dim=-1).values
