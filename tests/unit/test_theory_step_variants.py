"""Leave-one-out, separate contexts, low rank, and steps from data."""

from fractions import Fraction

import numpy as np
import pytest

from tests.support.settings import white
from testtime.errors import InputError
from testtime.theory.linear import (
    Setting,
    best_filter_limit,
    best_left,
    best_left_risk,
    fresh_length_factor,
    icl_risk,
    leave_one_out,
    leave_one_out_limit,
    line_search,
    line_search_bias_limit,
    line_search_means,
    lora_step,
    mini_batch_risk,
    one_step,
    practical_length,
    random_lora_step,
    separate_contexts,
    separate_contexts_gain_limit,
    several_steps,
    step_ratio_limit,
)


@pytest.mark.parametrize(
    ("m", "plain", "split", "same", "fresh"),
    [(400, 0.3344, 0.2512, 0.1616, 0.2912), (800, 0.2008, 0.1119, 0.0524, 0.1915)],
)
def test_leave_one_out_beats_a_split(m, plain, split, same, fresh):
    setting = white(m, 200, 0)
    assert round(icl_risk(setting), 4) == plain
    assert (
        round(one_step(white(m // 2, 200, m // 2), context="same", step="normalized").best_risk, 4) == split
    )
    assert round(leave_one_out(setting).best_risk, 4) == same
    assert round(leave_one_out(setting, context="fresh").best_risk, 4) == fresh


@pytest.mark.parametrize("context", ["same", "fresh"])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_leave_one_out_limit(context, noise):
    errors = []
    for d in (500, 1000):
        setting = white(2 * d, d, 0, noise)
        errors.append(
            leave_one_out(setting, context=context).gain / leave_one_out_limit(setting, context=context) - 1
        )
    assert abs(errors[0]) < 0.03
    assert 1.8 < errors[0] / errors[1] < 2.2


def test_leave_one_out_slope_is_a_product_of_two_lengths():
    """Fresh contexts: b = m tr(N_m' N_{m-1}), the two context lengths m and m - 1."""
    for m, d, noise in ((9, 4, 0.3), (1_000_000, 10, 0.0)):
        b, v, w = Fraction(1), Fraction(noise), 1 / (m + 1 + d + d * Fraction(noise))
        parts = [(n * ((1 - (n + 1) * w) * b - (b + v) * w), -n * (b + v) * w) for n in (m, m - 1)]
        slope = m * (parts[0][0] * parts[1][0] + (d - 1) * parts[0][1] * parts[1][1])
        answer = leave_one_out(white(m, d, 0, noise), context="fresh")
        assert answer.slope == pytest.approx(float(-4 * slope), rel=1e-9)


def test_separate_contexts_raise_the_ceiling():
    errors = []
    for d in (1000, 2000):
        setting = white(d, d, 3 * d, 0.2)
        errors.append(separate_contexts(setting).gain / separate_contexts_gain_limit(1.0, 3.0, 0.2) - 1)
        assert separate_contexts(setting).gain > one_step(setting).gain
    assert 1.8 < errors[0] / errors[1] < 2.2
    random = Setting(8, 5, input_cov=np.array([1.0, 0.5, 2.0]), noise_var=0.1)
    assert separate_contexts(random).gain > 0


def test_full_rank_factors_change_nothing():
    setting = Setting(
        8, 5, input_cov=np.array([1.0, 0.5, 2.0]), task=np.array([1.0, 0.3, -0.4]), noise_var=0.1
    )
    turn = np.linalg.qr(np.random.default_rng(0).standard_normal((3, 3)))[0]
    for context in ("fresh", "same"):
        plain = one_step(setting, "warm", context).best_risk
        assert lora_step(setting, "warm", context, down=turn).best_risk == pytest.approx(plain, rel=1e-12)
        assert lora_step(setting, "warm", context, up=turn).best_risk == pytest.approx(plain, rel=1e-12)
        many = random_lora_step(white(8, 5, 9, 0.1), 10**9, "up", context=context)
        assert many.best_risk == pytest.approx(
            one_step(white(8, 5, 9, 0.1), "warm", context).best_risk, rel=1e-7
        )


def test_training_the_upper_factor_is_bounded_in_d():
    """Noise-free, k = inf: gains 1/(1+1/r+(1+1/alpha)^2/r) against 1/(1+d/r) of the full step."""
    setting, r = white(2000, 2000, 2000 * 10**6), 4
    full = one_step(setting).limit_gain
    assert random_lora_step(setting, r, "up").limit_gain / full == pytest.approx(
        1 / (1 + 1 / r + 4 / r), rel=0.01
    )
    assert random_lora_step(setting, r, "down").limit_gain / full == pytest.approx(
        1 / (1 + 2001 / r), rel=1e-9
    )


def test_best_left_is_pretraining_again():
    """(Sb, n) -> (R, k): from zero weights it is the pretraining optimum for k rows."""
    prior = np.array([[0.5, 0.1, 0.0], [0.1, 1.0, 0.2], [0.0, 0.2, 0.3]])
    cov = np.array([[1.0, 0.3, 0.1], [0.3, 0.8, 0.0], [0.1, 0.0, 1.4]])
    from testtime.theory.linear import pretrained_weight

    cold = Setting(10, 6, input_cov=cov, task_cov=prior, noise_var=0.3)
    expected = pretrained_weight(cold.replace(n_context=6))
    np.testing.assert_allclose(best_left(cold, "cold"), expected, atol=1e-13)
    assert best_left_risk(cold, "cold") == pytest.approx(icl_risk(cold.replace(n_context=6)), rel=1e-12)
    answer = one_step(cold, "warm", "same", "normalized", left=best_left(cold))
    assert answer.best_step == pytest.approx(0.5, rel=1e-10)
    assert answer.best_risk == pytest.approx(best_left_risk(cold), rel=1e-12)
    with pytest.raises(InputError, match="direction"):
        best_left(white(10, 3, 6))


def test_line_search_bias():
    assert line_search_bias_limit(1.0) == pytest.approx(0.8)
    for gamma in (0.5, 1.0, 4.0):
        errors = []
        for d in (500, 1000):
            found = line_search_means(np.ones(d), int(gamma * d))
            errors.append(found.ratio / found.best_length / line_search_bias_limit(gamma) - 1)
        assert 1.8 < errors[0] / errors[1] < 2.2
    noise = line_search_means(np.zeros(1000), 500, noise_var=1.0)
    assert noise.best_length == 0.0
    assert noise.ratio == pytest.approx(1 / 1500, rel=0.01)
    assert noise.excess > 0


def test_best_length_of_line_search_is_that_of_one_step():
    """Given u, the length rho = 2 eta |u|^2 that minimises the risk on the same context."""
    beta, u, cov = np.array([1.0, 0.5, -0.3]), np.array([3.0, 1.0, 0.2]), np.array([0.5, 1.0, 1.5])
    setting = Setting(4, 7, input_cov=cov, task=beta, noise_var=0.2)
    answer = one_step(setting, 0.1, "same", "normalized", observed=u)
    assert 2 * answer.best_step == pytest.approx(
        line_search_means(beta - 0.1 * u, 7, cov, 0.2).best_length, rel=1e-12
    )


def test_practical_rule_is_close_to_the_best_length():
    d, k, noise = 200, 300, 0.5
    generator = np.random.default_rng(0)
    residual = generator.standard_normal(d) / np.sqrt(d)
    best = line_search_means(residual, k, noise_var=noise).best_length
    rules, searches = [], []
    for _ in range(40):
        x = generator.standard_normal((k, d))
        e = x @ residual + np.sqrt(noise) * generator.standard_normal(k)
        rules.append(practical_length(e, d, noise) / best - 1)
        searches.append(line_search(x, e) / best - 1)
    assert abs(np.mean(rules)) < 0.03 < abs(np.mean(searches))
    assert practical_length([], 5) == 0.0
    assert practical_length([0.1], 5, 1.0) == 0.0
    assert line_search(np.zeros((2, 2)), [1.0, 1.0]) == 0.0


def test_fresh_factor_is_the_inverse_of_the_step_ratio():
    for alpha, noise in ((0.5, 0.0), (3.0, 0.4)):
        setting = white(int(alpha * 10_000), 10_000, 10, noise)
        assert fresh_length_factor(setting) == pytest.approx(1 / step_ratio_limit(alpha, noise), rel=1e-3)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: several_steps(Setting(3, 3, input_cov=[1.0, 2.0]), [0.1]), "scalar input_cov"),
        (lambda: several_steps(white(3, 3, 3), [0.1] * 13), "at most 12"),
        (lambda: leave_one_out(Setting(5, 0, dim=3)), "isotropic setting with task"),
        (lambda: leave_one_out(white(1, 3, 0)), "at least 2 rows"),
        (lambda: leave_one_out(white(5, 3, 0), context="old"), "'same' or 'fresh'"),
        (lambda: lora_step(white(5, 3, 2)), "exactly one"),
        (lambda: lora_step(white(5, 3, 2), down=np.ones((3, 2))), r"\(r, 3\)"),
        (lambda: random_lora_step(white(5, 3, 2), 0), "at least 1"),
        (lambda: random_lora_step(white(5, 3, 2), 2, "both"), "'up' or 'down'"),
        (lambda: mini_batch_risk(white(5, 3, 2), [1, 1], [0.1]), "one length per batch"),
        (lambda: best_filter_limit(white(5, 3, 2, 0.1), 2), "without noise"),
        (lambda: line_search(np.ones((3, 2)), np.ones(2)), "one residual per row"),
        (lambda: line_search_means(np.ones((3, 2)), 2), "one vector"),
        (lambda: fresh_length_factor(Setting(3, 3, input_cov=[1.0, 2.0])), "isotropic"),
    ],
)
def test_bad_input(call, match):
    with pytest.raises(InputError, match=match):
        call()
