"""The answer of one step carries its own optimum; invariances; arrays; edge cases."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from testtime.errors import InputError
from testtime.theory.linear import (
    Setting,
    alignment,
    icl_risk,
    icl_risk_curve,
    leave_one_out,
    lora_step,
    one_step,
    one_step_limit,
    pretrained_weight,
    random_lora_step,
    residual_covariance,
    separate_contexts,
)
from testtime.theory.linear.pretraining import resolve_start
from testtime.theory.linear.step import scalar_parts
from testtime.theory.plan import plan, unit_setting

TURN = np.linalg.qr(np.random.default_rng(4).standard_normal((5, 5)))[0]
SPECTRUM = np.array([0.3, 0.6, 1.0, 1.4, 2.0])
PRIOR = np.array([1.5, 0.2, 0.7, 1.1, 0.4])
BETA = np.array([0.5, -1.0, 0.3, 0.8, -0.2])
GENERAL = Setting(12, 9, input_cov=SPECTRUM, task_cov=PRIOR, task=BETA, noise_var=0.3)
WHITE = Setting(12, 9, dim=5, task=2.02, noise_var=0.3)
RANDOM = Setting(12, 9, input_cov=SPECTRUM, task_cov=PRIOR, noise_var=0.3)
WAYS = [(c, s) for c in ("fresh", "same") for s in ("fixed", "normalized")]
FIELDS = ("risk_before", "slope", "curvature", "best_step", "best_risk", "gain", "best_length")


def rotated(setting):
    """The same setting in other coordinates."""
    return setting.replace(
        input_cov=TURN @ np.diag(SPECTRUM) @ TURN.T, task_cov=TURN @ np.diag(PRIOR) @ TURN.T, task=TURN @ BETA
    )


def same_answer(left, right, rel=1e-10, fields=FIELDS):
    for name in fields:
        assert getattr(left, name) == pytest.approx(getattr(right, name), rel=rel), name


ANSWERS = {
    **{
        f"{name} {c} {s} {start}": one_step(setting, start, c, s)
        for name, setting in (("general", GENERAL), ("white", WHITE), ("random", RANDOM))
        for c, s in WAYS
        for start in ("warm", "cold", 0.07)
        if not (name == "random" and (c, s) == ("fresh", "normalized"))
    },
    "leave-one-out same": leave_one_out(WHITE),
    "leave-one-out fresh": leave_one_out(WHITE, context="fresh"),
    "separate": separate_contexts(GENERAL),
    "limit": one_step_limit(GENERAL),
    "low rank": lora_step(GENERAL, down=TURN[:2]),
    "random low rank": random_lora_step(WHITE, 2),
    "seen": one_step(GENERAL, observed=BETA * 3.0),
    "preconditioned": one_step(GENERAL, left=1 / SPECTRUM, right=1 / SPECTRUM),
}


@pytest.mark.parametrize("name", list(ANSWERS))
def test_the_best_step_is_best(name):
    answer = ANSWERS[name]
    assert answer.curvature > 0
    scale = abs(answer.slope) + answer.curvature * abs(answer.best_step)
    assert abs(answer.slope + answer.curvature * answer.best_step) <= 1e-10 * scale
    others = answer.best_step * np.concatenate([np.linspace(-1, 3, 900), 1 + np.logspace(-7, 3, 100)])
    assert np.all(answer.risk(others) >= answer.best_risk - 1e-13 * answer.risk_before)
    assert answer.risk(answer.best_step) == pytest.approx(answer.best_risk, rel=1e-12)
    assert answer.risk(0.0) == answer.risk_before
    assert answer.gain == pytest.approx(answer.risk_before - answer.best_risk, rel=1e-9, abs=1e-14)
    assert answer.gain >= 0
    assert answer.best_risk >= 0.3  # the noise variance


@pytest.mark.parametrize(("context", "step"), WAYS)
@pytest.mark.parametrize("start", ["warm", "cold"])
def test_rotations_do_not_matter(context, step, start):
    same_answer(one_step(rotated(GENERAL), start, context, step), one_step(GENERAL, start, context, step))


@pytest.mark.parametrize(("context", "step"), WAYS)
def test_a_matrix_start_turns_with_the_coordinates(context, step):
    weight = np.random.default_rng(0).standard_normal((5, 5)) * 0.05
    turned = one_step(rotated(GENERAL), TURN @ weight @ TURN.T, context, step)
    same_answer(turned, one_step(GENERAL, weight, context, step))


@pytest.mark.parametrize(("context", "step"), WAYS)
def test_units_of_y(context, step):
    c = 3.7
    scaled = GENERAL.replace(task=c * BETA, task_cov=c**2 * PRIOR, noise_var=c**2 * 0.3)
    before, after = one_step(GENERAL, "warm", context, step), one_step(scaled, "warm", context, step)
    same_answer(after, before, fields=("best_length",))
    for name in ("risk_before", "best_risk", "gain"):
        assert getattr(after, name) == pytest.approx(c**2 * getattr(before, name), rel=1e-11)
    factor = 1.0 if step == "normalized" else c**2
    assert after.best_step == pytest.approx(before.best_step / factor, rel=1e-11)


@pytest.mark.parametrize(("context", "step"), WAYS)
def test_scalar_covariances_are_constant_diagonals(context, step):
    """The O(1) formulas and the general ones agree for any input variance."""
    white = Setting(12, 9, dim=5, input_cov=1.7, task_cov=0.6, task=BETA, noise_var=0.3)
    spelled = white.replace(input_cov=np.full(5, 1.7))
    for start in ("warm", "cold", 0.03):
        same_answer(one_step(white, start, context, step), one_step(spelled, start, context, step))
    if (context, step) != ("fresh", "normalized"):
        white, spelled = (s.replace(task=None, test_task_cov=0.4) for s in (white, spelled))
        same_answer(one_step(white, "warm", context, step), one_step(spelled, "warm", context, step))


def test_input_units_of_the_isotropic_extras():
    """x -> c x with beta -> beta / c changes no risk."""
    plain = Setting(12, 9, dim=5, task_cov=0.8, task=2.0, noise_var=0.3)
    scaled = plain.replace(input_cov=4.0, task_cov=0.2, task=0.5)
    for function in (leave_one_out, lambda s: random_lora_step(s, 3), one_step_limit, separate_contexts):
        same_answer(function(scaled), function(plain), fields=("risk_before", "best_risk", "gain"))


def test_whitened_steps_reduce_to_white_inputs():
    """P = Q = inverse covariance is a plain step in whitened coordinates."""
    root = np.sqrt(SPECTRUM)
    white = Setting(12, 9, input_cov=np.ones(5), task_cov=PRIOR * SPECTRUM, task=root * BETA, noise_var=0.3)
    for context in ("fresh", "same"):
        preconditioned = one_step(GENERAL, "warm", context, left=1 / SPECTRUM, right=1 / SPECTRUM)
        same_answer(preconditioned, one_step(white, "warm", context))


def test_averaging_over_contexts_is_averaging_the_conditional_answers():
    generator = np.random.default_rng(2)
    x = generator.standard_normal((1500, 12, 5)) * np.sqrt(SPECTRUM)
    y = x @ BETA + np.sqrt(0.3) * generator.standard_normal((1500, 12))
    for context in ("fresh", "same"):
        exact = one_step(GENERAL, "warm", context)
        risks = np.array(
            [
                one_step(GENERAL, "warm", context, observed=pair).risk(exact.best_step)
                for pair in zip(x, y, strict=True)
            ]
        )
        assert abs(risks.mean() - exact.best_risk) < 4 * risks.std() / len(risks) ** 0.5


def test_arrays_of_settings():
    n, k = np.arange(3, 9)[:, None], np.array([0, 1, 7])
    noise, norm = np.array([0.0, 0.2, 1.0]), np.array([0.5, 1.0, 2.0])
    for context, step in WAYS:
        many = one_step(Setting(n, k, dim=6, task=norm, noise_var=noise), "warm", context, step)
        assert many.best_risk.shape == (6, 3)
        for i in range(6):
            for j in range(3):
                setting = Setting(int(n[i, 0]), int(k[j]), dim=6, task=norm[j], noise_var=noise[j])
                one = one_step(setting, "warm", context, step)
                for name in FIELDS:
                    got = float(getattr(many, name)[i, j])
                    assert got == pytest.approx(getattr(one, name), rel=1e-11, abs=1e-300)
    dims = one_step(Setting(5, 5, dim=np.array([4, 40]), noise_var=0.1))
    assert dims.gain[1] == pytest.approx(one_step(Setting(5, 5, dim=40, noise_var=0.1)).gain, rel=1e-12)


def test_nothing_to_learn_from():
    for setting in (GENERAL, WHITE):
        none = one_step(setting.replace(n_train=0))
        assert (none.best_step, none.gain, none.slope, none.curvature) == (0, 0, 0, 0)
        assert none.best_risk == none.risk_before
        empty = one_step(setting.replace(n_context=0))
        label = 0.3 + (BETA @ (SPECTRUM * BETA) if setting is GENERAL else 2.02)
        assert empty.best_risk == pytest.approx(label, rel=1e-14)
        assert empty.gain == 0
        assert one_step(setting.replace(n_context=0), "warm", "same", "normalized").gain == 0
    assert one_step(GENERAL, step="normalized", observed=np.zeros(5)).gain == 0


def test_pretraining_optimum_is_stationary():
    """No symmetric or other perturbation of W* lowers the risk averaged over pretraining tasks."""
    setting = GENERAL.replace(task=None, input_cov=rotated(GENERAL).input_cov)
    best = pretrained_weight(setting)
    np.testing.assert_allclose(best, best.T, atol=1e-15)
    floor = icl_risk(setting, best)
    assert floor == pytest.approx(icl_risk(setting), rel=1e-14)
    generator = np.random.default_rng(1)
    for _ in range(50):
        change = generator.standard_normal((5, 5))
        up, down = (icl_risk(setting, best + t * change) for t in (1e-3, -1e-3))
        assert min(up, down) > floor
        assert abs(up - down) < 1e-8 * (up + down - 2 * floor + 1e-4)


def test_singular_task_covariances():
    flat = np.array([1.0, 0.5, 0.0, 0.0, 0.2])
    setting = GENERAL.replace(task_cov=flat)
    nearly = GENERAL.replace(task_cov=np.maximum(flat, 1e-12))
    same_answer(one_step(setting), one_step(nearly), rel=1e-8)
    turned = TURN @ np.diag(flat) @ TURN.T
    weight = pretrained_weight(rotated(GENERAL).replace(task_cov=turned))
    np.testing.assert_allclose(TURN.T @ weight @ TURN, np.diag(pretrained_weight(setting)), atol=1e-14)


def test_curve_of_plain_risks():
    lengths = [0, 1, 12, 300]
    for setting in (GENERAL, RANDOM, rotated(GENERAL), WHITE, rotated(GENERAL).replace(task=None)):
        direct = [icl_risk(setting.replace(n_context=n)) for n in lengths]
        np.testing.assert_allclose(icl_risk_curve(setting, lengths), direct, rtol=1e-12)


def test_residual_covariance_carries_the_risk():
    for setting in (GENERAL, RANDOM, rotated(GENERAL)):
        cov = setting.input_cov if np.ndim(setting.input_cov) == 2 else np.diag(setting.input_cov)
        assert 0.3 + np.trace(cov @ residual_covariance(setting)) == pytest.approx(
            icl_risk(setting), rel=1e-12
        )


def test_alignment_is_bias_and_variance():
    for setting in (GENERAL, RANDOM, WHITE, rotated(GENERAL)):
        fit = alignment(setting)
        assert fit.A + fit.B < icl_risk(setting) - 0.3 < (fit.A + fit.B) * (1 + 2 / setting.n_context)
    assert alignment(WHITE).gain_limit() == pytest.approx(one_step_limit(WHITE).gain, rel=1e-12)
    assert alignment(GENERAL).gain_limit("same") == pytest.approx(
        one_step_limit(GENERAL, context="same").gain
    )


@settings(deadline=None, max_examples=60)
@given(
    st.integers(0, 300), st.integers(0, 300), st.integers(1, 200), st.floats(0, 3), st.floats(0.01, 10),
    st.sampled_from(["fresh", "same"]), st.floats(-0.01, 0.05),
)  # fmt: skip
def test_any_isotropic_setting(n, k, d, noise, norm, context, start):
    answer = one_step(Setting(n, k, dim=d, task=norm, noise_var=noise), start, context)
    assert np.isfinite([answer.risk_before, answer.best_risk, answer.gain, answer.best_step]).all()
    assert answer.curvature >= 0
    assert noise * (1 - 1e-12) <= answer.best_risk <= answer.risk_before * (1 + 1e-12)
    task = np.full(d, np.sqrt(norm / d))
    other = one_step(Setting(n, k, task=task, noise_var=noise, input_cov=np.ones(d)), start, context)
    assert other.best_risk == pytest.approx(answer.best_risk, rel=1e-9)


@pytest.mark.parametrize(("n", "d"), [(3, 3), (3, 200), (4, 2), (10**6, 30)])
def test_normalized_integral_meets_the_noise_free_closed_form(n, d):
    """The general routine integrates; without noise the isotropic one has a closed form, also at the edge n = 3."""
    setting = Setting(n, 7, dim=d, task=1.3)
    spelled = setting.replace(task=np.full(d, np.sqrt(1.3 / d)), input_cov=np.ones(d))
    for start in ("warm", "cold"):
        answers = [one_step(s, start, "fresh", "normalized", eval_context=9) for s in (spelled, setting)]
        same_answer(*answers, rel=1e-8)


def test_general_formulas_keep_their_digits_when_the_context_is_long():
    n, d = 10**7, 100
    turn = np.linalg.qr(np.random.default_rng(3).standard_normal((d, d)))[0]
    task = np.random.default_rng(4).standard_normal(d)
    for noise in (0.0, 0.1):
        for context in ("fresh", "same"):
            white = Setting(n, 50, dim=d, task=task, noise_var=noise)
            spelled = white.replace(input_cov=turn @ turn.T, task_cov=np.eye(d))
            same_answer(one_step(spelled, "warm", context), one_step(white, "warm", context), rel=1e-8)


@pytest.mark.parametrize("n_train", [10, 10**6, 10**12, 10**15])
def test_a_risk_that_nearly_vanishes_keeps_its_digits(n_train):
    """From zero, on the same context and normalised, W u is one plain gradient step: E|X'X b|^2 = k (k + d + 1)."""
    answer = one_step(Setting(7, n_train, dim=3, task=1.0), "cold", "same", "normalized")
    assert answer.best_risk == pytest.approx(4 / (n_train + 4), rel=1e-9, abs=0)


