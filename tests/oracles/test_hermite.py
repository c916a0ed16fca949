"""Hermite coefficients against rationals, closed forms and mpmath."""

from __future__ import annotations

import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from tests.oracles.exact_hermite import h_at_zero, rational_coefficients, step_coefficient
from testtime.theory.hermite import hermite_coefficients

DEGREE = 8


@pytest.mark.parametrize(
    "polynomial",
    [[3], [0, 1], [Fraction(1, 3), -2, 0, 1], [0, 0, 0, 0, 1, Fraction(-7, 2)], [5, 0, 0, 0, 0, 0, 0, 1]],
)
def test_polynomials_have_rational_coefficients(polynomial):
    exact = rational_coefficients([Fraction(a) for a in polynomial], DEGREE)
    floats = [float(a) for a in polynomial]
    got = hermite_coefficients(lambda z: np.polynomial.polynomial.polyval(z, floats), DEGREE)
    np.testing.assert_allclose(got, exact, rtol=1e-12, atol=1e-12 * np.linalg.norm(exact))


def relu_coefficient(k: int) -> float:
    if k == 0:
        return 1 / math.sqrt(2 * math.pi)
    if k == 1:
        return 0.5
    return h_at_zero(k - 2) / math.sqrt(2 * math.pi * k * (k - 1))


CLOSED = {
    "relu": (lambda z: np.maximum(z, 0), relu_coefficient),
    "abs": (np.abs, lambda k: 2 * relu_coefficient(k) if k % 2 == 0 else 0.0),
    "sign": (np.sign, lambda k: 2 * step_coefficient(k, 0.0) if k else 0.0),
    "step at 0.7": (lambda z: z > 0.7, lambda k: step_coefficient(k, 0.7)),
    "steps everywhere": (
        np.floor,
        lambda k: sum(step_coefficient(k, n) - (n <= 0) * (k == 0) for n in range(-30, 31)),
    ),
    "exp(z/2)": (lambda z: np.exp(z / 2), lambda k: math.exp(1 / 8) * 0.5**k / math.sqrt(math.factorial(k))),
    "exp(z^2/5)": (lambda z: np.exp(z * z / 5), lambda k: gaussian_square(k, 0.2)),
    "exp(-z^2)": (lambda z: np.exp(-z * z), lambda k: gaussian_square(k, -1.0)),
    "sin 3z": (
        lambda z: np.sin(3 * z),
        lambda k: (k % 2) * (-1) ** (k // 2) * math.exp(-4.5) * 3**k / math.sqrt(math.factorial(k)),
    ),
}


def gaussian_square(k: int, a: float) -> float:
    """E[exp(a z^2) h_k(z)], from the generating function of the Hermite polynomials."""
    if k % 2:
        return 0.0
    scale = 1 / math.sqrt(1 - 2 * a)
    half = k // 2
    return scale * (a * scale**2) ** half * math.sqrt(math.factorial(k)) / math.factorial(half)


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms_also_at_kinks_and_jumps(name):
    link, coefficient = CLOSED[name]
    exact = [coefficient(k) for k in range(DEGREE + 1)]
    got = hermite_coefficients(link, DEGREE)
    np.testing.assert_allclose(got, exact, rtol=0, atol=2e-13 * max(1.0, np.abs(exact).max()))


@pytest.mark.parametrize(
    ("link", "exact", "kinks"),
    [
        (lambda z: np.tanh(3 * z), lambda z: mpmath.tanh(3 * z), [0]),
        (lambda z: np.abs(z - 0.3) ** 1.5, lambda z: abs(z - mpmath.mpf("0.3")) ** 1.5, [0.3]),
        (lambda z: np.log(np.abs(z)), lambda z: mpmath.log(abs(z)), [0]),
        (lambda z: np.sign(z) * z**2, lambda z: mpmath.sign(z) * z**2, [0]),
        (
            lambda z: np.where(z < -1.1, z, np.cos(2 * z)),
            lambda z: z if z < -1.1 else mpmath.cos(2 * z),
            [-1.1],
        ),
    ],
)
def test_mpmath_agrees(link, exact, kinks):
    with mpmath.workdps(25):
        points = [-12, -6, -3, *(mpmath.mpf(str(k)) for k in kinks), 3, 6, 12]
        for k in (0, 1, 2, 5):
            integral = mpmath.quad(lambda z, k=k: exact(z) * mpmath_h(k, z) * mpmath.npdf(z), sorted(points))
            assert hermite_coefficients(link, 5)[k] == pytest.approx(float(integral), abs=1e-12)


def mpmath_h(k: int, z):
    return mpmath.hermite(k, z / mpmath.sqrt(2)) / (
        mpmath.mpf(2) ** (mpmath.mpf(k) / 2) * mpmath.sqrt(mpmath.factorial(k))
    )


def test_given_kinks_change_nothing_and_scalar_callables_work():
    found = hermite_coefficients(lambda z: np.maximum(z - 0.123, 0), 6)
    given = hermite_coefficients(lambda z: np.maximum(z - 0.123, 0), 6, kinks=[0.123])
    looped = hermite_coefficients(lambda z: max(z - 0.123, 0.0) if z > 0 else 0.0, 6)
    np.testing.assert_allclose(found, given, atol=1e-14)
    np.testing.assert_allclose(looped, given, atol=1e-14)


def test_a_feature_too_narrow_to_be_found_is_found_when_given():
    low, high = 0.1000, 0.1004
    exact = [step_coefficient(k, low) - step_coefficient(k, high) for k in range(5)]
    got = hermite_coefficients(lambda z: (z > low) & (z < high), 4, kinks=[low, high])
    np.testing.assert_allclose(got, exact, atol=1e-15)
