r"""Links of single-index models: normalised Hermite polynomials, fixed and random polynomial links.

:math:`h_k = He_k/\sqrt{k!}` are orthonormal for the standard Gaussian, so the squared coefficients of a
link in them add up to its variance. All links of the tasks are built here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import factorial, sqrt

import numpy as np
from numpy.polynomial import hermite_e
from numpy.typing import ArrayLike, NDArray

from testtime.errors import InputError, sentence

__all__ = ["HermiteLink", "Link", "LinkFamily", "Seed", "hermite_features", "hermite_values"]

Array = NDArray[np.float64]
Link = Callable[[Array], Array]
Seed = int | np.random.SeedSequence | np.random.Generator


def hermite_features(z: ArrayLike, degree: int) -> Array:
    r"""Normalised Hermite polynomials :math:`h_k = He_k/\sqrt{k!}` at the points `z`.

    They are orthonormal for the standard Gaussian: :math:`E[h_j(z) h_k(z)] = 1[j = k]`.

    Parameters
    ----------
    z
        Points, any shape ``S``.
    degree
        Highest degree.

    Returns
    -------
    Array
        Shape ``S + (degree + 1,)``; the last axis is k = 0, 1, ..., `degree`.

    >>> hermite_features(2.0, 3).round(4)
    array([1.    , 2.    , 2.1213, 0.8165])
    """
    points = np.asarray(z, dtype=float)
    scale = np.array([1.0 / sqrt(factorial(k)) for k in range(degree + 1)])
    powers = hermite_e.hermevander(points, degree).reshape(*points.shape, degree + 1)
    return np.asarray(powers * scale, dtype=np.float64)


def hermite_values(z: ArrayLike, coefficients: ArrayLike) -> Array:
    r"""Values :math:`\sum_k c_k h_k(z)`.

    Parameters
    ----------
    z
        Points; shape ``S``, or ``(n_links,) + S`` when there are several links.
    coefficients
        Shape ``(degree + 1,)`` for one link, or ``(n_links, degree + 1)`` for one link per leading index of
        `z`.

    Returns
    -------
    Array
        Same shape as `z`.

    >>> hermite_values([0.0, 2.0], [0.0, 1.0, 0.0, 1.0]).round(4)
    array([0.    , 2.8165])
    """
    points = np.asarray(z, dtype=float)
    c = np.asarray(coefficients, dtype=float)
    c = c / np.array([sqrt(factorial(k)) for k in range(c.shape[-1])])
    if c.ndim == 2:  # one column per link, broadcast over the remaining axes of z
        c = c.T.reshape(c.shape[1], c.shape[0], *(1,) * (points.ndim - 1))
    return np.asarray(hermite_e.hermeval(points, c, tensor=False), dtype=np.float64)


@dataclass(frozen=True)
class HermiteLink:
    r"""A polynomial link :math:`s(z) = \sum_k c_k h_k(z)` in normalised Hermite polynomials.

    Attributes
    ----------
    coefficients
        :math:`c_0, c_1, \dots`; for standard Gaussian z the mean is :math:`c_0`.

    >>> round(float(HermiteLink((0.0, 0.0, 0.0, 1.0))(2.0)), 4)
    0.8165
    """

    coefficients: tuple[float, ...]

    def __call__(self, z: ArrayLike) -> Array:
        """Value of the link at the points `z`, same shape."""
        return hermite_values(z, self.coefficients)

    def derivative(self) -> HermiteLink:
        r"""The derivative, again a Hermite link: :math:`h_k' = \sqrt{k}\,h_{k-1}`."""
        lowered = tuple(sqrt(k) * c for k, c in enumerate(self.coefficients) if k)
        return HermiteLink(lowered or (0.0,))

    @property
    def variance(self) -> float:
        """Variance of the link under a standard Gaussian."""
        return float(sum(c * c for c in self.coefficients[1:]))


@dataclass(frozen=True)
class LinkFamily:
    r"""Random Hermite links: coefficient k is uniform in ``centre[k] +- spread[k]``.

    A spread of zero everywhere is a fixed link. The default is the link of the experiments of Kuwataka and
    Suzuki (2026), :math:`s(z) = h_3(z) + c\,h_4(z)` with :math:`c \sim \mathrm{Unif}[-1/2, 1/2]`.

    >>> LinkFamily().draw(seed=0).coefficients[3:]
    (1.0, 0.3132...)
    >>> LinkFamily.fixed({3: 1.0, 4: 0.25}).draw(seed=0).coefficients
    (0.0, 0.0, 0.0, 1.0, 0.25)
    """

    centre: tuple[float, ...] = (0.0, 0.0, 0.0, 1.0, 0.0)
    spread: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0, 0.5)

    def __post_init__(self) -> None:
        if len(self.centre) != len(self.spread) or not self.centre:
            raise InputError(
                sentence(
                    f"centre has {len(self.centre)} coefficients and spread {len(self.spread)}",
                    expected="two non-empty tuples of the same length",
                    why="each Hermite coefficient has one centre and one half-width",
                )
            )
        if not np.isfinite(self.centre + self.spread).all() or min(self.spread) < 0:
            raise InputError(
                sentence(
                    f"centre={self.centre}, spread={self.spread}",
                    expected="finite centres and finite, non-negative half-widths",
                )
            )

    @classmethod
    def fixed(cls, coefficients: Mapping[int, float]) -> LinkFamily:
        """One link for all tasks, from ``{degree: normalised Hermite coefficient}``."""
        if not coefficients or min(coefficients) < 0:
            raise InputError(
                sentence(f"coefficients={dict(coefficients)}", expected="at least one degree of 0 or more")
            )
        centre = tuple(float(coefficients.get(k, 0.0)) for k in range(max(coefficients) + 1))
        return cls(centre, (0.0,) * len(centre))

    def draw_coefficients(self, n_links: int, seed: Seed) -> Array:
        """Coefficients of `n_links` independent links, shape ``(n_links, degree + 1)``."""
        unit = np.random.default_rng(seed).uniform(-1.0, 1.0, (n_links, len(self.centre)))
        return np.array(self.centre) + np.array(self.spread) * unit

    def draw(self, seed: Seed) -> HermiteLink:
        """One link."""
        return HermiteLink(tuple(float(c) for c in self.draw_coefficients(1, seed)[0]))
