r"""Stage III: a random-feature ReLU ridge on the recovered directions.

With frozen random weights :math:`v_j`, :math:`b_j` the read-out of Kuwataka and Suzuki (2026) is

.. math:: f(z) = a_0 + \sum_{j=1}^m a_j\,\mathrm{relu}(\langle v_j, z\rangle + b_j),\qquad
          a = \arg\min_a \sum_i (y_i - f(z_i))^2 + \lambda |a|^2

with biases uniform on [-1, 1]. Knots that stop at 1 leave the tails of a Gaussian uncovered (an error floor
of .16 on cubic links), so biases here cover the data, and :math:`\lambda` minimises the leave-one-out
error, which is a closed form.

A smooth link needs far fewer rows with a polynomial than with ReLU features, and a link with kinks or flat
pieces is the other way round; ``kind="auto"`` lets the leave-one-out errors decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from testtime.results import Result
from testtime.single_index.hermite_ridge import WINSOR, clearly_lower, fit_links, held_out_rows, hermite_basis

__all__ = ["PENALTIES", "RIDGES", "Readout", "fit_readout", "fit_readouts"]

Array = np.ndarray

RIDGES = tuple(10.0**k for k in range(-7, 3))
"""Penalties of the ReLU features that are tried, in units of the largest eigenvalue of their Gram matrix."""

PENALTIES = (1e-3, 1e-1, 1.0)
"""Penalties of the Hermite coefficients that are tried."""


@dataclass(frozen=True, eq=False)
class Readout(Result):
    """A fitted read-out; call it with projections.

    Attributes
    ----------
    kind
        ``"relu"`` or ``"hermite"``.
    weights, biases
        Frozen random features, shapes `(width, n_directions)` and `(width,)`; empty for ``"hermite"``.
    coefficients
        Of the ReLU features, or of the Hermite features.
    degree
        Total degree of the Hermite features; 0 for ``"relu"``.
    intercept
        Added constant.
    penalty
        The chosen one of :data:`RIDGES` or :data:`PENALTIES`.
    held_out_error
        Winsorised leave-one-out mean squared error of the choice.
    limits
        Predictions are held between these: the labels seen, widened by their range on either side. A
        polynomial far outside the data would otherwise predict anything.
    """

    kind: str
    weights: Array
    biases: Array
    coefficients: Array
    degree: int
    intercept: float
    penalty: float
    held_out_error: float
    limits: tuple[float, float]

    def __call__(self, z: Array) -> Array:
        """Evaluate at projections of shape `(n_rows, n_directions)`; returns `(n_rows,)`."""
        if self.kind == "hermite":
            features = hermite_basis(z.shape[1], self.degree).design(z.T).T
        else:
            features = np.maximum(z @ self.weights.T + self.biases, 0.0)
        return np.clip(self.intercept + features @ self.coefficients, *self.limits)


def fit_readout(z: Array, y: Array, *, rng: np.random.Generator, **options: object) -> Readout:
    """Fit one read-out: :func:`fit_readouts` for `z` of shape `(n_rows, n_directions)` and `y` of shape
    `(n_rows,)`.

    >>> z = np.linspace(-2, 2, 41)[:, None]
    >>> readout = fit_readout(z, np.abs(z[:, 0]), rng=np.random.default_rng(0))
    >>> readout.kind, bool(abs(readout(np.array([[-1.05], [0.5]])) - [1.05, 0.5]).max() < 0.02)
    ('relu', True)
    """
    return fit_readouts(z[None], y[None], rng=rng, **options)[0]  # type: ignore[arg-type]


def fit_readouts(
    z: Array,
    y: Array,
    *,
    kind: str = "auto",
    width: int = 64,
    bias_range: float | None = None,
    degree: int = 5,
    ridges: Sequence[float] = RIDGES,
    rng: np.random.Generator,
) -> list[Readout]:
    """Fit the read-outs of several tasks; they share the random features up to the range of the biases.

    Parameters
    ----------
    z
        Projections, shape `(n_tasks, n_rows, n_directions)`, of about unit variance.
    y
        Labels, shape `(n_tasks, n_rows)`, of about unit variance.
    kind
        ``"relu"``, ``"hermite"``, or ``"auto"``: Hermite where its leave-one-out error is lower by more
        than a standard error of the paired row-wise difference. (A polynomial runs away outside the data,
        which leaving out single rows hardly shows; hence the standard error.)
    width
        Number of random ReLU features m.
    bias_range
        Biases are uniform on [-bias_range, bias_range]; None covers the data.
    degree
        Total degree of the Hermite features.
    ridges
        Penalties of the ReLU features that are tried.
    rng
        Draws the random features.
    """
    relu = _relu(z, y, width, bias_range, ridges, rng) if kind != "hermite" else []
    hermite = _hermite(z, y, degree) if kind != "relu" else []
    if not hermite or not relu:
        return [found for found, _ in relu or hermite]
    chosen = []
    for (first, first_errors), (second, second_errors) in zip(relu, hermite, strict=True):
        chosen.append(second if clearly_lower(second_errors, first_errors, margin=1.0) else first)
    return chosen


def _relu(
    z: Array,
    y: Array,
    width: int,
    bias_range: float | None,
    ridges: Sequence[float],
    rng: np.random.Generator,
) -> list[tuple[Readout, Array]]:
    """Read-outs of ReLU features, each with its winsorised leave-one-out errors."""
    n_tasks, n_rows, n_directions = z.shape
    weights = rng.standard_normal((width, n_directions))
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    projected = z @ weights.T
    covering = 1.05 * np.abs(projected).max(axis=(1, 2))
    reach = covering if bias_range is None else np.full(n_tasks, bias_range)
    biases = reach[:, None] * rng.uniform(-1, 1, width)
    features = np.maximum(projected + biases[:, None, :], 0.0)
    centre, level = features.mean(axis=1), y.mean(axis=1)
    features -= centre[:, None, :]
    labels = y - level[:, None]
    eigenvalues, vectors = np.linalg.eigh(features.swapaxes(1, 2) @ features)
    largest = np.maximum(eigenvalues[:, -1:], 1e-300)
    eigenvalues = np.maximum(eigenvalues, 0.0)
    scores = features @ vectors
    target = (labels[:, None, :] @ scores)[:, 0]
    shrink = 1.0 / (eigenvalues[:, :, None] + largest[:, :, None] * np.asarray(ridges))
    residuals = labels[:, :, None] - scores @ (shrink * target[:, :, None])
    leverage = 1.0 / n_rows + scores**2 @ shrink
    errors = np.minimum((residuals / np.maximum(1.0 - leverage, 1e-6)) ** 2, WINSOR)
    best = errors.mean(axis=1).argmin(axis=1)
    found = []
    for t, k in enumerate(best):
        coefficients = vectors[t] @ (shrink[t, :, k] * target[t])
        intercept = float(level[t] - centre[t] @ coefficients)
        mean_error = float(errors[t, :, k].mean())
        readout = Readout(
            "relu", weights, biases[t], coefficients, 0, intercept, ridges[k], mean_error, _limits(y[t])
        )
        found.append((readout, errors[t, :, k]))
    return found


def _hermite(z: Array, y: Array, degree: int) -> list[tuple[Readout, Array]]:
    """Read-outs of Hermite features, each with its winsorised leave-one-out errors."""
    n_directions = z.shape[2]
    level = y.mean(axis=1)
    fits = [
        fit_links(hermite_basis(n_directions, degree), z.swapaxes(1, 2), y - level[:, None], penalty)
        for penalty in PENALTIES
    ]
    errors = np.stack([held_out_rows(fit) for fit in fits])
    best = errors.mean(axis=2).argmin(axis=0)
    nothing = np.empty((0, n_directions)), np.empty(0)
    found = []
    for t, k in enumerate(best):
        coefficients = fits[k].coefficients[t]
        mean_error = float(errors[k, t].mean())
        readout = Readout(
            "hermite",
            *nothing,
            coefficients,
            degree,
            float(level[t]),
            PENALTIES[k],
            mean_error,
            _limits(y[t]),
        )
        found.append((readout, errors[k, t]))
    return found


def _limits(y: Array) -> tuple[float, float]:
    low, high = float(y.min()), float(y.max())
    return 2 * low - high, 2 * high - low
