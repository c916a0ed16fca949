"""The forward pass of tabicl's ``TabICL`` module in two halves: read the context once, predict rows from what was read.

Same module, same weights, same numbers as ``TabICL.forward`` in training mode to rounding, with these differences:

* the context is read once for any number of later predictions: of the column stage the keys and values of the inducing
  points remain, of the in-context stage those of the context rows;
* it runs in float64 as well (the packaged label encoder casts to float32), which makes predictions independent of how
  rows are batched to about 1e-12;
* tabicl embeds the reserved CLS columns and then overwrites them, and runs the last in-context block on context rows
  that nobody reads; here neither is done;
* gradients flow whatever ``training`` is, no autocast is applied, and attention stays in the dtype of the weights
  (tabicl casts to float16 where FlashAttention 3 is installed);
* a checkpoint's ``recompute`` is ignored: activations that are computed again in the backward pass would be computed
  with the base's weights, since the changed ones are in place during the call only;
* without gradients the row stage runs on some rows at a time, so that memory does not grow with rows x columns.

tabicl's module layout is private; the files of this package whose names begin with ``tabicl`` or ``embedded`` are the
only ones that know it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from tabicl._model.layers import OneHotAndLinear
from torch import Tensor, nn
from torch.nn import functional as F

from testtime.backbones.tabicl_stacked import linear, multi_layer, norm, project, scaled_queries

__all__ = [
    "ICL_STAGE",
    "KeysValues",
    "TabICLRead",
    "encode_context",
    "encode_rows",
    "predict_encoded",
    "predict_tabicl",
    "read_encoded",
    "read_tabicl",
]

ICL_STAGE = "icl_predictor"
"""Prefix of the parameters of the in-context stage; everything before it encodes columns and rows."""

_CELLS_AT_ONCE = 60_000

# B=tables  N=context rows  Q=query rows  T=any rows  D=features  g=features of a group  E=width  C=CLS tokens  S=C+D
# W=C*E  H=heads  I=inducing points. Submodules are typed Any: torch types an attribute of a module as a tensor or a
# module.


class KeysValues(NamedTuple):
    """Keys and values of a block, ``(..., H, T, E / H)`` each."""

    key: Tensor
    value: Tensor


class TabICLRead(NamedTuple):
    """What remains of a context: keys and values, one pair per block.

    Attributes
    ----------
    columns
        Of the inducing points, ``(B, D, H, I, E / H)``.
    rows
        Of the context rows, ``(B, H, N, W / H)``.
    """

    columns: tuple[KeysValues, ...]
    rows: tuple[KeysValues, ...]


def _embed_targets(targets: Tensor, encoder: nn.Linear) -> Tensor:
    """Embed class codes, one-hot, or target values with a linear layer: ``(B, n) -> (B, n, E)``."""
    if not isinstance(encoder, OneHotAndLinear):
        return F.linear(targets.to(encoder.weight.dtype).unsqueeze(-1), encoder.weight, encoder.bias)
    # The product of a one-hot row and the weight, bit for bit, its gradient to rounding; vmap has no rule for one_hot.
    embedded = F.embedding(targets.long(), encoder.weight.T)
    return embedded if encoder.bias is None else embedded + encoder.bias


def _by_head(part: Any, normed: Tensor, which: int) -> Tensor:
    """Queries (0), keys (1) or values (2) of an attention, ``(B, ..., T, E) -> (B, ..., H, T, E / H)``."""
    rows = slice(which * part.embed_dim, (which + 1) * part.embed_dim)
    bias = None if part.in_proj_bias is None else part.in_proj_bias[..., rows]
    projected = project(normed, part.in_proj_weight[..., rows, :], bias)
    return projected.unflatten(-1, (part.num_heads, -1)).transpose(-3, -2)


def _keys_values(block: Any, normed: Tensor, rope: Any = None) -> KeysValues:
    """Keys and values of a block over normalised rows, ``(B, ..., T, E) -> (B, ..., H, T, E / H)`` each."""
    key, value = _by_head(block.attn, normed, 1), _by_head(block.attn, normed, 2)
    return KeysValues(key=key if rope is None else rope.rotate_queries_or_keys(key), value=value)


def _attention(part: Any, normed: Tensor, entry: KeysValues, rope: Any) -> Tensor:
    """What tabicl's attention returns for given keys and values, ``(B, ..., T, E) -> (B, ..., T, E)``."""
    query = _by_head(part, normed, 0)
    query = query if rope is None else rope.rotate_queries_or_keys(query)
    query = (
        query if part.ssmax_layer is None else scaled_queries(part.ssmax_layer, query, entry.key.shape[-2])
    )
    # The fastest kernels want all axes of the batch as one.
    q, k, v = (one.reshape(-1, *one.shape[-3:]) for one in (query, entry.key, entry.value))
    found = F.scaled_dot_product_attention(q, k, v).view(query.shape)
    return linear(part.out_proj, found.transpose(-3, -2).flatten(-2))


