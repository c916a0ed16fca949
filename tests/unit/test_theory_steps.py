"""Several steps: paths, best filters, their limits, small batches."""

import numpy as np
import pytest

from tests.support.settings import white
from testtime.theory.linear import (
    Setting,
    best_filter,
    best_filter_limit,
    best_first_length,
    converged_risk,
    decayed,
    fresh_length_factor,
    gain_limit,
    icl_risk,
    mini_batch_risk,
    one_pass_limit,
    one_step,
    ridge_risk_limit,
    several_steps,
    several_steps_fresh_limit,
    several_steps_limit,
)
from testtime.theory.linear.filters import filter_coefficients


def test_one_step_of_many_is_one_step():
    for noise in (0.0, 0.3):
        setting = white(20, 30, 25, noise)
        answer = one_step(setting, "warm", "same", "normalized")
        path = several_steps(setting, [2 * answer.best_step])
        assert path.risks[0] == pytest.approx(answer.risk_before, rel=1e-14)
        assert path.risks[1] == pytest.approx(answer.best_risk, rel=1e-13)
        assert best_filter(setting, 1).risk == pytest.approx(answer.best_risk, rel=1e-13)
        assert best_first_length(setting, 1).best_risk == pytest.approx(answer.best_risk, rel=1e-10)
        assert mini_batch_risk(setting, [25]).best_risk == pytest.approx(answer.best_risk, rel=1e-13)


def test_filters_multiply_out():
    lengths = [0.3, -0.1, 0.7]
    h = filter_coefficients(lengths)
    for x in (0.2, 1.5, -3.0):
        assert 1 - x * sum(c * x**i for i, c in enumerate(h)) == pytest.approx(
            np.prod([1 - r * x for r in lengths])
        )
    assert decayed(2.0, 0.5, 3) == [2.0, 1.0, 0.5]


def test_best_filter_is_reached_by_its_lengths_and_beaten_by_none():
    for noise in (0.0, 0.05):
        setting = white(30, 20, 24, noise)
        for t in (1, 2, 3, 4):
            found = best_filter(setting, t)
            if found.lengths is not None:
                for order in (found.lengths, found.lengths[::-1]):
                    assert several_steps(setting, order).risks[-1] == pytest.approx(found.risk, rel=1e-9)
            for decay in (0.2, 0.4, 0.6, 0.8, 1.0):
                assert best_first_length(setting, t, decay).best_risk >= found.risk * (1 - 1e-12)
    assert best_filter(white(30, 20, 24, 2.0), 2).lengths is None  # a noisy case that needs complex lengths


def test_first_length_is_best():
    setting = white(30, 20, 24, 0.1)
    for t, decay in ((2, 0.2), (3, 0.8), (4, 0.6)):
        found = best_first_length(setting, t, decay).risks[-1]
        risks = [
            several_steps(setting, decayed(first, decay, t)).risks[-1] for first in np.linspace(0, 0.08, 161)
        ]
        assert found <= min(risks) * (1 + 1e-12)
        assert found == pytest.approx(min(risks), rel=1e-3)


def test_input_units_of_paths():
    plain = white(30, 20, 24, 0.1)
    scaled = plain.replace(input_cov=4.0, task=0.25, task_cov=1 / 80)
    lengths = [0.02, 0.01]
    assert several_steps(scaled, [r / 4 for r in lengths]).risks == pytest.approx(
        several_steps(plain, lengths).risks
    )
    found = best_filter(scaled, 2)
    assert found.risk == pytest.approx(best_filter(plain, 2).risk, rel=1e-12)
    assert several_steps(scaled, found.lengths).risks[-1] == pytest.approx(found.risk, rel=1e-9)
    assert best_first_length(scaled, 3, 0.5).best_risk == pytest.approx(
        best_first_length(plain, 3, 0.5).best_risk
    )
    assert several_steps_limit(scaled, [0.005]).risks == pytest.approx(
        several_steps_limit(plain, [0.02]).risks
    )
    assert several_steps_fresh_limit(scaled, [0.005]).risks == pytest.approx(
        several_steps_fresh_limit(plain, [0.02]).risks
    )
    assert mini_batch_risk(scaled, [4, 4], [0.005, 0.005]).risks == pytest.approx(
        mini_batch_risk(plain, [4, 4], [0.02, 0.02]).risks
    )


