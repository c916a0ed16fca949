"""Pretraining for test-time training: take a few inner steps on each synthetic table, then learn from the result.

First-order MAML (Finn, Abbeel and Levine, 2017, "Model-Agnostic Meta-Learning for Fast Adaptation of Deep
Networks", ICML; first order as in Nichol, Achiam and Schulman, 2018, "On First-Order Meta-Learning Algorithms",
arXiv:1803.02999): the gradient at the adapted weights, on rows the inner steps have not seen, is applied to the
weights before adaptation. The inner loop is what :mod:`testtime.adapt` does at test time: AdamW on the column and
row stages, episodes of context and query rows of one table, linear decay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from tabicl._model.tabicl import TabICL
from torch import Tensor

from .loss import batch_loss
from .pool import Pool
from .prior import Batch, PriorConfig, sample_batch
from .prior.draws import Draws
from .prior.labels import MAX_CLASSES


@dataclass(frozen=True)
class MetaConfig:
    """The inner loop.

    Attributes
    ----------
    inner_steps : int
        Steps on every table; 0 is plain pretraining.
    inner_lr : float
        First rate of the inner AdamW, decayed linearly to zero.
    n_context, n_query : int
        Rows of an inner episode.
    rows : int
        Rows of a table; the last half are left to the outer loss.
    plain_weight : float
        Weight of the loss before adaptation, in [0, 1]; the rest goes to the loss after it.
    """

    inner_steps: int = 0
    inner_lr: float = 1e-3
    n_context: int = 128
    n_query: int = 128
    rows: int = 1024
    plain_weight: float = 0.5


def accumulate_meta_gradients(
    model: TabICL, meta: MetaConfig, prior: PriorConfig, seed: int, step: int, pool: Pool | None
) -> tuple[float, int]:
    """Add the gradient of one batch of tables to ``.grad``; returns the outer loss and the number of tables.

    The weights are those before the inner steps when this returns.
    """
    narrowed = replace(prior, rows=(meta.rows, meta.rows), context=(0.5, 0.5))
    batch = sample_batch(narrowed, seed, step, pool)
    draws = Draws((seed * 7_368_787 + step) * 2_654_435_761 % (1 << 62))
    base = {name: p.detach().clone() for name, p in model.named_parameters()}
    total = 0.0
    for i in range(len(batch.x)):
        one = Batch(batch.x[i : i + 1], batch.y[i : i + 1], batch.n_context, batch.mask[i : i + 1])
        total += _one_table(model, meta, one, base, draws, 1.0 / len(batch.x))
    return total / len(batch.x), len(batch.x)


def _one_table(
    model: TabICL, meta: MetaConfig, table: Batch, base: dict[str, Tensor], draws: Draws, weight: float
) -> float:
    """Inner steps on the first rows, outer gradients on the last ones; the context is the same before and after."""
    half = table.n_context
    served = torch.randperm(half, generator=draws.generator)[: meta.n_context]
    outer = _episode(table, served, torch.arange(half, table.x.shape[1]))
    if meta.plain_weight:
        (weight * meta.plain_weight * batch_loss(model, outer)).backward()
    kept = {name: p.grad for name, p in model.named_parameters()}
    trained = {name: p for name, p in model.named_parameters() if not name.startswith("icl_predictor")}
    optimiser = torch.optim.AdamW(trained.values(), lr=meta.inner_lr, weight_decay=0.0)
    rest = torch.ones(half, dtype=torch.bool).index_fill(0, served, False).nonzero().squeeze(1)
    for k in range(meta.inner_steps):
        optimiser.param_groups[0]["lr"] = meta.inner_lr * (1 - k / meta.inner_steps)
        order = rest[torch.randperm(len(rest), generator=draws.generator)]
        inner = _episode(table, order[: meta.n_context], order[meta.n_context :][: meta.n_query])
        model.zero_grad(set_to_none=True)
        batch_loss(model, inner).backward()
        torch.nn.utils.clip_grad_norm_(trained.values(), 1.0)
        optimiser.step()
    for name, p in model.named_parameters():
        p.grad = kept[name]
    loss = batch_loss(model, outer)
    (weight * (1 - meta.plain_weight) * loss).backward()
    with torch.no_grad():
        for name, p in trained.items():
            p.copy_(base[name])
    return float(loss.detach())


def _episode(table: Batch, context: Tensor, query: Tensor) -> Batch:
    """Some rows of one table as context, some as queries; classes absent from the context do not count."""
    rows = torch.cat([context, query])
    y = table.y[:, rows]
    n_context = len(context)
    mask = torch.ones_like(y[:, n_context:], dtype=torch.bool)
    if not y.is_floating_point():
        seen = torch.nn.functional.one_hot(y[:, :n_context], MAX_CLASSES).any(1)
        mask = seen.gather(1, y[:, n_context:])
    return Batch(table.x[:, rows], y, n_context, mask)
