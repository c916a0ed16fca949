"""From scores, logits or cells of a partition to the target: class codes, or numbers.

Shapes: B tables, T rows; at most ``MAX_CLASSES`` classes. ``n_classes`` has shape (B,); ``None`` asks for a
numeric target of shape (B, T), float32, which ``targets`` finishes.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .draws import Draws, ranks, unit

MAX_CLASSES = 10


def draw_class_counts(draws: Draws, n_tables: int) -> Tensor:
    """Class counts: two in 45% of tables, three in 15%, else uniform from 2 to 10."""
    kind = draws.uniform(n_tables)
    counts = draws.integers(MAX_CLASSES - 1, n_tables) + 2
    counts = torch.where(kind < 0.60, torch.full_like(counts, 3), counts)
    return torch.where(kind < 0.45, torch.full_like(counts, 2), counts)


def draw_shares(draws: Draws, n_classes: Tensor) -> Tensor:
    """Class shares (B, MAX_CLASSES): balanced to strongly imbalanced, zero beyond the class count."""
    concentration = draws.log_uniform(len(n_classes), 1, low=0.15, high=2.0) * draws.imbalance
    weight = (draws.normal(len(n_classes), MAX_CLASSES) * concentration).exp()
    weight = weight * (torch.arange(MAX_CLASSES) < n_classes[:, None])
    share = weight / weight.sum(1, keepdim=True)
    if not draws.rare:
        return share
    # Class 0 becomes rare; codes are renamed later.
    least = draws.log_uniform(len(share), 1, low=0.01, high=0.1)
    thinned = torch.cat([least, share[:, 1:] / share[:, 1:].sum(1, keepdim=True) * (1 - least)], 1)
    return torch.where(draws.bernoulli(draws.rare, len(share), 1), thinned, share)


def shuffle_codes(draws: Draws, y: Tensor, n_classes: Tensor) -> Tensor:
    """Rename the classes 0..n-1 of each table at random."""
    key = draws.uniform(len(y), MAX_CLASSES) + 2.0 * (torch.arange(MAX_CLASSES) >= n_classes[:, None])
    return key.argsort(1).gather(1, y)


def from_score(draws: Draws, score: Tensor, n_classes: Tensor | None) -> Tensor:
    """Cut a score (B, T) into classes; a numeric target is the score itself.

    Either one interval per class, with random shares, or more intervals than classes, dealt to the classes at
    random, so that a class may lie on both sides of another.
    """
    if n_classes is None:
        return score
    shares = draw_shares(draws, n_classes)
    if draws.coin(0.3):
        n_cuts = (n_classes - 1) + draws.integers(5, len(score))
        cuts = (
            torch.where(torch.arange(15) < n_cuts[:, None], draws.uniform(len(score), 15), 2.0).sort(1).values
        )
        interval = (ranks(score)[:, :, None] >= cuts[:, None, :]).sum(2)
        deal = draws.integers(1 << 30, len(score), 16) % n_classes[:, None]
        deal = torch.where(torch.arange(16) < n_classes[:, None], torch.arange(16), deal)
        y = deal.gather(1, interval)
    else:
        # Shares come in random order, so the cumulative sum must run over the classes that exist only.
        cuts = shares.cumsum(1)[:, :-1]
        y = (ranks(score)[:, :, None] >= cuts[:, None, :]).sum(2)
        y = torch.minimum(y, n_classes[:, None] - 1)
    return shuffle_codes(draws, y, n_classes)


def from_logits(draws: Draws, logits: Tensor, n_classes: Tensor | None) -> Tensor:
    """Largest of the first ``n_classes`` logits (B, T, MAX_CLASSES), with class biases and some noise.

    A numeric target is the first logit, or the larger of the first two, which has a kink.
    """
    if n_classes is None:
        return logits[:, :, 0] if draws.coin(0.6) else unit(logits[:, :, :2]).max(2).values
    bias = draws.normal(len(logits), 1, MAX_CLASSES) * draws.uniform(len(logits), 1, 1, high=0.8)
    bias = bias * draws.imbalance
    if draws.rare:
        rare = draws.bernoulli(draws.rare, len(logits), 1, 1)
        bias[:, :, :1] -= rare * draws.uniform(len(logits), 1, 1, low=1.0, high=3.5)
    noise = draws.uniform(len(logits), 1, 1, low=-0.3, high=0.4).clamp_min(0)
    logits = unit(logits) + bias
    if draws.coin(0.6):
        logits = logits + noise * draws.gumbel(*logits.shape)
    allowed = torch.arange(MAX_CLASSES) < n_classes[:, None]
    return logits.masked_fill(~allowed[:, None, :], -1e9).argmax(2)


def from_cells(draws: Draws, cell: Tensor, n_cells: int, n_classes: Tensor | None) -> Tensor:
    """Deal the cells (B, T) of a partition to the classes, at least one cell to each, or give each a value."""
    if n_classes is None:
        return draws.normal(len(cell), n_cells).gather(1, cell)
    deal = draws.integers(1 << 30, len(cell), n_cells) % n_classes[:, None]
    first = torch.arange(n_cells) < n_classes[:, None]
    deal = torch.where(first, torch.arange(n_cells), deal)
    deal = deal.gather(1, draws.permutations(len(cell), n_cells))
    return deal.gather(1, cell)


def flip(draws: Draws, y: Tensor, share: float) -> Tensor:
    """Label noise: in a share of the tables, up to a quarter of the rows take the label of another row."""
    rate = draws.uniform(len(y), 1, low=0.0, high=0.25) * draws.bernoulli(share, len(y), 1)
    other = y.gather(1, draws.permutations(*y.shape))
    return torch.where(draws.bernoulli(rate, *y.shape), other, y)
