r"""Integrals of a link against the Gaussian, correct at kinks and jumps.

A link is any deterministic, pointwise callable :math:`s: R \to R`. Gauss-Hermite rules are wrong at kinks
(2.6e-3 for ReLU at 64 nodes), so the line is cut into panels, each panel is integrated with Gauss-Legendre
nodes, and a panel whose value changes when it is halved is halved again. A kink costs about 20 halvings, a
jump about 50, and both end in a panel that no longer matters. Known kinks can be passed and become panel
ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import factorial, sqrt

import numpy as np
from numpy.polynomial import hermite_e
from numpy.typing import ArrayLike, NDArray

from testtime.errors import InputError, sentence
from testtime.theory.checks import as_points
from testtime.theory.exponents.link import PointwiseLink

__all__ = ["LinkQuadrature", "hermite_functions", "link_quadrature"]

Array = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(20)
_PANEL_WIDTH = 0.25
_LAST_POINT = 38.0  # the Gaussian density underflows just beyond
_PANEL_TOLERANCE = 1e-15  # of the norm of the link, per panel
_MAX_PANELS = 40_000
_MAX_HALVINGS = 110
_REFUSED_ERROR = 1e-5  # relative error of E[s^2] above which an integral is called divergent


def hermite_functions(z: ArrayLike, degree: int) -> Array:
    r"""Normalised Hermite polynomials :math:`h_k = He_k/\sqrt{k!}`, shape ``z.shape + (degree + 1,)``.

    >>> hermite_functions([2.0], 3).round(4)
    array([[1.    , 2.    , 2.1213, 0.8165]])
    """
    points = np.asarray(z, dtype=float)
    scale = np.array([1.0 / sqrt(factorial(k)) for k in range(degree + 1)])
    table = np.asarray(hermite_e.hermevander(points, degree), dtype=float)
    return table.reshape(*points.shape, degree + 1) * scale


@dataclass(frozen=True, eq=False)
class LinkQuadrature:
    r"""Nodes that integrate a link against the Gaussian, and what the integration learned.

    Attributes
    ----------
    nodes, weights, values
        Sorted points, weights that contain the Gaussian density, and values of the link; shape ``(n,)``.
    coefficients, errors
        Hermite coefficients :math:`E[s h_k]` and their error estimates, shape ``(degree + 1,)``. Like the values and
        the second moment they are in the ``unit`` of the :class:`PointwiseLink`.
    second_moment
        :math:`E[s^2]`.
    half_width
        The integral runs over :math:`|z| \le` this.
    breaks
        Points with a kink or a jump: those passed and those found.
    """

    nodes: Array
    weights: Array
    values: Array
    coefficients: Array
    errors: Array
    second_moment: float
    half_width: float
    breaks: Array

    @property
    def variance(self) -> float:
        """Variance of the link under a standard Gaussian, summed without cancellation."""
        return float(self.weights @ (self.values - self.coefficients[0]) ** 2)


def link_quadrature(link: PointwiseLink, degree: int, kinks: Iterable[float] | None = None) -> LinkQuadrature:
    """Integrate `link` and its products with Hermite polynomials up to `degree`.

    Raises
    ------
    InputError
        If the link is not finite, not square integrable, or too rough to be integrated.
    """
    given = np.unique(as_points(kinks, "kinks"))
    half_width = max(12.0, 2.0 * sqrt(degree) + 8.0)  # h_k^2 times the density is negligible beyond
    half_width = _PANEL_WIDTH * np.ceil(half_width / _PANEL_WIDTH)
    grid = np.arange(-half_width, half_width + _PANEL_WIDTH / 2, _PANEL_WIDTH)
    inside = given[np.abs(given) < half_width]
    edges: Array = np.unique(np.concatenate([grid, inside])).astype(float)
    done = _Panels.integrate(link, edges[:-1], edges[1:], degree)
    half_width = _widen(link, done, degree, half_width)

    second_moment, scale = done.moment(), done.scale()
    breaks = np.concatenate(
        [_breaks_at(link, edges[1:-1], float(scale[0])), _refine(link, done, degree, scale)]
    )
    second_moment = done.moment()
    left_over = float(done.error[:, -1].sum())
    if left_over > _REFUSED_ERROR * second_moment + np.finfo(float).tiny:
        worst = int(np.argmax(done.error[:, -1]))
        raise InputError(
            sentence(
                f"E[link(z)^2] does not converge near z = {(done.low[worst] + done.high[worst]) / 2:.6g}",
                expected="a square integrable link",
                why="its Hermite coefficients are defined by square integrability under the Gaussian",
                remedy="Clip the link, or pass its kinks if it is only rough there.",
            )
        )
    order = np.argsort(done.low)
    nodes, weights = _points(done.low[order], done.high[order])
    rounding = link.eps * done.absolute.sum(axis=0)
    return LinkQuadrature(
        nodes=nodes.ravel(),
        weights=(weights * _density(nodes)).ravel(),
        values=done.values[order].ravel(),
        coefficients=done.integral[:, :-1].sum(axis=0),
        errors=(done.error.sum(axis=0) + rounding)[:-1],
        second_moment=second_moment,
        half_width=float(half_width),
        breaks=np.unique(np.concatenate([inside, breaks])),
    )


@dataclass
class _Panels:
    """Integrated panels. Columns of `integral`, `error`, `absolute`: s h_0, ..., s h_degree, s^2."""

    low: Array
    high: Array
    values: Array
    integral: Array
    error: Array
    absolute: Array

    @classmethod
    def integrate(cls, link: PointwiseLink, low: Array, high: Array, degree: int) -> _Panels:
        """Integrate each panel as a whole and by halves; the difference estimates the error."""
        middle = (low + high) / 2
        whole, values, absolute = _integrals(link, low, high, degree)
        left = _integrals(link, low, middle, degree)[0]
        right = _integrals(link, middle, high, degree)[0]
        with np.errstate(invalid="ignore"):  # an integral that overflows is refused by the caller
            return cls(low, high, values, whole, np.abs(whole - left - right), absolute)

    def take(self, keep: NDArray[np.bool_]) -> _Panels:
        return _Panels(
            self.low[keep],
            self.high[keep],
            self.values[keep],
            self.integral[keep],
            self.error[keep],
            self.absolute[keep],
        )

    def append(self, other: _Panels) -> None:
        self.low = np.concatenate([self.low, other.low])
        self.high = np.concatenate([self.high, other.high])
        self.values = np.concatenate([self.values, other.values])
        self.integral = np.concatenate([self.integral, other.integral])
        self.error = np.concatenate([self.error, other.error])
        self.absolute = np.concatenate([self.absolute, other.absolute])

    def moment(self) -> float:
        return float(self.integral[:, -1].sum())

    def scale(self) -> Array:
        """Natural size of each column: the norm of the link, and its square for the last."""
        norm = sqrt(max(self.moment(), np.finfo(float).tiny))
        return np.append(np.full(self.integral.shape[1] - 1, norm), norm**2)


def _points(low: Array, high: Array) -> tuple[Array, Array]:
    half = (high - low)[:, None] / 2
    return (low + high)[:, None] / 2 + half * _NODES, half * _WEIGHTS


def _density(z: Array) -> Array:
    return np.exp(-z * z / 2) / sqrt(2 * np.pi)


def _integrals(link: PointwiseLink, low: Array, high: Array, degree: int) -> tuple[Array, Array, Array]:
    nodes, weights = _points(low, high)
    values = link(nodes.ravel()).reshape(nodes.shape)
    mass = weights * _density(nodes)
    with np.errstate(over="ignore"):
        products = hermite_functions(nodes, degree) * (values * mass)[..., None]
        square = (values * np.sqrt(mass)) ** 2  # values**2 alone overflows earlier
        columns = np.concatenate([products, square[..., None]], axis=2)
        return columns.sum(axis=1), values, np.abs(columns).sum(axis=1)


def _widen(link: PointwiseLink, done: _Panels, degree: int, half_width: float) -> float:
    """Add panels on both sides until the tails of s^2 no longer count; refuse when they always do."""
    per_unit = round(1 / _PANEL_WIDTH)
    while True:
        tails = np.abs(done.low) >= half_width - 1.0
        tail = float(done.integral[tails & (np.abs(done.high) >= half_width - 1.0), -1].sum())
        if tail <= 1e-17 * done.moment() < np.inf:
            return half_width
        if half_width + 1.0 > _LAST_POINT or not np.isfinite(done.moment()):
            break
        steps = _PANEL_WIDTH * np.arange(per_unit)
        start: Array = np.concatenate([-half_width - 1.0 + steps, half_width + steps]).astype(float)
        if not np.isfinite(link.unchecked(start + _PANEL_WIDTH)).all():
            break
        done.append(_Panels.integrate(link, start, start + _PANEL_WIDTH, degree))
        half_width += 1.0
    place, why = "", "its Hermite coefficients are defined by square integrability under the Gaussian"
    if half_width + 1.0 > _LAST_POINT:  # a wide link that is square integrable ends here as well
        place = f" within |z| <= {half_width:g}"
        why = (
            "the Gaussian density underflows beyond, so that the integral is either infinite or not resolved"
        )
    raise InputError(
        sentence(
            f"E[link(z)^2] does not converge{place}, |z| > {half_width - 1.0:g} still adds to it",
            expected="a square integrable link",
            why=why,
            remedy="Transform the labels by a bounded strictly monotone function, for example "
            "lambda z: numpy.tanh(link(z)); the generative exponent does not change.",
        )
    )


def _breaks_at(link: PointwiseLink, edges: Array, scale: float) -> Array:
    """Return the edges between panels that sit exactly on a jump or a kink, where halving finds nothing."""
    step = 1e-6
    far_left, left, right, far_right = (link(edges + k * step) for k in (-2, -1, 1, 2))
    slope_left, slope_right = (left - far_left) / step, (far_right - right) / step
    slopes = np.abs(slope_left) + np.abs(slope_right)
    size = np.abs(left) + np.abs(right)
    noise = 8 * link.eps * size
    jump = np.abs(right - left) > 4 * step * slopes + noise + 1e-12 * size
    kink = np.abs(slope_left - slope_right) > 1e-4 * (slopes + scale) + 2 * noise / step
    return edges[jump | kink]


def _refine(link: PointwiseLink, done: _Panels, degree: int, scale: Array) -> Array:
    """Halve the panels that are not resolved yet, in place; return where halving ended in a tiny panel."""
    final: list[_Panels] = []
    n_final = 0
    active = _Panels(done.low, done.high, done.values, done.integral, done.error, done.absolute)
    for _ in range(_MAX_HALVINGS):
        allowed = _PANEL_TOLERANCE * scale + 8 * link.eps * active.absolute
        width = active.high - active.low
        too_narrow = width <= 8 * np.finfo(float).eps * np.maximum(np.abs(active.low), np.abs(active.high))
        keep = (active.error <= allowed).all(axis=1) | too_narrow
        final.append(active.take(keep))
        n_final += int(keep.sum())
        active = active.take(~keep)
        if not len(active.low) or n_final + 2 * len(active.low) > _MAX_PANELS:
            break
        middle = (active.low + active.high) / 2
        active = _Panels.integrate(
            link, np.concatenate([active.low, middle]), np.concatenate([middle, active.high]), degree
        )
    final.append(active)
    first = final[0]
    for part in final[1:]:
        first.append(part)
    done.low, done.high, done.values = first.low, first.high, first.values
    done.integral, done.error, done.absolute = first.integral, first.error, first.absolute
    narrow = done.high - done.low < 1e-4
    ends = np.sort((done.low[narrow] + done.high[narrow]) / 2)
    if not len(ends):
        return ends
    groups = np.split(ends, np.flatnonzero(np.diff(ends) > 1e-3) + 1)
    # The halvings close in on a break from both sides, so the narrowest panel of a group sits on it.
    centre, size = (done.low + done.high) / 2, done.high - done.low
    return np.array([centre[k := (centre >= g[0]) & (centre <= g[-1])][np.argmin(size[k])] for g in groups])