def test_without_a_context_there_is_no_gain_in_any_limit():
    answer = one_step(Setting(0, 5, dim=3, task=1.0))
    assert answer.limit_gain == 0.0
    assert answer.half_train == np.inf
    assert answer.gain == 0.0


@pytest.mark.parametrize(
    ("n_context", "dim", "noise_var", "refused"),
    [(3, 3, 0.0, False), (2, 5, 0.0, True), (3, 2, 0.0, True), (3, 2, 0.1, True), (3, 3, 0.1, False)],
)
@pytest.mark.parametrize("matrix", [False, True])
def test_a_normalised_step_with_an_infinite_mean_square_is_refused(
    n_context, dim, noise_var, refused, matrix
):
    """The limits are the same whether the start is the number 1/10 or the matrix of that number."""
    setting = Setting(n_context, 5, task=np.full(dim, 0.5), noise_var=noise_var)
    start = 0.1 * np.eye(dim) if matrix else 0.1
    if refused:
        with pytest.raises(InputError, match="its mean square is infinite"):
            one_step(setting, start, step="normalized")
    else:
        assert np.isfinite(one_step(setting, start, step="normalized").best_risk)


def test_a_single_training_row_is_enough_to_step_on():
    step = one_step(Setting(n_context=10, n_train=1, dim=5, task=5.0, task_cov=1.0))
    assert step.best_step != 0
    assert step.slope + step.curvature * step.best_step == pytest.approx(0.0, abs=1e-12 * abs(step.slope))
    assert step.best_risk < step.risk_before


