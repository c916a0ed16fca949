"""Hermite polynomials in rational arithmetic and by recursion, for the oracles of exponents and profiles."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from scipy.stats import norm


def he_polynomial(k: int) -> list[Fraction]:
    """Ascending coefficients of He_k from the recursion, in exact arithmetic."""
    previous, current = [Fraction(1)], [Fraction(0), Fraction(1)]
    if k == 0:
        return previous
    for n in range(1, k):
        shifted = [Fraction(0), *current]
        padded = [*previous, *([Fraction(0)] * (len(shifted) - len(previous)))]
        previous, current = current, [a - n * b for a, b in zip(shifted, padded, strict=True)]
    return current


def gaussian_moment(power: int) -> int:
    return 0 if power % 2 else math.prod(range(1, power, 2))


def rational_coefficients(polynomial: list[Fraction], degree: int) -> list[float]:
    out = []
    for k in range(degree + 1):
        total = Fraction(0)
        for i, a in enumerate(polynomial):
            for j, b in enumerate(he_polynomial(k)):
                total += a * b * gaussian_moment(i + j)
        out.append(float(total) / math.sqrt(math.factorial(k)))
    return out


def h(k: int, z):
    """Normalised Hermite polynomial by its own three-term recursion."""
    previous, current = np.ones_like(z), z
    if k == 0:
        return previous
    for n in range(1, k):
        previous, current = current, (z * current - math.sqrt(n) * previous) / math.sqrt(n + 1)
    return current


def combination(coefficients: dict[int, float]):
    return lambda z: sum(c * h(k, np.asarray(z, dtype=float)) for k, c in coefficients.items())


def h_at_zero(k: int) -> float:
    if k % 2:
        return 0.0
    return (-1) ** (k // 2) * math.prod(range(1, k, 2)) / math.sqrt(math.factorial(k))


def step_coefficient(k: int, threshold: float) -> float:
    """E[1(z > t) h_k(z)]."""
    if k == 0:
        return float(norm.sf(threshold))
    return float(h(k - 1, np.float64(threshold)) * norm.pdf(threshold) / math.sqrt(k))
