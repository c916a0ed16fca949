"""The forward pass in halves against tabicl's own, for every way in which its checkpoints may be configured."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tabicl._model.tabicl import TabICL

from tests.support.foreign import TABICL, shaken
from testtime.backbones.tabicl_forward import predict_tabicl, read_tabicl

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "version 2": {},
    "version 1": {
        "col_feature_group": False,
        "col_affine": True,
        "col_target_aware": False,
        "col_ssmax": False,
        "icl_ssmax": False,
        "row_rope_interleaved": True,
    },
    "padded groups": {"col_feature_group": "valid"},
    "no groups": {"col_feature_group": False},
    "norms without bias, recomputed": {"bias_free_ln": True, "recompute": True},
    "scaled by head": {"col_ssmax": "ssmax", "icl_ssmax": "ssmax-mlp"},
    "scaled by query": {"col_ssmax": "qassmax-mlp", "icl_ssmax": "ssmax-mlp-elementwise"},
    "regressor": {"max_classes": 0, "num_quantiles": 9},
}


def model_and_rows(name: str) -> tuple[TabICL, torch.Tensor, torch.Tensor]:
    """A model with random weights, 30 rows ``(1, 30, 7)``, and classes of the first 20, ``(1, 20)``."""
    changes = {"col_num_blocks": 2, "row_num_blocks": 2, **CONFIGURATIONS[name]}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module = shaken(TabICL(**{**TABICL, **changes}), 0, 0.1).train()
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, 30, 7, generator=generator)
    y = torch.randint(0, 3, (1, 20), generator=generator)
    return module, x, y


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_it_is_the_forward_pass_of_tabicl(name: str):
    module, x, y = model_and_rows(name)
    theirs = module(x, y.float())
    ours = predict_tabicl(module, read_tabicl(module, x[:, :20], y), x[:, 20:])
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6)
    assert theirs.std() > 0.05, "the comparison is not one of zeros"


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_its_gradients_are_those_of_tabicl(name: str):
    """In tabicl's own forward pass, which a call with weights as an argument could not give where it recomputes."""
    module, x, y = model_and_rows(name)
    own = {name: p for name, p in module.named_parameters() if p.requires_grad}
    theirs = torch.autograd.grad(module(x, y.float()).square().mean(), list(own.values()))
    output = predict_tabicl(module, read_tabicl(module, x[:, :20], y), x[:, 20:])
    ours = torch.autograd.grad(output.square().mean(), list(own.values()))
    for gradient, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-6)
