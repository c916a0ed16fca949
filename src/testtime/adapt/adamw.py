"""AdamW's step without an optimizer object, whose construction would load torch's compiler."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

__all__ = ["AdamW"]


class AdamW:
    r"""Adam with bias correction and no weight decay (Kingma and Ba, 2015), with torch's own arithmetic.

    .. math:: m \leftarrow \beta_1 m + (1-\beta_1) g, \quad v \leftarrow \beta_2 v + (1-\beta_2) g^2, \quad
              \theta \leftarrow \theta - \eta\,\frac{m/(1-\beta_1^t)}{\sqrt{v/(1-\beta_2^t)} + \epsilon}

    with :math:`\beta_1 = 0.9`, :math:`\beta_2 = 0.999` and :math:`\epsilon = 10^{-8}`. The numbers are those of
    ``torch.optim.AdamW(parameters, weight_decay=0.0)`` to the bit. Making that object imports ``torch._dynamo``, which
    takes longer than a fit of a few steps; the function it calls does not.

    Parameters
    ----------
    parameters
        What is stepped; tensors without a gradient are left alone.
    """

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self._parameters = parameters
        self._moments: dict[int, tuple[Tensor, Tensor, Tensor]] = {}

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, learning_rate: float) -> None:
        """Take one step of rate `learning_rate`."""
        moving = [(i, p, p.grad) for i, p in enumerate(self._parameters) if p.grad is not None]
        for i, parameter, _ in moving:
            if i not in self._moments:
                start = (torch.zeros_like(parameter), torch.zeros_like(parameter), torch.tensor(0.0))
                self._moments[i] = start
        moments = [self._moments[i] for i, *_ in moving]
        adamw(
            [parameter for _, parameter, _ in moving],
            [gradient for *_, gradient in moving],
            [mean for mean, _, _ in moments],
            [square for _, square, _ in moments],
            [],
            [count for *_, count in moments],
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=learning_rate,
            weight_decay=0.0,
            eps=1e-8,
            maximize=False,
        )
