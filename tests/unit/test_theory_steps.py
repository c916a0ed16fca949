"""Several steps, their limits, leave-one-out, low rank, and steps from data."""

from fractions import Fraction

import numpy as np
import pytest

from testtime.errors import InputError
from testtime.theory.linear import (
    Setting,
    best_filter,
    best_filter_limit,
    best_first_length,
    best_left,
    best_left_risk,
    converged_risk,
    decayed,
    fresh_length_factor,
    gain_limit,
    icl_risk,
    leave_one_out,
    leave_one_out_limit,
    line_search,
    line_search_bias_limit,
    line_search_means,
    lora_step,
    mini_batch_risk,
    one_pass_limit,
    one_step,
    practical_length,
    random_lora_step,
    ridge_risk_limit,
    separate_contexts,
    separate_contexts_gain_limit,
    several_steps,
    several_steps_fresh_limit,
    several_steps_limit,
    step_ratio_limit,
)
from testtime.theory.linear_steps import filter_coefficients


def white(n, d, k, noise=0.0):
    return Setting(n, k, dim=d, task=1.0, task_cov=1.0 / d, noise_var=noise)


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


# ---- leave-one-out, separate contexts, low rank ----


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


# ---- steps from data ----


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
