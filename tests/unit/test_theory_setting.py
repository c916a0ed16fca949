"""Every bad input is one sentence with the offending value; good input in all its forms."""

import dataclasses

import numpy as np
import pytest

from testtime.errors import InputError
from testtime.theory.linear import (
    Setting,
    Transition,
    alignment,
    best_filter,
    best_filter_limit,
    best_first_length,
    best_scaled_start,
    decayed,
    fresh_length_factor,
    gain_limit,
    icl_risk,
    icl_risk_curve,
    line_search_bias_limit,
    line_search_means,
    lora_step,
    one_pass_limit,
    one_step,
    one_step_limit,
    pretrained_weight,
    random_lora_step,
    rank_one_update,
    separate_contexts_gain_limit,
    smallest_context,
    smallest_context_limit,
    start_transition,
    start_transition_limit,
    transition_limit,
)
from testtime.theory.plan import plan, unit_setting

GOOD = {"n_context": 5, "n_train": 4, "dim": 3}
SKEW = np.array([[1.0, 0.2, 0.0], [0.1, 1.0, 0.0], [0.0, 0.0, 1.0]])
NEGATIVE = np.diag([1.0, 1.0, -0.5])
HOLE = np.diag([1.0, 1.0, 0.0])

BAD_SETTINGS = [
    ({"n_context": -1}, "n_context=-1"),
    ({"n_context": 2.5}, r"n_context=2\.5"),
    ({"n_context": True}, "n_context=True"),
    ({"n_context": float("nan")}, "n_context=nan"),
    ({"n_context": "many"}, "n_context is str"),
    ({"n_context": "5"}, "n_context is str '5'"),
    ({"n_context": [[1], [1, 2]]}, "n_context is list"),
    ({"noise_var": np.array([1j])}, "noise_var is ndarray"),
    ({"n_train": -3}, "n_train=-3"),
    ({"n_train": np.array([1.0, 2.5])}, r"n_train=2\.5"),
    ({"n_train": float("inf")}, "n_train=inf"),
    ({"dim": 0}, "dim=0"),
    ({"dim": None}, "dim is missing"),
    ({"noise_var": -0.1}, r"noise_var=-0\.1"),
    ({"noise_var": float("nan")}, "noise_var=nan"),
    ({"input_cov": 0.0}, "not positive definite"),
    ({"input_cov": -1.0}, "variance is -1"),
    ({"input_cov": [1.0, 2.0]}, "input_cov has 2 entries"),
    ({"input_cov": [1.0, 2.0, 0.0]}, "smallest eigenvalue is 0"),
    ({"input_cov": SKEW}, r"differ by up to 0\.1"),
    ({"input_cov": NEGATIVE}, r"smallest eigenvalue is -0\.5"),
    ({"input_cov": HOLE}, "positive definite"),
    ({"input_cov": np.ones((3, 2))}, r"shape \(3, 2\)"),
    ({"input_cov": np.full((3, 3), np.nan)}, "9 entries that are NaN"),
    ({"task_cov": NEGATIVE}, "positive semi-definite"),
    ({"task_cov": [1.0, 1.0]}, "task_cov has 2 entries"),
    ({"task_cov": 0.0}, "the test task is zero"),
    ({"task": np.zeros(3)}, "the test task is zero"),
    ({"task": 0.0}, "the test task is zero"),
    ({"task": -1.0}, "negative squared norm"),
    ({"task": [1.0, 2.0]}, "task has 2 entries"),
    ({"task": [1.0, np.nan, 2.0]}, "1 entries that are NaN"),
    ({"task": 1.0, "input_cov": [1.0, 2.0, 3.0]}, "task vector of 3 entries"),
    ({"task": 1.0, "test_task_cov": 1.0}, "both task and test_task_cov"),
    ({"test_task_cov": np.zeros((3, 3))}, "the test task is zero"),
    ({"n_context": np.arange(4), "n_train": np.arange(3)}, "do not broadcast"),
    ({"n_context": np.arange(4), "input_cov": [1.0, 2.0, 3.0]}, "Loop over the settings"),
    ({"dim": np.array([3, 4]), "task_cov": [1.0, 2.0, 3.0]}, "dim an array"),
]


@pytest.mark.parametrize(("change", "match"), BAD_SETTINGS)
def test_bad_settings(change, match):
    with pytest.raises(InputError, match=match) as caught:
        Setting(**(GOOD | change))
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


