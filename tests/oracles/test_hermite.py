"""Hermite coefficients and profiles against rationals, closed forms, mpmath and explicit level sets."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import mpmath
import numpy as np
import pytest
from scipy import integrate
from scipy.special import lambertw
from scipy.stats import norm

from testtime.theory.hermite import (
    generative_exponent,
    generative_profile,
    hermite_coefficients,
    information_exponent,
    power_profile,
)

DEGREE = 8


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


@pytest.mark.parametrize(
    "polynomial",
    [[3], [0, 1], [Fraction(1, 3), -2, 0, 1], [0, 0, 0, 0, 1, Fraction(-7, 2)], [5, 0, 0, 0, 0, 0, 0, 1]],
)
def test_polynomials_have_rational_coefficients(polynomial):
    exact = rational_coefficients([Fraction(a) for a in polynomial], DEGREE)
    floats = [float(a) for a in polynomial]
    got = hermite_coefficients(lambda z: np.polynomial.polynomial.polyval(z, floats), DEGREE)
    np.testing.assert_allclose(got, exact, rtol=1e-12, atol=1e-12 * np.linalg.norm(exact))


def h_at_zero(k: int) -> float:
    if k % 2:
        return 0.0
    return (-1) ** (k // 2) * math.prod(range(1, k, 2)) / math.sqrt(math.factorial(k))


def step_coefficient(k: int, threshold: float) -> float:
    """E[1(z > t) h_k(z)]."""
    if k == 0:
        return float(norm.sf(threshold))
    return float(h(k - 1, np.float64(threshold)) * norm.pdf(threshold) / math.sqrt(k))


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


# --- the generative profile
# -------------------------------------------------------------------------------------


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


# --- exponents
# --------------------------------------------------------------------------------------------------

EXPONENTS = {
    "He1": (combination({1: 1}), 1, 1),
    "He2": (combination({2: 1}), 2, 2),
    "He3": (combination({3: 1}), 3, 1),
    "He4": (combination({4: 1}), 4, 2),
    "He5": (combination({5: 1}), 5, 1),
    "He6": (combination({6: 1}), 6, 2),
    "He12": (combination({12: 1}), 12, 2),
    "relu": (lambda z: np.maximum(z, 0), 1, 1),
    "relu beyond 1": (lambda z: np.maximum(z - 1, 0), 1, 1),
    "leaky relu": (lambda z: np.where(z > 0, z, 0.1 * z), 1, 1),
    "uneven abs": (lambda z: np.where(z > 0, z, -0.9 * z), 1, 1),
    "sin": (np.sin, 1, 1),
    "sin 3z": (lambda z: np.sin(3 * z), 1, 1),
    "sin 5z": (lambda z: np.sin(5 * z), 1, 1),
    "tanh": (np.tanh, 1, 1),
    "tanh 3z": (lambda z: np.tanh(3 * z), 1, 1),
    "tanh^2": (lambda z: np.tanh(3 * z) ** 2, 2, 2),
    "sign": (np.sign, 1, 1),
    "sign He3": (lambda z: np.sign(h(3, z)), 1, 1),
    "z exp(-z^2)": (lambda z: z * np.exp(-(z**2)), 1, 1),
    "exp(z/2)": (lambda z: np.exp(z / 2), 1, 1),
    "abs": (np.abs, 2, 2),
    "centred abs": (lambda z: np.abs(z) - math.sqrt(2 / math.pi), 2, 2),
    "cos": (np.cos, 2, 2),
    "cos 2z": (lambda z: np.cos(2 * z), 2, 2),
    "sign He2": (lambda z: np.sign(h(2, z)), 2, 2),
    "He2+He4": (combination({2: 1, 4: 1}), 2, 2),
    "z^2 exp(-z^2)": (lambda z: z**2 * np.exp(-(z**2)), 4, 4),
    "shifted z^2 exp(-z^2)": (lambda z: 3 - 7 * z**2 * np.exp(-(z**2)), 4, 4),
    "z^4 exp(-z^2)": (lambda z: z**4 * np.exp(-(z**2)), 2, 2),
    "He3+.5He4": (combination({3: 1, 4: 0.5}), 3, 1),
    "He3-.25He4": (combination({3: 1, 4: -0.25}), 3, 1),
    "He3+He5": (combination({3: 1, 5: 1}), 3, 1),
    "He5-He3": (combination({5: 1, 3: -1}), 3, 1),
    "He4+.05He5": (combination({4: 1, 5: 0.05}), 4, 1),
    "floor": (np.floor, 1, 1),
    "sign(z) z^2": (lambda z: np.sign(z) * z**2, 1, 1),
    "three levels": (lambda z: np.where(z < -1, 2.0, np.where(z < 0.5, 0.0, 1.0)), 1, 1),
    "math.erf": (math.erf, 1, 1),
}


@pytest.mark.parametrize("name", EXPONENTS)
def test_exponents_of_known_links(name):
    link, information, generative = EXPONENTS[name]
    ie, ge = information_exponent(link), generative_exponent(link)
    assert (ie.value, ge.value) == (information, generative)
    assert ie.decided
    assert ge.decided
    assert ge <= ie


def test_shift_scale_and_reflection_change_no_exponent():
    rng = np.random.default_rng(3)
    for link, information, generative in list(EXPONENTS.values())[:12]:
        shift, scale = rng.normal(size=2)
        changed = lambda z, link=link, shift=shift, scale=scale: 100 * shift + scale * link(-z)  # noqa: E731
        assert information_exponent(changed) == information
        assert generative_exponent(changed) == generative
