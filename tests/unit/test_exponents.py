"""Exponents as answers: deciding, behaving like numbers, samples, bad links, and orders of magnitude."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from testtime.errors import InputError
from testtime.theory.exponents.exponent import decide
from testtime.theory.hermite import (
    generative_exponent,
    generative_profile,
    hermite_coefficients,
    information_exponent,
    power_profile,
)
from testtime.theory.sample_exponents import sample_generative_exponent, sample_information_exponent
from testtime.theory.single_index import (
    excess_error,
    readout_error,
    recovery_error,
    rows_with_distillation,
    rows_without_distillation,
    segment_sizes,
    width_error,
)


def test_an_exponent_behaves_like_its_integer():
    exponent = generative_exponent(np.abs)
    assert exponent == 2
    assert exponent == generative_exponent(np.cos)
    assert exponent != 3
    assert 1 < exponent <= 2 <= exponent < 3
    assert exponent >= 2
    assert exponent > 1
    assert int(exponent) == 2
    assert float(exponent) == 2.0
    assert {2: "two"}[exponent] == "two"
    assert list(range(exponent)) == [0, 1]
    assert ["a", "b", "c"][exponent] == "c"
    assert (exponent + 1, 1 + exponent, exponent - 1, 5 - exponent) == (3, 3, 1, 3)
    assert (exponent * 3, 3 * exponent, exponent / 2, 4**exponent, exponent**3) == (6, 6, 1.0, 16, 8)
    assert f"{exponent:d}" == "2"
    assert f"{exponent}".startswith("2 (U_2 = 1 +- ")
    assert json.loads(json.dumps(exponent.to_dict()))["value"] == 2


def test_a_constant_link_has_infinite_exponents():
    for link in (lambda z: 3.0, lambda z: 0.0 * z, lambda z: 1e6 + 0 * z, lambda z: z / z):
        for exponent in (information_exponent(link), generative_exponent(link)):
            assert exponent == math.inf
            assert exponent.decided
            assert "infinite" in str(exponent)
            with pytest.raises(InputError, match="infinite"):
                range(exponent)


def test_a_decision_within_tolerance_is_open():
    weak = information_exponent(lambda z: (z**3 - 3 * z) / math.sqrt(6) + 1e-7 * z)
    assert weak == 3
    assert not weak.decided
    assert weak.candidates == (1, 3)
    assert str(weak).startswith("undecided between 1 and 3; c_1 = 1e-07 +- ")
    strict = information_exponent(lambda z: (z**3 - 3 * z) / math.sqrt(6) + 1e-7 * z, tolerance=1e-8)
    assert strict == 1
    assert strict.decided


def test_a_profile_below_the_highest_degree_gives_a_bound():
    exponent = generative_exponent(lambda z: z**2 * np.exp(-(z**2)), max_degree=3)
    assert exponent == 4
    assert not exponent.decided
    assert str(exponent) == "at least 4; no U_k up to k = 3 is certainly non-zero"


@pytest.mark.parametrize(
    ("profile", "errors", "value", "decided", "text"),
    [
        ([0.5, 1.0], [0.1, 0.1], 1, True, "1 (U_1 = 0.5 +- 1e-01)"),
        ([0.0, 1.0], [0.0, 0.0], 2, True, "2 (U_2 = 1 +- 0e+00)"),
        ([3e-4, 0.2], [4e-4, 1e-3], 2, False, "undecided between 1 and 2; U_1 = 3e-04 +- 4e-04"),
        ([5e-5, 0.2], [1e-6, 1e-3], 2, False, "undecided between 1 and 2; U_1 = 5e-05 +- 1e-06"),
        ([0.0, 0.01, 0.3], [1e-2, 1e-2, 1e-3], 3, False, "undecided between 1, 2 and 3; "),
        ([-0.5, 0.0], [0.1, 0.0], 1, True, "1 ("),
        ([0.0, 0.0], [0.1, 0.0], 3, False, "at least 1; no U_k"),
    ],
)
def test_decisions(profile, errors, value, decided, text):
    exponent = decide("generative", "U", profile, errors, tolerance=1e-4)
    assert exponent == value
    assert exponent.decided is decided
    assert str(exponent).startswith(text)


# --- samples --------------------------------------------------------------------------------------


def he3(z):
    return (z**3 - 3 * z) / math.sqrt(6)


def he4(z):
    return (z**4 - 6 * z**2 + 3) / math.sqrt(24)


SAMPLED = {
    "He3": (he3, 1),
    "He4": (he4, 2),
    "abs": (np.abs, 2),
    "sign He2": (lambda z: np.sign(z**2 - 1), 2),
    "z^2 exp(-z^2)": (lambda z: z**2 * np.exp(-(z**2)), 4),
}


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("name", SAMPLED)
def test_noise_leaves_the_generative_exponent_of_samples(name, noise):
    link, expected = SAMPLED[name]
    rng = np.random.default_rng(11)
    z = rng.standard_normal(400_000)
    exponent = sample_generative_exponent(z, link(z) + rng.uniform(-noise, noise, z.size))
    assert exponent == expected
    assert exponent.decided


def test_the_sample_profile_approaches_the_exact_one():
    rng = np.random.default_rng(0)
    z = rng.standard_normal(400_000)
    exact = generative_exponent(he3, max_degree=4)
    sampled = sample_generative_exponent(z, he3(z))
    np.testing.assert_allclose(sampled.profile, exact.profile, atol=0.03)


def test_the_correction_removes_the_bias_of_independent_labels():
    rng = np.random.default_rng(5)
    profiles = []
    for _ in range(200):
        z = rng.standard_normal(1000)
        profiles.append(sample_generative_exponent(z, rng.standard_normal(1000)).profile)
    profiles = np.array(profiles)
    mean, error = profiles.mean(axis=0), profiles.std(axis=0) / math.sqrt(200)
    assert (np.abs(mean) <= 4 * error).all()
    assert (profiles.std(axis=0)[:2] < 0.02).all()


def test_few_samples_leave_the_exponent_open():
    rng = np.random.default_rng(0)
    z = rng.standard_normal(500)
    exponent = sample_generative_exponent(z, he4(z))
    assert exponent == 2
    assert exponent.candidates == (1, 2)


def test_discrete_labels_with_a_common_value_keep_it_in_one_cell():
    rng = np.random.default_rng(0)
    z = rng.standard_normal(100_000)
    y = np.where(np.abs(z) > 1, z, 0.0)  # an atom of mass .68 between two continuous pieces
    exact = generative_exponent(lambda z: np.where(np.abs(z) > 1, z, 0.0)).profile
    np.testing.assert_allclose(sample_generative_exponent(z, y).profile[:2], exact[:2], atol=0.02)


def test_information_exponent_of_samples():
    rng = np.random.default_rng(2)
    z = rng.standard_normal(400_000)
    exponent = sample_information_exponent(z, he3(z) + rng.uniform(-0.1, 0.1, z.size))
    assert exponent == 3
    assert exponent.decided
    assert sample_information_exponent(z, np.sin(z)) == 1
    assert sample_information_exponent(z, np.ones_like(z)) == math.inf
    assert sample_generative_exponent(z, np.ones_like(z)) == math.inf


@pytest.mark.parametrize(
    ("z", "y", "words"),
    [
        (np.zeros(10), np.zeros(10), "10 rows"),
        (np.zeros((100, 2)), np.zeros(100), "X @ direction"),
        (np.zeros(100), np.zeros(99), "same length"),
        (np.linspace(0, 5, 100), np.zeros(100), "Standardise"),
        (np.append(np.linspace(-1.7, 1.7, 99), np.nan), np.zeros(100), r"z\[99\] = nan"),
        (np.linspace(-1.7, 1.7, 100), np.append(np.zeros(99), np.inf), r"y\[99\] = inf"),
    ],
)
def test_bad_samples_get_a_sentence(z, y, words):
    for exponent in (sample_generative_exponent, sample_information_exponent):
        with pytest.raises(InputError, match=words):
            exponent(z, y)


def test_too_many_cells_are_refused():
    z = np.random.default_rng(0).standard_normal(100)
    with pytest.raises(InputError, match="n_cells=60"):
        sample_generative_exponent(z, z, n_cells=60)


# --- bad links ------------------------------------------------------------------------------------

BAD_LINKS = {
    "not callable": (3, "callable"),
    "nan on one side": (np.log, "finite value"),
    "nan everywhere": (lambda z: z * np.nan, "finite value"),
    "pole": (lambda z: 1 / z, "does not converge near z ="),
    "root pole": (lambda z: np.abs(z) ** -0.5, "does not converge"),
    "grows too fast": (lambda z: np.exp(z**2 / 4), "square integrable"),
    "overflows": (lambda z: np.exp(z**2), "numpy.tanh"),
    "random": (lambda z: np.random.default_rng().standard_normal(np.shape(z)), "deterministic"),
    "mixes points": (lambda z: z - np.mean(z), "each point alone"),
    "complex": (lambda z: 1j * z, "real number"),
    "text": (lambda z: "high", "real number"),
    "raises": (math.log, "ValueError"),
    "needs two arguments": (lambda z, w: z, "TypeError"),
    "divides by zero": (lambda z: z / 0 if np.ndim(z) == 0 else 1 // 0, "ZeroDivisionError"),
    "divides by zero at a few points": (
        lambda z: np.array([1 / (0 if abs(x) > 3 else 1) for x in z]),
        r"TypeError|ZeroDivisionError",
    ),
    "misses a key": (lambda z: {}[float(np.ravel(z)[0])], "KeyError"),
}


@pytest.mark.parametrize("name", BAD_LINKS)
@pytest.mark.parametrize(
    "function", [information_exponent, generative_exponent, lambda f: hermite_coefficients(f, 3)]
)
def test_bad_links_get_a_sentence(name, function):
    link, words = BAD_LINKS[name]
    with pytest.raises(InputError, match=words):
        function(link)


def test_a_fast_growing_link_that_is_square_integrable_is_accepted():
    assert information_exponent(lambda z: np.exp(z**2 / 5)) == 2
    assert generative_exponent(lambda z: np.tanh(np.minimum(np.exp(np.minimum(z**2, 600)), 1e200))) == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: hermite_coefficients(np.tanh, -1), "degree=-1"),
        (lambda: hermite_coefficients(np.tanh, 101), "degree=101"),
        (lambda: hermite_coefficients(np.tanh, 2.5), "degree=2.5"),
        (lambda: generative_exponent(np.tanh, max_degree=0), "degree=0"),
        (lambda: hermite_coefficients(np.tanh, 3, kinks=[math.nan]), "kinks"),
        (lambda: information_exponent(np.sin, tolerance=-1.0), "tolerance=-1"),
        (lambda: power_profile(np.tanh, max_power=0), "max_power=0"),
        *(
            (lambda f=f, kinks=kinks: f(np.tanh, 2, kinks=kinks), "kinks")
            for f in (hermite_coefficients, generative_profile, power_profile)
            for kinks in (3, "ab", [[1.0]], ["x"], [None])
        ),
        *(
            (lambda f=f, change=change: f(np.tanh, **change), next(iter(change)))
            for f in (information_exponent, generative_exponent)
            for change in ({"kinks": 3}, {"kinks": "ab"}, {"tolerance": "x"}, {"tolerance": math.nan})
        ),
        (lambda: information_exponent(lambda z: 1.0, tolerance="x"), "tolerance"),
    ],
)
def test_bad_arguments_get_a_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()


# --- orders of magnitude --------------------------------------------------------------------------


def test_orders_of_magnitude():
    assert rows_with_distillation(8, generative_exponent(he3)) == 8.0
    assert rows_without_distillation(8, information_exponent(he3)) == 512.0
    assert rows_with_distillation(8, generative_exponent(lambda z: 1.0)) == math.inf
    assert readout_error(400) == 0.05
    assert width_error(25) == 0.2
    assert recovery_error(4, 128) == 0.0625
    assert excess_error(4, 128, 400, 25) == pytest.approx(0.05 + 0.2 + 0.0625)


def test_segments_reach_the_error_they_were_made_for():
    for rank, epsilon in ((4, 0.1), (16, 0.03)):
        sizes = segment_sizes(rank, 2, epsilon)
        assert sizes.teacher == sizes.queries == rank**4  # ge + 2
        assert sizes.student == rank**2
        assert recovery_error(rank, sizes.recovery) <= epsilon
        assert readout_error(sizes.readout) <= epsilon + 1e-12
        assert width_error(sizes.width) <= epsilon + 1e-12
        assert recovery_error(rank, sizes.recovery - 1) > epsilon
        assert sizes.total == rank**4 + rank**2 + sizes.recovery + sizes.readout


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: rows_with_distillation(0, 1), "rank=0"),
        (lambda: rows_without_distillation(4, 0), "information_exponent=0"),
        (lambda: readout_error(0), "n_rows=0"),
        (lambda: width_error(-1), "n_features=-1"),
        (lambda: recovery_error(4, math.inf), "n_rows=inf"),
        (lambda: segment_sizes(4, math.inf, 0.1), "constant link"),
        (lambda: segment_sizes(4, 1, 0.0), "error=0"),
    ],
)
def test_bad_orders_get_a_sentence(call, words):
    with pytest.raises(InputError, match=words):
        call()


def test_complex_links_are_refused():
    with pytest.raises(InputError, match="complex"):
        information_exponent(lambda z: np.exp(1j * z))


SCALES = [1e-300, 1e-170, 1e-20, 1e153, 1e160, 1e300]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.filterwarnings("error")
def test_exponents_do_not_depend_on_the_scale_of_a_link(scale):
    for link, information, generative in ((lambda z: z, 1, 1), (np.abs, 2, 2), (he3, 3, 1)):
        for function in (lambda z, link=link: scale * link(z), lambda z, link=link: scale * link(float(z))):
            found = information_exponent(function)
            assert found == information
            assert found.decided
            assert generative_exponent(function) == generative
    expected = scale * hermite_coefficients(np.abs, 3)
    assert hermite_coefficients(lambda z: scale * np.abs(z), 3) == pytest.approx(
        expected, rel=1e-12, abs=scale * 1e-14
    )
    assert power_profile(lambda z: scale * z, 2, 2) == pytest.approx(
        power_profile(lambda z: z, 2, 2), abs=1e-3
    )


def test_the_unit_of_a_link_changes_no_digit():
    for power in (-300, 0, 40):
        scaled = information_exponent(lambda z, power=power: np.ldexp(np.tanh(z), power))
        assert scaled.profile == information_exponent(np.tanh).profile


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.filterwarnings("error")
def test_exponents_of_samples_do_not_depend_on_the_scale_of_labels(scale):
    z = np.random.default_rng(0).standard_normal(20_000)
    for exponent in (sample_information_exponent, sample_generative_exponent):
        assert exponent(z, scale * z**2) == exponent(z, z**2)


def test_a_link_that_is_too_wide_for_the_quadrature_is_told_so():
    with pytest.raises(InputError, match=r"within \|z\| <= 38.*infinite or not resolved"):
        information_exponent(lambda z: np.exp(0.24 * z**2))  # E s^2 = 5


@pytest.mark.parametrize("exponent", [sample_generative_exponent, sample_information_exponent])
def test_arguments_of_samples_that_get_a_sentence(exponent):
    z = np.random.default_rng(0).standard_normal(100)
    for bad in (z + 0j, z.astype(str)):
        with pytest.raises(InputError, match="real number"):
            exponent(z, bad)
        with pytest.raises(InputError, match="real number"):
            exponent(bad, z)
    for tolerance in ("x", None, math.nan, -1.0, [0.1]):
        with pytest.raises(InputError, match="tolerance"):
            exponent(z, z, tolerance=tolerance)
    for degree in (0, -1, 2.5, 200, "3", [2]):
        with pytest.raises(InputError, match="max_degree"):
            exponent(z, z, max_degree=degree)
    assert len(exponent(z, z, max_degree=2.0).profile) == 2
    assert len(exponent(z, 0 * z, max_degree=2.0).profile) == 2


def test_whole_numbers_are_degrees_whatever_their_type():
    assert len(generative_profile(np.tanh, 2.0).values) == 2
    assert generative_profile(lambda z: 0.0, 2.0).values.tolist() == [0.0, 0.0]
    assert power_profile(np.tanh, 2.0, 1.0).shape == (2, 1)
    assert len(information_exponent(lambda z: 0.0, max_degree=3.0).profile) == 3
    for call in (
        lambda: generative_profile(np.tanh, "3"),
        lambda: hermite_coefficients(np.tanh, [3]),
        lambda: information_exponent(np.tanh, max_degree="3"),
        lambda: power_profile(np.tanh, 2.5),
    ):
        with pytest.raises(InputError, match="degree"):
            call()


def test_an_exponent_takes_every_operator_of_a_number():
    exponent, endless = generative_exponent(np.abs), generative_exponent(lambda z: 1.0)
    assert (1 / exponent, exponent // 2, 16 // exponent, exponent % 2, 7 % exponent) == (0.5, 1, 8, 0, 1)
    assert (divmod(exponent, 2), divmod(7, exponent)) == ((1, 0), (3, 1))
    assert (-exponent, +exponent, abs(exponent), round(exponent), round(exponent, 1)) == (-2, 2, 2, 2, 2)
    assert (math.floor(exponent), math.ceil(exponent), math.trunc(exponent)) == (2, 2, 2)
    assert (exponent // exponent, exponent / exponent) == (1, 1.0)
    assert (1 / endless, -endless, abs(endless)) == (0.0, -math.inf, math.inf)
    assert (f"{endless:d}", f"{endless:5d}", f"{endless:.1f}") == ("inf", "  inf", "inf")
    assert f"{endless}".startswith("infinite;")
    with pytest.raises(InputError, match="infinite"):
        round(endless)
