"""Exponents of links whose first coefficients are smaller than the rounding of the quadrature."""

from __future__ import annotations

import numpy as np
import pytest

from testtime.theory.hermite import generative_exponent, information_exponent


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
