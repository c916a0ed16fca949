r"""Exponents from samples: labels y, with noise, and the projections z of their inputs on a known direction.

With samples no entry of a profile is ever known to be zero, only to be zero within its standard error. The
answers therefore often read "undecided between 1 and 2"; more rows or a larger tolerance decide them.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from testtime.errors import InputError, sentence
from testtime.theory.checks import as_count, as_degree, as_finite, as_number
from testtime.theory.exponents.exponent import Exponent, decide, infinite
from testtime.theory.exponents.quadrature import hermite_functions

__all__ = ["sample_generative_exponent", "sample_information_exponent"]

Array = NDArray[np.float64]

_LEAST_ROWS = 50
_ROWS_PER_CELL = 50
_MAX_CELLS = 400
_ROWS_PER_TAIL_CELL = 8


def sample_information_exponent(
    z: ArrayLike, y: ArrayLike, *, max_degree: int = 6, tolerance: float = 0.03
) -> Exponent:
    r"""Information exponent of noisy samples: the least :math:`k \ge 1` with :math:`E[y\,h_k(z)] \ne 0`.

    Reference: this project.

    Parameters
    ----------
    z
        Projections :math:`\langle\beta, x\rangle` on the unit direction, standard Gaussian, shape ``(n,)``.
    y
        Labels, shape ``(n,)``.
    max_degree
        Highest degree looked at.
    tolerance
        Size, in units of the standard deviation of y, that a coefficient has to exceed to count as non-zero;
        a zero needs a standard error of at most this.

    Returns
    -------
    Exponent
        Its profile holds the coefficients in units of the standard deviation of y, its errors their
        standard errors.

    Raises
    ------
    InputError
        If there are fewer than 50 rows, lengths differ, a value is not a finite real number, or z is not
        standardised.

    >>> rng = np.random.default_rng(0)
    >>> z = rng.standard_normal(100_000)
    >>> sample_information_exponent(z, z**2 + rng.uniform(-0.1, 0.1, z.size)) == 2
    True
    """
    projections, labels = _checked(z, y)
    max_degree = as_degree(max_degree, "max_degree")
    deviation = labels.std()
    if deviation <= 1e-12 * np.abs(labels).max():
        return infinite("information", "c", max_degree, tolerance)
    products = (
        hermite_functions(projections, max_degree)[:, 1:] * ((labels - labels.mean()) / deviation)[:, None]
    )
    errors = products.std(axis=0, ddof=1) / sqrt(len(labels))
    return decide("information", "c", products.mean(axis=0).tolist(), errors.tolist(), tolerance)


def sample_generative_exponent(
    z: ArrayLike, y: ArrayLike, *, max_degree: int = 4, tolerance: float = 1e-3, n_cells: int | None = None
) -> Exponent:
    r"""Generative exponent of noisy samples, from the variance of :math:`h_k(z)` between cells of y.

    The labels are cut into cells at their quantiles; ties stay together, and a repeated value is a cell of
    its own. With :math:`n_c` rows in a cell, mean :math:`m_c` and variance :math:`v_c` of :math:`h_k(z)`
    inside it,

    .. math:: \hat U_k = \sum_c \frac{n_c}{n}\Big(m_c^2 - \frac{v_c}{n_c}\Big),

    where the second term removes the bias of squaring a noisy mean. Cells are coarser than y, so the
    expectation is at most the true :math:`U_k`. Bounded noise shrinks :math:`U_k` and leaves the exponent
    unchanged.

    Reference: this project.

    Parameters
    ----------
    z, y, max_degree
        As in :func:`sample_information_exponent`.
    tolerance
        Size, between 0 and 1, that :math:`U_k` has to exceed to count as non-zero; a zero needs a standard
        error of at most this.
    n_cells
        Number of cells of equal size; by default one per 50 rows, at least 8 and at most 400. The first and
        the last are halved further, down to 8 rows.

    >>> rng = np.random.default_rng(0)
    >>> z = rng.standard_normal(400_000)
    >>> y = (z**4 - 6 * z**2 + 3) / 24**0.5 + rng.uniform(-0.1, 0.1, z.size)
    >>> print(sample_generative_exponent(z, y))
    2 (U_2 = 0.75... +- ...)
    >>> print(sample_generative_exponent(z[:2000], y[:2000]))
    undecided between 1 and 2; U_1 = ... +- ...
    """
    projections, labels = _checked(z, y)
    n, max_degree = len(labels), as_degree(max_degree, "max_degree")
    if labels.std() <= 1e-12 * np.abs(labels).max():
        return infinite("generative", "U", max_degree, tolerance)
    if n_cells is None:
        n_cells = min(_MAX_CELLS, max(8, n // _ROWS_PER_CELL))
    n_cells = int(as_number(as_count(n_cells, "n_cells"), "n_cells"))
    if not 2 <= n_cells <= n // 2:
        raise InputError(
            sentence(
                f"n_cells={n_cells} with {n} rows",
                expected=f"from 2 to {n // 2}",
                why="the variance inside a cell needs two rows",
            )
        )
    cell = _label_cells(labels, n_cells)
    size = np.bincount(cell)
    polynomials = hermite_functions(projections, max_degree)[:, 1:]
    totals = np.stack([np.bincount(cell, weights=column) for column in polynomials.T], axis=1)
    squares = np.stack([np.bincount(cell, weights=column**2) for column in polynomials.T], axis=1)
    used = size >= 2
    count = size[used, None].astype(float)
    mean = totals[used] / count
    variance = np.maximum(squares[used] - count * mean**2, 0.0) / (count - 1)
    unbiased = mean**2 - variance / count
    profile = (count / n * unbiased).sum(axis=0)
    spread = 4 * np.maximum(unbiased, 0.0) * variance / count + 2 * (variance / count) ** 2
    errors = np.sqrt(((count / n) ** 2 * spread).sum(axis=0))
    return decide("generative", "U", profile.tolist(), errors.tolist(), tolerance)


def _label_cells(labels: Array, n_cells: int) -> NDArray[np.int64]:
    """Cell index of each label; equal labels share a cell, and one that fills a cell has it to itself."""
    shares = np.arange(1, n_cells) / n_cells
    halvings = max(0, int(np.log2(max(1.0, len(labels) / n_cells / _ROWS_PER_TAIL_CELL))))
    tail = shares[0] / 2.0 ** np.arange(1, halvings + 1)  # z varies most where the label is extreme
    edges = np.quantile(labels, np.concatenate([tail[::-1], shares, 1 - tail]), method="inverted_cdf")
    edges, repeats = np.unique(edges, return_counts=True)
    above = np.nextafter(edges[repeats > 1], np.inf)
    cell = np.searchsorted(np.union1d(edges, above), labels, side="right")
    return np.unique(cell, return_inverse=True)[1]


def _checked(z: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Return projections, and labels divided by a power of two near their size: exponents have no unit."""
    projections, labels = as_finite(z, "z"), as_finite(y, "y")
    if projections.ndim != 1 or projections.shape != labels.shape:
        raise InputError(
            sentence(
                f"z of shape {projections.shape} and y of shape {labels.shape}",
                expected="two vectors of the same length",
                remedy="Pass z = X @ direction with a unit direction.",
            )
        )
    n = len(labels)
    if n < _LEAST_ROWS:
        raise InputError(
            sentence(
                f"{n} rows", expected=f"at least {_LEAST_ROWS}", why="the exponents are read from averages"
            )
        )
    mean, variance = projections.mean(), projections.var()
    if abs(mean) > 6 / sqrt(n) or abs(variance - 1) > 6 * sqrt(2 / n):
        raise InputError(
            sentence(
                f"z has mean {mean:.3g} and variance {variance:.3g}",
                expected="a standard Gaussian projection",
                why="the Hermite polynomials are orthogonal for that distribution alone",
                remedy="Standardise the inputs, or map z to normal scores.",
            )
        )
    return projections, np.ldexp(labels, -np.frexp(np.abs(labels).max())[1])
