"""Exponents of links whose first coefficients are smaller than the rounding of the quadrature."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial.hermite_e import hermeval

from testtime.theory.hermite import generative_exponent, hermite_coefficients, information_exponent


@pytest.mark.parametrize("frequency", [7, 8, 9, 10, 20, 100])
@pytest.mark.parametrize(
    "shape", [lambda z: z, lambda z: np.tanh(3 * z), np.sign], ids=["sine", "tanh", "sign"]
)
def test_coefficients_that_are_lost_in_rounding_are_not_zero(frequency, shape):
    """Of sin(w z), c_1 = w exp(-w^2 / 2): the truth is 1 for odd and 2 for even functions of these."""
    for link, truth in ((np.sin, 1), (np.cos, 2)):
        for exponent in (information_exponent, generative_exponent):
            found = exponent(lambda z, link=link: shape(link(frequency * z)))
            assert truth in found.candidates or found == truth
            assert not found.decided or found == truth
            assert str(found).startswith((f"at least {truth};", f"undecided between {truth},", f"{truth} ("))
    found = information_exponent(lambda z: shape(np.sin(frequency * z)), max_degree=60, tolerance=1e-13)
    assert 1 in found.candidates


def test_what_symmetry_or_a_clear_coefficient_shows_is_zero_stays_so():
    typed = information_exponent(lambda z: 0.2041241 * (z**4 - 6.0000005 * z**2 + 3))
    assert typed.candidates == (2, 4), "an even link has no coefficients of odd degree"
    assert information_exponent(lambda z: z**5 - 10 * z**3 + 15 * z, max_degree=4).candidates == (5,)
    assert generative_exponent(lambda z: 5 * z - np.floor(5 * z)).candidates[0] == 1
    assert "at least 4;" in str(information_exponent(lambda z: z**2 * np.exp(-(z**2)), max_degree=3))


class TestPartsOfHighDegree:
    """sin(w z) has the coefficient w exp(-w^2 / 2) of degree 1, also where a polynomial is added to it."""

    @pytest.mark.parametrize("w", [10, 12, 30, 100])
    @pytest.mark.parametrize("share", [1.0, 1e-3])
    def test_a_fast_sine_beside_a_polynomial_leaves_the_first_degrees_open(self, w: float, share: float):
        found = information_exponent(lambda z: z**3 - 3 * z + share * np.sin(w * z))
        assert (found.value, found.decided, found.candidates[0]) == (3, False, 1)

    def test_a_fast_cosine_does_as_well(self):
        assert information_exponent(lambda z: z**2 + z + np.cos(10 * z)).decided  # nothing is before degree 1
        assert not information_exponent(lambda z: z**3 - 3 * z + np.cos(12 * z)).decided

    def test_a_slow_one_is_seen(self):
        assert information_exponent(lambda z: z**3 - 3 * z + np.sin(4 * z)).candidates == (1,)

    @pytest.mark.parametrize(
        "link",
        [
            lambda z: hermeval(z, [0, 0, 0, 1.0, 0, 0, 0, 0, 0, 0, 0, 0, 1e-4]),
            lambda z: hermeval(z, [0, 0, 0, 1.0, *[0] * 16, 1e-8]),
            lambda z: np.maximum(z, 0.0) - z / 2,
            lambda z: np.tanh(z) - hermite_coefficients(np.tanh, 1)[1] * z,
        ],
    )
    def test_what_ends_clearly_or_only_fades_is_decided(self, link):
        found = information_exponent(link)
        assert found.decided
        assert found == found.candidates[0] > 1
