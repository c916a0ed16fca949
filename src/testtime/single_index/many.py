"""Fit many single-index tasks of the same size at once."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from testtime.errors import InputError, sentence
from testtime.single_index.preparation import checked_subspace, prepare, run_prepared
from testtime.single_index.regressor import SingleIndexRegressor

__all__ = ["fit_many"]

Array = np.ndarray

CHUNK_ROWS = 2048
"""Tasks are fitted in chunks of about this many rows: larger arrays leave the cache and gain nothing."""


def fit_many(X: Array, Y: Array, **params: Any) -> list[SingleIndexRegressor]:
    """Fit one :class:`SingleIndexRegressor` per task, in batched matrix products.

    With an integer `random_state` each regressor is what ``SingleIndexRegressor(**params).fit(X[t], Y[t])``
    gives, up to the tolerance of the search: all tasks iterate until the last one has converged. The work per
    task is the same, but the Python steps are shared.

    Parameters
    ----------
    X
        Inputs, shape `(n_tasks, n_rows, n_features)`.
    Y
        Labels, shape `(n_tasks, n_rows)`.
    **params
        Parameters of :class:`SingleIndexRegressor`, the same for all tasks.

    Returns
    -------
    list
        Fitted regressors, one per task.

    Raises
    ------
    InputError
        If the shapes do not match, or a task cannot be fitted; the message names the first such task.

    Warns
    -----
    UserWarning
        Once, with the number of tasks, when tasks have heavy-tailed labels or few rows.

    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((3, 100, 4))
    >>> models = fit_many(X, X[:, :, 1] ** 2, random_state=0)
    >>> [int(abs(model.direction_).argmax()) for model in models]
    [1, 1, 1]
    """
    X, Y = np.asarray(X, dtype=float), np.asarray(Y, dtype=float)
    if X.ndim != 3 or Y.shape != X.shape[:2] or 0 in X.shape:
        raise InputError(
            sentence(
                f"X of shape {X.shape} and Y of shape {Y.shape}",
                expected="(n_tasks, n_rows, n_features) and (n_tasks, n_rows), none of them 0",
            )
        )
    finite = np.isfinite(X).all(axis=(1, 2)) & np.isfinite(Y).all(axis=1)
    if not finite.all():
        raise InputError(
            sentence(
                f"task {int(np.argmin(finite))} holds NaN or infinity",
                expected="finite inputs and labels",
                remedy="Drop or impute those rows.",
            )
        )
    template = SingleIndexRegressor(**params)
    settings = template.settings()
    subspace = checked_subspace(template.subspace, X.shape[2], settings.n_directions)
    prepared = []
    for t, (rows, labels) in enumerate(zip(X, Y, strict=True)):
        try:
            prepared.append(prepare(rows, labels, subspace, settings))
        except InputError as error:
            raise InputError(f"task {t}: {error}") from error
    seed = template._seed()
    chunk = max(1, CHUNK_ROWS // X.shape[1])
    ends = []
    for begin in range(0, len(X), chunk):
        ends += run_prepared(prepared[begin : begin + chunk], settings, seed)
    noted = [item.warnings[0] for item, _ in ends if item.warnings]
    if noted:
        warnings.warn(f"{len(noted)} of {len(X)} tasks, the first: {noted[0]}", UserWarning, stacklevel=2)
    return [SingleIndexRegressor(**params)._accept(item, result) for item, result in ends]
