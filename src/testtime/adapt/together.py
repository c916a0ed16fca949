"""Several models that differ in some weights predict a few rows in one vectorised pass.

For a few rows a core's time goes into calling operations, not into computing them; ``torch.func.vmap`` calls each once
for all models. For many rows it is slower than one model after the other, since attention is computed by its
definition (fused kernels have no batching rule).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from testtime.adapt.learner import Learner, Weights

__all__ = ["Together"]


@dataclass(frozen=True)
class Together:
    """Models over one base, each with the context it has read.

    Attributes
    ----------
    weights
        Changed tensors by name, those of model m at ``[m]``.
    read
        What the models have read, in the same way.
    n_models
        Their number.
    """

    weights: Weights
    read: Any
    n_models: int

    @classmethod
    def of(cls, learner: Learner, weights: Sequence[Weights], reads: Sequence[Any]) -> Together:
        """Put models side by side; one without a change gets the base's tensors where another has changed ones.

        Parameters
        ----------
        weights, reads
            Of each model. What was read must be a nest of tuples of tensors, of the same shapes for all.
        """
        base = dict(learner.module.named_parameters())
        names = sorted({name for one in weights for name in one})
        stacked = {name: torch.stack([one.get(name, base[name]) for one in weights]) for name in names}
        return cls(stacked, _stacked(reads), len(reads))

    def apart(self) -> list[tuple[Weights, Any]]:
        """Return the weights and the read context of each model: views, which take no memory of their own."""
        return [
            ({name: tensor[m] for name, tensor in self.weights.items()}, _of(self.read, m))
            for m in range(self.n_models)
        ]

    def predict(self, learner: Learner, x: Tensor) -> Tensor:
        """Predict rows without gradients, ``(M, q, D) -> (M, q, K)``: those of model m as its view shows them."""
        over_weights = 0 if self.weights else None  # vmap refuses an axis of nothing
        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            return vmap(learner.predict, in_dims=(over_weights, 0, 0))(self.weights, self.read, x)


def _stacked(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Tensor):
        return torch.stack(list(values))
    return _like(first, [_stacked(parts) for parts in zip(*values, strict=True)])


def _of(value: Any, model: int) -> Any:
    return value[model] if isinstance(value, Tensor) else _like(value, [_of(part, model) for part in value])


def _like(nest: Any, parts: list[Any]) -> Any:
    """Return `parts` as the kind of tuple that `nest` is."""
    return type(nest)(*parts) if hasattr(nest, "_fields") else tuple(parts)
