"""Losses and gradients that become NaN: said, reverted, nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from testtime.adapt.adapters import AdapterSpec
from testtime.adapt.crossfit import GuardPlan, fit_guarded, fit_unguarded
from testtime.adapt.step import StepPlan, train

from tests.support.models import Faulty, random_rows, sha256_of, tiny_learner
from testtime import Status, TTTClassifier
from testtime.adapt.episodes import split_rows, stratified_order
from testtime.backbones.embedded import EmbeddedBackbone

ROWS = random_rows(60, 3, 2)
N_STEPS = 4


def seed() -> np.random.SeedSequence:
    return np.random.SeedSequence(0)


def plan(n_steps: int = N_STEPS) -> StepPlan:
    return StepPlan(n_steps, n_context=12, n_query=12, learning_rate=0.05, spec=AdapterSpec("head"))


def split():
    rng = np.random.default_rng(0)
    labels = ROWS.y.numpy()
    return split_rows(stratified_order(labels, len(ROWS), rng), labels, 12, 4, rng)


@pytest.mark.parametrize("fault", ["loss", "gradient"])
@pytest.mark.parametrize("at", range(N_STEPS))
def test_training_stops_before_the_bad_step(fault: str, at: int):
    """What comes back is the state after the last good step, as a run that was asked for no more leaves it."""
    learner = Faulty(tiny_learner(), fault, at)
    steps = train(learner, ROWS, np.arange(60), plan(), seed())
    assert not steps.finite
    assert steps.n_steps == at == len(steps.losses)
    assert all(torch.isfinite(value).all() for value in steps.state.values())
    healthy = train(tiny_learner(), ROWS, np.arange(60), plan(), seed())
    assert steps.losses == healthy.losses[:at]
    assert any(value.any() for value in steps.state.values()) == (at > 0)


@pytest.mark.parametrize("fault", ["loss", "gradient"])
def test_one_step_with_a_bad_gradient_stays(fault: str):
    steps = train(Faulty(tiny_learner(), fault, 1), ROWS, np.arange(60), plan(1), seed())
    assert not steps.finite
    assert not any(value.any() for value in steps.state.values())


@pytest.mark.parametrize("fault", ["loss", "gradient"])
@pytest.mark.parametrize("at", [0, 2, None])
@pytest.mark.parametrize("n_steps", [1, N_STEPS])
def test_the_guard_reverts(fault: str, at: int | None, n_steps: int):
    inner = tiny_learner()
    digest = sha256_of(inner.module)
    outcome = fit_guarded(Faulty(inner, fault, at), ROWS, split(), plan(n_steps), GuardPlan(), seed())
    assert not outcome.states
    assert outcome.verdict.status is Status.REVERTED_NON_FINITE
    assert np.isfinite(outcome.verdict.loss_before), "the frozen model's loss is still known"
    assert sha256_of(inner.module) == digest


def test_a_later_fold_that_breaks_at_once_reverts_as_well():
    """No decision is near after the first fold; the second one's first step is the fifth training call."""
    strict = GuardPlan(n_errors=0.0, decisive=1e9)
    outcome = fit_guarded(Faulty(tiny_learner(), "loss", N_STEPS), ROWS, split(), plan(), strict, seed())
    assert not outcome.states
    assert outcome.verdict.status is Status.REVERTED_NON_FINITE


@pytest.mark.parametrize("fault", ["loss", "gradient"])
def test_without_a_guard_a_broken_adapter_is_not_kept_either(fault: str):
    outcome = fit_unguarded(Faulty(tiny_learner(), fault, 1), ROWS, split(), plan(), seed())
    assert not outcome.states
    assert outcome.verdict.status is Status.REVERTED_NON_FINITE


@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("n_members", [1, 2])
def test_the_estimator_says_so_and_still_predicts(tiny_embedded, monkeypatch, guard: bool, n_members: int):
    original = EmbeddedBackbone.learner

    def learner(self, module, n_classes):
        return Faulty(original(self, module, n_classes), "loss", 2)

    monkeypatch.setattr(EmbeddedBackbone, "learner", learner)
    X, y = ROWS.x.numpy(), ROWS.y.numpy()
    fitted = TTTClassifier(n_steps=5, n_context=12, guard=guard, n_members=n_members).fit(X, y)
    record = fitted.adaptation_
    assert record.status is Status.REVERTED_NON_FINITE
    assert not record.kept
    assert "lower step_size" in record.explain()
    plain = TTTClassifier(n_steps=0, n_context=12, n_members=n_members).fit(X, y)
    assert np.array_equal(fitted.predict_proba(X), plain.predict_proba(X))


def test_episodes_without_a_query_are_not_called_non_finite(tiny_embedded):
    """Ten classes of two rows: short contexts leave only classes they never showed. That is not a step too long."""
    X = np.random.default_rng(0).standard_normal((20, 3))
    fitted = TTTClassifier(n_steps=3, n_context=10, guard=False).fit(X, np.repeat(np.arange(10), 2))
    assert fitted.adaptation_.status is not Status.REVERTED_NON_FINITE
    assert np.isfinite(fitted.predict_proba(X)).all()
