r"""One gradient step as a pure function of the weights, and its twin over many tasks at once.

The rest of this package changes a module in place, one task at a time, which works for any model. A small model whose
operations ``torch.func.vmap`` understands can step on many tasks in one call instead:

.. math:: \theta_b = \theta - \eta_b\,\nabla_\theta L(\theta, D_b), \qquad b = 1..B

Attention inside the model must run under ``torch.nn.attention.sdpa_kernel(SDPBackend.MATH)``; the fused kernels have no
batching rule.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from testtime.errors import InputError, sentence

__all__ = ["Loss", "Params", "module_loss", "one_step", "one_step_each"]

Params = Mapping[str, Tensor]
Loss = Callable[[Params, Any], Tensor]
"""A scalar loss of the weights and of the data of one task: a tensor, or any nest of tuples and dicts of tensors."""


def module_loss(module: nn.Module, criterion: Callable[[Tensor, Tensor], Tensor]) -> Loss:
    """Return the loss of `module` as a pure function of its weights.

    Parameters
    ----------
    module
        Called with all tensors of a batch but the last.
    criterion
        Takes the module's answer and the last tensor of the batch, and returns a scalar.
    """

    def loss(params: Params, batch: tuple[Tensor, ...]) -> Tensor:
        *inputs, target = batch
        return criterion(functional_call(module, dict(params), tuple(inputs)), target)

    return loss


def one_step(loss: Loss, params: Params, batch: Any, step_size: float | Tensor) -> dict[str, Tensor]:
    """Take one gradient step on one task; `params` is left as it is.

    Differentiable in `params`, `batch` and `step_size`.

    Parameters
    ----------
    loss
        Scalar loss of weights and data.
    params
        Weights by name.
    batch
        Data of the task.
    step_size
        Multiple of the gradient that is subtracted.

    >>> import torch
    >>> loss = lambda params, target: (params["w"] - target).square().sum()
    >>> one_step(loss, {"w": torch.tensor([0.0, 1.0])}, torch.tensor([1.0, 1.0]), 0.25)
    {'w': tensor([0.5000, 1.0000])}
    """
    gradient = grad(loss)(dict(params), batch)
    return {name: value - step_size * gradient[name] for name, value in params.items()}


def one_step_each(loss: Loss, params: Params, batches: Any, step_size: float | Tensor) -> dict[str, Tensor]:
    """Take one gradient step on each of ``B`` tasks, all from the same weights.

    Parameters
    ----------
    batches
        As the batch of :func:`one_step`, every tensor with a leading axis of length ``B``.
    step_size
        One number, or one per task, ``(B,)``.

    Returns
    -------
    dict of Tensor
        Weights by name, each with a leading axis of length ``B``.

    Raises
    ------
    InputError
        When `step_size` is neither a number nor a vector.

    >>> import torch
    >>> loss = lambda params, target: (params["w"] - target).square().sum()
    >>> one_step_each(loss, {"w": torch.tensor([0.0])}, torch.tensor([[1.0], [2.0]]), 0.25)["w"].tolist()
    [[0.5], [1.0]]
    """
    per_task = isinstance(step_size, Tensor) and step_size.ndim > 0
    if isinstance(step_size, Tensor) and step_size.ndim > 1:
        raise InputError(
            sentence(
                f"step_size of shape {tuple(step_size.shape)}", expected="a number, or one per task, (B,)"
            )
        )

    def step(batch: Any, rate: float | Tensor) -> dict[str, Tensor]:
        return one_step(loss, params, batch, rate)

    # A Python number stays one: as a tensor it would be rounded to float32 before it meets float64 weights.
    return vmap(step, in_dims=(0, 0 if per_task else None))(batches, step_size)
