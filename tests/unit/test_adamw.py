"""The optimizer's step against torch's own optimizer, bit by bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch

from testtime.adapt.adamw import AdamW


def parameters(dtype: torch.dtype) -> list[torch.nn.Parameter]:
    rng = np.random.default_rng(0)
    shapes = ((3, 4), (5,), (), (2, 1, 2))
    return [torch.nn.Parameter(torch.as_tensor(rng.standard_normal(shape), dtype=dtype)) for shape in shapes]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rates", [None, [1.0, 0.3, 1.0, 4.0]])
def test_the_numbers_are_those_of_torch(dtype: torch.dtype, rates: list[float] | None):
    """Rates that change and differ by tensor, gradients of every size, a tensor that gets none in some steps."""
    ours, theirs = parameters(dtype), parameters(dtype)
    stepping = AdamW([p.detach() for p in ours], rates)
    each = [{"params": [p]} for p in theirs]
    reference = torch.optim.AdamW(each, weight_decay=0.0)
    rng = np.random.default_rng(1)
    for step in range(12):
        rate = 0.1 * (1 - step / 12)
        gradients: list[torch.Tensor | None] = []
        for i, other in enumerate(theirs):
            skipped = i == 1 and step % 3 == 0
            draw = 10.0 ** rng.uniform(-9, 4) * rng.standard_normal(other.shape)
            gradients.append(None if skipped else torch.as_tensor(draw, dtype=dtype))
            other.grad = None if skipped else gradients[-1].clone()
        for group, own in zip(reference.param_groups, rates or [1.0] * 4, strict=True):
            group["lr"] = own * rate
        reference.step()
        stepping.step(gradients, rate)
        for mine, other in zip(ours, theirs, strict=True):
            assert torch.equal(mine, other)


def test_without_any_gradient_nothing_moves():
    ours = parameters(torch.float32)
    AdamW([p.detach() for p in ours]).step([None] * 4, 0.1)
    assert all(torch.equal(mine, start) for mine, start in zip(ours, parameters(torch.float32), strict=True))


def test_the_compiler_of_torch_stays_unloaded():
    code = """if True:
        import sys, torch
        from testtime.adapt.adamw import AdamW
        weight = torch.ones(3, requires_grad=True)
        stepping = AdamW([weight])
        stepping.step(torch.autograd.grad(weight.square().sum(), [weight]), 0.1)
        assert float(weight[0]) < 1
        sys.exit("torch._dynamo" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