@pytest.mark.parametrize("n", [1e6, 1e9, 1e12])
@pytest.mark.parametrize("d", [5, 1000])
def test_normalized_integrals_keep_their_digits_when_the_context_is_long(n, d):
    setting = Setting(n, 50, dim=d, task=1.0)
    closed = one_step(setting, 0.3 / n, step="normalized")
    parts = scalar_parts(
        setting.replace(noise_var=1e-300), resolve_start(setting, 0.3 / n), "fresh", "normalized", None
    )[1]  # any noise takes the integral
    assert float(parts.linear) * 200 == pytest.approx(-closed.slope, rel=1e-10)
    vector = one_step(
        setting.replace(task=np.full(d, d**-0.5), input_cov=np.ones(d)), 0.3 / n, step="normalized"
    )
    for name in ("slope", "curvature", "gain", "half_train"):
        assert getattr(vector, name) == pytest.approx(getattr(closed, name), rel=1e-10)


SCALES = [-150, -100, -60, -47, -30, 0, 30, 44, 80, 150]


@pytest.mark.parametrize("kind", ["scalar", "clean", "matrix"])
@pytest.mark.parametrize(("context", "step"), [("fresh", "fixed"), ("same", "normalized")])
def test_other_units_give_the_same_answer_or_a_sentence(kind, context, step):
    """Inputs of variance a and labels of variance b: rescaled, or refused, but never wrong."""

    def answer(a, b):
        noise = 0.0 if kind == "clean" else 0.1 * b
        if kind != "matrix":
            setting = Setting(10, 8, dim=5, input_cov=a, task=b / a, task_cov=b / a / 5, noise_var=noise)
        else:
            task, cov = np.sqrt(b / a) * np.array([1.0, 0.3, 0.2, -0.4, 0.5]), a * np.array([1, 0.5, 2, 1, 1])
            setting = Setting(10, 8, input_cov=cov, task=task, task_cov=b / a / 5, noise_var=noise)
        return one_step(setting, context=context, step=step), plan(setting, context, step)

    one, advice = answer(1.0, 1.0)
    given = 0
    for left, right in itertools.product(SCALES, SCALES):
        a, b = 2.0 ** round(left * np.log2(10)), 2.0 ** round(right * np.log2(10))
        try:
            found, told = answer(a, b)
        except InputError as error:
            assert "variance" in str(error)
            continue
        given += 1
        rate = a if step == "normalized" else a * a * b
        assert found.gain / b == pytest.approx(one.gain, rel=1e-9)
        assert found.best_step * rate == pytest.approx(one.best_step, rel=1e-9)
        assert found.half_train == pytest.approx(one.half_train, rel=1e-9)
        assert told.scaled_risk / b == pytest.approx(advice.scaled_risk, rel=1e-7)
        assert told.context_without == advice.context_without
        assert told.transition.crossings == pytest.approx(advice.transition.crossings, rel=1e-7)
    assert given >= 6


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: plan(unit_setting(5, 3, 3, 1e150)), r"labels with a variance near 1e\+150"),
        (lambda: plan(Setting(5, 3, dim=3, input_cov=1e44)), r"inputs with a variance near 1e\+44"),
        (lambda: one_step(Setting(10, 10, dim=5, input_cov=1e-47, task=1.0)), "Divide the inputs"),
        (lambda: one_step(Setting(10, 10, dim=5, input_cov=1e-39, task=1e-20)), "leave the range"),
        (lambda: one_step(Setting(10, 10, dim=5, input_cov=1e39, task=1e20)), "leave the range"),
        (lambda: one_step(Setting(10, 10, dim=5, task=1.0), left=1e-200), "leave the range"),
        (lambda: one_step_limit(Setting(10, 10, dim=5, input_cov=1e-47, task=1.0)), "Divide the inputs"),
        (lambda: one_step(Setting([10, 20], 10, dim=5, task=[1.0, 1e-99])), "near 1e-99"),
    ],
)
def test_scales_beyond_floating_point_are_refused(call, match):
    with pytest.raises(InputError, match=match):
        call()


def test_a_preconditioner_of_zero_learns_nothing_at_any_scale():
    assert one_step(Setting(10, 10, dim=5, task=1.0), left=0.0).gain == 0.0
    assert one_step(Setting(10, 10, dim=5, task=1.0), eval_context=0).gain == 0.0