def test_paths_approach_their_limits_as_one_over_d():
    errors = []
    for d in (100, 200, 400):
        setting, lengths = white(d, d, d, 0.2), [0.5 / d, 0.4 / d, 0.3 / d]
        errors.append(
            several_steps(setting, lengths).risks[-1] / several_steps_limit(setting, lengths).risks[-1] - 1
        )
    assert 1.8 < errors[0] / errors[1] < 2.2
    assert 1.8 < errors[1] / errors[2] < 2.2


@pytest.mark.parametrize("gamma", [0.5, 1.0, 3.0])
def test_best_filters_in_the_limit(gamma):
    d = 1000
    setting = white(d, d, int(gamma * d))
    for t in (1, 2, 4):
        assert best_filter(setting, t).risk == pytest.approx(best_filter_limit(setting, t), rel=0.02)
    assert best_filter_limit(setting, 1, context="fresh") == pytest.approx(
        0.5 - gain_limit(1.0, gamma), rel=3e-3
    )
    fresh = several_steps_fresh_limit(setting, [one_step_length(setting)])
    assert fresh.risks[1] == pytest.approx(best_filter_limit(setting, 1, context="fresh"), rel=3e-3)


def one_step_length(setting):
    """The best length on fresh contexts in the limit: A / (kap (A + B)) of the best on its own context."""
    own = one_step(setting, "warm", "same", "normalized").best_step * 2
    return own * fresh_length_factor(setting)


def test_many_steps_converge():
    for k in (6, 30):
        for noise in (0.0, 0.2):
            setting = white(20, 12, k, noise)
            found = [best_filter(setting, t).risk for t in (1, 2, 4, 8)]
            assert found == sorted(found, reverse=True)
            if not noise:
                assert found[-1] >= converged_risk(setting)
    setting = white(400, 300, 60)
    assert several_steps_limit(setting, [1.3 / 450] * 12).risks[-1] == pytest.approx(
        converged_risk(setting), rel=2e-2
    )
    assert converged_risk(white(20, 12, 12, 0.1)) == float("inf")
    assert converged_risk(white(20, 12, 12)) == 0.0


def test_the_best_penalty_is_below_any_filter():
    for k in (150, 300, 600):
        setting = white(300, 300, k, 0.3)
        ridge = ridge_risk_limit(setting)
        x, ratio = (ridge - 0.3) / 0.3, 0.3 / (icl_risk(setting) - 0.3)
        assert ratio * x**2 + (ratio + k / 300 - 1) * x - 1 == pytest.approx(0, abs=1e-10)
        filters = [best_filter(setting, t).risk for t in (1, 4, 7)]
        assert ridge < filters[-1] * 1.005
        assert filters[-1] == pytest.approx(ridge, rel=0.02)
    assert ridge_risk_limit(white(300, 300, 150)) == pytest.approx(
        converged_risk(white(300, 300, 150)), rel=1e-9
    )
    assert ridge_risk_limit(white(300, 300, 600)) == 0.0


