"""The keep-or-revert decision as a function of paired losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from testtime.adapt.guard import decide
from testtime.errors import InputError
from testtime.results import Status

losses = st.floats(-1e6, 1e6, allow_subnormal=False)
anything = st.floats(allow_nan=True, allow_infinity=True)


@st.composite
def pairs(draw: st.DrawFn, elements: st.SearchStrategy[float]) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(0, 12))
    return draw(arrays(np.float64, n, elements=elements)), draw(arrays(np.float64, n, elements=elements))


def test_numbers_by_hand():
    """Differences -3, -1, -2, -2: mean -2, sample variance 2/3, standard error sqrt(2/3)/2."""
    verdict = decide([5.0, 5.0, 5.0, 5.0], [2.0, 4.0, 3.0, 3.0], n_errors=2.0)
    assert verdict.loss_before == 5.0
    assert verdict.loss_after == 3.0
    assert verdict.difference == -2.0
    assert verdict.standard_error == pytest.approx(math.sqrt(2 / 3) / 2, rel=1e-15)
    assert verdict.margin == pytest.approx(math.sqrt(2 / 3), rel=1e-15)
    assert verdict.n_rows == 4
    assert verdict.kept
    assert verdict.status is Status.KEPT


@pytest.mark.parametrize(("n_errors", "kept"), [(0.0, True), (4.8, True), (5.0, False)])
def test_the_margin_decides(n_errors: float, kept: bool):
    """The improvement above is 2 / .40825 = 4.899 standard errors."""
    verdict = decide([5.0, 5.0, 5.0, 5.0], [2.0, 4.0, 3.0, 3.0], n_errors)
    assert verdict.kept is kept
    assert (verdict.status is Status.REVERTED_NO_GAIN) is not kept


def test_pairing_is_what_makes_small_gains_visible():
    """A gain of .01 on every row is certain although the losses themselves spread over 1 to 100."""
    spread = np.arange(1.0, 101.0)
    assert decide(spread, spread - 0.01, n_errors=3.0).kept
    assert not decide(spread, (spread - 0.01)[::-1], n_errors=3.0).kept, (
        "unpaired, the same losses say nothing"
    )


@given(pairs(losses), st.floats(0, 5))
def test_never_keeps_what_is_not_better(pair: tuple[np.ndarray, np.ndarray], n_errors: float):
    frozen, adapted = pair
    verdict = decide(frozen, adapted, n_errors)
    if len(frozen) == 0 or math.fsum(adapted) >= math.fsum(frozen) + 1e-6:
        assert not verdict.kept
    if verdict.kept:
        assert len(frozen) >= 2
        assert verdict.loss_after < verdict.loss_before
        assert np.mean(adapted) < np.mean(frozen)
        assert -verdict.difference > verdict.margin >= 0


@given(pairs(losses), st.floats(0, 5))
def test_a_model_never_replaces_itself(pair: tuple[np.ndarray, np.ndarray], n_errors: float):
    assert not decide(pair[0], pair[0].copy(), n_errors).kept


@given(pairs(anything), st.floats(0, 5))
def test_non_finite_losses_never_win(pair: tuple[np.ndarray, np.ndarray], n_errors: float):
    frozen, adapted = pair
    with np.errstate(all="ignore"):
        verdict = decide(frozen, adapted, n_errors)
    if len(frozen) and not np.isfinite(adapted).all():
        assert verdict.status is Status.REVERTED_NON_FINITE
    if not (np.isfinite(frozen).all() and np.isfinite(adapted).all()):
        assert not verdict.kept


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_one_non_finite_row_reverts(bad: float):
    verdict = decide([1.0, 1.0, 1.0], [0.1, bad, 0.1])
    assert verdict.status is Status.REVERTED_NON_FINITE
    assert verdict.loss_before == 1.0


def test_a_gain_that_vanishes_in_rounding_is_none():
    """The difference of the second row is exact, but next to 1e16 the two means are the same number."""
    verdict = decide([1e16, 1.0], [1e16, 0.5], n_errors=0.0)
    assert verdict.loss_after == verdict.loss_before
    assert not verdict.kept


@pytest.mark.parametrize("n_errors", [0.0, 1.0])
def test_one_row_is_never_enough(n_errors: float):
    verdict = decide([9.0], [0.0], n_errors)
    assert verdict.status is Status.REVERTED_NO_GAIN
    assert verdict.margin == math.inf


def test_two_rows_that_agree_are_enough():
    """Gains of .4 and .5: mean .45, standard error .05."""
    verdict = decide([1.0, 1.0], [0.6, 0.5])
    assert verdict.kept
    assert verdict.margin == pytest.approx(0.05, rel=1e-12)


def test_a_gain_as_large_as_the_margin_is_not_enough():
    """Gains of 1 and 3: mean 2, standard error 1, and a margin of two of those."""
    verdict = decide([5.0, 5.0], [4.0, 2.0], n_errors=2.0)
    assert verdict.margin == -verdict.difference == 2.0
    assert not verdict.kept


def test_the_default_margin_is_one_standard_error():
    frozen, adapted = [1.0, 2.0, 3.0], [0.5, 2.0, 2.0]
    assert decide(frozen, adapted) == decide(frozen, adapted, n_errors=1.0)


def test_no_rows_are_too_few():
    verdict = decide([], [])
    assert verdict.status is Status.REVERTED_TOO_FEW
    assert verdict.n_rows == 0


@given(pairs(losses), st.floats(0, 5), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(pair: tuple[np.ndarray, np.ndarray], n_errors: float, random):
    frozen, adapted = pair
    order = list(range(len(frozen)))
    random.shuffle(order)
    one, other = decide(frozen, adapted, n_errors), decide(frozen[order], adapted[order], n_errors)
    np.testing.assert_allclose(one.difference, other.difference, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(one.standard_error, other.standard_error, rtol=1e-9, atol=1e-9)


def test_what_is_no_pair_is_refused():
    with pytest.raises(InputError, match=r"\(2,\) and \(3,\).*equal length"):
        decide([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="vectors"):
        decide([[1.0]], [[1.0]])
    with pytest.raises(InputError, match="n_errors=-1"):
        decide([1.0], [1.0], -1)


def test_the_inputs_are_left_as_they_are():
    frozen, adapted = np.array([2.0, 3.0]), np.array([1.0, 1.5])
    decide(frozen, adapted)
    assert frozen.tolist() == [2.0, 3.0]
    assert adapted.tolist() == [1.0, 1.5]


def test_the_error_of_a_single_row_is_infinite():
    verdict = decide([1.0], [0.1])
    assert (verdict.standard_error, verdict.margin, verdict.kept) == (math.inf, math.inf, False)
