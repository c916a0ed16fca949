r"""Hermite coefficients of a link, and the two exponents that set how many rows a single-index model needs.

For a standard Gaussian z and :math:`h_k = He_k/\sqrt{k!}`:

* Hermite coefficients :math:`c_k = E[s(z) h_k(z)]`;
* information exponent: the least :math:`k \ge 1` with :math:`c_k \ne 0` (Ben Arous, Gheissari and
  Jagannath, 2021). Gradient methods on the raw labels need about :math:`r^{\Theta(ie)}` rows;
* generative exponent: the least :math:`k \ge 1` with :math:`U_k = E[E[h_k(z)|y]^2] > 0` (Damian,
  Pillaud-Vivien, Lee and Bruna, 2024). It is never larger, a transformation of the labels
  reaches it, and noise does not change it.

Kuwataka and Suzuki (2026) show that self-distillation at test time moves the cost from the first to the
second.

>>> def third(z): return (z**3 - 3 * z) / 6**0.5
>>> information_exponent(third) == 3, generative_exponent(third) == 1
(True, True)
>>> print(generative_exponent(lambda z: z**2 * np.exp(-(z**2))))
4 (U_4 = 0.23 +- ...)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError
from testtime.theory.checks import as_count, as_degree, as_number, as_points
from testtime.theory.exponents.exponent import Exponent, decide, infinite
from testtime.theory.exponents.level_sets import LevelSetProfile, level_set_profile
from testtime.theory.exponents.link import PointwiseLink
from testtime.theory.exponents.quadrature import LinkQuadrature, link_quadrature

__all__ = [
    "Exponent",
    "generative_exponent",
    "generative_profile",
    "hermite_coefficients",
    "information_exponent",
    "power_profile",
]

Array = NDArray[np.float64]
Link = Callable[[Any], Any]

_CONSTANT = 1e-12  # a standard deviation below this share of the link's size is rounding
_ROUNDING_C, _ROUNDING_U = 1e-13, 1e-15
_CLEAR = 1e6  # times rounding: so far the coefficients of no smooth link jump from one degree to the next
_CLEAR_U = 1e-8
_GAP = 4  # degrees without a coefficient in a row: more than symmetry makes
_LEFT = 1e-10  # share of the variance that no coefficient explains; an amplitude of 1e-5
_MOST = 100  # degrees that are looked at for the first coefficient beyond rounding


def hermite_coefficients(link: Link, degree: int, kinks: Iterable[float] | None = None) -> Array:
    r"""Coefficients :math:`c_k = E[s(z) h_k(z)]`, k = 0..`degree`, of a link.

    Reference: Kuwataka and Suzuki (2026), exponents of a link.

    Parameters
    ----------
    link
        :math:`s`: a deterministic function of one number. Vectorised callables are fast, others are looped
        over.
    degree
        Highest degree, at most 100.
    kinks
        Points where the link has a kink or a jump. They are found without being given, except inside features
        narrower than about 0.01.

    Returns
    -------
    Array
        Shape ``(degree + 1,)``, in units of the link; the error is near 1e-14 of the link's norm, also at
        kinks.

    Raises
    ------
    InputError
        If the link is not callable, not finite, not deterministic, not square integrable, or so wide that its
        square is not negligible under the Gaussian at :math:`|z|=38`, where the integral ends.

    >>> hermite_coefficients(lambda z: np.maximum(z, 0.0), 2).round(6)
    array([0.398942, 0.5     , 0.282095])
    """
    pointwise = PointwiseLink(link)
    return link_quadrature(pointwise, as_degree(degree, "degree", 0), kinks).coefficients * pointwise.unit


def information_exponent(
    link: Link, *, max_degree: int = 16, tolerance: float = 1e-6, kinks: Iterable[float] | None = None
) -> Exponent:
    r"""Information exponent: the least :math:`k \ge 1` with :math:`c_k \ne 0`.

    Reference: Kuwataka and Suzuki (2026), exponents of a link.

    Parameters
    ----------
    link, kinks
        As in :func:`hermite_coefficients`.
    max_degree
        Highest degree looked at.
    tolerance
        A coefficient, in units of the link's standard deviation, counts as non-zero above this. One that is
        measurably non-zero but smaller leaves the exponent undecided: constants typed with six digits do
        that.

    Returns
    -------
    Exponent
        Behaves like an integer; infinite for a constant link. Its profile holds :math:`c_k` in units of the
        link's standard deviation.

    >>> print(information_exponent(lambda z: z**3 - 3 * z))
    3 (c_3 = 1 +- ...)
    >>> information_exponent(np.tanh) == 1
    True
    """
    pointwise, max_degree = PointwiseLink(link), as_degree(max_degree, "max_degree")
    places = as_points(kinks, "kinks")
    quadrature = link_quadrature(pointwise, max_degree, places)
    deviation = sqrt(quadrature.variance)
    if _is_constant(quadrature):
        return infinite("information", "c", max_degree, tolerance)
    return decide(
        "information",
        "c",
        (quadrature.coefficients[1:] / deviation).tolist(),
        (quadrature.errors[1:] / deviation).tolist(),
        tolerance,
        floor=_floor(quadrature),
        zero_degrees=_zero_by_symmetry(pointwise, quadrature),
        clear=_CLEAR * _floor(quadrature),
        clear_beyond=lambda: _clear_beyond(pointwise, places),
        hidden=lambda: _has_hidden_part(pointwise, places, quadrature),
    )


def generative_exponent(
    link: Link, *, max_degree: int = 8, tolerance: float = 1e-12, kinks: Iterable[float] | None = None
) -> Exponent:
    r"""Generative exponent: the least :math:`k \ge 1` with :math:`U_k = E[E[h_k(z) \mid s(z)]^2] > 0`.

    Reference: Kuwataka and Suzuki (2026), exponents of a link.

    Parameters
    ----------
    link, kinks
        As in :func:`hermite_coefficients`.
    max_degree
        Highest degree looked at.
    tolerance
        An entry of the profile, between 0 and 1, counts as non-zero above this. The default is the square
        of the tolerance of :func:`information_exponent`, because :math:`U_k \ge c_k^2/\mathrm{Var}\,s`.

    Returns
    -------
    Exponent
        Behaves like an integer; infinite for a constant link.

    Notes
    -----
    The link is taken as it is computed in floating point: where it saturates (tanh(30 z) for z > 0.7), its
    value is an atom and the profile is smaller than the one of the exact function.

    >>> generative_exponent(np.abs) == 2
    True
    >>> print(generative_exponent(lambda z: np.sin(3 * z)))
    1 (U_1 = 2e-03 +- ...)
    >>> print(generative_exponent(lambda z: 1.0))
    infinite; the label is constant and says nothing about z
    """
    pointwise, max_degree = PointwiseLink(link), as_degree(max_degree, "max_degree")
    places = as_points(kinks, "kinks")
    quadrature = link_quadrature(pointwise, max_degree, places)
    if _is_constant(quadrature):
        return infinite("generative", "U", max_degree, tolerance)
    profile = level_set_profile(pointwise, quadrature, max_degree)
    rounding = 3 * quadrature.errors + _ROUNDING_C * sqrt(quadrature.second_moment)
    correlated = np.flatnonzero(np.abs(quadrature.coefficients) > rounding)  # there U_k > 0 by Cauchy-Schwarz
    return decide(
        "generative",
        "U",
        profile.values.tolist(),
        profile.errors.tolist(),
        tolerance,
        floor=_ROUNDING_U,
        open_degrees=correlated.tolist(),
        clear=_CLEAR_U,
        clear_beyond=lambda: _clear_beyond(pointwise, places),
    )


def generative_profile(link: Link, degree: int = 8, kinks: Iterable[float] | None = None) -> LevelSetProfile:
    r"""Profile :math:`U_k = E[E[h_k(z) \mid s(z)]^2]`, k = 1..`degree`, with error estimates.

    An invertible link has :math:`U_k = 1` for every k; an even link has :math:`U_k = 0` for odd k.

    Reference: Kuwataka and Suzuki (2026), exponents of a link.

    Returns
    -------
    LevelSetProfile
        ``values`` and ``errors`` of shape ``(degree,)``; entry 0 is k = 1.

    >>> profile = generative_profile(np.sign, 3)
    >>> profile.values.round(6), bool((profile.errors < 1e-14).all())
    (array([0.63662 , 0.      , 0.106103]), True)
    """
    pointwise, degree = PointwiseLink(link), as_degree(degree, "degree")
    quadrature = link_quadrature(pointwise, degree, kinks)
    if _is_constant(quadrature):
        return LevelSetProfile(np.zeros(degree), np.zeros(degree), 1)
    return level_set_profile(pointwise, quadrature, degree)


def power_profile(
    link: Link, degree: int = 4, max_power: int = 3, kinks: Iterable[float] | None = None
) -> Array:
    r"""How well powers of the label show each Hermite degree: :math:`|E[s^j h_k]| / \sqrt{E[s^{2j}]}`.

    The generative exponent says that some transformation of the label works, this says how simple it is. For
    :math:`h_3` degree 1 needs the cube of the label and is weak there, while the square shows degree 2
    strongly: in practice the covariance weighted by :math:`y^2` is the handle on cubic links.

    Reference: Kuwataka and Suzuki (2026), exponents of a link.

    Parameters
    ----------
    link, kinks
        As in :func:`hermite_coefficients`; all powers up to `max_power` have to be square integrable.
    degree, max_power
        Highest Hermite degree and label power.

    Returns
    -------
    Array
        Shape ``(degree, max_power)``; entry ``[k - 1, j - 1]`` is in [0, 1].

    >>> power_profile(lambda z: (z**3 - 3 * z) / 6**0.5, degree=2).round(3)
    array([[0.   , 0.   , 0.095],
           [0.   , 0.44 , 0.   ]])
    """
    degree, n_powers = (
        as_degree(degree, "degree"),
        int(as_number(as_count(max_power, "max_power", 1), "max_power")),
    )
    pointwise, places = PointwiseLink(link), as_points(kinks, "kinks")
    columns = []
    for power in range(1, n_powers + 1):
        powered = PointwiseLink(lambda z, power=power: pointwise(np.atleast_1d(z)) ** power)
        quadrature = link_quadrature(powered, degree, places)
        norm = sqrt(quadrature.second_moment)
        columns.append(np.abs(quadrature.coefficients[1:]) / norm if norm > 0 else np.zeros(degree))
    return np.stack(columns, axis=1)


def _floor(quadrature: LinkQuadrature) -> float:
    """Rounding of coefficients, in units of the link's standard deviation."""
    return _ROUNDING_C * sqrt(quadrature.second_moment / quadrature.variance)


