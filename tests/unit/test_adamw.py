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
def test_the_numbers_are_those_of_torch(dtype: torch.dtype):
    """Rates that change, gradients of every size, and a tensor that gets none in some steps."""
    ours, theirs = parameters(dtype), parameters(dtype)
    stepping, reference = AdamW(ours), torch.optim.AdamW(theirs, weight_decay=0.0)
    rng = np.random.default_rng(1)
    for step in range(12):
        rate = 0.1 * (1 - step / 12)
        stepping.zero_grad()
        reference.zero_grad(set_to_none=True)
        for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)):
            if i == 1 and step % 3 == 0:
                continue
            gradient = torch.as_tensor(
                10.0 ** rng.uniform(-9, 4) * rng.standard_normal(mine.shape), dtype=dtype
            )
            mine.grad, other.grad = gradient.clone(), gradient.clone()
        for group in reference.param_groups:
            group["lr"] = rate
        reference.step()
        stepping.step(rate)
        for mine, other in zip(ours, theirs, strict=True):
            assert torch.equal(mine, other)


def test_without_any_gradient_nothing_moves():
    ours = parameters(torch.float32)
    stepping = AdamW(ours)
    stepping.zero_grad()
    stepping.step(0.1)
    assert all(torch.equal(mine, start) for mine, start in zip(ours, parameters(torch.float32), strict=True))


def test_the_compiler_of_torch_stays_unloaded():
    code = """if True:
        import sys, torch
        from testtime.adapt.adamw import AdamW
        weight = torch.nn.Parameter(torch.ones(3))
        stepping = AdamW([weight])
        weight.square().sum().backward()
        torch.nn.utils.clip_grad_norm_([weight], 1.0)
        stepping.step(0.1)
        assert float(weight[0]) < 1
        sys.exit("torch._dynamo" in sys.modules)
    """
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
