"""The regressor's view of a table: its loss, its units, its quantiles, and the scaling of targets."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.support.models import tiny_tabicl
from testtime.adapt.learner import FROZEN, Rows
from testtime.backbones.scaling import TargetScaler
from testtime.backbones.tabicl_learner import TabICLRegressorLearner


def module():
    return tiny_tabicl(max_classes=0, num_quantiles=9).double()


@pytest.fixture(autouse=True)
def in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packaged forward pass rounds targets to float32; here they stay what they are."""
    monkeypatch.setattr(Tensor, "float", Tensor.double)


def rows(n_rows: int, seed: int = 0) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_rows, 3, generator=generator, dtype=torch.float64)
    return Rows(x, 5.0 + 2.0 * x[:, 0] + x[:, 1] ** 2)


def output(learner: TabICLRegressorLearner, context: Rows, x: Tensor) -> Tensor:
    with torch.no_grad():
        return learner.predict(FROZEN, learner.read(FROZEN, context), x)


def crps_by_hand(quantiles: list[float], target: float) -> float:
    """Twice the average pinball loss, level by level: under-prediction costs the level, over-prediction the rest."""
    total = Fraction(0)
    for k, quantile in enumerate(quantiles, start=1):
        level = Fraction(k, len(quantiles) + 1)
        gap = Fraction(target) - Fraction(quantile)
        total += level * gap if gap > 0 else (1 - level) * -gap
    return float(2 * total / len(quantiles))


def test_the_loss_is_twice_the_mean_pinball_loss():
    learner = TabICLRegressorLearner(module())
    rng = np.random.default_rng(0)
    quantiles, targets = rng.normal(size=(20, 9)), rng.normal(size=20)
    targets[:3] = quantiles[:3, 4]  # ties
    losses = learner.loss(torch.as_tensor(quantiles), torch.as_tensor(targets))
    expected = [crps_by_hand(q.tolist(), float(y)) for q, y in zip(quantiles, targets, strict=True)]
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-12)


def test_every_context_is_standardised_as_in_pretraining():
    """The output is the module's own on targets with mean 0 and deviation 1, mapped back; tabicl's own forward."""
    model = module()
    context, query = rows(30), rows(7, seed=1)
    mean, scale = context.y.numpy().mean(), context.y.numpy().std()
    ours = output(TabICLRegressorLearner(model), context, query.x)
    with torch.no_grad():
        theirs = model(torch.cat([context.x, query.x])[None], ((context.y - mean) / scale)[None])[0]
    assert ours.shape == (7, 9)
    np.testing.assert_allclose(ours.numpy(), mean + scale * theirs.numpy(), rtol=1e-9)
    assert np.ptp(ours.numpy(), axis=0).max() > 1e-3, "the model does not answer the same to everything"


def test_far_targets_are_clipped_and_constant_contexts_have_the_spread_of_the_table():
    model = module()
    context, query = rows(1000), rows(4, seed=1)
    y = torch.zeros(1000, dtype=torch.float64)
    y[0] = 1e6
    scale, mean = y.std(correction=0), y.mean()
    assert float((y[0] - mean) / scale) > 20
    learner = TabICLRegressorLearner(model)
    wild = output(learner, Rows(context.x, y), query.x)
    flat = output(learner, Rows(context.x[:20], torch.full((20,), 3.0, dtype=torch.float64)), query.x)
    with torch.no_grad():
        clipped = ((y - mean) / scale).clamp(max=20.0)
        theirs = model(torch.cat([context.x, query.x])[None], clipped[None])[0]
        nought = model(torch.cat([context.x[:20], query.x])[None], torch.zeros(1, 20, dtype=torch.float64))[0]
    np.testing.assert_allclose(wild.numpy(), float(mean) + float(scale) * theirs.numpy(), rtol=1e-8)
    np.testing.assert_allclose(flat.numpy(), 3.0 + nought.numpy(), rtol=1e-9)


def test_answers_are_quantiles_in_order():
    learner = TabICLRegressorLearner(module())
    crossed = torch.tensor([[3.0, 1.0, 2.0], [0.0, 0.0, -1.0]])
    assert learner.answer(crossed).tolist() == [[1.0, 2.0, 3.0], [-1.0, 0.0, 0.0]]
    target = torch.tensor([1.7, -0.4])
    assert (learner.loss(learner.answer(crossed), target) <= learner.loss(crossed, target)).all()


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e15])
@pytest.mark.parametrize("size", [1e-12, 1.0, 1e12, 1e300])
def test_targets_are_standardised_whatever_their_unit(size: float, offset: float):
    offset *= min(size, 1.0)  # a tiny size beside a large offset would leave no digits
    y = offset + size * np.array([0.0, 1.0, 2.0, 5.0])
    scaler = TargetScaler.fit(y)
    z = scaler.transform(y)
    exact = [Fraction(value) for value in y]
    mean = sum(exact) / 4
    variance = sum((value - mean) ** 2 for value in exact) / 4
    expected = [float(np.sign(v - mean)) * float((v - mean) ** 2 / variance) ** 0.5 for v in exact]
    # The mean is known to the last digit of the targets themselves.
    np.testing.assert_allclose(z, expected, rtol=1e-12, atol=np.spacing(abs(offset)) / size + 1e-14)
    np.testing.assert_allclose(scaler.inverse(z), y, rtol=1e-12, atol=1e-14 * size)


def test_a_scale_that_cannot_be_used_is_told():
    assert TargetScaler.fit(np.array([2.5, 2.5])).scale == 0
    assert TargetScaler.fit(np.array([-1.7e308, 1.7e308])).scale == np.inf
