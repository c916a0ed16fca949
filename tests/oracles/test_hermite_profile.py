"""The generative profile against explicit level sets and what is known by hand."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate
from scipy.special import lambertw
from scipy.stats import norm

from tests.oracles.exact_hermite import (
    combination,
    gaussian_moment,
    h,
    he_polynomial,
    rational_coefficients,
    step_coefficient,
)
from testtime.theory.hermite import (
    generative_exponent,
    generative_profile,
    power_profile,
)


@pytest.mark.parametrize(
    "link", [lambda z: 2 * z - 1, np.tanh, lambda z: np.exp(z / 2), lambda z: np.sign(z) * z**2]
)
def test_an_invertible_link_shows_every_degree(link):
    profile = generative_profile(link, 6)
    np.testing.assert_allclose(profile.values, 1.0, atol=1e-6)
    assert (np.abs(profile.values - 1.0) <= profile.errors).all()
    assert (profile.errors < 2e-5).all()


@pytest.mark.parametrize(
    "link", [np.abs, lambda z: z**2, lambda z: np.log(np.abs(z)), lambda z: np.exp(-(z**2))]
)
def test_a_function_of_the_absolute_value_shows_even_degrees_alone(link):
    np.testing.assert_allclose(generative_profile(link, 6).values, [0, 1, 0, 1, 0, 1], atol=1e-6)


def test_a_monotone_transformation_of_the_label_changes_no_entry_and_errors_hold_the_rounding():
    plain = generative_profile(lambda z: z**2 * np.exp(-(z**2)), 8)
    logarithm = generative_profile(lambda z: np.log(z**2) - z**2, 8)
    # labels of the tails below 1e-10 of the largest are one label for the first link, and not for its logarithm
    np.testing.assert_allclose(plain.values, logarithm.values, rtol=5e-3, atol=1e-12)
    assert (logarithm.values >= plain.values - plain.errors - logarithm.errors).all()
    assert (logarithm.values[:3] <= 3 * logarithm.errors[:3]).all()  # U_1 to U_3 vanish
    assert logarithm.values[3] > 0.2


@pytest.mark.parametrize("thresholds", [[0.0], [-1.0, 0.5], [-0.3, 0.2, 1.9]])
def test_discrete_links_by_hand(thresholds):
    ends = [-np.inf, *thresholds, np.inf]
    levels = [2.0, -1.0, 0.5, 7.0][: len(ends) - 1]
    link = lambda z: np.select([z < t for t in thresholds], levels[:-1], levels[-1])  # noqa: E731
    profile = generative_profile(link, 4)
    for k in range(1, 5):
        expected = 0.0
        for low, high in itertools.pairwise(ends):
            moment = (step_coefficient(k, low) if np.isfinite(low) else 0.0) - (
                step_coefficient(k, high) if np.isfinite(high) else 0.0
            )
            expected += moment**2 / (norm.cdf(high) - norm.cdf(low))
        assert profile.values[k - 1] == pytest.approx(expected, abs=1e-12)


def test_a_value_shared_by_two_flat_pieces_is_one_cell():
    profile = generative_profile(lambda z: np.where(np.abs(z) > 1, 1.0, 0.0), 2)
    tail = 2 * norm.sf(1.0)
    moment = 2 * step_coefficient(2, 1.0)
    assert profile.values[0] == 0.0
    assert profile.values[1] == pytest.approx(moment**2 / (tail * (1 - tail)), abs=1e-12)


def polynomial_roots(coefficients: dict[int, float]):
    polynomial = np.polynomial.Polynomial([0.0])
    for k, c in coefficients.items():
        exact = [float(a) for a in he_polynomial(k)]
        polynomial = polynomial + np.polynomial.Polynomial(exact) * (c / math.sqrt(math.factorial(k)))

    def preimage(y: float) -> np.ndarray:
        roots = (polynomial - y).roots()
        return roots.real[np.abs(roots.imag) < 1e-7 * (1 + np.abs(roots))]

    return polynomial, polynomial.deriv(), preimage


def profile_from_roots(link, slope, preimage, degree: int, breaks: list[float]) -> float:
    """U_k by its definition: average over the level set with weights density / |slope|, then over z."""

    def integrand(z: float) -> float:
        roots = preimage(float(link(z)))
        weights = norm.pdf(roots) / np.abs(slope(roots))
        return float(norm.pdf(z) * (weights @ h(degree, roots) / weights.sum()) ** 2)

    total = 0.0
    for low, high in itertools.pairwise(breaks):
        total += integrate.quad(integrand, low, high, limit=400, epsabs=1e-10, epsrel=1e-9)[0]
    return total


@pytest.mark.parametrize(
    "coefficients", [{3: 1.0}, {4: 1.0}, {3: 1.0, 4: 0.5}, {3: 1.0, 5: 1.0}, {4: 1.0, 5: 0.05}]
)
def test_polynomial_profiles_against_their_level_sets(coefficients):
    link, slope, preimage = polynomial_roots(coefficients)
    turning = slope.roots()
    turning = turning.real[np.abs(turning.imag) < 1e-9]
    ends = [np.array([-9.0, 9.0]), turning, *(preimage(y) for y in link(turning))]
    breaks = np.unique(np.round(np.concatenate(ends), 6))
    breaks = [float(b) for b in breaks if abs(b) <= 9]
    profile = generative_profile(link, 2)
    for k in (1, 2):
        exact = profile_from_roots(link, slope, preimage, k, breaks)
        assert profile.values[k - 1] == pytest.approx(exact, abs=2e-6)


def test_the_bump_pair_hides_degrees_one_to_three():
    link = lambda z: z**2 * np.exp(-(z**2))  # noqa: E731
    slope = lambda z: 2 * z * (1 - z**2) * np.exp(-(z**2))  # noqa: E731

    def preimage(y: float) -> np.ndarray:
        squares = np.array([-lambertw(-y, branch).real for branch in (0, -1)])
        return np.concatenate([np.sqrt(squares), -np.sqrt(squares)])

    profile = generative_profile(link, 4)
    assert (profile.values[:3] <= 1e-15).all()
    exact = 2 * profile_from_roots(link, slope, preimage, 4, [1e-12, 1e-6, 1e-3, 1.0, 8.0])
    assert profile.values[3] == pytest.approx(exact, abs=1e-6)
    assert generative_exponent(link) == 4


def test_a_fast_sine_is_weak_but_degree_one():
    def preimage(y: float) -> np.ndarray:
        turns = 2 * np.pi * np.arange(-6, 7)
        return np.concatenate([np.arcsin(y) + turns, np.pi - np.arcsin(y) + turns]) / 3

    breaks = [math.pi * (j + 0.5) / 3 for j in range(-8, 8)]
    exact = profile_from_roots(lambda z: math.sin(3 * z), lambda z: 3 * np.cos(3 * z), preimage, 1, breaks)
    exponent = generative_exponent(lambda z: np.sin(3 * z))
    assert exponent.profile[0] == pytest.approx(exact, rel=1e-4)
    assert exponent == 1
    assert exponent.decided


def test_flat_pieces_with_rounding_noise_are_one_atom():
    noisy = generative_profile(lambda z: np.abs(z + 1) - np.abs(z - 1), 4)
    exact = generative_profile(lambda z: np.clip(2 * z, -2, 2), 4)
    np.testing.assert_allclose(noisy.values, exact.values, atol=1e-8)


@pytest.mark.parametrize("link", [np.tanh, np.abs, combination({3: 1.0}), lambda z: np.maximum(z, 0)])
def test_single_precision_links_are_accepted(link):
    single = generative_profile(lambda z: np.asarray(link(z), dtype=np.float32), 2)
    np.testing.assert_allclose(single.values, generative_profile(link, 2).values, atol=5e-3)


def test_the_profile_bounds_the_squared_coefficients():
    for coefficients in ({1: 0.3, 2: 1.0}, {2: 1.0, 5: 0.4}, {3: 0.7, 6: 0.7}):
        link = combination(coefficients)
        variance = sum(c**2 for c in coefficients.values())
        profile = generative_profile(link, 6).values
        for k, c in coefficients.items():
            assert profile[k - 1] >= c**2 / variance - 1e-9


def test_powers_of_a_cubic_against_rational_moments():
    cubic = [float(a) / math.sqrt(6) for a in he_polynomial(3)]
    table = power_profile(lambda z: np.polynomial.polynomial.polyval(z, cubic), degree=3, max_power=3)
    for power in (1, 2, 3):
        raised = [Fraction(1)]
        for _ in range(power):
            raised = product(raised, he_polynomial(3))
        norm_squared = sum(a * gaussian_moment(i) for i, a in enumerate(product(raised, raised)))
        exact = np.abs(rational_coefficients(raised, 3)[1:]) / math.sqrt(norm_squared)
        np.testing.assert_allclose(table[:, power - 1], exact, atol=1e-12)


def product(first: list[Fraction], second: list[Fraction]) -> list[Fraction]:
    out = [Fraction(0)] * (len(first) + len(second) - 1)
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            out[i + j] += a * b
    return out
