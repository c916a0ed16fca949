"""Cells that are missing in new rows and never were at fit: what stood there in rows that are alike otherwise.

What a missing cell means can be learned from rows that have some. Where none had, a model takes it for an average cell
and is as sure as if it had seen it. Such a row is therefore asked for several times, each time with the values of
another of its nearest rows of the fit, and the answers are pooled (multiple imputation: Rubin, 1987, "Multiple
Imputation for Nonresponse in Surveys", with nearest neighbours as donors). Where the value decides, they differ, and so
the answer is as uncertain as it should be.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from testtime.backbones.scaling import ColumnScaler
from testtime.table.levels import LevelStatistics

__all__ = ["N_NEAREST", "filled", "never_missing"]

N_NEAREST = 16
"""Rows of the fit whose values stand in a missing cell, one after the other."""


def never_missing(x: NDArray[np.float64], n_given: int) -> NDArray[np.bool_]:
    """Which of the first `n_given` columns of rows ``(M, D + S)`` always hold something, ``(D,)``."""
    return np.array([not np.isnan(column).any() for column in x[:, :n_given].T], dtype=bool)


def filled(
    x: NDArray[np.float64],
    wanting: NDArray[np.bool_],
    known: NDArray[np.float64],
    levels: LevelStatistics,
) -> NDArray[np.float64]:
    """Fill cells with the values of the nearest known rows.

    Parameters
    ----------
    x
        Encoded rows, ``(q, D + S)``.
    wanting
        Which of their cells are to be filled, ``(q, D)``.
    known
        Encoded rows of the fit, ``(M, D + S)``, where all these columns hold something.
    levels
        What stands beside the columns: statistics of their levels.

    Returns
    -------
    filled
        Each row as often as there are donors, ``(q, k, D + S)`` with ``k = min(M, 16)``.
    """
    n_given, k = wanting.shape[1], min(N_NEAREST, len(known))
    scaler = ColumnScaler.fit(known)
    near, own = scaler.transform(known), scaler.transform(x)
    given = np.repeat(x[:, None, :n_given], k, axis=1)
    patterns, of_row = np.unique(wanting, axis=0, return_inverse=True)
    for number, pattern in enumerate(patterns):
        rows = np.flatnonzero(of_row.ravel() == number)
        seen = np.setdiff1d(np.arange(x.shape[1]), levels.places_told_by(pattern))
        # Row by row, so that an answer does not depend on what is asked beside it; of rows as near the first ones.
        donors = np.argsort(cdist(own[rows][:, seen], near[:, seen]), axis=1, kind="stable")[:, :k]
        columns = np.flatnonzero(pattern)
        given[rows[:, None, None], np.arange(k)[:, None], columns] = known[donors[:, :, None], columns]
    return levels.beside(given.reshape(-1, n_given)).reshape(len(x), k, -1)
