"""What the single-index figures share: families, pretrained subspaces, predictors and their errors.

All figures use one hidden subspace per dimension, drawn from the root seed, and one pretrained subspace found
on prompts of that family. A worker keeps both, so cells of the same family do not pretrain again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GridSearchCV

from testtime.models.softmax_attention import softmax_attention
from testtime.scale.cells import Cell
from testtime.single_index.many import fit_many
from testtime.single_index.pretrain import Pretrained, draw_prompts, pretrain_family, refine_subspace
from testtime.single_index.readout import Readout, fit_readout
from testtime.tasks.links import LinkFamily
from testtime.tasks.single_index import SingleIndexFamily, SingleIndexTask

__all__ = [
    "LINKS",
    "Bench",
    "Drawn",
    "InContext",
    "TaskBlocks",
    "bench",
    "draw_tasks",
    "family_cells",
    "fit_in_context",
    "kernel_ridge",
    "oracle",
    "refined",
    "ridge",
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
    "even": LinkFamily.fixed({4: 1.0}),
    "low": LinkFamily.fixed({1: 0.8, 2: 0.6}),
    "square": LinkFamily.fixed({2: 1.0}),
}
"""Link families of the figures: the paper's h3 + c h4 with random c, and fixed links."""


@dataclass(frozen=True)
class TaskBlocks:
    """Tasks of one family, in cells of a block of tasks each.

    Attributes
    ----------
    rank
        Hidden dimensions r.
    n_tasks, block
        Fresh test tasks for each setting, and tasks per cell.
    n_prompts
        Prompts of pretraining.
    """

    rank: int = 4
    n_tasks: int = 48
    block: int = 16
    n_prompts: int = 8000

    @property
    def blocks(self) -> range:
        """The numbers of the blocks."""
        return range(self.n_tasks // self.block)


def family_cells(config: TaskBlocks, kind: str, names: Iterable[str], sizes: Iterable[int]) -> list[Cell]:
    """One cell for each name of a `kind` of family, number of rows N and block of tasks."""
    sizes = tuple(sizes)
    return [
        {"id": f"{name} N={n} block={block}", kind: name, "n_rows": n}
        for name in names
        for n in sizes
        for block in config.blocks
    ]


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
    """Draw a family and take one gradient step on `n_prompts` prompts of it; the same in every process."""
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


def refined(setup: Bench, n_refine: int, seed: np.random.SeedSequence) -> Bench:
    """Sharpen the subspace of a bench by solving prompts exactly, twice with `n_refine` fresh ones.

    The second round starts from what the first found, so that the first need not be good.
    """
    found = setup.pretrained
    for child in seed.spawn(2):
        prompts = draw_prompts(setup.family, n_prompts=n_refine, batch=n_refine, seed=child)
        found = refine_subspace(next(prompts), found)
    return Bench(setup.family, found)


@dataclass(frozen=True, eq=False)
class Drawn:
    """Fresh tasks of a family with their training and test rows.

    Attributes
    ----------
    tasks
        The tasks, with their true directions and links.
    X, y
        Labelled rows, shapes `(n_tasks, n_rows, dim)` and `(n_tasks, n_rows)`.
    X_test, y_test, mean_test
        Test rows, their noisy labels and their noise-free values.
    """

    tasks: list[SingleIndexTask]
    X: Array
    y: Array
    X_test: Array
    y_test: Array
    mean_test: Array

    def score(self, method: str, predictors: Sequence[Predict], **columns: Any) -> list[dict[str, Any]]:
        """Return one row per task with the errors of its predictor on the test rows.

        ``mse`` is the mean squared distance to the noise-free function, winsorised at 9, and ``overlap`` that of
        the directions, if it has any. Absolute errors on noisy labels are not reported: with noise of plus or
        minus tau the mean of ``|e + noise|`` is ``max(|e|, tau)``, which an error e up to tau does not move.
        """
        rows = []
        for t, predict in enumerate(predictors):
            guess = predict(self.X_test[t])
            squared = np.minimum((guess - self.mean_test[t]) ** 2, WINSOR)
            model = getattr(predict, "__self__", None)
            directions = getattr(model, "directions_", None)
            row = {"method": method, "mse": float(squared.mean())}
            row["overlap"] = np.nan if directions is None else self.tasks[t].overlap(directions)
            rows.append(columns | row)
        return rows

    def score_each(self, predictors: Mapping[str, Sequence[Predict]], **columns: Any) -> list[dict[str, Any]]:
        """Return the rows of :meth:`score` of every method, with its predictors by its name."""
        return [row for name, found in predictors.items() for row in self.score(name, found, **columns)]


def draw_tasks(
    family: SingleIndexFamily, n_tasks: int, n_rows: int, seed: np.random.SeedSequence, angle: float = 0.0
) -> Drawn:
    """Draw tasks with training and test rows; the same seed gives the same tasks and rows at every angle."""
    tasks, training, test = [], [], []
    for child in seed.spawn(n_tasks):
        task_seed, train_seed, test_seed = child.spawn(3)
        task = family.draw(task_seed, angle=angle)
        tasks.append(task)
        training.append(task.sample(n_rows, train_seed))
        test.append(task.sample(N_TEST, test_seed))
    X, y = (np.stack(part) for part in zip(*training, strict=True))
    X_test, y_test = (np.stack(part) for part in zip(*test, strict=True))
    means = np.stack([task.mean(rows) for task, rows in zip(tasks, X_test, strict=True)])
    return Drawn(tasks, X, y, X_test, y_test, means)


def three_stages(drawn: Drawn, **params: Any) -> list[Predict]:
    """Fit the three-stage regressor to every task; advice about few rows is no news inside a figure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        models = fit_many(drawn.X, drawn.y, random_state=0, **params)
    return [model.predict for model in models]


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
