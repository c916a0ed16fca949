"""The forward pass of tabicl's ``TabICL`` module, stage by stage, in any floating dtype.

Same module, same weights, same numbers as ``TabICL.forward`` in training mode, with three differences that matter here:

* it runs in float64 as well (the packaged label encoder casts to float32), which makes predictions independent of how
  rows are batched to about 1e-12;
* it is cheaper: tabicl embeds the reserved CLS columns and then overwrites them, and runs the last in-context block on
  context rows that nobody reads;
* gradients flow whatever ``training`` is, and no autocast is applied.

tabicl's module layout is private; this file and :mod:`testtime.backbones.embedded` are the only ones that know it.
"""

from __future__ import annotations

import torch
from tabicl._model.layers import OneHotAndLinear
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ICL_STAGE", "encode_rows", "predict_rows", "tabicl_logits"]

ICL_STAGE = "icl_predictor"
"""Prefix of the parameters of the in-context stage; everything before it encodes columns and rows."""


def _embed_targets(targets: Tensor, encoder: nn.Linear) -> Tensor:
    """Embed class codes, one-hot, or target values with a linear layer: ``(B, n) -> (B, n, E)``."""
    if not isinstance(encoder, OneHotAndLinear):
        return F.linear(targets.to(encoder.weight.dtype).unsqueeze(-1), encoder.weight, encoder.bias)
    one_hot = F.one_hot(targets.long(), encoder.in_features).to(encoder.weight.dtype)
    return F.linear(one_hot, encoder.weight, encoder.bias)


def encode_rows(model: nn.Module, x_context: Tensor, y_context: Tensor, x_query: Tensor) -> Tensor:
    """Run the column and row stages.

    Parameters
    ----------
    model
        A ``TabICL`` module with feature grouping "same" and label-aware columns, for at most ``max_classes`` classes
        or for regression.
    x_context, y_context, x_query
        Shapes ``(B, n, D)``, ``(B, n)`` (class codes, or target values for regression) and ``(B, q, D)``.

    Returns
    -------
    Tensor
        One vector per row, ``(B, n + q, C * E)``.
    """
    # B=tables  N=context rows  T=context+query rows  D=features  E=width  C=CLS tokens
    embedder, interactor = model.col_embedder, model.row_interactor
    n_context, n_features = x_context.shape[1], x_context.shape[2]
    x_BTD = torch.cat([x_context, x_query], dim=1)
    positions = torch.arange(n_features, device=x_BTD.device)
    groups = [x_BTD[:, :, (positions + 2**i) % n_features] for i in range(embedder.feature_group_size)]
    x_BDTg = torch.stack(groups, dim=-1).transpose(1, 2)
    cells_BDTE = F.linear(x_BDTg, embedder.in_linear.weight, embedder.in_linear.bias)
    labels_B1NE = _embed_targets(y_context, embedder.y_encoder).unsqueeze(1)
    cells_BDTE = torch.cat([cells_BDTE[:, :, :n_context] + labels_B1NE, cells_BDTE[:, :, n_context:]], dim=2)
    cells_BDTE = embedder.tf_col(cells_BDTE, train_size=n_context)

    cls_BTCE = interactor.cls_tokens.expand(*x_BTD.shape[:2], *interactor.cls_tokens.shape)
    tokens_BTSE = torch.cat([cls_BTCE, cells_BDTE.transpose(1, 2)], dim=2)  # S = C + D
    blocks, rope = interactor.tf_row.blocks, interactor.tf_row.rope
    for block in blocks[:-1]:
        tokens_BTSE = block(q=tokens_BTSE, rope=rope)
    n_cls = interactor.num_cls
    cls_BTCE = blocks[-1](q=tokens_BTSE[..., :n_cls, :], k=tokens_BTSE, v=tokens_BTSE, rope=rope)
    return interactor.out_ln(cls_BTCE).flatten(-2)  # (B, T, C*E)


def predict_rows(model: nn.Module, rows: Tensor, y_context: Tensor) -> Tensor:
    """Run the in-context stage on encoded rows.

    Parameters
    ----------
    rows, y_context
        Shapes ``(B, n + q, W)`` and ``(B, n)``; the first ``n`` rows are the context.

    Returns
    -------
    Tensor
        Logits of the query rows, ``(B, q, max_classes)``, or quantiles of their targets, ``(B, q, num_quantiles)``.
    """
    stage = model.icl_predictor
    n_context = y_context.shape[1]
    context_BNW = rows[:, :n_context] + _embed_targets(y_context, stage.y_encoder)
    rows_BTW = torch.cat([context_BNW, rows[:, n_context:]], dim=1)
    for block in stage.tf_icl.blocks[:-1]:
        rows_BTW = block(q=rows_BTW, train_size=n_context)
    context_BNW, query_BQW = rows_BTW[:, :n_context], rows_BTW[:, n_context:]
    query_BQW = stage.tf_icl.blocks[-1](q=query_BQW, k=context_BNW, v=context_BNW)
    return stage.decoder(stage.ln(query_BQW))  # (B, q, K)


def tabicl_logits(model: nn.Module, x_context: Tensor, y_context: Tensor, x_query: Tensor) -> Tensor:
    """Logits, or quantiles, of query rows given labelled context rows, ``(B, q, K)``; see :func:`encode_rows`."""
    return predict_rows(model, encode_rows(model, x_context, y_context, x_query), y_context)
