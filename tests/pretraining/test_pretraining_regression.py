"""Numeric targets, temporal drift and inner steps of test-time training in the prior and the loop."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from pretraining.loss import batch_loss, row_losses
from pretraining.meta import MetaConfig, accumulate_meta_gradients
from pretraining.model import build_model
from pretraining.prior import Batch, sample_batch
from pretraining.prior.draws import Draws
from pretraining.prior.drift import drift
from pretraining.prior.functions import FUNCTIONS, base_features
from pretraining.prior.targets import finish_target, standardise_target
from tests.support.made_up import QUANTILES, SMALL_PRIOR, TINY

NUMERIC = replace(SMALL_PRIOR, regression=True)


# --- targets


def test_targets_are_standardised_by_the_context_and_clipped():
    y = torch.tensor([[1.0, 3.0, 5.0, 1000.0], [2.0, 2.0, 2.0, 3.0]])
    got = standardise_target(y, 3)
    deviation = np.sqrt(8 / 3)
    assert got[0].tolist() == pytest.approx([-2 / deviation, 0.0, 2 / deviation, 20.0])
    assert got[1, :3].tolist() == [0.0, 0.0, 0.0]  # constant context: zero, not NaN


def test_query_targets_do_not_move_the_scale():
    y = torch.randn(3, 40, generator=torch.Generator().manual_seed(0))
    other = torch.cat([y[:, :30], 5 * y[:, 30:] + 2], dim=1)
    assert torch.equal(standardise_target(y, 30)[:, :30], standardise_target(other, 30)[:, :30])


def test_finished_targets_are_finite_noisy_and_still_follow_the_mean():
    draws = Draws(3)
    mean = draws.normal(300, 200)
    y = finish_target(draws, mean)
    assert torch.isfinite(y).all()
    ranks = torch.stack([mean, y]).argsort(2).argsort(2).double()
    centred = ranks - ranks.mean(2, keepdim=True)
    correlation = (centred[0] * centred[1]).sum(1) / centred.square().sum(2).prod(0).sqrt()
    assert correlation.median() > 0.8
    assert (correlation < 1 - 1e-6).all()
    rounded = torch.tensor([len(row.unique()) < 100 for row in y])
    assert 0.03 < rounded.float().mean() < 0.4


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_gives_numbers_when_asked_for_no_classes(name):
    draws = Draws(4)
    y = FUNCTIONS[name](draws, base_features(draws, 12, 150, 4), None)
    assert y.shape == (12, 150)
    assert y.is_floating_point()
    assert torch.isfinite(y).all()
    assert (y.std(1) > 0).float().mean() > 0.8


@pytest.mark.parametrize("step", range(12))
def test_numeric_batches_are_standardised_and_count_every_query_row(step):
    batch = sample_batch(replace(NUMERIC, drift=0.5, missing=0.5), 2, step)
    context = batch.y[:, : batch.n_context]
    assert batch.y.dtype == torch.float32
    assert batch.mask.all()
    assert torch.isfinite(batch.x).all()
    assert context.mean(1).abs().max() < 0.5  # zero but for clipped outliers
    assert batch.y.abs().max() <= 20


def test_the_loss_of_quantiles_is_the_pinball_loss_by_hand():
    output, target = torch.tensor([[[-1.0, 0.0, 2.0]]]), torch.tensor([[1.0]])
    # levels 1/4, 1/2, 3/4; errors 2, 1, -1: (0.25 * 2 + 0.5 * 1 + 0.25 * 1) / 3
    assert row_losses(output, target).item() == pytest.approx(1.25 / 3)


# --- drift


def test_drift_adds_a_trend_or_sorts_the_rows_and_never_changes_a_pair():
    seen = set()
    for seed in range(12):
        draws = Draws(seed)
        x = draws.normal(5, 300, 3)
        y = x.sum(2)
        drifted, target = drift(draws, x, y)
        assert drifted.shape == x.shape
        if torch.equal(target, y):
            seen.add("trend")
            z = (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)
            added = drifted - z
            steps = added.diff(dim=1)
            torch.testing.assert_close(steps, steps[:, :1].expand_as(steps), atol=2e-5, rtol=0)
            assert added.mean(1).abs().max() < 1e-4
        else:
            seen.add("order")
            torch.testing.assert_close(drifted.sum(2), target)
            assert torch.equal(target.sort(1).values, y.sort(1).values)
    assert seen == {"trend", "order"}


def test_sorted_rows_come_from_another_region_at_the_end():
    gaps = []
    for seed in range(60):
        draws = Draws(seed)
        x = draws.normal(4, 400, 3)
        drifted, target = drift(draws, x, x[:, :, 0])
        if not torch.equal(target, x[:, :, 0]):
            gaps.append((drifted[:, :100].mean(1) - drifted[:, 300:].mean(1)).norm(dim=1).mean())
    by_chance = 0.25  # two means of 100 normal rows in three columns
    assert np.mean(gaps) > 3 * by_chance


# --- inner steps


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


META = MetaConfig(inner_steps=2, inner_lr=1e-2, n_context=16, n_query=16, rows=80, plain_weight=0.0)


@pytest.fixture(params=["classes", "numbers"])
def setting(request):
    if request.param == "classes":
        return build_model(TINY, 0).train(), SMALL_PRIOR
    return build_model(QUANTILES, 0).train(), NUMERIC


def test_weights_are_restored_after_the_inner_steps(setting):
    model, prior = setting
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    loss, n_tables = accumulate_meta_gradients(model, META, prior, 1, 3, None)
    assert np.isfinite(loss)
    assert n_tables >= 1
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert any(g.abs().max() > 0 for g in gradients(model).values())


@pytest.mark.parametrize("weight", [0.0, 0.3, 1.0])
def test_without_inner_steps_the_gradient_is_the_plain_one(setting, weight):
    model, prior = setting
    still = replace(META, inner_steps=0, plain_weight=weight)
    accumulate_meta_gradients(model, still, prior, 1, 3, None)
    got = gradients(model)
    model.zero_grad(set_to_none=True)
    for table, served in outer_tables(prior, still, 1, 3):
        (batch_loss(model, table) / served).backward()
    for name, expected in gradients(model).items():
        torch.testing.assert_close(got[name], expected, atol=1e-6, rtol=1e-4)


def outer_tables(prior, meta, seed, step):
    """The outer episodes of a batch without inner steps, and the number of tables, by the documented rule."""
    narrowed = replace(prior, rows=(meta.rows, meta.rows), context=(0.5, 0.5))
    batch = sample_batch(narrowed, seed, step)
    generator = Draws((seed * 7_368_787 + step) * 2_654_435_761 % (1 << 62)).generator
    half = batch.n_context
    for i in range(len(batch.x)):
        served = torch.randperm(half, generator=generator)[: meta.n_context]
        rows = torch.cat([served, torch.arange(half, batch.x.shape[1])])
        x, y = batch.x[i : i + 1, rows], batch.y[i : i + 1, rows]
        known = torch.ones(1, len(rows) - len(served), dtype=torch.bool)
        if not y.is_floating_point():
            known = torch.isin(y[:, len(served) :], y[:, : len(served)])
        yield Batch(x, y, len(served), known), len(batch.x)


class OneWeight(torch.nn.Module):
    """Predicts ``w * x`` (the middle of three equal quantiles) whatever the context."""

    def __init__(self):
        super().__init__()
        self.encoder = torch.nn.Parameter(torch.tensor(0.0))
        self.icl_predictor = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(self.icl_predictor.weight)


def test_the_outer_gradient_is_taken_at_the_adapted_weights(monkeypatch):
    """One weight w, loss (w - 3)^2: two AdamW steps of known length, then the derivative 2 (w' - 3)."""
    model = OneWeight()
    head = model.icl_predictor.weight.detach().clone()
    where = []

    def square(own, batch):
        where.append(float(own.encoder.detach()))
        return (own.encoder * own.icl_predictor.weight.sum() - 3.0) ** 2

    monkeypatch.setattr("pretraining.meta.batch_loss", square)
    meta = MetaConfig(inner_steps=2, inner_lr=0.5, n_context=16, n_query=16, rows=80, plain_weight=0.25)
    narrow = replace(NUMERIC, cells=200)  # one table
    _, n_tables = accumulate_meta_gradients(model, meta, narrow, 1, 3, None)
    assert n_tables == 1
    # Adam's first step has the length of the rate; both gradients are clipped to -1, so the second has its rate 0.25
    assert where == pytest.approx([0.0, 0.0, 0.5, 0.75], abs=1e-5)
    expected = 0.25 * 2 * (0.0 - 3) + 0.75 * 2 * (0.75 - 3)
    assert model.encoder.grad.item() == pytest.approx(expected, abs=1e-4)
    assert model.encoder.item() == 0.0
    assert torch.equal(model.icl_predictor.weight, head)
