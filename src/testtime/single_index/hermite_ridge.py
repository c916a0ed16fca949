r"""Ridge regression on Hermite features of a few directions, for many candidate directions of many tasks at
once.

Everything in this room that has to guess a link uses the same model,

.. math:: f(x) = \sum_{|a| \le K} c_a \prod_j h_{a_j}(\langle u_j, x\rangle),\qquad h_k = He_k/\sqrt{k!},

with coefficients from a ridge regression. For fixed directions it is linear, so the best coefficients, the
leave-one-out errors and the derivative of the minimised loss with respect to the directions are closed
forms.

Array axes, from the left: tasks, candidates, directions (or features), rows. A leading axis may have length
1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np

__all__ = [
    "HermiteBasis",
    "HermiteFit",
    "clearly_lower",
    "fit_links",
    "held_out_errors",
    "held_out_rows",
    "hermite_basis",
]

Array = np.ndarray

WINSOR = 9.0
"""Largest squared error, in units of the label variance, that a row may add to a score that selects."""


@dataclass(frozen=True)
class HermiteBasis:
    """Products of normalised Hermite polynomials in a few variables, up to a total degree.

    Attributes
    ----------
    degree
        Largest total degree K.
    exponents
        Degree of each feature in each variable, shape `(n_features, n_directions)`; the constant comes first.
    derivatives
        One matrix `(n_features, n_features)` per variable that maps coefficients to those of the partial
        derivative (``h_k' = sqrt(k) h_{k-1}``), shape `(n_directions, n_features, n_features)`.
    """

    degree: int
    exponents: Array
    derivatives: Array

    def design(self, z: Array) -> Array:
        """Evaluate every feature.

        Parameters
        ----------
        z
            Projections, shape `(..., n_directions, n_rows)`.

        Returns
        -------
        Array
            Shape `(..., n_features, n_rows)`.

        >>> hermite_basis(1, 2).design(np.array([[2.0]])).ravel().round(3).tolist()
        [1.0, 2.0, 2.121]
        """
        n_directions = z.shape[-2]
        # degree first: each recursion step then runs over contiguous memory, whatever the leading axes
        one = np.empty((self.degree + 1, *z.shape), dtype=z.dtype)
        one[0] = 1.0
        if self.degree:
            one[1] = z
        for k in range(1, self.degree):
            np.multiply(z, one[k], out=one[k + 1])
            one[k + 1] -= np.sqrt(k) * one[k - 1]
            one[k + 1] *= 1 / np.sqrt(k + 1)
        one = np.moveaxis(one, 0, -3)
        if n_directions == 1:
            return one[..., 0, :]
        columns = [one[..., self.exponents[:, j], j, :] for j in range(n_directions)]
        return np.multiply.reduce(columns)


@lru_cache(maxsize=32)
def hermite_basis(n_directions: int, degree: int) -> HermiteBasis:
    """Return the basis of `n_directions` variables up to total `degree` (cached: it depends on nothing else).

    >>> hermite_basis(2, 2).exponents.tolist()
    [[0, 0], [0, 1], [1, 0], [0, 2], [1, 1], [2, 0]]
    """
    exponents = sorted(
        (a for a in product(range(degree + 1), repeat=n_directions) if sum(a) <= degree),
        key=lambda a: (sum(a), a),
    )
    index = {a: position for position, a in enumerate(exponents)}
    derivatives = np.zeros((n_directions, len(exponents), len(exponents)))
    for a, position in index.items():
        for j in range(n_directions):
            if a[j]:
                lower = (*a[:j], a[j] - 1, *a[j + 1 :])
                derivatives[j, position, index[lower]] = np.sqrt(a[j])
    return HermiteBasis(degree, np.array(exponents).reshape(len(exponents), n_directions), derivatives)


@dataclass(frozen=True)
class HermiteFit:
    """Links fitted along given directions.

    Attributes
    ----------
    design
        Features, shape `(..., n_features, n_rows)`.
    gram
        Ridge-regularised Gram matrix of the features, shape `(..., n_features, n_features)`.
    coefficients
        Shape `(..., n_features)`.
    residuals
        Labels minus fitted values, shape `(..., n_rows)`.
    loss
        Sum of squared residuals plus the penalty, shape `(...,)`: the profile loss of the directions.
    """

    design: Array
    gram: Array
    coefficients: Array
    residuals: Array
    loss: Array


def fit_links(basis: HermiteBasis, z: Array, y: Array, penalty: float) -> HermiteFit:
    """Fit one link per candidate by ridge regression of `y` on the Hermite features of `z`.

    Parameters
    ----------
    basis
        The features.
    z
        Projections, shape `(..., n_directions, n_rows)`.
    y
        Labels, broadcastable to `(..., n_rows)`.
    penalty
        Weight of the squared coefficients in the sum of squared errors; the constant is penalised as well,
        which does no harm on centred labels and keeps the system regular for any rows.
    """
    design = basis.design(z)
    gram = design @ design.swapaxes(-1, -2)
    diagonal = np.arange(gram.shape[-1])
    gram[..., diagonal, diagonal] += penalty
    coefficients = np.linalg.solve(gram, design @ y[..., None])[..., 0]
    residuals = y - (coefficients[..., None, :] @ design)[..., 0, :]
    loss = np.einsum("...n,...n->...", residuals, residuals) + penalty * np.einsum(
        "...f,...f->...", coefficients, coefficients
    )
    return HermiteFit(design, gram, coefficients, residuals, loss)


def held_out_rows(fit: HermiteFit, winsor: float = WINSOR) -> Array:
    r"""Squared leave-one-out error of each row, winsorised, shape `(..., n_rows)`.

    .. math:: \min\Big\{\big(\tfrac{e_i}{1-\ell_i}\big)^2, w\Big\},\qquad
              \ell_i = \phi_i^\top (G+\lambda I)^{-1}\phi_i

    with residuals :math:`e_i` and leverages :math:`\ell_i`: exact for a ridge regression with the
    directions held fixed.
    """
    solved = np.linalg.solve(fit.gram, fit.design)
    leverage = np.einsum("...fn,...fn->...n", fit.design, solved)
    return np.minimum((fit.residuals / np.maximum(1.0 - leverage, 1e-6)) ** 2, winsor)


def clearly_lower(errors: Array, reference: Array, margin: float) -> Array:
    """Whether mean row-wise errors are lower than others by more than `margin` standard errors of the
    difference.

    Both have shape `(..., n_rows)` and belong to the same rows; the result has shape `(...,)`.

    >>> bool(clearly_lower(np.zeros(9), np.ones(9), margin=2.0))
    True
    """
    gain = reference - errors
    return gain.mean(axis=-1) > margin * gain.std(axis=-1) / np.sqrt(gain.shape[-1])


def held_out_errors(fit: HermiteFit, winsor: float = WINSOR) -> Array:
    """Mean of :func:`held_out_rows` for each link.

    It does not count what the search for the directions cost, so compare only candidates found in the same
    way.
    """
    return held_out_rows(fit, winsor).mean(axis=-1)