WHITE = Setting(5, 4, dim=3, task=1.0, noise_var=0.1)
MANY = Setting(np.arange(5), 4, dim=3, task=1.0)
BAD_CALLS = [
    (lambda: one_step(WHITE, "hot"), "start='hot'"),
    (lambda: one_step(WHITE, context="fesh"), "Did you mean 'fresh'"),
    (lambda: one_step(WHITE, step="free"), "step='free'"),
    (lambda: one_step(WHITE, np.ones(4)), r"start has shape \(4,\)"),
    (lambda: one_step(WHITE, np.full((3, 3), np.inf)), "NaN or infinite"),
    (lambda: one_step(WHITE, left=np.ones((2, 2))), "left has shape"),
    (lambda: one_step(WHITE, eval_context=-2), "eval_context=-2"),
    (lambda: one_step(WHITE, context="same", eval_context=7), "eval_context=7 with context='same'"),
    (lambda: one_step(WHITE.replace(n_context=2), step="normalized"), "n_context=2, dim=3"),
    (lambda: one_step(WHITE.replace(dim=2), step="normalized"), "with noise, dim > 2"),
    (lambda: one_step(Setting(3, 4, dim=2, task=1.0), step="normalized"), r"n_context \+ dim > 5"),
    (lambda: one_step(WHITE.replace(task=None), step="normalized"), "random test task with noise"),
    (lambda: one_step(Setting(9, 4, input_cov=[1.0, 2, 3]), step="normalized"), "not a polynomial"),
    (
        lambda: one_step(Setting(9, 4, input_cov=[1.0, 2, 3], task=np.ones(3)), step="normalized", right=2.0),
        "right preconditioner",
    ),
    (lambda: one_step(MANY, np.eye(3)), "a single setting"),
    (lambda: one_step(MANY, left=2.0), "a single setting"),
    (lambda: one_step(WHITE, observed=np.ones(4)), r"observed u has shape \(4,\)"),
    (lambda: one_step(WHITE, observed=(np.ones((5, 3)), np.ones(4))), r"\(5, 3\) and \(5,\)"),
    (lambda: one_step(WHITE, observed=(1, 2, 3)), "3 parts"),
    (lambda: one_step(WHITE.replace(task=None), observed=np.ones(3)), "without a task"),
    (lambda: one_step(WHITE, observed=np.ones(3)), "an observed context with task=1, a squared norm"),
    (lambda: one_step(WHITE, [1.0, 0.5, 0.5]), "start is not a multiple of the identity and task=1"),
    (lambda: icl_risk(WHITE, np.diag([1.0, 0.5, 0.5])), "start is not a multiple of the identity"),
    (lambda: one_step(WHITE, left=np.ones((3, 3))), "left is not a multiple of the identity"),
    (lambda: one_step(WHITE, right=[1.0, 0.0, 0.0]), "right is not a multiple of the identity"),
    (lambda: lora_step(WHITE, down=np.eye(3)[:2]), "right is not a multiple of the identity"),
    (lambda: one_step(WHITE, left=2.0, eval_context=[4, 5]), r"eval_context has shape \(2,\)"),
    (lambda: icl_risk_curve(WHITE, [3, -1]), "lengths=-1"),
    (lambda: icl_risk_curve(WHITE, [1.5]), r"lengths=1\.5"),
    (lambda: smallest_context(WHITE, [0.5, 0.6]), r"target_risk has shape \(2,\)"),
    (lambda: random_lora_step(WHITE, [2, 3]), r"rank has shape \(2,\)"),
    (lambda: random_lora_step(WHITE, 2, context="fesh"), "context='fesh'"),
    (lambda: best_filter(WHITE, 2.5), r"n_steps=2\.5"),
    (lambda: best_filter(WHITE, -1), "n_steps=-1"),
    (lambda: best_first_length(WHITE, -1), "n_steps=-1"),
    (lambda: best_first_length(WHITE, 2, float("nan")), "decay=nan"),
    (lambda: decayed(0.1, 0.5, 1.5), r"n_steps=1\.5"),
    (lambda: best_filter_limit(WHITE.replace(noise_var=0.0), 2, context="fesh"), "context='fesh'"),
    (lambda: gain_limit(1.0, 1.0, context="fesh"), "Did you mean 'fresh'"),
    (lambda: one_step_limit(WHITE, context="fesh"), "Did you mean 'fresh'"),
    (lambda: alignment(WHITE).gain_limit("fesh"), "Did you mean 'fresh'"),
    (lambda: smallest_context_limit(0.5, 1.0, "fesh"), "Did you mean 'fresh'"),
    (lambda: one_pass_limit(-1.0), "negative"),
    (lambda: fresh_length_factor(WHITE.replace(n_context=0)), "n_context=0"),
    (lambda: pretrained_weight(WHITE.replace(task_cov=0.0, noise_var=0.0)), "task_cov is zero"),
    (lambda: start_transition(MANY), "a single setting"),
    (lambda: best_scaled_start(MANY), "a single setting"),
    (lambda: smallest_context(MANY, 0.5), "a single setting"),
    (lambda: smallest_context(WHITE, float("nan")), "target_risk=nan"),
    (lambda: smallest_context(WHITE, 0.5, "hot"), "'best', 'warm' or 'cold'"),
    (lambda: transition_limit(-1.0), "negative"),
    (lambda: gain_limit(1.0, 1.0, start="hot"), "start='hot'"),
    (lambda: smallest_context_limit(0.0, 1.0), "target_ratio=0"),
    (lambda: unit_setting(5, 5, 3, alignment=1.5), r"alignment=1\.5"),
    (lambda: unit_setting(5, 5, 3, alignment=0.5, spread=1.0), "spread=1"),
    (lambda: rank_one_update(1.0, 0.1, np.ones((2, 3)), np.ones(3), np.ones(3)), "inputs"),
    (lambda: alignment(MANY, np.eye(3)), "a single setting"),
    (lambda: start_transition_limit(MANY), "a single setting"),
    (lambda: plan(MANY), "a single setting"),
    (lambda: one_step(WHITE, eval_context=[1, 2, 3]), r"eval_context has shape \(3,\)"),
    (lambda: one_step(MANY, eval_context=[1, 2, 3]), r"eval_context has shape \(3,\)"),
    (lambda: one_step(MANY, np.ones(4)), r"start has shape \(4,\) with settings of shape \(5,\)"),
    (lambda: one_step(Setting([1], 4, dim=3, task=1.0), np.ones(4)), r"start has shape \(4,\)"),
    (lambda: icl_risk(MANY, np.ones(4)), r"start has shape \(4,\)"),
    (lambda: transition_limit([1.0, 2.0], [0.1, 0.2]), r"context_ratio has shape \(2,\)"),
    (lambda: transition_limit(1.0, [0.1, 0.2]), r"noise_ratio has shape \(2,\)"),
    (lambda: smallest_context_limit([0.5, 0.3], 0.5), r"target_ratio has shape \(2,\)"),
    (lambda: smallest_context_limit(0.5, [0.5, 0.3]), r"train_ratio has shape \(2,\)"),
    (lambda: separate_contexts_gain_limit(-1.0, 1.0), "context_ratio has a negative"),
    (lambda: separate_contexts_gain_limit(1.0, float("nan")), "train_ratio=nan"),
    (lambda: line_search_bias_limit(-0.5), "train_ratio has a negative"),
    (lambda: line_search_means([1, 1], 3, -1.0), "input_cov is not positive semi-definite"),
    (lambda: line_search_means([1, 1], 3, 10**400), "input_cov is int"),
]


