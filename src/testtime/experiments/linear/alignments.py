"""What the two figures on alignment share: three tasks against one spectrum, from warm and cold starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtime.experiments.linear.comparison import compared
from testtime.experiments.linear.simulation import Population, simulate_one_step
from testtime.scale.cells import Cell
from testtime.theory.linear import Setting, one_step, one_step_limit, pretrained_weight

__all__ = ["ALIGNMENTS", "AlignmentConfig", "aligned_task", "curve_rows", "even_spectrum", "simulated_rows"]

Array = NDArray[np.float64]

ALIGNMENTS = ("aligned", "even", "opposed")
"""The squared coefficients of the test task: like the spectrum, even, or like the reversed spectrum."""


@dataclass(frozen=True)
class AlignmentConfig:
    """Sizes of both figures.

    Attributes
    ----------
    dim, context_ratio
        Inputs d, and n/d.
    train_ratios
        The simulated k/d.
    n_designs, n_tasks
        Simulated designs, and tasks run on each.
    """

    dim: int = 200
    context_ratio: float = 2 / 3
    train_ratios: tuple[float, ...] = (0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
    n_designs: int = 2000
    n_tasks: int = 16

    @property
    def trains(self) -> list[int]:
        """The simulated numbers of training rows k."""
        return [round(ratio * self.dim) for ratio in self.train_ratios]

    @property
    def dense_trains(self) -> list[int]:
        """The numbers of training rows of the exact curves, which run a little further on both sides."""
        low, high = 0.5 * self.trains[0], 1.2 * self.trains[-1]
        return np.unique(np.geomspace(low, high, 80).round().astype(int)).tolist()


def even_spectrum(dim: int, spread: float) -> Array:
    """Return `dim` eigenvalues spaced evenly from ``1 - spread`` to ``1 + spread``; their mean is 1.

    >>> even_spectrum(3, 0.8)
    array([0.2, 1. , 1.8])
    """
    return np.linspace(1.0 - spread, 1.0 + spread, dim)


def aligned_task(spectrum: Array, alignment: str) -> Array:
    """Return a task of norm 1 whose squared coefficients follow the spectrum, are even, or follow it
    reversed.

    >>> aligned_task(np.array([1.0, 3.0]), "opposed") ** 2
    array([0.75, 0.25])
    """
    squares = {"aligned": spectrum, "even": np.ones_like(spectrum), "opposed": spectrum[::-1]}[alignment]
    return np.sqrt(squares / squares.sum())


def curve_rows(setting: Setting, starts: Sequence[str], trains: Sequence[int], **where: object) -> list[dict]:
    """Return the best risks, exact and in the limit, for each start and each number of training rows."""
    rows = []
    for start in starts:
        probe = setting.replace(n_train=1)
        for kind, answer in (("exact", one_step(probe, start)), ("limit", one_step_limit(probe, start))):
            for train in trains:
                # the best risk is hyperbolic in k, so one evaluation gives the whole curve
                gain = answer.limit_gain * train / (train + answer.half_train)
                k_ratio, risk = train / setting.dim, answer.risk_before - gain
                rows.append({"kind": kind, "start": start, "k_ratio": k_ratio, "risk": risk, **where})
    return rows


def simulated_rows(
    config: AlignmentConfig, setting: Setting, cell: Cell, seed: np.random.SeedSequence
) -> list[dict]:
    """Return the simulated risks of one diagonal setting, at the exact best step of each number of rows."""
    start, ones = cell["start"], np.ones(setting.dim)
    measured = simulate_one_step(
        Population(setting.task, setting.input_cov * ones, setting.noise_var),
        pretrained_weight(setting) if start == "warm" else 0.0,
        setting.n_context,
        config.trains,
        n_designs=config.n_designs,
        n_tasks=config.n_tasks,
        seed=seed,
    )
    rows = []
    for train in config.trains:
        answer = one_step(setting.replace(n_train=train), start)
        found = {"kind": "simulated", "cell": cell["id"], "start": start, "k_ratio": train / setting.dim}
        found["alignment"] = cell["alignment"]
        rows.append(found | compared(measured[train], answer))
    return rows
