"""Prefer tables from which something can be learned.

Random mechanisms often give labels that no method predicts from the columns at hand; real tables that
people keep rarely are like that. Twice as many tables as needed are drawn and a cheap held-out test sorts
them; a share of unpredictable tables stays, so that the model also learns to say "I do not know".
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from .columns import standardise
from .draws import Draws, ranks, unit
from .labels import MAX_CLASSES

RIDGE = 0.02
UNTESTED_SHARE = 0.12


def skill(draws: Draws, x: Tensor, y: Tensor, n_random: int = 48, *, weak: bool = False) -> Tensor:
    """Held-out accuracy above the majority share, scaled so that 1 is perfect and 0 is no better than it.

    For numeric targets: held-out R2 of the ranks, so that tails do not decide. With ``weak``: the largest held-out
    correlation of a class (or of the number) with what is predicted for it, which sees weak signals and rare classes.

    Ridge regression of the one-hot labels on the columns, random cosines and random conjunctions of two
    thresholds; first half of the rows to fit, second half to test.

    Returns
    -------
    Tensor of shape (B,)
    """
    n_tables, n_rows, n_features = x.shape
    half = n_rows // 2
    x = standardise(x, n_rows)
    frequency = draws.normal(n_tables, n_features, n_random) * draws.log_uniform(
        1, 1, n_random, low=0.2, high=2.0
    )
    waves = torch.cos(x @ frequency / n_features**0.5 + draws.uniform(n_tables, 1, n_random, high=6.2832))
    column = draws.integers(n_features, n_tables, 1, 2 * n_random)
    value = x.gather(2, column.expand(-1, n_rows, -1))
    bits = value > value.gather(1, draws.integers(n_rows, n_tables, 1, 2 * n_random)) - 1e-6
    both = (bits[:, :, :n_random] & bits[:, :, n_random:]).float()
    design = torch.cat([x, waves, both, torch.ones(n_tables, n_rows, 1)], dim=2)
    numeric = y.is_floating_point()
    target = unit(ranks(y)[:, :, None]) if numeric else functional.one_hot(y, MAX_CLASSES).float()
    fit = design[:, :half]
    gram = fit.transpose(1, 2) @ fit / half + RIDGE * torch.eye(design.shape[2])
    weight = torch.linalg.solve(gram, fit.transpose(1, 2) @ target[:, :half] / half)
    if weak:
        both = unit(design[:, half:] @ weight) * unit(target[:, half:])
        return both.mean(1).max(1).values
    if numeric:
        return 1 - (design[:, half:] @ weight - target[:, half:]).square().mean((1, 2))
    hit = ((design[:, half:] @ weight).argmax(2) == y[:, half:]).float().mean(1)
    majority = target[:, half:].mean(1).max(1).values
    return (hit - majority) / (1 - majority).clamp_min(0.02)


def select(draws: Draws, x: Tensor, y: Tensor, n_tables: int, *, weak: bool = False) -> Tensor:
    """Numbers of the tables to keep: predictable ones first, in random order, and a share regardless of the test."""
    half = x.shape[1] / 2
    limit = 0.05 + 1.5 / half**0.5 if weak else 0.03 + 0.5 / half**0.5
    good = (skill(draws, x, y, weak=weak) > limit) | draws.bernoulli(UNTESTED_SHARE, len(x))
    return (good.float() + draws.uniform(len(x))).argsort(descending=True)[:n_tables]
