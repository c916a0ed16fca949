"""One step simulated in eight dimensions, where terms that vanish in a figure's own dimension are large.

With so few numbers in a design the work of a loop over designs is in Python, so here all designs of a chunk are run at
once; :mod:`testtime.experiments.linear.simulation` carries out the same algorithm design by design.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from testtime.experiments.claims import at_most
from testtime.experiments.linear.comparison import POOLED, compared, largest
from testtime.experiments.linear.simulation import Population, SimulatedRisk
from testtime.results import Claim
from testtime.theory.linear import Setting, one_step, pretrained_weight

__all__ = ["SMALL_DIM", "simulate_small", "small_agreement", "small_rows"]

Array = NDArray[np.float64]

SMALL_DIM = 8
"""A term that is a share 1/d of its formula is an eighth of it here."""

PRECISION = {"before": 0.002, "slope": 0.006, "curvature": 0.02}
"""Largest standard errors, as shares of the value."""

CHUNK = 2000


def simulate_small(
    population: Population,
    weight: Array | float,
    n_context: int,
    n_train: int,
    *,
    normalized: bool = False,
    n_designs: int,
    n_tasks: int,
    seed: np.random.SeedSequence,
) -> SimulatedRisk:
    """Run one step judged on fresh contexts, as :func:`simulate_one_step` does, many designs at once.

    Parameters are those of :func:`testtime.experiments.linear.simulation.simulate_one_step`; the rows drawn are others.
    """
    dim = len(population.task)
    diagonal = np.broadcast_to(np.asarray(weight, dtype=float), (dim,))[:, None]
    rng, parts = np.random.default_rng(seed), []
    for begin in range(0, n_designs, CHUNK):
        count = min(CHUNK, n_designs - begin)
        signs = rng.choice((-1.0, 1.0), size=(count, dim, n_tasks))
        tasks = population.task[:, None] * signs

        def moments(n_rows: int, targets: Array, count: int = count) -> Array:
            """Return ``X' y`` of new rows whose labels are those of `targets`, shape ``(count, dim, tasks)``."""
            X = np.sqrt(population.variances) * rng.standard_normal((count, n_rows, dim))
            labels = X @ targets
            if population.noise_var > 0:
                labels += np.sqrt(population.noise_var) * rng.standard_normal(labels.shape)
            return X.swapaxes(1, 2) @ labels

        summary, other = moments(n_context, tasks), moments(n_context, tasks)
        overlap = (summary * other).sum(axis=1)
        if normalized:
            overlap /= (summary**2).sum(axis=1)
        error = tasks - diagonal * other
        weighted = population.variances[:, None] * error
        gradient = moments(n_train, tasks - diagonal * summary)
        before = population.noise_var + (weighted * error).sum(axis=1)
        slope = overlap * (weighted * gradient).sum(axis=1)
        curvature = overlap**2 * (population.variances[:, None] * gradient**2).sum(axis=1)
        parts.append([before.mean(axis=1), -4.0 * slope.mean(axis=1), 8.0 * curvature.mean(axis=1)])
    return SimulatedRisk(*np.concatenate(parts, axis=1))


def small_rows(
    setting: Setting,
    task: ArrayLike,
    seed: np.random.SeedSequence,
    *,
    step: str = "fixed",
    n_designs: int = 20_000,
    n_tasks: int = 16,
) -> list[dict]:
    """Return one row of kind "small": simulation beside theory, for :func:`small_agreement`.

    Parameters
    ----------
    setting
        With independent inputs and a diagonal W*.
    task
        Coefficients of the test task, shape ``(dim,)``.
    seed
        Seed of the simulation.
    step
        "fixed", or "normalized": divided by the squared norm of ``X' y``.
    n_designs, n_tasks
        Simulated designs, and tasks run on each.
    """
    coefficients = np.asarray(task, dtype=float)
    measured = simulate_small(
        Population(coefficients, setting.input_cov * np.ones(len(coefficients)), setting.noise_var),
        pretrained_weight(setting),
        setting.n_context,
        setting.n_train,
        normalized=step == "normalized",
        n_designs=n_designs,
        n_tasks=n_tasks,
        seed=seed,
    )
    return [{"kind": "small", "d": len(coefficients)} | compared(measured, one_step(setting, step=step))]


def small_agreement(table: pd.DataFrame) -> list[Claim]:
    """Claim that theory and simulation agree in a few dimensions as well, and that the simulation can tell."""
    rows = table[table["kind"] == "small"]
    claims = []
    for name, precision in PRECISION.items():
        distance = (rows[name] - rows[f"{name}_exact"]) / rows[f"{name}_error"]
        share = rows[f"{name}_error"] / rows[f"{name}_exact"]
        claims += [
            at_most(
                f"d = {SMALL_DIM}, {name}: within {POOLED:g} standard errors of theory",
                largest(distance),
                POOLED,
            ),
            at_most(
                f"d = {SMALL_DIM}, {name}: that standard error, as a share of the value",
                largest(share),
                precision,
            ),
        ]
    return claims
