"""Warm against cold, the best scale between, and the smallest context."""

import numpy as np
import pytest
from scipy.optimize import brentq

from tests.support.settings import white
from testtime.errors import InputError
from testtime.theory.linear import (
    OneStep,
    Setting,
    best_scaled_start,
    context_reduction,
    icl_risk,
    one_step,
    pretrained_weight,
    smallest_context,
    start_transition,
    transition_limit,
)
from testtime.theory.linear.crossing import cross
from testtime.theory.plan import plan


def lead(setting, k, context="fresh", step="fixed"):
    """Cold minus warm best risk at a real-valued number of training rows."""
    cold, warm = (one_step(setting.replace(n_train=1), start, context, step) for start in ("cold", "warm"))
    return sum(
        sign * (one.risk_before - one.limit_gain * k / (k + one.half_train))
        for sign, one in ((1, cold), (-1, warm))
    )


SPECTRUM = np.linspace(0.2, 1.8, 60)


def test_transition_published_sizes():
    """k*/d at n = d: far above its limit 4/3 for small d."""
    for d, digits, expected in (
        (10, 2, 4.41),
        (30, 2, 1.91),
        (100, 3, 1.484),
        (1000, 3, 1.348),
        (10_000, 4, 1.3348),
    ):
        assert round(start_transition(white(d, d)).n_train / d, digits) == expected
    assert start_transition(white(30, 30)).n_train / 30 / transition_limit(1.0) == pytest.approx(
        1.435, abs=1e-3
    )


@pytest.mark.parametrize(
    ("task", "expected"), [(np.sqrt(SPECTRUM), 91.0), (np.sqrt(SPECTRUM[::-1]), 55.1), (None, 59.5)]
)
def test_transition_with_aligned_and_reversed_tasks(task, expected):
    random = SPECTRUM[::-1] if task is None else None
    setting = Setting(40, 0, task_cov=SPECTRUM, task=task, test_task_cov=random)
    found = start_transition(setting)
    assert found.n_train == pytest.approx(expected, abs=0.06)
    assert (found.below, found.above) == ("warm", "cold")


@pytest.mark.parametrize(("d", "n"), [(100, 8), (1000, 23), (10_000, 72)])
def test_short_contexts_have_no_transition(d, n):
    assert np.isfinite(start_transition(white(n, d)).n_train)
    none = start_transition(white(n - 1, d))
    assert (none.n_train, none.below, none.above, none.crossings) == (float("inf"), "warm", "warm", ())


@pytest.mark.parametrize(
    "setting",
    [
        white(40, 25),
        white(40, 25, noise=0.6),
        Setting(40, 0, task_cov=SPECTRUM, task=np.sqrt(SPECTRUM), noise_var=0.2),
    ],
)
@pytest.mark.parametrize("context", ["fresh", "same"])
@pytest.mark.parametrize("step", ["fixed", "normalized"])
def test_transition_is_the_root_of_the_difference(setting, context, step):
    found = start_transition(setting, context, step)
    grid = np.logspace(-3, 7, 4000)
    values = np.array([lead(setting, k, context, step) for k in (grid[0], grid[-1])])
    assert found.below == ("warm" if values[0] > 0 else "cold")
    assert found.above == ("warm" if values[1] > 0 else "cold")
    if np.isfinite(found.n_train) and found.n_train:
        root = brentq(
            lambda k: lead(setting, k, context, step), found.n_train / 2, found.n_train * 2, rtol=1e-14
        )
        assert found.n_train == pytest.approx(root, rel=1e-10)
    if context == "same":
        assert found.n_train == float("inf")  # on the same context pretrained weights always win


def test_noise_free_closed_form():
    for n, d in ((40, 25), (300, 100)):
        setting = white(n, d, k=1)
        cold, warm = one_step(setting, "cold"), one_step(setting, "warm")
        gap = cold.risk_before - warm.risk_before
        closed = (d + 1) * gap / (cold.limit_gain - warm.limit_gain - gap)
        assert start_transition(setting).n_train == pytest.approx(closed, rel=1e-11)


def curve(before, gain, half):
    return OneStep(before, 0, 0, 0, 0, 0, 0, gain, half)


