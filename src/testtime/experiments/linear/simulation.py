r"""Simulated test-time training of linear attention, carried out literally and in batches that keep BLAS
busy.

For every design (a context, a fresh context and training rows) many tasks are run at once, so that all the
work is in matrix products: :math:`u = X^\top y`, :math:`G = X_t^\top(y_t - X_t W u)`, :math:`W_{TT} v = W
v + 2\eta\,(u^\top v) G` with v from the fresh context, or v = u. Nothing here uses the theory it is
compared with; only the average over the query row, which is Gaussian, is taken exactly.

The tasks of one design share its rows, so they are not independent: errors are computed from the means of
the designs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Population", "SimulatedRisk", "simulate_one_step", "simulate_pretraining", "simulate_steps"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Population:
    """Where rows and tasks come from.

    Attributes
    ----------
    task
        Coefficients of the test task, shape ``(dim,)``. Tasks are drawn with random signs: with
        independent inputs and a diagonal weight every choice of signs has the same law.
    variances
        Variances of the independent inputs, shape ``(dim,)``.
    noise_var
        Variance of the label noise.
    """

    task: Array
    variances: Array
    noise_var: float = 0.0

    def tasks(self, count: int, rng: np.random.Generator) -> Array:
        """Return `count` tasks as columns, shape ``(dim, count)``."""
        return self.task[:, None] * rng.choice((-1.0, 1.0), size=(len(self.task), count))

    def inputs(self, count: int, rng: np.random.Generator) -> Array:
        """Return `count` rows, shape ``(count, dim)``."""
        rows = rng.standard_normal((count, len(self.task)))
        if (self.variances != 1.0).any():
            rows *= np.sqrt(self.variances)
        return rows

    def labels(self, X: Array, tasks: Array, rng: np.random.Generator) -> Array:
        """Return the labels of every row under every task, shape ``(rows, tasks)``."""
        labels = X @ tasks
        if self.noise_var > 0:
            labels += np.sqrt(self.noise_var) * rng.standard_normal(labels.shape)
        return labels


@dataclass(frozen=True)
class SimulatedRisk:
    """The quadratic in the step size that each design measured, the tasks of the design averaged.

    Attributes
    ----------
    before, slope, curvature
        One number per design: the risk, and its first and second derivative in the step size at 0.
    """

    before: Array
    slope: Array
    curvature: Array

    def risk(self, step_size: float) -> tuple[float, float]:
        """Return the mean risk after a step and its standard error."""
        return _mean_and_error(self.before + step_size * self.slope + 0.5 * step_size**2 * self.curvature)

    def parts(self) -> dict[str, tuple[float, float]]:
        """Return the mean and the standard error of the risk before the step, its slope and its curvature."""
        return {name: _mean_and_error(getattr(self, name)) for name in ("before", "slope", "curvature")}

    def gain(self, step_size: float) -> tuple[float, float]:
        """Return the mean fall in risk after a step and its standard error."""
        return _mean_and_error(-step_size * self.slope - 0.5 * step_size**2 * self.curvature)


def simulate_one_step(
    population: Population,
    weight: Array | float,
    n_context: int,
    n_trains: Sequence[int],
    *,
    fresh: bool = True,
    normalized: bool = False,
    n_designs: int,
    n_tasks: int,
    seed: np.random.SeedSequence,
) -> dict[int, SimulatedRisk]:
    """Run one step of test-time training for several numbers of training rows at once.

    Parameters
    ----------
    population
        Where rows and tasks come from.
    weight
        Diagonal of the weight before training, shape ``(dim,)``, or one number.
    n_context, n_trains
        Context rows, and the numbers of training rows; fewer rows are the first of more rows.
    fresh
        Whether the trained weight is judged on a new context of the same task, or on the one it was
        trained with.
    normalized
        Whether the step is divided by the squared norm of ``X' y``.
    n_designs, n_tasks
        Designs, and tasks run on each.
    seed
        One child per design; the same seed gives the same rows, whatever the weight and the steps.

    Returns
    -------
    dict
        From the number of training rows to what was measured.
    """
    counts = sorted(set(n_trains))
    diagonal = np.broadcast_to(np.asarray(weight, dtype=float), population.task.shape)[:, None]
    measured = np.empty((len(counts), 3, n_designs))
    for design, rng in enumerate(_streams(seed, n_designs)):
        tasks = population.tasks(n_tasks, rng)
        summary = _summary(population, tasks, n_context, rng)
        other = _summary(population, tasks, n_context, rng) if fresh else summary
        overlap = np.einsum("dt,dt->t", summary, other)
        if normalized:
            overlap /= np.einsum("dt,dt->t", summary, summary)
        residual = tasks - diagonal * summary
        weighted = population.variances[:, None] * (tasks - diagonal * other)
        before = population.noise_var + np.einsum("dt,dt->t", weighted, tasks - diagonal * other)
        gradient = np.zeros_like(tasks)
        done = 0
        for place, count in enumerate(counts):
            gradient += _gradient(population, residual, count - done, rng)
            done = count
            slope = overlap * np.einsum("dt,dt->t", weighted, gradient)
            curvature = overlap**2 * np.einsum("d,dt,dt->t", population.variances, gradient, gradient)
            measured[place, :, design] = before.mean(), -4.0 * slope.mean(), 8.0 * curvature.mean()
    return {count: SimulatedRisk(*measured[place]) for place, count in enumerate(counts)}


def simulate_steps(
    population: Population,
    weight: Array | float,
    n_context: int,
    n_train: int,
    step_sizes: Sequence[float],
    *,
    fresh: bool,
    n_designs: int,
    n_tasks: int,
    seed: np.random.SeedSequence,
) -> Array:
    """Run several full-batch steps on the same training rows, each divided by the squared norm of ``X' y``.

    All steps of one context keep ``W_T = W + h u' / |u|^2``, so each is a gradient step on the coefficients
    ``theta = W_T u``; a unit test compares this with automatic differentiation of the module.

    Parameters
    ----------
    step_sizes
        ``2 eta |u|^2`` of each step.
    population, weight, n_context, n_train, fresh, n_designs, n_tasks, seed
        As for :func:`simulate_one_step`.

    Returns
    -------
    Array
        Risk before training and after each step, the tasks of a design averaged: shape
        ``(len(step_sizes) + 1, n_designs)``.
    """
    diagonal = np.broadcast_to(np.asarray(weight, dtype=float), population.task.shape)[:, None]
    risks = np.empty((len(step_sizes) + 1, n_designs))
    for design, rng in enumerate(_streams(seed, n_designs)):
        tasks = population.tasks(n_tasks, rng)
        summary = _summary(population, tasks, n_context, rng)
        other = _summary(population, tasks, n_context, rng) if fresh else summary
        share = np.einsum("dt,dt->t", summary, other) / np.einsum("dt,dt->t", summary, summary)
        X_train = population.inputs(n_train, rng)
        y_train = population.labels(X_train, tasks, rng)
        change = np.zeros_like(tasks)
        for place, step_size in enumerate((*step_sizes, 0.0)):
            error = tasks - diagonal * other - share * change
            square = np.einsum("d,dt,dt->t", population.variances, error, error)
            risks[place, design] = population.noise_var + square.mean()
            if place < len(step_sizes):
                change += step_size * (X_train.T @ (y_train - X_train @ (diagonal * summary + change)))
    return risks


def simulate_pretraining(
    spectrum: Array,
    weight: Array | float,
    n_context: int,
    *,
    noise_var: float = 0.0,
    groups: int = 1,
    n_designs: int,
    n_tasks: int,
    seed: np.random.SeedSequence,
) -> list[tuple[float, float]]:
    """Pretrain by least squares on simulated tasks, and say how far above the result a given weight lies.

    For white inputs and independent coefficients every direction has a regression of its own, of the coefficient
    ``beta_i`` on the summary ``u_i``; the best weight is ``E[beta_i u_i] / E[u_i^2]``.

    Parameters
    ----------
    spectrum
        Variances of the coefficients of the pretraining tasks, ``(dim,)``.
    weight
        The diagonal to judge.
    n_context, noise_var, n_designs, n_tasks, seed
        As for :func:`simulate_one_step`.
    groups
        Groups of neighbouring directions that are judged apart.

    Returns
    -------
    list
        For each group the mean of ``weight / best - 1`` and its standard error.
    """
    dim = len(spectrum)
    diagonal = np.broadcast_to(np.asarray(weight, dtype=float), (dim,))
    population = Population(np.zeros(dim), np.ones(dim), noise_var)
    excess, reached = np.empty((2, groups, n_designs))
    for design, rng in enumerate(_streams(seed, n_designs)):
        tasks = np.sqrt(spectrum)[:, None] * rng.standard_normal((dim, n_tasks))
        summary = _summary(population, tasks, n_context, rng)
        along = diagonal * np.einsum("dt,dt->d", tasks, summary)
        square = diagonal**2 * np.einsum("dt,dt->d", summary, summary)
        for group, part in enumerate(np.array_split(np.arange(dim), groups)):
            excess[group, design] = (square - along)[part].sum()
            reached[group, design] = along[part].sum()
    found = (_mean_and_error(part) for part in excess)
    return [
        (mean / size, error / size) for (mean, error), size in zip(found, reached.mean(axis=1), strict=True)
    ]


def _streams(seed: np.random.SeedSequence, count: int) -> Iterator[np.random.Generator]:
    """Yield one generator per design; ``seed.spawn`` would answer by how often it was called before."""
    for index in range(count):
        yield np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=(*seed.spawn_key, index)))


def _mean_and_error(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _summary(population: Population, tasks: Array, n_rows: int, rng: np.random.Generator) -> Array:
    """Return ``X' y`` of a new context for every task, shape ``(dim, tasks)``."""
    X = population.inputs(n_rows, rng)
    return X.T @ population.labels(X, tasks, rng)


def _gradient(population: Population, residual: Array, n_rows: int, rng: np.random.Generator) -> Array:
    """Return ``X_t' (y_t - X_t W u)`` over new training rows, shape ``(dim, tasks)``."""
    X = population.inputs(n_rows, rng)
    return X.T @ population.labels(
        X, residual, rng
    )  # the label minus the prediction is a label of the residual
