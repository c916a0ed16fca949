"""One trained member of an ensemble: its pinned column order, its class codes, its adapter."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from testtime.adapt.learner import Learner, Rows

__all__ = ["Member", "draw_member", "member_outputs"]

_CELLS_PER_CHUNK = 60_000  # bounds the activations of one forward pass to some tens of MB


@dataclass(frozen=True)
class Member:
    """A member's view of the table.

    Test-time training binds the model to *this* order of columns and *these* class codes, so both are drawn once and
    kept. The first member has the table's own.

    Attributes
    ----------
    columns
        Column order, ``(D,)``.
    codes
        ``codes[c]`` is the code that class ``c`` has for this member, ``(C,)``; empty for a numeric target.
    state
        The adapter's tensors, or None for the frozen model.
    """

    columns: NDArray[np.int64]
    codes: NDArray[np.int64]
    state: dict[str, Tensor] | None = None

    def rows(self, x: NDArray[np.float64], y: NDArray, dtype: torch.dtype, device: torch.device) -> Rows:
        """Return labelled rows as this member sees them: class codes (int64), or numbers in `dtype`."""
        if len(self.codes):
            target = torch.as_tensor(self.codes[y], device=device)
        else:
            target = torch.as_tensor(y, dtype=dtype, device=device)
        return Rows(self.features(x, dtype, device), target)

    def features(self, x: NDArray[np.float64], dtype: torch.dtype, device: torch.device) -> Tensor:
        """Return features ``(N, D)`` as this member sees them."""
        return torch.as_tensor(np.ascontiguousarray(x[:, self.columns]), dtype=dtype, device=device)


def draw_member(index: int, n_columns: int, n_classes: int, rng: np.random.Generator) -> Member:
    """Draw the column order and class codes of member `index`; member 0 keeps the table's own."""
    if index == 0:
        return Member(np.arange(n_columns), np.arange(n_classes))
    return Member(rng.permutation(n_columns), rng.permutation(n_classes))


def member_outputs(
    learner: Learner, member: Member, context: tuple[NDArray, NDArray], x: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Outputs ``(q, K)`` of one member, computed in chunks of rows.

    Parameters
    ----------
    learner
        Of the member's merged module; its dtype is the dtype of the computation.
    context
        Features and targets (class codes of the table, not of the member) of the context rows.
    """
    weight = next(learner.module.parameters())
    rows = member.rows(context[0], context[1], weight.dtype, weight.device)
    chunk = max(64, _CELLS_PER_CHUNK // max(1, x.shape[1] + 4) - len(rows))
    pieces = []
    with torch.no_grad():
        for start in range(0, len(x), chunk):
            query = member.features(x[start : start + chunk], weight.dtype, weight.device)
            pieces.append(learner.output(rows, query).double().cpu().numpy())
    return np.concatenate(pieces)
