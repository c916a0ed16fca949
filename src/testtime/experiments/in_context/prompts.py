"""Prompts of a recipe's tasks: the batch of a step is a function of the recipe and the step alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from testtime.experiments.in_context.recipes import Recipe
from testtime.tasks.linear import draw_episodes
from testtime.tasks.links import LinkFamily
from testtime.tasks.single_index import SingleIndexFamily

__all__ = ["draw_prompts", "link_family", "prompt_size", "task_variances"]

Array = NDArray[np.float64]


def link_family(recipe: Recipe) -> SingleIndexFamily:
    """Return the family of single-index tasks of a recipe for ``gpt2-links``."""
    law = recipe.task
    links = LinkFamily(law.link_centre, law.link_spread)
    return SingleIndexFamily.create(
        recipe.model.dim, law.rank, seed=law.subspace_seed, link=links, noise=law.noise
    )


def task_variances(recipe: Recipe) -> Array:
    """Return the variances of the coefficients of a recipe for ``gpt2-linear``, ``(dim,)``, increasing."""
    return np.linspace(*recipe.task.variances, recipe.model.dim)


def prompt_size(recipe: Recipe, step: int) -> tuple[int, int]:
    """Return the rows and the inputs in use of the prompts of a step."""
    plan, rows, dim = recipe.curriculum, recipe.steps.rows, recipe.model.dim
    if step >= plan.steps:
        return rows, dim
    share = step / plan.steps
    first_rows, first_dim = min(plan.first_rows, rows), min(plan.first_dim, dim)
    return round(first_rows + share * (rows - first_rows)), round(first_dim + share * (dim - first_dim))


def draw_prompts(recipe: Recipe, step: int) -> tuple[Array, Array]:
    """Return the prompts of a step, ``(batch, rows, dim)`` and ``(batch, rows)``."""
    seed = np.random.SeedSequence(recipe.steps.seed, spawn_key=(step,))
    rows, dim = prompt_size(recipe, step)
    if recipe.problem == "gpt2-links":
        X, y = link_family(recipe).prompts(recipe.steps.batch, rows, seed)
        return X, y  # a link of few inputs would be another link, so only the rows grow
    variances = task_variances(recipe).copy()
    variances[dim:] = 0.0
    drawn = draw_episodes(
        recipe.steps.batch,
        rows,
        0,
        recipe.model.dim,
        task_cov=variances,
        noise_var=recipe.task.noise**2,
        seed=seed,
    )
    X = drawn.X_context.copy()
    X[:, :, dim:] = 0.0
    return X, drawn.y_context
