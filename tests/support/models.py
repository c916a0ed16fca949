"""Tiny models of the embedded kind, with random weights, and rows for them."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import replace

import numpy as np
import torch
from tabicl._model.tabicl import TabICL
from torch import nn

from tests.support.foreign import TABICL
from testtime.adapt.learner import Rows
from testtime.backbones.embedded import EmbeddedBackbone
from testtime.backbones.tabicl_learner import TabICLClassifierLearner


def tiny_tabicl(seed: int = 0, **changes: int) -> TabICL:
    """A TabICL with random weights everywhere, also where tabicl's own initialisation is zero or one."""
    config = {**TABICL, "icl_num_blocks": 1, **changes}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = TabICL(**config)
        with torch.no_grad():
            for parameter in module.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.1 * torch.randn_like(parameter))
    return module.train()


def sha256_of(module: nn.Module) -> str:
    """Digest of all names, shapes and bytes of a module, whatever order it keeps them in."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def tiny_backbone(seed: int = 0) -> EmbeddedBackbone:
    module = tiny_tabicl(seed)
    return EmbeddedBackbone(module, sha256_of(module), 10)


def tiny_regressor(seed: int = 0) -> EmbeddedBackbone:
    """The same with 9 quantiles instead of classes."""
    module = tiny_tabicl(seed, max_classes=0, num_quantiles=9)
    return EmbeddedBackbone(module, sha256_of(module), 0)


def load_tiny(task: str, generation: int | None = None) -> EmbeddedBackbone:
    """Stand in for ``load_embedded``; a function with a name, so that backbones can be pickled by it.

    It takes fewer views and draws of a context than the embedded model: they are most of the time of a tiny fit.
    """
    return _tiny(task)


@functools.cache
def _tiny(task: str) -> EmbeddedBackbone:
    backbone = {"classifier": tiny_backbone, "regressor": tiny_regressor}[task]()
    backbone.recipe = replace(backbone.recipe, n_views=3, guard_views=2, context_draws=2)
    return backbone


def base_digests(backbone: EmbeddedBackbone) -> dict[tuple[torch.device, torch.dtype], str]:
    """Digest of the base weights in every device and dtype they are held in."""
    return {key: sha256_of(module) for key, module in backbone._module.held.items()}


def tiny_learner(n_classes: int = 2, seed: int = 0) -> TabICLClassifierLearner:
    return TabICLClassifierLearner(tiny_tabicl(seed), n_classes)


def random_rows(n_rows: int, n_columns: int, n_classes: int, seed: int = 0) -> Rows:
    """Standard normal features; the class follows the first column, so that there is something to learn."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_rows, n_columns))
    y = np.clip(np.digitize(x[:, 0], np.linspace(-1, 1, n_classes - 1)), 0, n_classes - 1)
    return Rows(torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y))
