"""AdamW's step without an optimizer object, whose construction would load torch's compiler."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adamw import adamw

__all__ = ["AdamW"]


class AdamW:
    r"""Adam with bias correction and no weight decay (Kingma and Ba, 2015), with torch's own arithmetic.

    .. math:: m \leftarrow \beta_1 m + (1-\beta_1) g, \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \quad
              \theta \leftarrow \theta - \eta\,\frac{m/(1-\beta_1^t)}{\sqrt{v/(1-\beta_2^t)} + \epsilon}

    with :math:`\beta_1 = 0.9`, :math:`\beta_2 = 0.999` and :math:`\epsilon = 10^{-8}`. The numbers are those of
    ``torch.optim.AdamW(tensors, weight_decay=0.0)`` to the bit. Making that object imports ``torch._dynamo``, which
    takes longer than a fit of a few steps; the function it calls does not.

    Parameters
    ----------
    tensors
        What is stepped, in place.
    rates
        A multiple of the learning rate for each tensor; None for 1 everywhere.
    """

    def __init__(self, tensors: Sequence[Tensor], rates: Sequence[float] | None = None) -> None:
        self._tensors = list(tensors)
        rates = [1.0] * len(self._tensors) if rates is None else list(rates)
        self._groups = {
            rate: [i for i, own in enumerate(rates) if own == rate] for rate in dict.fromkeys(rates)
        }
        self._moments: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor | None], learning_rate: float) -> None:
        """Take one step of rate `learning_rate`; a tensor whose gradient is None is left alone."""
        for rate, members in self._groups.items():
            moving = [(i, gradient) for i in members if (gradient := gradients[i]) is not None]
            for i, gradient in moving:
                if i not in self._moments:
                    zeros = torch.zeros_like(gradient)
                    self._moments[i] = (zeros, zeros.clone(), torch.tensor(0.0, dtype=torch.float32))
            adamw(
                [self._tensors[i] for i, _ in moving],
                [gradient for _, gradient in moving],
                [self._moments[i][0] for i, _ in moving],
                [self._moments[i][1] for i, _ in moving],
                [],
                [self._moments[i][2] for i, _ in moving],
                amsgrad=False,
                beta1=0.9,
                beta2=0.999,
                lr=rate * learning_rate,
                weight_decay=0.0,
                eps=1e-8,
                maximize=False,
            )