def test_one_pass_in_small_batches():
    setting = white(2000, 2000, 2000)
    risks = [mini_batch_risk(setting, [2000 // m] * m).best_risk for m in (1, 10, 2000)]
    assert risks == sorted(risks, reverse=True)
    assert risks[-1] == pytest.approx(0.5 * one_pass_limit(1.0), rel=2e-3)
    given = mini_batch_risk(setting, [1000, 1000], [1 / 3001, 1 / 3001])
    free = mini_batch_risk(setting, [1000, 1000])
    assert given.best_risk == pytest.approx(
        free.best_risk, rel=1e-12
    )  # without noise the best length is known
    assert converged_risk(setting) < risks[-1]


def test_long_paths_overfit_their_context():
    """Converged on one context, the weights are worse than untouched ones on others when n > 2 d."""
    for alpha, worse in ((1.5, False), (3.0, True)):
        setting = white(int(alpha * 1000), 1000, 30_000)
        path = several_steps_fresh_limit(setting, [0.25 / 31_000] * 16)
        assert (path.risks[-1] > path.risks[0]) == worse
        assert path.best_risk < path.risks[0]
        assert 0 < path.best_count < 16
        scaled = several_steps_fresh_limit(setting, [0.25 / 31_000] * 16, scale=1 / alpha)
        assert scaled.risks[-1] < path.best_risk * 1.01


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize("start", ["warm", "cold", 0.01])
def test_one_step_of_many_is_one_step_on_fresh_contexts(noise, start):
    setting = white(20, 30, 25, noise).replace(input_cov=0.5)
    answer = one_step(setting, start, "fresh", "normalized")
    path = several_steps(setting, [answer.best_length], start, "fresh")
    assert path.risks == pytest.approx((answer.risk_before, answer.best_risk), rel=1e-12)
    assert best_filter(setting, 1, start, "fresh").risk == pytest.approx(answer.best_risk, rel=1e-12)
    assert best_first_length(setting, 1, start=start, context="fresh").best_risk == pytest.approx(
        answer.best_risk, rel=1e-9
    )
    assert mini_batch_risk(setting, [25], start=start, context="fresh").best_risk == pytest.approx(
        answer.best_risk, rel=1e-12
    )


def test_the_task_may_be_a_vector_and_the_prior_a_matrix_on_fresh_contexts():
    even = white(20, 8, 25, 0.3)
    spread = even.replace(task=np.full(8, 8**-0.5), task_cov=np.diag(np.full(8, even.task_cov)))
    lengths = [0.02, 0.01]
    expected = several_steps(even, lengths, context="fresh").risks
    assert several_steps(spread, lengths, context="fresh").risks == pytest.approx(expected, rel=1e-10)


def test_best_filters_on_fresh_contexts_are_reached_and_beaten_by_none():
    setting = white(30, 30, 40)
    for t in (1, 2, 3):
        found = best_filter(setting, t, context="fresh")
        reached = several_steps(setting, found.lengths, context="fresh").risks[-1]
        assert reached == pytest.approx(found.risk, rel=1e-10)
        for moved in (0.98, 1.02):
            lengths = [found.lengths[0] * moved, *found.lengths[1:]]
            assert several_steps(setting, lengths, context="fresh").risks[-1] > found.risk


@pytest.mark.parametrize("context", ["same", "fresh"])
def test_paths_converge_in_either_reading(context):
    setting = white(40, 12, 3000, 0.2)  # so many rows that twelve steps are the end of the path
    assert several_steps(setting, [1 / 3000] * 12, context=context).risks[-1] == pytest.approx(
        converged_risk(setting, context=context), rel=1e-6
    )
    assert converged_risk(white(20, 12, 12, 0.1), context=context) == float("inf")


def test_part_of_the_way_is_a_shorter_filter():
    setting = white(60, 40, 80, 0.1)
    whole = several_steps(setting, [0.005] * 6, context="fresh")
    part = several_steps(setting, [0.005] * 6, context="fresh", scale=0.5)
    assert part.risks[0] == whole.risks[0]
    assert several_steps(setting, [0.005], context="fresh", scale=0.5).risks == pytest.approx(
        several_steps(setting, [0.0025], context="fresh").risks, rel=1e-12
    )


def test_fresh_limits_are_approached_as_one_over_d():
    misses = []
    for d in (50, 100, 200):
        setting = white(2 * d, d, 2 * d, 0.1)
        lengths = [0.3 / d, 0.2 / d, 0.1 / d]
        exact = several_steps(setting, lengths, context="fresh").risks[-1]
        misses.append(several_steps_fresh_limit(setting, lengths).risks[-1] / exact - 1)
    assert misses[0] / misses[1] == pytest.approx(2, rel=0.2)
    assert misses[1] / misses[2] == pytest.approx(2, rel=0.2)


@pytest.mark.parametrize("context", ["same", "fresh"])
@pytest.mark.parametrize("n_train", [30, 60, 300])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_without_a_context_no_number_of_steps_changes_the_risk(context, n_train, noise):
    setting = Setting(0, n_train, dim=60, task=1.0, noise_var=noise)
    risk = icl_risk(setting)
    assert risk == 1.0 + noise
    assert converged_risk(setting, context=context) == risk
    assert converged_risk(setting, 0.3, context=context) == risk
    assert ridge_risk_limit(setting) == risk
    assert several_steps_limit(setting, [0.01, 0.02]).risks == pytest.approx([risk] * 3, rel=1e-15)
    assert several_steps_fresh_limit(setting, [0.01, 0.02]).risks == pytest.approx([risk] * 3, rel=1e-15)
    assert mini_batch_risk(setting, [5, 5], context=context).risks == pytest.approx([risk] * 3, rel=1e-15)
    if not noise:
        assert best_filter_limit(setting, 3, context=context) == risk


def test_without_a_context_the_inputs_need_not_be_white():
    setting = Setting(0, 9, input_cov=[1.0, 2.0, 0.5], task=[1.0, 0.0, 1.0], noise_var=0.2)
    assert converged_risk(setting) == icl_risk(setting) == pytest.approx(1.7)
