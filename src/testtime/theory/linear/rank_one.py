"""The update itself, on arrays: one step is a rank-one change of the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.theory.checks import as_finite, as_matrix, as_number
from testtime.theory.linear.answers import answers
from testtime.theory.linear.matrices import apply, transpose

__all__ = ["rank_one_update"]

Array = NDArray[np.float64]


@answers
def rank_one_update(
    weight: Any, step: float, inputs: Any, labels: Any, summary: Any, *, left: Any = None, right: Any = None
) -> Array:
    r"""Weights after one gradient step on the sum of squared errors of the training rows.

    .. math:: W_\eta=W+2\eta\,P\,X_t^\top(y_t-X_tWu)\,u^\top Q

    Reference: Gozeten et al. (2025), Proposition 3.1.

    Parameters
    ----------
    weight
        :math:`W`, a number, a diagonal ``(d,)`` or a matrix ``(d, d)``.
    step
        :math:`\eta`; for the mean of squared errors multiply it by k.
    inputs, labels
        Training rows :math:`X_t` ``(k, d)`` and :math:`y_t` ``(k,)``.
    summary
        :math:`u=X^\top y` of the context, ``(d,)``.
    left, right
        Preconditioners :math:`P` and :math:`Q`; default the identity.

    Returns
    -------
    array
        ``(d, d)``.

    >>> rank_one_update(0.0, 0.5, [[1.0, 0.0]], [2.0], [0.0, 3.0])
    array([[0., 6.],
           [0., 0.]])
    """
    rows, targets, u = as_finite(inputs, "inputs"), as_finite(labels, "labels"), as_finite(summary, "summary")
    if rows.ndim != 2 or targets.shape != rows.shape[:1] or u.shape != rows.shape[1:]:
        raise InputError(
            sentence(
                f"inputs {rows.shape}, labels {targets.shape} and summary {u.shape}",
                expected="shapes (k, d), (k,) and (d,)",
                remedy="Pass the training rows and u = X.T @ y of the context",
            )
        )
    dim = rows.shape[1]
    start = as_matrix(weight, "weight", dim)
    change = rows.T @ (targets - rows @ apply(start, u))
    read = u
    if left is not None:
        change = apply(as_matrix(left, "left", dim), change)
    if right is not None:
        read = apply(transpose(as_matrix(right, "right", dim)), u)
    full = np.diag(start) if start.ndim == 1 else start
    return full + 2.0 * as_number(step, "step") * np.outer(change, read)
