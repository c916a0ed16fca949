r"""Linear regression tasks: Gaussian inputs, Gaussian or given coefficients, Gaussian noise; one seed each.

Inputs are rows :math:`x\sim N(0,\Sigma_x)`, labels :math:`y=x^\top\beta+\xi` with
:math:`\xi\sim N(0,\sigma^2)`. A task is its coefficient vector :math:`\beta`, drawn from
:math:`N(0,\Sigma_\beta)` or given. Covariances are a scalar (times the identity), a vector of variances along
the axes, or a symmetric matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from testtime.errors import InputError, sentence

__all__ = [
    "LinearEpisode",
    "draw_episode",
    "draw_episodes",
    "draw_inputs",
    "draw_labels",
    "draw_task",
    "square_root",
]

Array = NDArray[np.float64]
Seed = int | np.random.SeedSequence | np.random.Generator


@dataclass(frozen=True)
class LinearEpisode:
    """One task with its rows, or several tasks stacked along a first axis.

    Attributes
    ----------
    task
        Coefficients, shape ``(..., dim)``.
    X_context, y_context
        Rows the learner is shown, shapes ``(..., n_context, dim)`` and ``(..., n_context)``.
    X_train, y_train
        Rows it is trained on at test time, shapes ``(..., n_train, dim)`` and ``(..., n_train)``.
    X_query, y_query
        Rows it is asked about, shapes ``(..., n_query, dim)`` and ``(..., n_query)``.
    """

    task: Array
    X_context: Array
    y_context: Array
    X_train: Array
    y_train: Array
    X_query: Array
    y_query: Array


def draw_task(dim: int, *, task_cov: ArrayLike = 1.0, seed: Seed) -> Array:
    """Return coefficients drawn from N(0, `task_cov`), shape ``(dim,)``.

    >>> draw_task(3, task_cov=[1.0, 0.1, 0.01], seed=0).shape
    (3,)
    """
    normal = np.random.default_rng(seed).standard_normal(dim)
    return _correlate(normal, square_root(task_cov, dim, name="task_cov"))


def draw_inputs(n_rows: int, dim: int, *, input_cov: ArrayLike = 1.0, seed: Seed) -> Array:
    """Return rows drawn from N(0, `input_cov`), shape ``(n_rows, dim)``.

    >>> draw_inputs(2, 3, input_cov=[1.0, 4.0, 0.0], seed=0).shape
    (2, 3)
    """
    normal = np.random.default_rng(seed).standard_normal((n_rows, dim))
    return _correlate(normal, square_root(input_cov, dim, name="input_cov"))


def draw_labels(X: Array, task: Array, *, noise_var: float = 0.0, seed: Seed) -> Array:
    """Return ``X @ task`` plus Gaussian noise of variance `noise_var`, shape ``(n_rows,)``.

    >>> draw_labels(np.eye(2), np.array([1.0, 2.0]), seed=0)
    array([1., 2.])
    """
    if not (np.isfinite(noise_var) and noise_var >= 0):
        raise InputError(sentence(f"noise_var={noise_var}", expected="a finite variance of at least 0"))
    noise = np.random.default_rng(seed).standard_normal(len(X))
    return X @ task + np.sqrt(noise_var) * noise


def draw_episode(
    n_context: int,
    n_train: int,
    dim: int,
    *,
    n_query: int = 0,
    input_cov: ArrayLike = 1.0,
    task_cov: ArrayLike = 1.0,
    task: ArrayLike | None = None,
    noise_var: float = 0.0,
    seed: int | np.random.SeedSequence,
) -> LinearEpisode:
    """Return one task and its rows; everything is decided by `seed`.

    Task, context, training rows and query rows have a stream of random numbers each: asking for more
    training rows leaves the task and the context as they were, and the first training rows too.

    Parameters
    ----------
    n_context, n_train, n_query
        Rows of each part.
    dim
        Number of inputs.
    input_cov, task_cov
        Covariance of the inputs and of the coefficients: scalar, variances, or matrix.
    task
        Coefficients, shape ``(dim,)``; drawn from `task_cov` if not given.
    noise_var
        Variance of the label noise, in units of the label squared.
    seed
        An integer or a :class:`numpy.random.SeedSequence`.

    Raises
    ------
    InputError
        If a count is negative or not an integer, a shape does not match, or a covariance is not one.

    >>> draw_episode(4, 2, 3, seed=0).X_context.shape
    (4, 3)
    """
    for name, count, least in (
        ("n_context", n_context, 0),
        ("n_train", n_train, 0),
        ("n_query", n_query, 0),
        ("dim", dim, 1),
    ):
        if not isinstance(count, (int, np.integer)) or count < least:
            raise InputError(sentence(f"{name}={count!r}", expected=f"an integer of at least {least}"))
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    children = [_child(root, index) for index in range(7)]
    if task is None:
        coefficients = draw_task(dim, task_cov=task_cov, seed=children[0])
    else:
        coefficients = np.asarray(task, dtype=float)
        if coefficients.shape != (dim,) or not np.isfinite(coefficients).all():
            raise InputError(
                sentence(f"a task of shape {coefficients.shape}", expected=f"{dim} finite coefficients")
            )
    parts = []
    for index, count in enumerate((n_context, n_train, n_query)):
        X = draw_inputs(count, dim, input_cov=input_cov, seed=children[1 + 2 * index])
        parts += [X, draw_labels(X, coefficients, noise_var=noise_var, seed=children[2 + 2 * index])]
    return LinearEpisode(coefficients, *parts)


def draw_episodes(
    n_tasks: int, n_context: int, n_train: int, dim: int, *, seed: int | np.random.SeedSequence, **law
) -> LinearEpisode:
    """Return `n_tasks` episodes stacked along a first axis; task i is the same for every number.

    Parameters
    ----------
    n_tasks
        Number of tasks; each has its own seed.
    n_context, n_train, dim, seed, **law
        As for :func:`draw_episode`.

    >>> one = draw_episode(4, 2, 3, seed=np.random.SeedSequence(5, spawn_key=(1,)))
    >>> bool((draw_episodes(8, 4, 2, 3, seed=5).X_train[1] == one.X_train).all())
    True
    """
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    episodes = [
        draw_episode(n_context, n_train, dim, seed=_child(root, index), **law) for index in range(n_tasks)
    ]
    if not episodes:
        raise InputError(sentence(f"n_tasks={n_tasks}", expected="at least 1 task"))
    return LinearEpisode(
        *(np.stack([getattr(one, name) for one in episodes]) for name in LinearEpisode.__annotations__)
    )


def square_root(covariance: ArrayLike, dim: int, *, name: str = "covariance") -> Array:
    """Return a square root: a scalar or vector of standard deviations, or the symmetric root of a matrix.

    Raises
    ------
    InputError
        If the shape does not match `dim`, a number is not finite, or the matrix is not symmetric or has a
        negative eigenvalue.

    >>> square_root([4.0, 9.0], 2)
    array([2., 3.])
    """
    matrix = np.asarray(covariance, dtype=float)
    if matrix.shape not in {(), (dim,), (dim, dim)}:
        raise InputError(
            sentence(
                f"{name} has shape {matrix.shape}",
                expected=f"a scalar, {dim} variances, or a {dim} x {dim} matrix",
            )
        )
    if not np.isfinite(matrix).all():
        raise InputError(sentence(f"{name} holds a number that is not finite", expected="finite variances"))
    if matrix.ndim < 2:
        if (matrix < 0).any():
            raise InputError(sentence(f"{name} holds {matrix.min():g}", expected="variances of at least 0"))
        return np.sqrt(matrix)
    scale = np.abs(matrix).max()
    asymmetry = np.abs(matrix - matrix.T).max()
    if asymmetry > 1e-10 * scale:
        raise InputError(
            sentence(f"{name} differs from its transpose by {asymmetry:.3g}", expected="a symmetric matrix")
        )
    values, vectors = np.linalg.eigh(matrix)
    if values[0] < -1e-10 * scale:
        raise InputError(
            sentence(f"{name} has the eigenvalue {values[0]:.3g}", expected="a positive semidefinite matrix")
        )
    return (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T


def _child(root: np.random.SeedSequence, index: int) -> np.random.SeedSequence:
    """Return one child seed; ``root.spawn`` would answer by how often it was called before."""
    return np.random.SeedSequence(root.entropy, spawn_key=(*root.spawn_key, index))


def _correlate(normal: Array, root: Array) -> Array:
    return normal @ root if root.ndim == 2 else normal * root
