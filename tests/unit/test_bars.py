"""Quantiles of bar distributions against tabpfn's own, level by level."""

from __future__ import annotations

import pytest
import torch

from testtime.adapt.losses import quantile_levels
from testtime.backbones.bars import bar_quantiles


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("sharpness", [0.5, 3.0])
def test_they_are_those_of_tabpfn(dtype: torch.dtype, sharpness: float):
    distributions = pytest.importorskip("tabpfn.architectures.shared.bar_distribution")
    generator = torch.Generator().manual_seed(0)
    borders = torch.randn(41, generator=generator, dtype=dtype).sort().values
    logits = sharpness * torch.randn(25, 40, generator=generator, dtype=dtype)
    official = distributions.FullSupportBarDistribution(borders)
    levels = quantile_levels(99, logits)
    expected = torch.stack([official.icdf(logits, float(level)) for level in levels], dim=-1)
    torch.testing.assert_close(bar_quantiles(logits, borders, levels), expected, rtol=1e-3, atol=1e-4)


def test_they_increase_also_far_out():
    borders = torch.linspace(-3, 3, 21)
    for edge in (0, 19):
        logits = torch.zeros(1, 20)
        logits[0, edge] = 8.0  # nearly everything in one tail
        quantiles = bar_quantiles(logits, borders, quantile_levels(99, logits))
        assert torch.isfinite(quantiles).all()
        assert bool((quantiles.diff() >= 0).all())


def test_gradients_are_slopes():
    torch.manual_seed(0)
    borders = torch.linspace(-3, 3, 9, dtype=torch.float64)
    logits = torch.randn(3, 8, dtype=torch.float64, requires_grad=True)
    levels = torch.tensor([0.03, 0.4, 0.9], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda z: bar_quantiles(z, borders, levels), logits)
