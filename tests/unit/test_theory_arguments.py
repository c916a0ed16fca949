"""What the theory is asked with and cannot use gets a sentence, whichever function is asked."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest

from testtime.errors import InputError
from testtime.theory import linear
from testtime.theory.linear import Setting, one_step, start_transition, transition_limit
from testtime.theory.plan import plan, unit_setting
from testtime.theory.single_index import (
    excess_error,
    readout_error,
    recovery_error,
    rows_with_distillation,
    rows_without_distillation,
    segment_sizes,
    width_error,
)

GOOD = Setting(5, 4, dim=3, task=1.0, noise_var=0.1)
NEEDED = {
    "setting": GOOD,
    "target_risk": 0.9,
    "n_steps": 2,
    "lengths": [0.1, 0.2],
    "context_ratio": 1.0,
    "train_ratio": 1.0,
    "rank": 2,
    "target_ratio": 0.5,
    "residuals": [1.0, 2.0],
    "inputs": np.ones((2, 3)),
    "residual": np.ones(3),
    "n_train": 4,
    "dim": 3,
    "batches": [1, 2],
    "first": 0.1,
    "decay": 0.5,
    "weight": np.eye(3),
    "step": 0.1,
    "labels": np.ones(2),
    "summary": np.ones(3),
    "n_context": 4,
}
FUNCTIONS = [name for name in linear.__all__ if name[0].islower()]
JUNK = [
    None,
    math.nan,
    math.inf,
    -1,
    -1.5,
    "abc",
    [],
    [1, 2],
    [[1, 2], [3]],
    np.ones((2, 2)),
    np.array("x"),
    1 + 2j,
    10**400,
    1e308,
    {},
    object(),
]


def needed(name: str) -> dict:
    parameters = inspect.signature(getattr(linear, name)).parameters.values()
    given = {
        one.name: NEEDED[one.name] for one in parameters if one.default is one.empty and one.name in NEEDED
    }
    return given | ({"down": np.ones((1, 3))} if name == "lora_step" else {})


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_argument_is_used_or_refused_in_a_sentence(name):
    function, given = getattr(linear, name), needed(name)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            continue
        for junk in JUNK:
            try:
                function(**given | {parameter.name: junk})
            except InputError as refused:
                assert "\n" not in str(refused)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if "setting" in needed(name)])
def test_what_is_no_setting(name):
    function, given = getattr(linear, name), needed(name)
    for junk in (None, 3, "abc", [1, 2], {}):
        with pytest.raises(InputError, match="expected a Setting"):
            function(**given | {"setting": junk})
    others = [value for key, value in given.items() if key != "setting"]
    with pytest.raises(InputError, match="expected a Setting"):
        function(None, *others)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: one_step(GOOD, [[1, 2], [3]]), "start is list"),
        (lambda: linear.several_steps_fresh_limit(GOOD, [0.1], scale=math.nan), "scale=nan"),
        (lambda: linear.smallest_context(GOOD, 0.9, largest=-1), "largest=-1"),
        (lambda: linear.smallest_context(GOOD, 0.9, largest=math.nan), "largest=nan"),
        (lambda: linear.decayed("a", 0.5, 2), "first is str"),
        (lambda: linear.decayed(math.nan, 0.5, 2), "first=nan"),
        (lambda: linear.decayed(0.1, 0.5, 1e308), r"n_steps=1e\+308; expected at most 100,000"),
        (lambda: one_step(GOOD, context=np.array(["fresh", "same"])), "context is ndarray"),
        (lambda: linear.leave_one_out_limit(GOOD, context="other"), "context='other'"),
        (lambda: linear.gain_limit(1, 1, 1e308), "gain_limit are too large"),
        (lambda: linear.transition_limit(1e308), "too large"),
        (lambda: linear.best_first_length(GOOD, 2, decay=1e308), "too large"),
        (lambda: one_step(GOOD).risk("x"), "step is str 'x'"),
        (lambda: one_step(GOOD).risk([[1], [1, 2]]), "step is list"),
        (lambda: one_step(GOOD).risk(math.nan), "step is float nan"),
        (lambda: recovery_error("4", 10), "rank is str"),
        (lambda: readout_error(None), "n_rows=None; expected finite"),
        (lambda: width_error([1.0]), r"n_features has shape \(1,\)"),
        (lambda: rows_with_distillation(4, "abc"), "generative_exponent is str"),
        (lambda: rows_without_distillation(4, np.array([1, 2])), "information_exponent has shape"),
        (lambda: segment_sizes(4, 1, 1e-200), "expected numbers of rows below"),
        (lambda: segment_sizes(2.5, 1, 0.1), "rank=2.5; expected a whole number"),
        (lambda: recovery_error(2.5, 10), "rank=2.5; expected a whole number"),
        (lambda: segment_sizes(10**6, 60, 0.1), "expected numbers of rows below"),
        (lambda: segment_sizes(4, math.inf, 0.1), "constant link"),
        (lambda: excess_error(4, 1, 1, "x"), "n_features is str"),
        (lambda: unit_setting(5, 4, 3, alignment=1.0, spread="x"), "spread is str"),
    ],
)
def test_bad_calls(call, words):
    with pytest.raises(InputError, match=words) as caught:
        call()
    assert "constant link" in words or "constant link" not in str(caught.value)


def test_a_rank_is_whole_whatever_its_type():
    sizes = segment_sizes(np.float64(4.0), 1, 0.1)
    assert sizes == segment_sizes(4, 1, 0.1)
    assert {type(value) for value in vars(sizes).values()} == {int}
    assert rows_with_distillation(10**6, 60) == math.inf


def test_risks_that_differ_by_less_than_rounding_are_undecided():
    """80 digits say that cold wins for every k; 16 digits cannot tell."""
    setting = Setting(5, 0, dim=3, task=1.0, task_cov=1.0, noise_var=1e7)
    found = start_transition(setting)
    assert math.isnan(found.n_train)
    assert (found.below, found.above, found.crossings) == ("undecided", "undecided", ())
    assert math.isnan(transition_limit(1.0, 1e15))
    assert start_transition(setting.replace(noise_var=1e3)).below == "cold"
    assert start_transition(setting.replace(n_context=0)).n_train == math.inf, "the same curve twice"
    told = plan(setting.replace(n_train=4)).explain()
    assert "Which start is better cannot be told: their risks differ by less than rounding." in told


def test_a_search_that_ended_early_says_how_far_it_went():
    told = plan(unit_setting(100, 10, 100_000, alignment=1.0)).explain()
    assert "Without a step, no context of up to 100 rows reaches this risk." in told
    assert not any("length" in line and "searched" in line for line in told)
