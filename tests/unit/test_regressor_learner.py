"""The regressor's view of a table: its loss, its units, its quantiles, and the scaling of targets."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from tests.support.models import tiny_tabicl
from testtime import BackboneError
from testtime.adapt.learner import Rows
from testtime.backbones import embedded
from testtime.backbones.embedded import TabICLRegressorLearner, load_embedded
from testtime.backbones.scaling import TargetScaler


def module():
    return tiny_tabicl(max_classes=0, num_quantiles=9).double()


def rows(n_rows: int, seed: int = 0) -> Rows:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_rows, 3, generator=generator, dtype=torch.float64)
    return Rows(x, 5.0 + 2.0 * x[:, 0] + x[:, 1] ** 2)


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
    losses = learner.row_losses(torch.as_tensor(quantiles), torch.as_tensor(targets))
    expected = [crps_by_hand(q.tolist(), float(y)) for q, y in zip(quantiles, targets, strict=True)]
    np.testing.assert_allclose(losses.numpy(), expected, rtol=1e-12)


def test_the_loss_of_true_quantiles_is_the_crps_of_the_distribution():
    """Of the standard normal, where the score has a closed form (Gneiting and Raftery, 2007, section 4.2)."""
    from scipy.stats import norm

    levels = np.arange(1, 4000) / 4000
    for target in (-1.5, 0.0, 0.7):
        learner = TabICLRegressorLearner(module())
        found = learner.row_losses(torch.as_tensor(norm.ppf(levels))[None], torch.tensor([target]))
        exact = target * (2 * norm.cdf(target) - 1) + 2 * norm.pdf(target) - 1 / np.sqrt(np.pi)
        assert float(found) == pytest.approx(exact, abs=1e-3)


def test_every_context_is_standardised_as_in_pretraining():
    """The output is the module's own on targets with mean 0 and deviation 1, mapped back; tabicl's own forward."""
    model = module()
    context, query = rows(30), rows(7, seed=1)
    mean, scale = context.y.numpy().mean(), context.y.numpy().std()
    with torch.no_grad():
        theirs = model(torch.cat([context.x, query.x])[None], ((context.y - mean) / scale)[None])[0]
        ours = TabICLRegressorLearner(model).output(context, query.x)
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
    with torch.no_grad():
        clipped = ((y - mean) / scale).clamp(max=20.0)
        theirs = model(torch.cat([context.x, query.x])[None], clipped[None])[0]
        wild = learner.output(Rows(context.x, y), query.x)
        np.testing.assert_allclose(wild.numpy(), float(mean) + float(scale) * theirs.numpy(), rtol=1e-8)
        flat = learner.output(Rows(context.x[:20], torch.full((20,), 3.0, dtype=torch.float64)), query.x)
        nought = model(torch.cat([context.x[:20], query.x])[None], torch.zeros(1, 20, dtype=torch.float64))[0]
    np.testing.assert_allclose(flat.numpy(), 3.0 + nought.numpy(), rtol=1e-9)


def test_parts_are_those_of_the_classifier():
    parts = TabICLRegressorLearner(module()).parts()
    assert set(parts) == {"all", "encoders", "head"}
    assert set(parts["encoders"]) | set(parts["head"]) <= set(parts["all"])
    assert all("icl_predictor" not in name for name in parts["encoders"])


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


@pytest.mark.parametrize("task", ["classifier", "regressor"])
def test_the_embedded_weights_are_loaded_once_and_refused_when_changed(task: str, monkeypatch):
    backbone = load_embedded(task)
    assert backbone is load_embedded(task)
    assert (backbone.max_classes == 0) == (task == "regressor")
    assert (
        backbone.fingerprint
        != load_embedded({"classifier": "regressor", "regressor": "classifier"}[task]).fingerprint
    )
    read = embedded._read

    def flipped(name: str) -> bytes:
        content = bytearray(read(name))
        if name.endswith(".safetensors"):
            content[-1] ^= 1
        return bytes(content)

    def missing(name: str) -> bytes:
        raise FileNotFoundError(name)

    def another_layout(name: str) -> bytes:
        return read(name).replace(b'"embed_dim": 32', b'"embed_dim": 16')

    for change, said in (
        (flipped, "changed or damaged"),
        (missing, "cannot be read"),
        (another_layout, "do not fit"),
    ):
        monkeypatch.setattr(embedded, "_read", change)
        with pytest.raises(BackboneError, match=said):
            embedded._load.__wrapped__(task)
