"""What the exact answers approach when rows and dimension grow together."""

import numpy as np
import pytest

from tests.support.settings import white
from testtime.theory.linear import (
    Setting,
    alignment,
    gain_limit,
    icl_risk_limit,
    one_step,
    one_step_limit,
    smallest_context,
    smallest_context_limit,
    start_transition,
    start_transition_limit,
    step_ratio_limit,
    transition_limit,
)


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("context", ["fresh", "same"])
@pytest.mark.parametrize("alpha", [0.5, 2.0])
def test_gain_approaches_its_limit_as_one_over_d(alpha, context, noise):
    for start in ("warm", "cold"):
        limit = gain_limit(alpha, 1.5, noise, start, context)
        errors = []
        for d in (2000, 4000):
            setting = white(int(alpha * d), d, int(1.5 * d), noise)
            gain = one_step(setting, start, context).gain
            errors.append(gain / limit - 1)
            assert one_step_limit(setting, start, context).gain == pytest.approx(limit, rel=3 / d)
        assert abs(errors[0]) < 0.02
        assert 1.8 < errors[0] / errors[1] < 2.2


def test_noise_free_law():
    """k/(k+d) d^3/(n+d)^3, and the ratio exact over law of the stated sizes."""
    assert gain_limit(2.0, 3.0) == pytest.approx(3 / 4 / 27, rel=1e-14)
    assert gain_limit(2.0, 3.0, context="same") == pytest.approx(3 / 4 / 3, rel=1e-14)
    for d, low, high in ((100, 0.86, 0.96), (1000, 0.985, 0.996), (10_000, 0.9985, 0.9996)):
        for alpha in (0.5, 1.0, 3.0):
            ratio = one_step(white(int(alpha * d), d, d)).gain / gain_limit(alpha, 1.0)
            assert low - 0.005 < ratio < high + 0.005


def test_transition_limits():
    assert [round(transition_limit(a, 0.5), 3) for a in (0.25, 0.5, 1, 2, 4)] == [
        0.861,
        1.06,
        1.479,
        2.372,
        4.257,
    ]
    assert [round(transition_limit(a), 3) for a in (0.25, 0.5, 1, 2, 4)] == [0.694, 0.9, 1.333, 2.25, 4.167]
    for noise in (0.0, 0.5):
        errors = [
            start_transition(white(d, d, noise=noise)).n_train / d / transition_limit(1.0, noise) - 1
            for d in (2000, 4000)
        ]
        assert 1.8 < errors[0] / errors[1] < 2.2
    setting = white(80, 100)
    fit = alignment(setting)
    total = fit.A + fit.B
    closed = total * (1 - total) / (fit.B * (total + fit.A)) * 100
    assert start_transition_limit(setting).n_train == pytest.approx(closed, rel=1e-10)


def test_general_limit_error_falls():
    errors = []
    for d in (200, 800):
        spectrum = np.linspace(0.3, 1.7, d)
        setting = Setting(d, d, input_cov=spectrum, task_cov=np.ones(d), task=np.ones(d) / np.sqrt(d))
        errors.append(one_step(setting).gain / one_step_limit(setting).gain - 1)
    assert -0.12 < errors[0] < errors[1] < 0
    assert 3 < errors[0] / errors[1] < 5


@pytest.mark.parametrize("context", ["fresh", "same"])
def test_length_of_the_limit(context):
    for d in (2000, 4000):
        setting = white(d, d, d, 0.3)
        ratio = (
            one_step(setting, "warm", context).best_length
            / one_step_limit(setting, "warm", context).best_length
        )
        assert abs(ratio - 1) < 20 / d


def test_self_tuned_step_on_fresh_contexts():
    """Shares of the best gain that the step tuned on its own context reaches on others, d = 100."""
    shares = []
    for alpha in (0.5, 1, 1.5, 2, 3):
        setting = white(int(100 * alpha), 100, 100)
        fresh, same = one_step(setting), one_step(setting, context="same")
        shares.append((fresh.risk_before - fresh.risk(same.best_step)) / fresh.gain)
    assert shares == pytest.approx([0.771, 0.9999, 0.742, -0.02, -3.09], abs=0.006)
    t = step_ratio_limit(np.array([0.5, 1, 1.5, 2, 3]))
    assert t * (2 - t) == pytest.approx([0.75, 1, 0.75, 0, -3])


def test_smallest_context_limits():
    for target, ratio in ((0.5, 0.5), (0.3, 1.0), (0.2, 2.0), (0.2, 0.25)):
        for context in ("fresh", "same"):
            setting = Setting(0, int(100_000 * ratio), dim=100_000, task=1.0)
            exact = smallest_context(setting, target, context=context) / 100_000
            assert exact == pytest.approx(smallest_context_limit(target, ratio, context), rel=5e-3, abs=2e-3)
    assert smallest_context_limit(0.5, 1.0) == 0.0
    assert smallest_context_limit(0.5, 0.0) == 1.0


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_equal_budget_in_the_limit(noise):
    """Fresh contexts: never better than more context. The same context: always better."""
    for alpha in np.linspace(0.05, 5, 12):
        for gamma in np.linspace(0.05, 5, 12):
            more = icl_risk_limit(alpha + gamma, noise)
            plain = icl_risk_limit(alpha, noise)
            warm = plain - gain_limit(alpha, gamma, noise)
            cold = 1 + noise - gain_limit(alpha, gamma, noise, "cold")
            assert min(warm, cold) >= more - 1e-12
            assert plain - gain_limit(alpha, gamma, noise, context="same") <= more + 1e-12
