"""Losses and gradients that become NaN: said, reverted, nothing lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.faults import Faulty, FaultyBackbone
from tests.support.linear import LinearBackbone
from tests.support.models import base_digests, random_rows, tiny_learner
from testtime import Status, TTTClassifier
from testtime.adapt.delta import DeltaSpec
from testtime.adapt.train import TrainConfig, train
from testtime.backbones.embedded import EmbeddedBackbone

ROWS = random_rows(120, 3, 2)
X, Y = ROWS.x.numpy().astype(np.float64), ROWS.y.numpy()
N_STEPS = 4


def config(n_steps: int = N_STEPS) -> TrainConfig:
    return TrainConfig(n_steps, n_context=12, n_query=12, learning_rate=0.05, spec=DeltaSpec("head"))


@pytest.mark.parametrize("fault", ["loss", "gradient"])
@pytest.mark.parametrize("at", range(N_STEPS))
def test_training_stops_before_the_bad_step(fault: str, at: int):
    broken = train(
        Faulty(tiny_learner(), fault, at), ROWS, np.arange(120), config(), np.random.SeedSequence(0)
    )
    assert not broken.finite
    assert broken.n_steps == at == len(broken.losses)
    healthy = train(tiny_learner(), ROWS, np.arange(120), config(), np.random.SeedSequence(0))
    assert broken.losses == healthy.losses[:at]
    assert all(torch.isfinite(value).all() for state in broken.snapshots.values() for value in state.values())


@pytest.mark.parametrize("fault", ["loss", "gradient"])
def test_one_step_with_a_bad_gradient_is_not_taken(fault: str):
    broken = train(
        Faulty(tiny_learner(), fault, 1), ROWS, np.arange(120), config(1), np.random.SeedSequence(0)
    )
    assert not broken.finite
    assert not broken.snapshots


@pytest.mark.parametrize("fault", ["loss", "gradient"])
@pytest.mark.parametrize("at", [0, 1, None])
@pytest.mark.parametrize("n_steps", [1, N_STEPS])
@pytest.mark.parametrize("guard", [True, False])
def test_the_frozen_model_is_served(
    tiny: EmbeddedBackbone, fault: str, at: int | None, n_steps: int, guard: bool
):
    before = base_digests(tiny)
    arguments = {"n_steps": n_steps, "n_members": 2, "guard": guard}
    fitted = TTTClassifier(backbone=FaultyBackbone(tiny, fault, at), **arguments).fit(X, Y)
    record = fitted.adaptation_
    assert record.status is Status.REVERTED_NON_FINITE
    assert not record.kept
    assert "lower step_size" in record.explain()
    plain = TTTClassifier(backbone=tiny, n_steps=0, n_members=2).fit(X, Y)
    assert np.array_equal(fitted.predict_proba(X), plain.predict_proba(X))
    assert base_digests(tiny).items() >= before.items()


def test_one_broken_adapter_among_many_reverts_all():
    faulty = FaultyBackbone(LinearBackbone(), "loss", 1, only=2)
    fitted = TTTClassifier(backbone=faulty, n_steps=4, n_members=4).fit(X, Y)
    assert fitted.adaptation_.status is Status.REVERTED_NON_FINITE


def test_episodes_without_a_query_are_not_called_non_finite(tiny_embedded: EmbeddedBackbone):
    """Ten classes of two rows: short contexts leave only classes they never showed. That is not a step too long."""
    features = np.random.default_rng(0).standard_normal((20, 3))
    fitted = TTTClassifier(n_steps=3, n_context=10, guard=False).fit(features, np.repeat(np.arange(10), 2))
    assert fitted.adaptation_.status is not Status.REVERTED_NON_FINITE
    assert np.isfinite(fitted.predict_proba(features)).all()