def _attend(
    block: Any,
    x: Tensor,
    entry: KeysValues,
    *,
    normed: Tensor | None = None,
    rope: Any = None,
) -> Tensor:
    """A pre-norm block in which `x` attends to given keys and values, ``(B, ..., T, E) -> (B, ..., T, E)``."""
    x = x + _attention(block.attn, norm(block.norm1, x) if normed is None else normed, entry, rope)
    return x + linear(block.linear2, block.activation(linear(block.linear1, norm(block.norm2, x))))


def _grouped(model: Any, x_BTD: Tensor) -> Tensor:
    """Put every cell beside its neighbours in the feature group, ``(B, T, D) -> (B, D, T, g)``."""
    return model.col_embedder.feature_grouping(x_BTD).transpose(1, 2)


def _embed_cells(model: Any, x_BDTg: Tensor) -> Tensor:
    """Embed grouped cells, ``(B, D, T, g) -> (B, D, T, E)``."""
    return linear(model.col_embedder.in_linear, x_BDTg)


def _column_output(model: Any, x_BDTg: Tensor, cells_BDTE: Tensor) -> Tensor:
    """Turn what the column stage ends with into embeddings of the cells: as it is, or scale and shift of the value."""
    embedder = model.col_embedder
    if not embedder.affine:
        return cells_BDTE
    scale = norm(embedder.ln_w, linear(embedder.out_w, cells_BDTE))
    shift = norm(embedder.ln_b, linear(embedder.out_b, cells_BDTE))
    return x_BDTg * scale + shift


