"""The architecture of the embedded model and a forward pass without wasted work."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import load_file
from tabicl._model.tabicl import TabICL
from torch import Tensor

from testtime.backbones.tabicl_forward import predict_tabicl, read_tabicl

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

HEAD = "icl_predictor.decoder.2"
"""The last layer: one row per class or quantile."""


def build_model(config: dict[str, object], seed: int) -> TabICL:
    """A freshly initialised model; the global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return TabICL(**config)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Exported weights as float32."""
    return {name: value.float() for name, value in load_file(path).items()}


def finer_quantiles(weights: dict[str, Tensor], n_quantiles: int) -> dict[str, Tensor]:
    """Weights of a regressor whose last layer answers at ``n_quantiles`` levels, interpolated from its own levels.

    A quantile is linear in the last layer, so a row in between is a mixture of its neighbours; beyond the first and
    the last level the line through the two nearest goes on.

    >>> given = {f"{HEAD}.weight": torch.tensor([[0.0], [1.0], [2.0]]), f"{HEAD}.bias": torch.tensor([0.0, 4.0, 8.0])}
    >>> finer_quantiles(given, 7)[f"{HEAD}.bias"].tolist()
    [-2.0, 0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    """
    own = len(weights[f"{HEAD}.bias"])
    place = torch.arange(1, n_quantiles + 1, dtype=torch.float64) / (n_quantiles + 1) * (own + 1) - 1
    left = place.floor().clamp(0, own - 2).long()
    share = (place - left).float()
    mixed = {}
    for name in (f"{HEAD}.weight", f"{HEAD}.bias"):
        rows = weights[name]
        mixed[name] = torch.lerp(rows[left], rows[left + 1], share.reshape(-1, *[1] * (rows.ndim - 1)))
    return weights | mixed


def lean_logits(model: TabICL, x: Tensor, y: Tensor) -> Tensor:
    """``model.train()(x, y)`` to rounding, and cheaper; see :mod:`testtime.backbones.tabicl_forward`.

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
    return predict_tabicl(model, read_tabicl(model, x[:, :n_context], y), x[:, n_context:])
