"""What the engine asks of a model: one forward pass, one loss per row, and the names of its parts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

__all__ = ["Learner", "Rows", "frozen_row_losses"]


@dataclass(frozen=True)
class Rows:
    """Labelled rows of one table, encoded for a model.

    Attributes
    ----------
    x
        Features, ``(N, D)``, floating.
    y
        Targets, ``(N,)``: class codes (int64) or values (floating).
    """

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def take(self, indices: Tensor) -> Rows:
        """Return the rows at `indices`, in that order."""
        return Rows(self.x[indices], self.y[indices])


@runtime_checkable
class Learner(Protocol):
    """An in-context learner that can be adapted.

    ``module`` is any ``nn.Module``. The engine attaches trainable adapters to it and removes them again; it never
    writes to its weights.
    """

    module: nn.Module

    def output(self, context: Rows, query_x: Tensor) -> Tensor:
        """Predict query rows from labelled context rows: ``(n, D), (n,), (q, D) -> (q, K)``, differentiable."""
        ...

    def row_losses(self, output: Tensor, target: Tensor) -> Tensor:
        """Return one loss per query row, ``(q, K), (q,) -> (q,)``."""
        ...

    def parts(self) -> Mapping[str, Sequence[str]]:
        """Return the parameter names of each named part.

        "encoders" and "head" should be among them. "all" lists what may be trained where that is not what requires
        gradients.
        """
        ...


def frozen_row_losses(learner: Learner, context: Rows, query: Rows, chunk: int = 1024) -> Tensor:
    """Losses of `query` rows without gradients, ``(q,)``, computed `chunk` rows at a time."""
    with torch.no_grad():
        parts = [
            learner.row_losses(learner.output(context, query.x[i : i + chunk]), query.y[i : i + chunk])
            for i in range(0, len(query), chunk)
        ]
    return torch.cat(parts) if parts else query.x.new_zeros(0)
