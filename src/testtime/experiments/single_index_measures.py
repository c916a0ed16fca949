"""What the single-index figures share: families, pretrained subspaces, predictors and their errors.

All figures use one hidden subspace per dimension, drawn from the root seed, and one pretrained subspace found
on prompts of that family. A worker keeps both, so cells of the same family do not pretrain again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV

from testtime.models.softmax_attention import softmax_attention
from testtime.single_index.pretrain import Pretrained, pretrain_family
from testtime.single_index.readout import Readout, fit_readout
from testtime.single_index.regressor import SingleIndexRegressor
from testtime.tasks.links import LinkFamily
from testtime.tasks.single_index import SingleIndexFamily, SingleIndexTask

__all__ = [
    "LINKS",
    "Bench",
    "InContext",
    "bench",
    "errors",
    "fit_in_context",
    "kernel_ridge",
    "medians",
    "oracle",
    "ridge",
    "task_seeds",
    "three_stages",
]

Array = np.ndarray
Predict = Callable[[Array], Array]

WINSOR = 9.0
"""Squared errors are cut here before they are averaged: labels of cubic links are heavy tailed."""

N_TEST = 2000
"""Test rows per task."""

LINKS = {
    "varying": LinkFamily(),
    "fixed": LinkFamily.fixed({3: 1.0, 4: 0.25}),
    "odd": LinkFamily.fixed({3: 1.0}),
    "even": LinkFamily.fixed({4: 1.0}),
}
"""Link families of the figures: the paper's h3 + c h4 with random c, and three fixed links."""


@dataclass(frozen=True, eq=False)
class Bench:
    """A family of tasks and what one step of pretraining found on its prompts."""

    family: SingleIndexFamily
    pretrained: Pretrained


@lru_cache(maxsize=12)
def bench(
    dim: int,
    rank: int,
    *,
    seed: int,
    n_prompts: int,
    link: str = "varying",
    noise: float = 0.1,
    n_directions: int = 1,
    combine: str = "sum",
) -> Bench:
    """Draw a family and pretrain on it; the same arguments give the same result in every process."""
    family_seed, prompt_seed = np.random.SeedSequence([seed, dim, rank]).spawn(2)
    family = SingleIndexFamily.create(
        dim,
        rank,
        seed=family_seed,
        link=LINKS[link],
        noise=noise,
        n_directions=n_directions,
        combine=combine,
    )
    start = int(prompt_seed.generate_state(1)[0])
    return Bench(family, pretrain_family(family, n_prompts=n_prompts, seed=start))


def task_seeds(seed: np.random.SeedSequence, n_tasks: int) -> list[tuple[np.random.SeedSequence, ...]]:
    """Return three seeds per task: the task, its training rows, its test rows."""
    return [tuple(child.spawn(3)) for child in seed.spawn(n_tasks)]


def errors(task: SingleIndexTask, predict: Predict, seed: np.random.SeedSequence) -> dict[str, float]:
    """Errors on fresh rows of a task.

    Returns
    -------
    dict
        ``mse``: mean squared distance to the noise-free function, winsorised at 9; ``l1``: mean absolute
        distance to noisy labels, at best the size of the noise.
    """
    X, y = task.sample(N_TEST, seed)
    guess = predict(X)
    squared = np.minimum((guess - task.mean(X)) ** 2, WINSOR)
    return {"mse": float(squared.mean()), "l1": float(np.abs(guess - y).mean())}


def three_stages(X: Array, y: Array, **params: Any) -> SingleIndexRegressor:
    """Fit the three-stage regressor; its advice about few rows is no news inside a figure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return SingleIndexRegressor(random_state=0, **params).fit(X, y)


def ridge(X: Array, y: Array) -> Predict:
    """Linear ridge regression with leave-one-out penalty."""
    return RidgeCV(alphas=np.logspace(-2, 4, 13)).fit(X, y).predict


def kernel_ridge(X: Array, y: Array, kernel: str, subspace: Array | None = None) -> Predict:
    """Kernel ridge regression of scikit-learn, tuned by three-fold cross-validation.

    Parameters
    ----------
    X, y
        Training rows.
    kernel
        ``"rbf"``, or ``"poly"``: degree 4, the degree of the links.
    subspace
        Orthonormal basis to project on first, shape `(dim, rank)`.
    """
    inside = X if subspace is None else X @ subspace
    dim = inside.shape[1]
    grid: dict[str, list[float]] = {"alpha": [1e-2, 1e-1, 1.0]}
    if kernel == "rbf":
        grid["gamma"] = [0.25 / dim, 0.5 / dim]
        model = KernelRidge(kernel="rbf")
    else:
        model = KernelRidge(kernel="poly", degree=4, gamma=1.0 / dim, coef0=1.0)
    mean = y.mean()
    search = GridSearchCV(model, grid, cv=3, scoring="neg_mean_absolute_error").fit(inside, y - mean)
    return lambda rows: mean + search.predict(rows if subspace is None else rows @ subspace)


def oracle(X: Array, y: Array, direction: Array) -> Predict:
    """Fit the read-out alone, along the true direction."""
    readout = fit_readout((X @ direction)[:, None], y, rng=np.random.default_rng(0))
    return lambda rows: readout((rows @ direction)[:, None])


@dataclass(frozen=True, eq=False)
class InContext:
    """The frozen one-layer transformer: attention over the context, then a ReLU read-out of one number."""

    gamma: Array
    readout: Readout

    def predict(self, X: Array, y: Array, queries: Array) -> Array:
        """Predict the labels of the queries from the labelled context rows."""
        return self.readout(attended(X[None], y[None], queries[None], self.gamma)[0][:, None])


def fit_in_context(setup: Bench, n_context: int, *, n_tasks: int, seed: np.random.SeedSequence) -> InContext:
    """Fit the read-out of the frozen transformer on pretraining tasks whose contexts have the test length.

    This favours in-context learning: every context length gets a read-out of its own.
    """
    gamma = setup.pretrained.gamma / 0.35  # of the scales tried, mean eigenvalue 1 is best for this predictor
    inputs, labels = [], []
    for child in seed.spawn(max(1, n_tasks // 25)):
        X, y = setup.family.prompts(25, n_context + 32, child)
        attention = attended(X[:, :n_context], y[:, :n_context], X[:, n_context:], gamma)
        inputs.append(attention.ravel())
        labels.append(y[:, n_context:].ravel())
    z = np.concatenate(inputs)[:, None]
    return InContext(gamma, fit_readout(z, np.concatenate(labels), kind="relu", rng=np.random.default_rng(0)))


def attended(X: Array, y: Array, queries: Array, gamma: Array) -> Array:
    """Attention-weighted labels of the queries at temperature 1 and clip 3, one row per task."""
    arrays = (torch.as_tensor(part, dtype=torch.float32) for part in (X, y, queries, gamma))
    with torch.no_grad():
        return softmax_attention(*arrays, temperature=1.0, clip=3.0).label.numpy().astype(float)


def medians(table: pd.DataFrame, index: str, columns: str, values: str = "mse") -> pd.DataFrame:
    """Return the median over tasks, one row per `index` value and one column per `columns` value."""
    return table.pivot_table(index=index, columns=columns, values=values, aggfunc="median")