def _interact(model: Any, cells_BDTE: Tensor) -> Tensor:
    """Run the row stage, in which the cells of a row attend to each other, ``(B, D, T, E) -> (B, T, W)``."""
    interactor = model.row_interactor
    n_tables, n_features, n_rows, _ = cells_BDTE.shape
    at_once = max(1, _CELLS_AT_ONCE // (n_tables * (n_features + interactor.num_cls)))
    if not torch.is_grad_enabled() and at_once < n_rows:
        return torch.cat([_interact(model, piece) for piece in cells_BDTE.split(at_once, dim=2)], dim=1)
    cls_BTCE = interactor.cls_tokens.unsqueeze(-3).expand(n_tables, n_rows, -1, -1)
    tokens_BTSE = torch.cat([cls_BTCE, cells_BDTE.transpose(1, 2)], dim=2)
    blocks, rope, n_cls = interactor.tf_row.blocks, interactor.tf_row.rope, interactor.num_cls
    for block in blocks:
        normed = norm(block.norm1, tokens_BTSE)
        entry = _keys_values(block, normed, rope)
        if block is blocks[-1]:  # the other cells are not read any more
            tokens_BTSE, normed = tokens_BTSE[..., :n_cls, :], normed[..., :n_cls, :]
        tokens_BTSE = _attend(block, tokens_BTSE, entry, normed=normed, rope=rope)
    return norm(interactor.out_ln, tokens_BTSE).flatten(-2)


def encode_context(model: Any, x_context: Tensor, y_context: Tensor) -> tuple[tuple[KeysValues, ...], Tensor]:
    """Run the column and the row stage on labelled rows, ``(B, N, D)`` and ``(B, N)``.

    Returns
    -------
    columns
        What :func:`encode_rows` needs of them, one pair of keys and values for each block.
    rows
        The rows as the in-context stage gets them, without their targets, ``(B, N, W)``.
    """
    embedder = model.col_embedder
    grouped_BDNg = _grouped(model, x_context)
    cells_BDNE = _embed_cells(model, grouped_BDNg)
    if embedder.target_aware:
        cells_BDNE = cells_BDNE + _embed_targets(y_context, embedder.y_encoder).unsqueeze(1)
    columns = []
    for block in embedder.tf_col.blocks:
        first, second = block.multihead_attn1, block.multihead_attn2
        points = block.ind_vectors.expand(*cells_BDNE.shape[:2], *block.ind_vectors.shape)
        hidden_BDIE = _attend(first, points, _keys_values(first, first.norm1(cells_BDNE)))
        columns.append(_keys_values(second, second.norm1(hidden_BDIE)))
        cells_BDNE = _attend(second, cells_BDNE, columns[-1])
    return tuple(columns), _interact(model, _column_output(model, grouped_BDNg, cells_BDNE))


def encode_rows(model: Any, columns: Sequence[KeysValues], x: Tensor) -> Tensor:
    """Run the column and the row stage on rows without targets, ``(B, Q, D) -> (B, Q, W)``."""
    grouped_BDQg = _grouped(model, x)
    cells_BDQE = _embed_cells(model, grouped_BDQg)
    for block, entry in zip(model.col_embedder.tf_col.blocks, columns, strict=True):
        cells_BDQE = _attend(block.multihead_attn2, cells_BDQE, entry)
    return _interact(model, _column_output(model, grouped_BDQg, cells_BDQE))


def read_encoded(stage: Any, rows_BNW: Tensor, y_context: Tensor) -> tuple[KeysValues, ...]:
    """Read encoded rows with their targets: keys and values, one pair for each block of the in-context stage."""
    rows_BNW = rows_BNW + _embed_targets(y_context, stage.y_encoder)
    rows = []
    for block in stage.tf_icl.blocks:
        normed = block.norm1(rows_BNW)
        rows.append(_keys_values(block, normed))
        if block is not stage.tf_icl.blocks[-1]:
            rows_BNW = _attend(block, rows_BNW, rows[-1], normed=normed)
    return tuple(rows)


def predict_encoded(stage: Any, rows: Sequence[KeysValues], rows_BQW: Tensor) -> Tensor:
    """Predict encoded rows from what :func:`read_encoded` returned, ``(B, Q, W) -> (B, Q, K)``."""
    for block, entry in zip(stage.tf_icl.blocks, rows, strict=True):
        rows_BQW = _attend(block, rows_BQW, entry)
    return multi_layer(stage.decoder, norm(stage.ln, rows_BQW))


def read_tabicl(model: Any, x_context: Tensor, y_context: Tensor) -> TabICLRead:
    """Read labelled rows.

    Parameters
    ----------
    model
        A ``TabICL`` module whose blocks normalise first, for at most ``max_classes`` classes or for regression.
    x_context, y_context
        Shapes ``(B, N, D)`` and ``(B, N)``: class codes, or target values for regression.
    """
    columns, rows_BNW = encode_context(model, x_context, y_context)
    return TabICLRead(columns, read_encoded(model.icl_predictor, rows_BNW, y_context))


def predict_tabicl(model: Any, read: TabICLRead, x_query: Tensor) -> Tensor:
    """Predict rows from a context that was read.

    Parameters
    ----------
    read
        Of the same model with the same weights.
    x_query
        Shape ``(B, Q, D)``.

    Returns
    -------
    Tensor
        Logits, ``(B, Q, max_classes)``, or quantiles of the target, ``(B, Q, num_quantiles)``.
    """
    return predict_encoded(model.icl_predictor, read.rows, encode_rows(model, read.columns, x_query))
