"""How long a context, how many steps: chosen from what the frozen model does on this table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.learner import Learner, Rows, frozen_row_losses
from testtime.results import Result

__all__ = ["ContextProbe", "choose_context", "probe_contexts", "probe_sizes"]

SIZES = (32, 64, 128, 256)
"""Context lengths worth serving after adaptation; beyond 256 rows the adapted curve is flat."""


@dataclass(frozen=True)
class ContextProbe(Result):
    """Loss of the frozen model at one context length, on rows outside every probed context.

    Attributes
    ----------
    n_context
        Context rows.
    loss
        Mean loss, in the unit of the learner.
    standard_error
        Standard error of the paired difference to the longest probed context; 0 for that one.
    """

    n_context: int
    loss: float
    standard_error: float


def probe_sizes(n_rows: int, n_classes: int) -> tuple[int, ...]:
    """Context lengths that leave at least three quarters of the rows for training and guard and show every class."""
    return tuple(n for n in SIZES if n_classes <= n <= n_rows // 4)


def probe_contexts(
    learner: Learner, rows: Rows, order: NDArray[np.int64], sizes: tuple[int, ...], n_query: int = 512
) -> tuple[ContextProbe, ...]:
    """Measure the frozen model at nested contexts, the prefixes of one stratified ordering.

    Parameters
    ----------
    order
        A stratified ordering of the rows; queries are the `n_query` rows after the longest prefix.
    sizes
        Increasing context lengths.
    """
    longest = sizes[-1]
    query = rows.take(torch.as_tensor(order[longest : longest + n_query]))
    losses = [
        frozen_row_losses(learner, rows.take(torch.as_tensor(order[:n])), query).double().cpu().numpy()
        for n in sizes
    ]
    probes = []
    for n, loss in zip(sizes, losses, strict=True):
        delta = loss - losses[-1]
        error = float(delta.std(ddof=1) / np.sqrt(len(delta))) if len(delta) > 1 else 0.0
        probes.append(ContextProbe(n, float(loss.mean()), error))
    return tuple(probes)


def choose_context(probes: tuple[ContextProbe, ...], shortest: int = 64) -> int:
    """Return the shortest context whose frozen loss is within one standard error of the longest one's.

    The adapted model is trained for the length it serves, and a longer context than the table needs costs time at
    every prediction. `shortest` keeps the choice away from contexts so short that the draw of the rows dominates.
    """
    final = probes[-1]
    for probe in probes:
        if probe.n_context >= shortest and probe.loss <= final.loss + probe.standard_error:
            return probe.n_context
    return final.n_context
