"""The architecture of the embedded model and a forward pass without wasted work."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from tabicl._model.tabicl import TabICL
from torch import Tensor

from testtime.backbones.tabicl_forward import tabicl_logits

SMALL: dict[str, object] = {
    "max_classes": 10,
    "embed_dim": 32,
    "col_num_blocks": 2,
    "col_nhead": 2,
    "col_num_inds": 16,
    "col_feature_group": "same",
    "col_feature_group_size": 3,
    "col_target_aware": True,
    "col_ssmax": "ssmax",
    "row_num_blocks": 2,
    "row_nhead": 2,
    "row_num_cls": 4,
    "row_rope_interleaved": False,
    "icl_num_blocks": 4,
    "icl_nhead": 4,
    "icl_ssmax": "ssmax",
    "ff_factor": 2,
    "zero_init": False,
}
"""Constructor arguments of the shipped classifier."""


def build_model(config: dict[str, object], seed: int) -> TabICL:
    """A freshly initialised model; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TabICL(**config)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Exported weights as float32."""
    return {name: value.float() for name, value in load_file(path).items()}


def lean_logits(model: TabICL, x: Tensor, y: Tensor) -> Tensor:
    """``model.train()(x, y)``, equal bit for bit and cheaper; see :mod:`testtime.backbones.tabicl_forward`.

    Parameters
    ----------
    model : TabICL
        With feature groups, target-aware columns and pre-norm blocks (``norm_first``).
    x : Tensor of shape (B, T, H)
        Context rows first.
    y : Tensor of shape (B, n_context)
        Class codes, or targets, of the context rows.

    Returns
    -------
    Tensor of shape (B, T - n_context, max_classes) or (B, T - n_context, num_quantiles)
    """
    n_context = y.shape[1]
    return tabicl_logits(model, x[:, :n_context], y, x[:, n_context:])
