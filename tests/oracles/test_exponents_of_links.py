"""Exponents of links that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.oracles.exact_hermite import combination, h
from testtime.theory.hermite import (
    generative_exponent,
    information_exponent,
)

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
    "log(z^2)-z^2": (lambda z: np.log(z**2) - z**2, 4, 4),  # the logarithm of the one before
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
    "vectorize(math.erf)": (np.vectorize(math.erf), 1, 1),  # refuses to be called without points
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