def _clear_beyond(link: PointwiseLink, kinks: Array) -> bool:
    """Whether the first coefficient beyond rounding, of whatever degree, is far beyond it.

    Those before it are then zero. Where they grow out of the rounding, or none is ever beyond it, the first ones may be
    too small to be seen: sin(w z) has the coefficient w exp(-w^2 / 2) of degree 1.
    """
    try:
        quadrature = link_quadrature(link, _MOST, kinks)
    except InputError:  # polynomials of high degree reach further out, where the link may overflow
        return False
    sizes, beyond = _sizes(quadrature)
    return bool(beyond.any()) and float(sizes[beyond][0]) >= _CLEAR * _floor(quadrature)


def _has_hidden_part(link: PointwiseLink, kinks: Array, quadrature: LinkQuadrature) -> bool:
    """Whether something of high degree is added to what the first coefficients show, whose own first ones are unseen.

    It is as in :func:`_clear_beyond`: coefficients end, a part of the variance is left, and what comes after the gap
    grows out of the rounding, or beyond the highest degree. So sin(w z) + He_3 has the coefficient of sin(w z).
    """
    if _unexplained(quadrature, len(quadrature.coefficients)) <= _LEFT:
        return False
    with suppress(InputError):  # as above; the coefficients that are known then have to tell
        quadrature = link_quadrature(link, _MOST, kinks)
    sizes, beyond = _sizes(quadrature)
    first = int(np.argmax(beyond))
    runs = np.convolve(~beyond[first:], np.ones(_GAP), "valid")
    if not (runs == _GAP).any():
        return False
    end = first + int(np.argmax(runs == _GAP))
    later, clear = sizes[end:][beyond[end:]], _CLEAR * _floor(quadrature)
    if len(later):
        return bool(later[0] < clear <= later.max())
    return _unexplained(quadrature, end + 1) > _LEFT


