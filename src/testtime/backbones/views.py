"""Views that differ in the order of columns and in class codes, over one scaling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from testtime.adapt.learner import Rows
from testtime.backbones.scaling import ColumnScaler
from testtime.backbones.targets import view_targets

__all__ = ["ShuffledView", "shuffled_views"]


@dataclass(frozen=True)
class ShuffledView:
    """A column order and class codes.

    Test-time training binds the model to *this* order of columns and *these* class codes, so both are drawn once and
    kept.

    Attributes
    ----------
    scaler
        Column preprocessing.
    columns
        Column order, ``(D,)``.
    codes
        ``codes[c]`` is the code that class ``c`` has in this view, ``(C,)``; empty for a numeric target.
    """

    scaler: ColumnScaler
    columns: NDArray[np.int64]
    codes: NDArray[np.int64]

    def rows(self, x: NDArray[np.float64], y: NDArray, like: Tensor) -> Rows:
        """Return labelled rows: class codes (int64), or numbers in the dtype of `like`."""
        return Rows(self.features(x, like), view_targets(y, self.codes, like))

    def features(self, x: NDArray[np.float64], like: Tensor) -> Tensor:
        """Return scaled rows ``(q, D)``."""
        scaled = self.scaler.transform(x)[:, self.columns]
        return torch.as_tensor(np.ascontiguousarray(scaled), dtype=like.dtype, device=like.device)

    def answer(self, answer: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities in the table's order of classes; quantiles as they are."""
        return answer[:, self.codes] if len(self.codes) else answer


def shuffled_views(
    scaler: ColumnScaler, n_columns: int, n_classes: int, n: int, seed: np.random.SeedSequence
) -> tuple[ShuffledView, ...]:
    """Draw `n` views; the first has the table's own order, and each is the same whatever `n` is."""
    rng = np.random.default_rng(seed)
    own = ShuffledView(scaler, np.arange(n_columns), np.arange(n_classes))
    drawn = [
        ShuffledView(scaler, rng.permutation(n_columns), rng.permutation(n_classes)) for _ in range(n - 1)
    ]
    return (own, *drawn)