@pytest.mark.parametrize(("call", "match"), BAD_CALLS)
def test_bad_calls(call, match):
    with pytest.raises(InputError, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_forms_of_a_setting():
    vector = Setting(5, 4, task=[1.0, 0.0, 2.0])
    assert (vector.dim, vector.task_norm, vector.shape, vector.isotropic) == (3, 5.0, (), True)
    norms = Setting(5, np.array([1, 2, 3]), dim=3, task=[1.0, 2.0, 3.0])
    assert norms.shape == (3,)
    np.testing.assert_array_equal(norms.task_norm, [1.0, 2.0, 3.0])
    assert Setting(5, 4, input_cov=[1.0, 2.0]).dim == 2
    assert not Setting(5, 4, input_cov=np.eye(2)).isotropic
    assert Setting(5.0, np.int64(4), dim=3).n_train == 4
    rounded = np.eye(3) + 1e-13 * SKEW
    assert Setting(5, 4, input_cov=rounded).dim == 3
    with pytest.raises(ValueError, match="read-only"):
        vector.task[0] = 3.0
    given = np.ones(3)
    kept = Setting(5, 4, task=given)
    given[0] = 9.0
    assert kept.task[0] == 1.0
    assert one_step(vector).best_risk == pytest.approx(
        one_step(vector.replace(task=5.0)).best_risk, rel=1e-14
    )


def test_large_counts_do_not_overflow():
    setting = Setting(10**9, 10**9, dim=10**6, task=1.0)
    answer = one_step(setting)
    assert 0 < answer.best_risk < answer.risk_before < 1
    assert np.isfinite(answer.best_step)


def test_plan():
    answer = plan(unit_setting(40, 128, 60, 0.1))
    warm, cold = (one_step(unit_setting(40, 128, 60, 0.1), s) for s in ("warm", "cold"))
    assert answer.risk_now == warm.risk_before
    assert answer.risk_after == min(warm.best_risk, cold.best_risk)
    assert answer.start == "cold"
    assert answer.transition.n_train < 128
    assert answer.scaled_risk < answer.risk_after
    without = unit_setting(int(answer.context_without), 0, 60, 0.1)
    assert one_step(without).risk_before <= answer.risk_after
    assert (
        one_step(without.replace(n_context=int(answer.context_without) - 1)).risk_before > answer.risk_after
    )
    assert {one.holds for one in answer.assumptions} == {True, False, None}
    text = " ".join(answer.explain())
    assert "changes from warm to cold at 84.2" in text
    assert answer.to_dict()["assumptions"][0]["holds"] is None


def test_plan_of_other_settings():
    aligned, flat, reversed_ = (plan(unit_setting(40, 30, 60, 0.0, alignment=a)) for a in (1.0, 0.0, -1.0))
    assert aligned.risk_now < flat.risk_now < reversed_.risk_now
    assert aligned.transition.n_train == pytest.approx(91.0, abs=0.06)
    assert reversed_.transition.n_train == pytest.approx(55.1, abs=0.06)
    crossed = dataclasses.replace(aligned, transition=Transition(5.0, "warm", "warm", (5.0, 9.0)))
    assert "A cold start is better from 5.0 to 9.0 training rows only." in crossed.explain()
    same = plan(unit_setting(40, 30, 60), "same", "normalized")
    assert same.transition.n_train == float("inf")
    assert "every number of training rows" in " ".join(same.explain())
    for setting in (unit_setting(40, 0, 60), unit_setting(0, 30, 60, 0.1)):
        nothing = plan(setting)
        assert nothing.risk_after <= nothing.risk_now
        assert any(one.holds is False for one in nothing.assumptions)
    matrix = plan(unit_setting(20, 30, 4, 0.1, alignment=np.diag([4.0, 2.0, 1.0, 1.0])))
    assert matrix.risk_after < matrix.risk_now
    big = plan(Setting(10, 10**6, dim=10, task=1.0), "same", "normalized")
    assert big.context_without > 10**5


def test_a_plan_of_white_inputs_needs_no_vector():
    """A trillion inputs: no array of that length fits into memory."""
    small, large = (plan(unit_setting(10, 10, dim, 0.1)) for dim in (10, 10**12))
    statements = [[one.statement for one in answer.assumptions] for answer in (small, large)]
    signal = "the test task has the signal variance of pretraining (1 against 1)"
    assert signal in statements[0]
    assert signal in statements[1]
    assert large.risk_now == pytest.approx(1.1, rel=1e-9)
    drawn = Setting(10, 10, dim=3, input_cov=2.0, task_cov=0.5, test_task_cov=4.0)
    told = [one for one in plan(drawn).assumptions if "signal variance" in one.statement]
    assert "(24 against 3)" in told[0].statement
    assert told[0].holds is False


def test_arrays_that_broadcast_are_taken():
    together = one_step(MANY, np.linspace(0.1, 0.2, 5), eval_context=np.arange(5) + 2)
    alone = one_step(MANY.replace(n_context=3), 0.175, eval_context=5)
    assert together.best_risk[3] == pytest.approx(alone.best_risk, rel=1e-14)
    assert separate_contexts_gain_limit([1.0, 2.0], 1.0)[0] == separate_contexts_gain_limit(1.0, 1.0)
    assert line_search_bias_limit([1.0, 0.0]).tolist() == [0.8, 1.0]
