"""Checks of what the caller passes to the theory: counts, variances, vectors and covariances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError, nearest, sentence

__all__ = [
    "as_count",
    "as_covariance",
    "as_degree",
    "as_finite",
    "as_matrix",
    "as_number",
    "as_points",
    "as_ratio",
    "as_variance",
    "check_word",
]

Array = NDArray[np.float64]

_SYMMETRY = 1e-10  # largest relative asymmetry taken for rounding
_MAX_DEGREE = 100


def as_finite(value: Any, name: str) -> Array:
    """Return `value` as a float64 array, refusing anything that is not a finite number.

    >>> as_finite([1, 2], "noise_var")
    array([1., 2.])
    """
    try:
        if np.asarray(value).dtype.kind in "SUc":  # NumPy would read digits and drop imaginary parts
            raise TypeError
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            sentence(
                f"{name} is {type(value).__name__} {value!r:.60}",
                expected="a real number or an array of real numbers",
                remedy=f"Pass {name} as a float, a list of floats or a NumPy array",
            )
        ) from None
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        first = tuple(bad[0].tolist())
        got = (
            f"{name}={value!r:.60}"
            if array.ndim == 0
            else f"{name} has {len(bad)} entries that are NaN or infinite, the first "
            f"{name}[{', '.join(map(str, first))}] = {array[first]}"
        )
        raise InputError(sentence(got, expected="finite numbers", remedy=f"Drop or replace them in {name}"))
    return array


def as_count(value: Any, name: str, minimum: int = 0) -> Array:
    """Return a count (or an array of counts) as float64, refusing fractions and values below `minimum`.

    Floats are used because products of four counts overflow 64-bit integers.

    >>> float(as_count(40, "n_context"))
    40.0
    """
    array = as_finite(value, name)
    if np.asarray(value).dtype == bool:
        raise InputError(
            sentence(f"{name}={value!r:.60}", expected="a whole number", remedy=f"Pass {name}=40, say")
        )
    wrong = array[(array != np.floor(array)) | (array < minimum)]
    if wrong.size:
        raise InputError(
            sentence(
                f"{name}={wrong.flat[0]:.15g}",
                expected=f"a whole number of at least {minimum}",
                why="it counts rows or dimensions",
                remedy=f"Round {name} or correct its sign",
            )
        )
    return array


def as_number(value: Any, name: str) -> float:
    """Return a single finite number as a float, refusing arrays.

    >>> as_number(np.array(0.5), "target_risk")
    0.5
    """
    array = as_finite(value, name)
    if array.ndim:
        raise InputError(
            sentence(
                f"{name} has shape {array.shape}",
                expected="one number",
                why="this function answers for one setting at a time",
                remedy=f"Loop over {name}",
            )
        )
    return float(array)


def as_points(value: Any, name: str) -> Array:
    """Return numbers of any iterable, None for none, as an array of shape ``(n,)``.

    >>> as_points({1}, "kinks"), as_points(None, "kinks")
    (array([1.]), array([], dtype=float64))
    """
    try:
        points = [] if value is None else list(value)
    except TypeError:
        points = value
    array = as_finite(points, name)
    if array.ndim != 1:
        got = f"{name} is {value!r:.60}" if array.ndim == 0 else f"{name} has shape {array.shape}"
        raise InputError(sentence(got, expected="a list of numbers", remedy=f"Pass {name}=[0.0, 1.0], say"))
    return array


def as_ratio(value: Any, name: str) -> Any:
    """Return a ratio of counts as a float, or an array of ratios, refusing negative ones.

    >>> as_ratio(2, "train_ratio")
    2.0
    """
    array = as_finite(value, name)
    if np.any(array < 0):
        raise InputError(
            sentence(
                f"{name} has a negative entry", expected="numbers >= 0", remedy=f"{name} is a ratio of counts"
            )
        )
    return array if array.ndim else float(array)


def as_degree(value: Any, name: str, minimum: int = 1) -> int:
    """Return a degree of Hermite polynomials as an integer from `minimum` to 100.

    >>> as_degree(8.0, "max_degree")
    8
    """
    degree = as_number(value, name)
    if not minimum <= degree <= _MAX_DEGREE or degree != int(degree):
        raise InputError(
            sentence(
                f"{name}={value}",
                expected=f"an integer from {minimum} to {_MAX_DEGREE}",
                why="normalised Hermite polynomials of higher degree lose their precision",
            )
        )
    return int(degree)


def check_word(value: Any, name: str, words: tuple[str, ...]) -> None:
    """Refuse a word that is not one of `words`."""
    if not (isinstance(value, str) and value in words):  # arrays would be compared entry by entry
        got = (
            f"{name}={value!r}"
            if isinstance(value, str)
            else f"{name} is {type(value).__name__} {value!r:.60}"
        )
        raise InputError(
            sentence(
                got,
                expected=" or ".join(filter(None, (", ".join(map(repr, words[:-1])), repr(words[-1])))),
                remedy=nearest(str(value), words),
            )
        )


def as_variance(value: Any, name: str) -> Array:
    """Return a variance (or an array of variances), refusing negative ones."""
    array = as_finite(value, name)
    if np.any(array < 0):
        raise InputError(
            sentence(
                f"{name}={float(array[array < 0].flat[0]):.6g}",
                expected="a number >= 0",
                why="it is a variance, not a standard deviation",
                remedy=f"Pass {name}=0.0 for noise-free labels",
            )
        )
    return array


def as_matrix(value: Any, name: str, dim: int) -> Array:
    """Return a scalar, a diagonal (length `dim`) or a `dim` x `dim` matrix as an array.

    A scalar c becomes the constant diagonal, an array of shape ``(dim,)``.
    """
    array = as_finite(value, name)
    if array.ndim == 0:
        return np.full(dim, float(array))
    if array.shape in ((dim,), (dim, dim)):
        return array
    raise InputError(
        sentence(
            f"{name} has shape {array.shape}",
            expected=f"a number, {dim} diagonal entries or a {dim} x {dim} matrix",
            why=f"dim is {dim}",
            remedy=f"Change the shape of {name} or dim",
        )
    )


def as_covariance(value: Any, name: str, *, singular: bool) -> Array:
    """Return a covariance: a scalar variance, the eigenvalues, or a symmetric matrix.

    Parameters
    ----------
    value
        Number, array of shape ``(d,)`` or ``(d, d)``.
    name
        Argument name for the message.
    singular
        Whether zero eigenvalues are allowed.

    Raises
    ------
    InputError
        With the relative asymmetry or the smallest eigenvalue, when the matrix is not a covariance.
    """
    array = as_finite(value, name)
    if array.ndim > 2 or (array.ndim == 2 and array.shape[0] != array.shape[1]) or array.size == 0:
        raise InputError(
            sentence(
                f"{name} has shape {array.shape}",
                expected="a number, a vector of eigenvalues or a square matrix",
                remedy=f"Pass {name} as one of these",
            )
        )
    size = float(np.max(np.abs(array)))
    if array.ndim == 2:
        asymmetry = float(np.max(np.abs(array - array.T)))
        if asymmetry > _SYMMETRY * size:
            raise InputError(
                sentence(
                    f"{name} is not symmetric: entries (i, j) and (j, i) differ by up to {asymmetry:.3g}, "
                    f"{asymmetry / size:.2g} of its largest entry",
                    expected="a symmetric matrix",
                    remedy=f"Pass ({name} + {name}.T) / 2 if the difference is rounding",
                )
            )
        array = (array + array.T) / 2
        smallest, tolerance = float(np.linalg.eigvalsh(array)[0]), 1e-14 * len(array) * size
    else:
        smallest, tolerance = float(np.min(array)), 0.0
    too_small = smallest < -tolerance if singular else smallest <= tolerance
    if too_small:
        kind = "positive semi-definite" if singular else "positive definite"
        unit = "the smallest eigenvalue" if array.ndim else "the variance"
        raise InputError(
            sentence(
                f"{name} is not {kind}: {unit} is {smallest:.6g}",
                expected="a covariance with eigenvalues " + (">= 0" if singular else "> 0"),
                remedy="Drop directions without variance" if smallest >= 0 else "Check how it was estimated",
            )
        )
    return array