def test_every_kind_of_crossing():
    """Curves 1 - I k / (k + h) chosen so that the crossings are known."""
    never = cross(curve(0.5, 0.3, 10.0), curve(1.0, 0.7, 10.0))
    assert (never.n_train, never.above) == (float("inf"), "warm")
    always = cross(curve(1.0, 0.1, 10.0), curve(0.9, 0.3, 10.0))
    assert (always.n_train, always.below, always.above) == (0.0, "cold", "cold")
    # 1 - k/(k+1) against 0.6 - 0.3 k/(k+9): cold begins worse and ends better
    once = cross(curve(0.6, 0.3, 9.0), curve(1.0, 1.0, 1.0))
    k = once.n_train
    assert (once.below, once.above, len(once.crossings)) == ("warm", "cold", 1)
    assert 1 / (k + 1) == pytest.approx(0.6 - 0.3 * k / (k + 9), rel=1e-12)
    # warm begins better, is overtaken by the fast cold curve, and wins in the end
    twice = cross(curve(0.9, 0.9, 100.0), curve(1.0, 0.5, 1.0))
    assert (twice.below, twice.above, len(twice.crossings)) == ("warm", "warm", 2)
    for k in twice.crossings:
        assert 0.9 - 0.9 * k / (k + 100) == pytest.approx(1 - 0.5 * k / (k + 1), rel=1e-12)
    # equal before: the faster curve wins at once
    assert cross(curve(1.0, 0.5, 10.0), curve(1.0, 0.5, 5.0)).n_train == 0.0
    assert cross(curve(1.0, 0.5, 5.0), curve(1.0, 0.5, 10.0)).n_train == float("inf")


def test_cold_always_wins_with_misaligned_pretraining():
    prior, task = np.array([3.0, 3.0, 3.0, 1e-3, 1e-3, 1e-3]), np.array([0, 0, 0, 1.0, 1.0, 1.0])
    setting = Setting(6, 0, task_cov=prior, task=task)
    assert icl_risk(setting) > icl_risk(setting, "cold")
    found = start_transition(setting)
    assert (found.n_train, found.below, found.above) == (0.0, "cold", "cold")


@pytest.mark.parametrize("context", ["fresh", "same"])
def test_a_scaled_start_beats_both(context):
    for setting in (
        white(100, 100, 100),
        Setting(40, 80, task_cov=SPECTRUM, task=np.sqrt(SPECTRUM), noise_var=0.3),
    ):
        found = best_scaled_start(setting, context)
        weight = pretrained_weight(setting)
        risks = [one_step(setting, c * weight, context).best_risk for c in np.linspace(0, 1.6, 161)]
        assert found.risk <= min(risks) * (1 + 1e-9)
        assert found.risk == pytest.approx(
            one_step(setting, found.scale * weight, context).best_risk, rel=1e-12
        )
        assert found.warm_risk == one_step(setting, "warm", context).best_risk
        assert found.cold_risk == one_step(setting, "cold", context).best_risk
    found = best_scaled_start(white(100, 100, 100))
    assert (round(found.scale, 3), round(found.risk, 3)) == (0.558, 0.386)


def test_the_best_scale_falls_with_training_rows():
    """From 1 towards 0, which is its value in the limit of large d."""
    scales = [best_scaled_start(white(100, 100, k)).scale for k in (0, 10, 100, 1000, 10**6)]
    assert scales == sorted(scales, reverse=True)
    assert scales[0] == pytest.approx(1.0, abs=1e-6)
    assert 0 < scales[-1] < 0.05


TABLE = {
    ("fresh", 0.7): (429, 253, 88, 41, 31, 26, 24, 23),
    ("fresh", 0.5): (1001, 890, 797, 628, 62, 45, 39, 36),
    ("fresh", 0.3): (2336, 2274, 2230, 2171, 2107, 100, 67, 59),
    ("fresh", 0.2): (4004, 3964, 3936, 3901, 3864, 3834, 108, 85),
    ("same", 0.7): (429, 149, 15, 3, 2, 2, 2, 1),
    ("same", 0.5): (1001, 604, 341, 47, 7, 4, 3, 3),
    ("same", 0.3): (2336, 1672, 1229, 680, 153, 15, 8, 6),
    ("same", 0.2): (4004, 3006, 2342, 1513, 690, 101, 17, 11),
}


RATIOS = (0, 0.25, 0.5, 1, 2, 4, 9, 19)


@pytest.mark.parametrize("context", ["fresh", "same"])
@pytest.mark.parametrize("target", [0.7, 0.5, 0.3, 0.2])
def test_smallest_context_table(context, target):
    for ratio, expected in zip(RATIOS, TABLE[context, target], strict=True):
        setting = Setting(0, int(1000 * ratio), dim=1000, task=1.0)
        found = smallest_context(setting, target, context=context)
        assert found == expected
        below = [
            one_step(setting.replace(n_context=found - 1), s, context).best_risk for s in ("warm", "cold")
        ]
        assert min(below) > target  # the length before is not enough


def test_context_grows_like_the_root_of_the_dimension():
    found = [
        smallest_context(Setting(0, 20 * d, dim=d, task=1.0), 0.1)
        for d in (100, 400, 1600, 6400, 25600, 102400)
    ]
    assert found == [90, 125, 204, 368, 699, 1362]


def test_the_scan_is_needed():
    """The warm risk after a step rises and falls with n."""
    setting = Setting(np.arange(1, 3000), 20_000, dim=1000, task=1.0)
    risks = one_step(setting).best_risk
    peak = int(np.argmax(risks[200:])) + 200
    assert np.all(np.diff(risks[peak : peak + 500]) < 0)
    assert np.any(np.diff(risks[:peak]) > 0)


