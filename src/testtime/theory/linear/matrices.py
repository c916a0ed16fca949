"""Matrices that may be diagonal: an array of shape ``(d,)`` is a diagonal matrix, one of shape ``(d, d)`` a
full one.

Products of diagonals stay diagonal, so a formula written once costs O(d) where everything commutes and
O(d^3) elsewhere.
"""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

__all__ = ["apply", "multiply", "plus_identity", "product_trace", "transpose"]

Array = NDArray[np.float64]


def multiply(left: Array, right: Array) -> Array:
    """Return the matrix product.

    >>> multiply(np.array([1.0, 2.0]), np.ones((2, 2)))
    array([[1., 1.],
           [2., 2.]])
    """
    if left.ndim == 1:
        return left * right if right.ndim == 1 else left[:, None] * right
    return left * right if right.ndim == 1 else left @ right


def transpose(matrix: Array) -> Array:
    """Return the transpose; a diagonal is its own."""
    return matrix if matrix.ndim == 1 else matrix.T


def apply(matrix: Array, vector: Array) -> Array:
    """Return matrix times vector."""
    return matrix * vector if matrix.ndim == 1 else matrix @ vector


def product_trace(word: tuple[Array, ...]) -> float:
    """Return the trace of a product of matrices, without forming the last product.

    >>> product_trace((np.array([1.0, 2.0]), np.array([3.0, 4.0])))
    11.0
    """
    if len(word) == 1:
        return float(word[0].sum() if word[0].ndim == 1 else np.trace(word[0]))
    left, right = reduce(multiply, word[:-1]), word[-1]
    if left.ndim == 2 and right.ndim == 2:
        return float(np.einsum("ij,ji->", left, right))
    if left.ndim == 2:
        left = np.diagonal(left)
    if right.ndim == 2:
        right = np.diagonal(right)
    return float(left @ right)


def plus_identity(matrix: Array, factor: float) -> Array:
    """Return I + factor * matrix, diagonal when `matrix` is."""
    return 1.0 + factor * matrix if matrix.ndim == 1 else np.eye(len(matrix)) + factor * matrix