def _sizes(quadrature: LinkQuadrature) -> tuple[Array, NDArray[np.bool_]]:
    """Sizes of the coefficients from degree 1 on, in standard deviations, and which are beyond rounding."""
    deviation = sqrt(quadrature.variance)
    sizes, errors = np.abs(quadrature.coefficients[1:]) / deviation, quadrature.errors[1:] / deviation
    return sizes, sizes > 3 * errors + _floor(quadrature)


def _unexplained(quadrature: LinkQuadrature, end: int) -> float:
    """Share of the variance that the coefficients before the degree `end` leave."""
    return 1.0 - float(np.sum(quadrature.coefficients[1:end] ** 2)) / quadrature.variance


def _zero_by_symmetry(link: PointwiseLink, quadrature: LinkQuadrature) -> range:
    """Return degrees whose coefficients vanish because the link is even or odd in every digit."""
    there, mirrored = quadrature.values, link(-quadrature.nodes)
    allowed, degrees = 4 * link.eps * np.abs(there), len(quadrature.coefficients)
    if (np.abs(there - mirrored) <= allowed).all():
        return range(1, degrees, 2)
    return range(2, degrees, 2) if (np.abs(there + mirrored) <= allowed).all() else range(0)


def _is_constant(quadrature: LinkQuadrature) -> bool:
    return quadrature.variance <= _CONSTANT**2 * quadrature.second_moment
