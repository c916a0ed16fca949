"""The choices behind "auto": context, steps, and what is left to plain in-context learning."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.models import LineLearner, line_rows
from testtime import TTTClassifier
from testtime.adapt.learner import Rows
from testtime.errors import InputError
from testtime.estimators import rowplan
from testtime.estimators.rowplan import MAX_CONTEXT, MAX_STEPS, MIN_ROWS, MIN_STEPS, N_FOLDS, plan_rows
from testtime.estimators.settings import check_settings


class LengthLearner(LineLearner):
    """The loss is ``1 / n`` in a context of ``n`` rows: longer is always better, without noise."""

    def output(self, context: Rows, query_x: torch.Tensor) -> torch.Tensor:
        super().output(context, query_x)
        return torch.full((len(query_x), 1), 1 / len(context), dtype=torch.float64)


def plan(n_rows: int, n_classes: int = 2, learner: LineLearner | None = None, **params: object):
    settings = check_settings({**TTTClassifier().get_params(), **params})
    rows = line_rows([0.0] * n_rows)
    return plan_rows(settings, learner or LengthLearner(), rows, n_classes, np.arange(n_rows))


def test_no_steps_means_all_rows_as_context():
    chosen = plan(500, n_steps=0)
    assert (chosen.n_context, chosen.n_plain, chosen.n_steps) == (500, 500, 0)
    assert chosen.notes == []


def test_no_more_context_than_the_model_can_use():
    chosen = plan(MAX_CONTEXT + 500, n_steps=0)
    assert chosen.n_plain == MAX_CONTEXT
    assert f"{MAX_CONTEXT:,} of {MAX_CONTEXT + 500:,} rows" in chosen.notes[0]


def test_what_the_user_fixed_stays_fixed():
    learner = LengthLearner()
    chosen = plan(1000, learner=learner, n_context=77, n_steps=13)
    assert (chosen.n_context, chosen.n_plain, chosen.n_steps) == (77, 77, 13)
    assert chosen.probes == ()
    assert learner.calls == [], "nothing is measured that is not used"


@pytest.mark.parametrize("n_rows", [20, MIN_ROWS - 1])
def test_few_rows_are_worth_more_as_context(n_rows: int):
    chosen = plan(n_rows)
    assert (chosen.n_context, chosen.n_steps) == (n_rows, 0)
    assert f"only {n_rows:,} rows" in chosen.notes[0]


def test_the_longest_probe_is_taken_when_longer_is_better():
    chosen = plan(1000)
    assert [probe.n_context for probe in chosen.probes] == [32, 64, 128]
    assert [probe.loss for probe in chosen.probes] == pytest.approx([1 / 32, 1 / 64, 1 / 128])
    assert chosen.n_context == 128
    assert chosen.n_plain == 1000
    assert "0.008 at 128" in chosen.notes[0]


def test_the_shortest_reliable_context_is_taken_when_length_does_not_matter():
    assert plan(1000, learner=LineLearner()).n_context == 64


@pytest.mark.parametrize(("n_rows", "expected"), [(MIN_ROWS, None), (600, None), (100_000, MAX_STEPS)])
def test_steps_grow_with_the_rows(n_rows: int, expected: int | None):
    chosen = plan(n_rows, learner=LineLearner())
    assert MIN_STEPS <= chosen.n_steps <= MAX_STEPS
    if expected is None:
        pool = (n_rows - chosen.n_context) * (N_FOLDS - 1) // N_FOLDS
        assert chosen.n_steps == np.clip(pool // 6, MIN_STEPS, MAX_STEPS)
    else:
        assert chosen.n_steps == expected


def test_a_time_limit_lowers_the_steps_and_says_so(monkeypatch: pytest.MonkeyPatch):
    """Probing 1,000 rows takes a second here, so a step on the 320 rows of an episode takes at least as many."""
    now = [0.0]
    monkeypatch.setattr(rowplan.time, "monotonic", lambda: now[0])

    def spend(n_context: int, n_query: int) -> None:
        now[0] += (n_context + n_query) / 1000

    slow = plan(4000, learner=LineLearner(on_call=spend), time_limit=60.0)
    assert MIN_STEPS < slow.n_steps < MAX_STEPS
    seconds_a_step = 3 * (slow.n_context + slow.n_query) / 1000
    assert slow.n_steps * seconds_a_step <= 60.0
    assert "time limit of 60 s" in " ".join(slow.notes)
    fast = plan(4000, learner=LineLearner(), time_limit=60.0)
    assert fast.n_steps == MAX_STEPS


@pytest.mark.parametrize(
    ("n_rows", "n_classes", "params", "texts"),
    [
        (100, 2, {"n_context": 101, "n_steps": 0}, ["n_context=101", "100 rows", "100 or less"]),
        (200, 2, {"n_context": 193}, ["n_context=193", "8 of them needed", "192 or less"]),
        (8, 2, {"n_context": 4, "n_steps": 3}, ["n_context=4", "Add rows, or pass n_steps=0"]),
        (5000, 2, {"n_context": 4997}, ["n_context=4,997", "5,000 rows", "4,992 or less"]),
        (100, 5, {"n_context": 4, "n_steps": 0}, ["n_context=4", "classes, 5", "n_context=5 or more"]),
        (100, 5, {"n_context": 4, "n_steps": 2}, ["n_context=4", "classes, 5"]),
    ],
)
def test_a_context_that_cannot_be_is_refused(n_rows: int, n_classes: int, params: dict, texts: list[str]):
    with pytest.raises(InputError) as caught:
        plan(n_rows, n_classes, **params)
    for text in texts:
        assert text in str(caught.value)


@pytest.mark.parametrize("n_rows", [2, 3, 5, 8, 9, 12, 40, 159, 160, 161, 1023, 1025, 5000])
@pytest.mark.parametrize("n_steps", ["auto", 0, 1, 5])
@pytest.mark.parametrize("n_classes", [2, 10])
def test_every_choice_can_be_carried_out(n_rows: int, n_steps: int | str, n_classes: int):
    if n_classes > n_rows:
        return
    chosen = plan(n_rows, n_classes, n_steps=n_steps)
    assert n_classes <= chosen.n_context <= n_rows
    assert n_classes <= chosen.n_plain <= min(n_rows, MAX_CONTEXT)
    if chosen.n_steps:
        assert n_rows - chosen.n_context >= 2 * N_FOLDS, "rows for training and for the guard"
