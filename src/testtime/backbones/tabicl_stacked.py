"""Layers for several models in one pass: a tensor that differs between the models has one more axis, in front.

``torch.func.vmap`` does that for any module, but falls back on attention by its definition, since fused kernels have no
batching rule, and a few rows take longer to be taken apart and put together than to be computed.
Here inputs always have the axis of models (of size 1 for one model), and a layer looks whether its tensors have it too.

Where no tensor has it, these are the layers' own functions, bit for bit.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from tabicl._model.ssmax import SSMax
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional as F

__all__ = ["linear", "multi_layer", "norm", "project", "scaled_queries"]

_N_AXES = {"weight": 2, "bias": 1, "scales": 1}
"""Of the tensors of a scalable-softmax layer, for one model."""

# M=models  E=width in  F=width out  H=heads  Q=queries  d=width of a head. Layers are typed Any: torch types an
# attribute of a module as a tensor or a module.


def project(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Apply a linear map, ``(M, ..., E) -> (M, ..., F)``; the weight is ``(F, E)`` or ``(M, F, E)``."""
    if weight.ndim == 2 and (bias is None or bias.ndim == 1):
        return F.linear(x, weight, bias)
    if weight.ndim == 2:
        mapped = F.linear(x, weight)
    else:
        mapped = torch.bmm(x.flatten(1, -2), weight.mT).unflatten(1, x.shape[1:-1])
    return mapped if bias is None else mapped + _along(bias, mapped)


def linear(layer: Any, x: Tensor) -> Tensor:
    """Apply an ``nn.Linear``."""
    return project(x, layer.weight, layer.bias)


def multi_layer(layers: Any, x: Tensor) -> Tensor:
    """Apply an ``nn.Sequential`` of linear layers and functions without tensors."""
    for layer in layers:
        x = linear(layer, x) if hasattr(layer, "weight") else layer(x)
    return x


def norm(layer: Any, x: Tensor) -> Tensor:
    """Apply an ``nn.LayerNorm`` over the last axis, or an ``nn.Identity``."""
    weight, bias = getattr(layer, "weight", None), getattr(layer, "bias", None)
    if all(one is None or one.ndim == 1 for one in (weight, bias)):
        return layer(x)
    normed = F.layer_norm(x, layer.normalized_shape, eps=layer.eps)
    normed = normed if weight is None else normed * _along(weight, normed)
    return normed if bias is None else normed + _along(bias, normed)


def scaled_queries(layer: Any, query: Tensor, n_keys: int) -> Tensor:
    """Apply one of tabicl's scalable-softmax layers, ``(M, ..., H, Q, d)`` -> the same shape."""
    own = {name: one for name, one in layer.named_parameters() if one.ndim > _N_AXES[name.rpartition(".")[2]]}
    if not own:
        return layer(query.reshape(-1, *query.shape[-3:]), n_keys).view(query.shape)
    if isinstance(layer, SSMax):
        scales = layer.scales * math.log(max(n_keys, 1))
        return query * scales.view(len(scales), *[1] * (query.ndim - 4), -1, 1, 1)

    def of_one(tensors: dict[str, Tensor], one: Tensor) -> Tensor:
        flat = one.reshape(-1, *one.shape[-3:])
        return functional_call(layer, tensors, (flat, n_keys)).view(one.shape)

    return vmap(of_one)(own, query)  # small networks, of several kinds


def _along(vector: Tensor, like: Tensor) -> Tensor:
    """Give a vector of each model the axes between, ``(M, F) -> (M, 1, ..., F)``; one for all stays."""
    return vector if vector.ndim == 1 else vector.view(len(vector), *[1] * (like.ndim - 2), -1)
