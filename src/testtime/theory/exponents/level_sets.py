r"""How much of each Hermite polynomial the label of a noise-free link shows: the generative profile.

.. math:: U_k = E\big[E[h_k(z) \mid s(z)]^2\big], \qquad z \sim N(0, 1).

The label axis is cut into cells. The set of z whose label falls into a cell is a union of intervals, found
by root finding; over an interval the Gaussian mass and the integral of :math:`h_k` are known in closed form,
:math:`\int_a^b h_k\varphi = [-h_{k-1}\varphi]_a^b/\sqrt{k}`. With :math:`P_c` and :math:`M_{k,c}` summed
over a cell,

.. math:: U_k = \sup_{cells} \sum_c M_{k,c}^2 / P_c .

Every cut gives a lower bound up to rounding, so a positive value is a proof, and the parity zeros of even
links come out at rounding level. Cells end at the critical values of the link (extrema, jumps, kinks, flat
pieces), which makes the bound converge quadratically in the number of cells; three nested cuts give an
extrapolated value and its error.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf, ndtr, ndtri

from testtime.theory.exponents.link import PointwiseLink
from testtime.theory.exponents.quadrature import LinkQuadrature, hermite_functions

__all__ = ["LevelSetProfile", "level_set_profile"]

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

_N_POINTS = 1 << 16
_N_CELLS = 1024
_MAX_CROSSINGS = 500_000
_NOISE = 1e-10  # ups and downs of the link smaller than this, in units of its size, are rounding


@dataclass(frozen=True, eq=False)
class LevelSetProfile:
    """Values :math:`U_1, U_2, ...` and their error estimates, and the number of label cells behind them."""

    values: Array
    errors: Array
    n_cells: int


def level_set_profile(link: PointwiseLink, quadrature: LinkQuadrature, degree: int) -> LevelSetProfile:
    """Compute :math:`U_1, ..., U_{degree}` of a square integrable link that is not constant."""
    z, turns = _dense_points(link, quadrature, degree)
    values = link(z)
    noise = max(_NOISE, 100 * link.eps) * sqrt(quadrature.second_moment)
    while True:
        cells = _critical_cells(link, z, values, turns, quadrature.breaks, noise)
        edges, levels = _label_edges(z, values, cells, degree, noise)
        if np.abs(np.diff(np.searchsorted(edges, values))).sum() <= _MAX_CROSSINGS:
            break
        noise *= 10  # a link with numerical noise: merge labels that only the noise tells apart
    crossing, slack, cell_of = _crossings(link, z, values, edges)
    mass, moments, mass_blur, blur = _cell_integrals(crossing, slack, cell_of, len(edges) + 1, degree)
    bounds = [_lower_bound(mass, moments, levels <= depth) for depth in (0, 1, 2)]
    extrapolated = [bounds[1] + (bounds[1] - bounds[0]) / 3, bounds[2] + (bounds[2] - bounds[1]) / 3]
    errors = np.abs(extrapolated[1] - extrapolated[0]) + _rounding(mass, moments, mass_blur, blur)
    profile = np.clip(extrapolated[1], 0.0, 1.0)
    if np.allclose(values, link(-z), rtol=1e-12, atol=noise):
        profile[::2], errors[::2] = 0.0, 0.0  # an even link hides the sign of z: odd h_k average to zero
    return LevelSetProfile(profile, errors, len(edges) + 1)


def _dense_points(link: PointwiseLink, quadrature: LinkQuadrature, degree: int) -> tuple[Array, Array]:
    """Return sorted points between which the link is monotone, and the local extrema among them."""
    quantiles = sqrt(1.0 + degree) * ndtri((np.arange(_N_POINTS) + 0.5) / _N_POINTS)
    z = np.unique(np.concatenate([quantiles[np.abs(quantiles) < quadrature.half_width], quadrature.nodes]))
    rise = np.diff(link(z))
    moving = np.flatnonzero(rise)  # steps of exactly zero are passed over: an extremum may sit inside one
    sign = np.sign(rise[moving])
    turn = np.flatnonzero(sign[:-1] * sign[1:] < 0)
    turns = _maximise(link, z[moving[turn]], z[moving[turn + 1] + 1], sign[turn])
    return np.unique(np.concatenate([z, turns])), turns


def _maximise(link: PointwiseLink, low: Array, high: Array, sign: Array) -> Array:
    """Golden-section search for the maximum of ``sign * link`` in each bracket."""
    ratio = (sqrt(5.0) - 1) / 2
    low, high = low.copy(), high.copy()
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    f_left, f_right = sign * link(left), sign * link(right)
    for _ in range(50):
        drop_right = f_left > f_right
        low, high = np.where(drop_right, low, left), np.where(drop_right, right, high)
        new = np.where(drop_right, high - ratio * (high - low), low + ratio * (high - low))
        f_new = sign * link(new)
        left, right = np.where(drop_right, new, right), np.where(drop_right, left, new)
        f_left, f_right = np.where(drop_right, f_new, f_right), np.where(drop_right, f_left, f_new)
    return (low + high) / 2


def _critical_cells(
    link: PointwiseLink, z: Array, values: Array, turns: Array, breaks: Array, noise: float
) -> Array:
    """Return disjoint label intervals around the critical values of the link, shape ``(n, 2)``.

    An interval is as wide as the link is uncertain there, at most `noise`: labels inside count as equal.
    """
    near = turns[:, None] + 1e-5 * np.linspace(-1.0, 1.0, 9)
    at_turns = link(near.ravel()).reshape(near.shape)
    rise = np.diff(values)
    erratic = (rise[:-1] * rise[1:] < 0) & (np.maximum(np.abs(rise[:-1]), np.abs(rise[1:])) <= noise)
    level = (rise[:-1] == 0) & (rise[1:] == 0)
    flat = np.flatnonzero(erratic | level) + 1
    offset = 1e-7 * np.maximum(1.0, np.abs(breaks))
    at_breaks = np.concatenate([link(breaks - offset), link(breaks + offset)])
    centres = np.concatenate([at_turns[:, 4], values[flat], at_breaks])
    spreads = np.concatenate(
        [
            np.ptp(at_turns, axis=1),
            np.maximum(np.abs(rise[flat - 1]), np.abs(rise[flat])),
            np.zeros(len(at_breaks)),
        ]
    )
    widths = np.minimum(4 * spreads, noise) + 8 * link.eps * np.abs(centres) + np.finfo(float).tiny
    order = np.argsort(centres - widths)
    low, high = (centres - widths)[order], np.maximum.accumulate((centres + widths)[order])
    first = np.flatnonzero(np.append(True, low[1:] > high[:-1])) if len(low) else np.array([], dtype=int)
    last = np.append(first[1:], len(low)) - 1
    return np.stack([low[first], high[last]], axis=1) if len(low) else np.empty((0, 2))


def _label_edges(z: Array, values: Array, cells: Array, degree: int, noise: float) -> tuple[Array, Integers]:
    """Choose the ends of all label cells; level 0 ends belong to all three cuts, level 2 to the finest."""
    # Quantiles of the label under a wide Gaussian, so that the tails of h_k get their cells too.
    weight = np.diff(ndtr(z / sqrt(1.0 + degree)))
    middle = values[1:] / 2 + values[:-1] / 2
    order = np.argsort(middle, kind="stable")
    labels, cumulated = middle[order], np.cumsum(weight[order])
    rise = np.diff(values)
    real = np.maximum(np.abs(rise[:-1]), np.abs(rise[1:])) > noise
    n_pieces = 1 + np.count_nonzero((rise[:-1] * rise[1:] < 0) & real)
    n_cells = min(_N_CELLS, max(64, _MAX_CROSSINGS // (4 * n_pieces)))
    edges, levels = [cells.ravel()], [np.zeros(cells.size, dtype=np.int64)]
    starts, stops = np.append(-np.inf, cells[:, 1]), np.append(cells[:, 0], np.inf)
    for first, last in zip(np.searchsorted(labels, starts), np.searchsorted(labels, stops), strict=True):
        if last - first < 8:
            continue
        mass = float(cumulated[last - 1] - cumulated[first])
        quarter = max(1, round(n_cells * mass / 4))
        share = np.arange(1, 4 * quarter)
        targets = cumulated[first] + mass * share / (4 * quarter)
        edges.append(np.interp(targets, cumulated[first:last], labels[first:last]))
        levels.append(np.where(share % 4 == 0, 0, np.where(share % 2 == 0, 1, 2)))
    all_edges, all_levels = np.concatenate(edges), np.concatenate(levels)
    order = np.lexsort((all_levels, all_edges))
    all_edges, all_levels = all_edges[order], all_levels[order]
    keep = np.append(True, np.diff(all_edges) > 0)
    return all_edges[keep], all_levels[keep]


def _crossings(link: PointwiseLink, z: Array, values: Array, edges: Array) -> tuple[Array, Array, Integers]:
    """Find all points where the label passes an edge.

    Returns the sorted points, how uncertain each is, and the cell of each of the intervals between them.
    """
    cell = np.searchsorted(edges, values)
    step = np.diff(cell)
    count = np.abs(step)
    at = np.repeat(np.arange(len(step)), count)
    rank = np.arange(len(at)) - np.repeat(np.cumsum(count) - count, count)
    upward = step[at] > 0
    edge = np.where(upward, cell[at] + rank, cell[at] - 1 - rank)
    after = np.where(upward, edge + 1, edge)
    target = edges[edge]
    low, high = z[at].copy(), z[at + 1].copy()
    slope = np.abs(values[at + 1] - values[at]) / (high - low)
    for _ in range(60):
        middle = (low + high) / 2
        passed = (link(middle) > target) == upward
        high, low = np.where(passed, middle, high), np.where(passed, low, middle)
        if (high - low <= 4 * np.finfo(float).eps * np.maximum(np.abs(low), 1e-3)).all():
            break
    root = (low + high) / 2
    blur = 4 * link.eps * (np.abs(target) / np.maximum(slope, 1e-300) + np.abs(root))
    return root, np.minimum(blur, z[at + 1] - z[at]), np.concatenate([cell[:1], after])


def _cell_integrals(
    crossing: Array, slack: Array, cells: Integers, n_cells: int, degree: int
) -> tuple[Array, Array, Array, Array]:
    """Gaussian mass and integrals of h_1..h_degree per cell, and the uncertainty of both."""
    ends = np.concatenate([[-np.inf], crossing, [np.inf]])
    low, high = ends[:-1], ends[1:]
    right_half = low > 0  # differences of the upper tail are exact there
    mass = np.where(right_half, ndtr(-low) - ndtr(-high), ndtr(high) - ndtr(low))
    middle = (np.abs(low) < 1) & (np.abs(high) < 1)  # an interval of width 1e-27 around zero has a mass, too
    mass[middle] = (erf(high[middle] / sqrt(2)) - erf(low[middle] / sqrt(2))) / 2
    density = np.exp(-crossing * crossing / 2) / sqrt(2 * np.pi)
    polynomials = hermite_functions(crossing, degree) * density[:, None]
    primitive = np.zeros((len(ends), degree))
    primitive[1:-1] = -polynomials[:, :-1] / np.sqrt(np.arange(1, degree + 1))
    uncertain = np.zeros((len(ends), degree))
    uncertain[1:-1] = np.abs(polynomials[:, 1:]) * slack[:, None] + np.finfo(float).eps * np.abs(
        primitive[1:-1]
    )
    uncertain_mass = np.zeros(len(ends))
    uncertain_mass[1:-1] = density * slack + np.finfo(float).eps
    increments, doubts = np.diff(primitive, axis=0), uncertain[:-1] + uncertain[1:]

    def gather(column: Array) -> Array:
        return np.bincount(cells, weights=column, minlength=n_cells).astype(float)

    moments = np.stack([gather(column) for column in increments.T], axis=1)
    blur = np.stack([gather(column) for column in doubts.T], axis=1)
    return gather(mass), moments, gather(uncertain_mass[:-1] + uncertain_mass[1:]), blur


def _lower_bound(mass: Array, moments: Array, kept_edges: NDArray[np.bool_]) -> Array:
    """Sum of M^2 / P over the cells that remain when only some of the edges are kept."""
    starts = np.concatenate([[0], np.flatnonzero(kept_edges) + 1])
    P, M = np.add.reduceat(mass, starts), np.add.reduceat(moments, starts, axis=0)
    filled = P > 0
    return (M[filled] ** 2 / P[filled, None]).sum(axis=0)


def _rounding(mass: Array, moments: Array, mass_blur: Array, blur: Array) -> Array:
    """What uncertain crossings can add to the bound; a cell of no certain mass weighs what it may weigh.

    A mass that is too small makes M^2 / P too large: the part of each term that vanishes when the cell has all the
    mass that it may have is uncertain as well.
    """
    weight = np.maximum(mass, mass_blur)
    filled = weight > 0
    M, B, P = np.abs(moments[filled]), blur[filled], weight[filled, None]
    found = np.minimum((2 * M * B + B**2) / P, 1.0).sum(axis=0)
    certain = mass > 0
    P, blurred = mass[certain, None], mass_blur[certain, None]
    return found + (moments[certain] ** 2 / P * (blurred / (P + blurred))).sum(axis=0)
