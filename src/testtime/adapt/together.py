"""Several models that differ in some weights predict a few rows in one pass.

For a few rows a core's time goes into calling operations, not into computing them; here each is called once for all
models. For many rows, models are better called one after the other, each on a core of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor

from testtime.adapt.learner import Learner, Weights

__all__ = ["Together", "TogetherLearner"]


class TogetherLearner(Learner, Protocol):
    """A learner that can also be several models at once."""

    def predict_together(self, weights: Weights, read: Any, x: Tensor) -> Tensor:
        """Predict rows ``(M, q, D)`` -> ``(M, q, K)``; weights and what was read are those of model m at ``[m]``."""
        ...


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
        """Predict rows without gradients, ``(M, q, D) -> (M, q, K)``: those of model m as its view shows them.

        The learner is a :class:`TogetherLearner`, which a recipe with ``together_rows`` says.
        """
        with torch.no_grad():
            return cast(TogetherLearner, learner).predict_together(self.weights, self.read, x)


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
