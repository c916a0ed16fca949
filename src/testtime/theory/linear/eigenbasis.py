"""A setting seen in the eigenbasis of its input covariance, where that covariance is a vector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.theory.checks import as_matrix
from testtime.theory.linear.matrices import multiply
from testtime.theory.linear.quadratic_forms import FixedTask, RandomTask
from testtime.theory.linear.setting import Setting, require_single

__all__ = ["Eigenbasis", "check_direction"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Eigenbasis:
    """The arrays of one setting, rotated so that the input covariance is diagonal.

    Attributes
    ----------
    spectrum
        Eigenvalues of the input covariance, ``(d,)``.
    vectors
        Its eigenvectors as columns, ``(d, d)``; None when it is diagonal already.
    task_cov
        Covariance of the pretraining tasks, a diagonal ``(d,)`` or a matrix ``(d, d)``.
    task
        Forms of the test task, fixed or random.
    """

    spectrum: Array
    vectors: Array | None
    task_cov: Array
    task: FixedTask | RandomTask

    @classmethod
    def of(cls, setting: Setting) -> Eigenbasis:
        """Diagonalise the input covariance of a single setting; O(d) when it is diagonal, O(d^3) otherwise."""
        require_single(setting, why="this quantity has no formula that broadcasts")
        dim, vectors = setting.dim, None
        spectrum = as_matrix(setting.input_cov, "input_cov", dim)
        if spectrum.ndim == 2:
            spectrum, vectors = np.linalg.eigh(spectrum)
        task_cov = _inward(as_matrix(setting.task_cov, "task_cov", dim), vectors)
        task: FixedTask | RandomTask
        if setting.task is None:
            test_cov = as_matrix(setting.test_task_covariance, "test_task_cov", dim)
            task = RandomTask(_inward(test_cov, vectors))
        elif np.ndim(setting.task):
            task = FixedTask(setting.task if vectors is None else setting.task @ vectors)
        else:  # only the squared norm matters: spread it evenly
            task = FixedTask(np.full(dim, np.sqrt(setting.task / dim)))
        return cls(spectrum, vectors, task_cov, task)

    def inward(self, matrix: Array) -> Array:
        """Rotate a matrix into the eigenbasis."""
        return _inward(matrix, self.vectors)

    def outward(self, matrix: Array) -> Array:
        """Rotate a matrix back into the caller's coordinates."""
        if self.vectors is None or _is_constant(matrix):
            return matrix
        return multiply(self.vectors, matrix) @ self.vectors.T

    def vector(self, vector: Array) -> Array:
        """Rotate a vector, or the rows of an array, into the eigenbasis."""
        return vector if self.vectors is None else vector @ self.vectors


def _inward(matrix: Array, vectors: Array | None) -> Array:
    if vectors is None or _is_constant(matrix):
        return matrix
    return vectors.T @ (np.diag(matrix) if matrix.ndim == 1 else matrix) @ vectors


def _is_constant(matrix: Array) -> bool:
    return matrix.ndim == 1 and bool(np.all(matrix == matrix[0]))


def check_direction(setting: Setting, matrix: Array, name: str) -> None:
    """Refuse a matrix that treats directions differently when only the length of the task is known."""
    if setting.task is None or np.ndim(setting.task) or setting.dim == 1:
        return
    if matrix.ndim == 1:
        even = _is_constant(matrix)
    else:
        even = np.allclose(
            matrix, matrix[0, 0] * np.eye(len(matrix)), rtol=1e-12, atol=1e-12 * abs(matrix[0, 0])
        )
    if not even:
        raise InputError(
            sentence(
                f"{name} is not a multiple of the identity and task={setting.task:g} is a squared norm",
                expected="a task vector or a random task",
                why=f"what {name} does depends on the direction of the task",
                remedy=f"Pass the vector, or a number as {name}",
            )
        )
