"""How short a context may be: what the frozen model does with fewer and fewer rows of this table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtime.adapt.learner import FROZEN, Learner
from testtime.adapt.mix import standard_error
from testtime.adapt.task import Task
from testtime.backbones.base import View
from testtime.results import Result
from testtime.table.encoding import EncodedRows
from testtime.table.outside import answer_rows

__all__ = ["Probe", "choose_context", "probe_contexts"]


@dataclass(frozen=True)
class Probe(Result):
    """Loss of the frozen model at one context length, on rows outside every probed context.

    Attributes
    ----------
    n_context
        Context rows.
    loss
        Mean loss, in the unit of the task.
    standard_error
        Standard error of the paired difference to the longest probed context; 0 for that one.
    """

    n_context: int
    loss: float
    standard_error: float


def probe_contexts(
    learner: Learner,
    view: View,
    rows: EncodedRows,
    order: NDArray[np.int64],
    sizes: tuple[int, ...],
    task: Task,
    n_query: int = 512,
) -> tuple[Probe, ...]:
    """Measure the frozen model at nested contexts, the prefixes of one stratified ordering.

    Parameters
    ----------
    order
        A stratified ordering of the rows; queries are the `n_query` rows after the longest prefix.
    sizes
        Increasing context lengths; those that do not show every class, or leave less than three quarters of the rows
        for training and guard, are left out.
    """
    usable = [n for n in sizes if max(task.n_classes, 1) <= n <= len(order) // 4]
    if not usable:
        return ()
    query = order[usable[-1] : usable[-1] + n_query]
    losses = []
    for n in usable:
        context = rows.x[order[:n]], rows.y[order[:n]]
        losses.append(task.score(answer_rows(learner, FROZEN, view, context, rows.x[query]), rows.y[query]))
    errors = [*(standard_error(loss - losses[-1]) for loss in losses[:-1]), 0.0]
    return tuple(
        Probe(n, float(loss.mean()), error) for n, loss, error in zip(usable, losses, errors, strict=True)
    )


def choose_context(probes: tuple[Probe, ...], shortest: int = 64) -> int:
    """Return the shortest context whose frozen loss is within one standard error of the longest one's.

    The adapted model is trained for the length it serves, and a longer context than the table needs costs time at
    every prediction. `shortest` keeps the choice away from contexts so short that the draw of the rows dominates.
    """
    final = probes[-1]
    for probe in probes:
        if probe.n_context >= shortest and probe.loss <= final.loss + probe.standard_error:
            return probe.n_context
    return final.n_context