def test_scan_agrees_with_looking_at_every_length():
    prior = np.array([2.0, 1.0, 0.5, 0.3])
    for start in ("best", "warm", "cold"):
        for context, step in (("fresh", "fixed"), ("same", "normalized"), ("fresh", "normalized")):
            setting = Setting(0, 9, task_cov=prior, task=np.array([1.0, -1.0, 0.5, 0.2]), noise_var=0.1)
            target = 1.2
            found = smallest_context(setting, target, start, context, step)
            starts = ("warm", "cold") if start == "best" else (start,)
            first = 3 if (context, step) == ("fresh", "normalized") else 0
            for n in range(first, 400):
                best = min(one_step(setting.replace(n_context=n), s, context, step).best_risk for s in starts)
                if best <= target:
                    break
            assert found == n
    white_setting = white(0, 30, 40, noise=0.2)
    warm = [one_step(white_setting.replace(n_context=n), "warm").best_risk for n in range(200)]
    first = int(np.argmax(np.array(warm) <= 0.6))
    assert smallest_context(white_setting, 0.6, "warm") == first


def test_one_context_row_is_enough_for_a_normalized_step():
    """On the same context the residual shrinks to (d+1)/(k+d+1) from any context that is not empty."""
    for target in (0.5, 0.2):
        k = int((1 / target - 1) * 101)
        assert (
            smallest_context(Setting(0, k, dim=100, task=1.0), target, context="same", step="normalized") == 1
        )


def test_unreachable_and_trivial_targets():
    setting = white(0, 50, 30, noise=0.2)
    assert smallest_context(setting, 0.2) == float("inf")  # the noise itself
    assert smallest_context(setting, 5.0) == 0
    assert smallest_context(setting, 0.5, "cold") == float("inf")
    assert smallest_context(setting, icl_risk(setting.replace(n_context=37)), "warm") <= 37
    with pytest.raises(InputError, match="longer context"):
        smallest_context(setting, 0.2001, largest=1000)


def test_reduction_factors():
    for ratio, expected in ((0.25, 1.70), (0.5, 4.88), (4, 16.5)):
        answer = context_reduction(Setting(0, int(1000 * ratio), dim=1000, task=1.0), 0.7)
        assert round(answer.factor, 2 if expected < 10 else 1) == expected


def test_ties_keep_the_pretrained_weights():
    """Without a context every scale predicts zero; the answer is then not to rescale."""
    found = best_scaled_start(Setting(0, 9, dim=4, task=1.0, noise_var=0.2))
    assert (found.scale, found.risk, found.step) == (1.0, 1.2, 0.0)


def test_the_longest_context_holds_where_an_equation_is_solved_too():
    setting = Setting(0, 0, dim=1000, task=1.0)
    assert smallest_context(setting, 1e-3, "warm") == 999_999
    assert smallest_context(setting, 1e-3, "warm", largest=999_999) == 999_999
    with pytest.raises(InputError, match="not reached with 10 context rows"):
        smallest_context(setting, 1e-3, "warm", largest=10)
    with pytest.raises(InputError, match="not reached with 10 context rows"):
        context_reduction(setting.replace(n_train=5), 1e-3, largest=10)
    assert smallest_context(setting.replace(noise_var=0.1), 0.1, "warm", largest=10) == float("inf")


def test_a_plan_tells_long_contexts():
    answer = plan(Setting(20_000_000, 40_000_000, dim=40_000_000, task=1.0))
    assert answer.context_without == pytest.approx(1 / answer.risk_after * 4e7 - 4e7, rel=1e-6)


def test_the_scale_of_a_start_stays_in_its_range():
    setting = Setting(100, 0, dim=100, task=1.0)
    assert best_scaled_start(setting, largest=0.5).scale == 0.5
    assert best_scaled_start(setting, largest=0.0).scale == 0.0
    for largest in (-1.0, float("nan"), [1.0, 2.0]):
        with pytest.raises(InputError, match="largest"):
            best_scaled_start(setting, largest=largest)


def test_starts_cross_on_the_same_context_unless_inputs_are_white_and_the_step_normalised():
    uneven = Setting(10, 0, input_cov=[1.0, 0.1], task_cov=[1.0, 10.0], task=[1.0, 0.3])
    loud = Setting(14, 0, dim=5, task_cov=21.4, task=2.5, noise_var=10.0)
    assert start_transition(uneven, "same", "normalized").n_train == pytest.approx(36.1, abs=0.05)
    assert start_transition(loud, "same", "fixed").n_train == pytest.approx(242.2, abs=0.05)
    rng = np.random.default_rng(0)
    for _ in range(200):
        prior, task, noise = (float(10 ** rng.uniform(-2, 2)) for _ in range(3))
        setting = Setting(int(rng.integers(1, 40)), 0, dim=4, task_cov=prior, task=task, noise_var=noise)
        found = start_transition(setting, "same", "normalized")
        assert not found.crossings
        assert found.below == ("warm" if icl_risk(setting) < icl_risk(setting, "cold") else "cold")
