"""Tables whose label is an explicit function of the features.

Trees, rule lists, thresholded interactions, prototypes, random Fourier features and mixtures of linear
experts. These functions are jagged, discrete or local, which neural causal models rarely are; real tables
often are. Shapes: B tables, T rows, H features; ``x`` has roughly unit columns.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .columns import to_levels
from .draws import Draws, unit
from .labels import MAX_CLASSES, from_cells, from_logits, from_score
from .sources import causes, network_nodes


def base_features(
    draws: Draws, n_tables: int, n_rows: int, n_features: int, *, discrete: bool = False
) -> Tensor:
    """Features to compute a label from: independent, mixed, clustered or network nodes; some discrete.

    ``discrete`` makes all of them so.
    """
    kind = draws.pick({"independent": 0.25, "mixed": 0.25, "clusters": 0.2, "network": 0.3})
    if kind == "network":
        nodes, _ = network_nodes(draws, n_tables, n_rows, n_features)
        order = draws.permutations(n_tables, nodes.shape[2])[:, None, :n_features]
        x = nodes.gather(2, order.expand(-1, n_rows, -1))
    else:
        x = causes(draws, n_tables, n_rows, n_features)
        if kind == "mixed":
            scale = draws.log_uniform(n_tables, 1, 1, low=0.1, high=2.0)
            x = x @ (
                torch.eye(n_features)
                + scale * draws.normal(n_tables, n_features, n_features) / n_features**0.5
            )
        elif kind == "clusters":
            centres = draws.normal(n_tables, 8, n_features) * 1.5
            which = draws.integers(8, n_tables, n_rows)[:, :, None].expand(-1, -1, n_features)
            x = 0.7 * x + centres.gather(1, which)
    x = unit(x)
    share = "all" if discrete else draws.pick({"none": 0.5, "some": 0.3, "all": 0.2})
    if share != "none" and draws.levels:
        chosen = draws.bernoulli(0.5 if share == "some" else 1.0, n_tables, 1, n_features)
        few = 2 if draws.coin(0.5) else 6
        x = torch.where(chosen, to_levels(draws, x, few), x)
    return x


def choose_columns(draws: Draws, n_tables: int, n_features: int, *shape: int) -> Tensor:
    """Column numbers (B, *shape), drawn with unequal weights so that some columns matter more."""
    weight = (draws.normal(n_tables, n_features) * draws.uniform(n_tables, 1, high=2.0)).exp()
    count = torch.Size(shape).numel()
    return torch.multinomial(weight, count, replacement=True, generator=draws.generator).reshape(
        n_tables, *shape
    )


def conditions(draws: Draws, x: Tensor, *shape: int) -> Tensor:
    """Random tests "column above the value some row has", shape (B, T, *shape), boolean."""
    n_tables, n_rows, n_features = x.shape
    column = choose_columns(draws, n_tables, n_features, *shape).flatten(1)
    value = x.gather(2, column[:, None].expand(-1, n_rows, -1))
    row = draws.integers(n_rows, n_tables, 1, value.shape[2])
    above = value > value.gather(1, row) - 1e-6
    above = above ^ draws.bernoulli(0.5, n_tables, 1, value.shape[2])
    return above.reshape(n_tables, n_rows, *shape)


def oblivious_trees(draws: Draws, x: Tensor, n_classes: Tensor | None) -> Tensor:
    """Sums of oblivious trees (every level asks one question), depth 1-6."""
    n_tables, n_rows, _ = x.shape
    n_trees, depth = draws.log_integer(1, 24), draws.integer(1, 6)
    bits = conditions(draws, x, n_trees, depth).long()
    leaf = (bits * 2 ** torch.arange(depth)).sum(3)
    if n_trees == 1:
        return from_cells(draws, leaf.squeeze(2), max(2**depth, MAX_CLASSES), n_classes)
    outputs = MAX_CLASSES if draws.coin(0.4) and n_trees <= 10 else 1
    value = draws.normal(n_tables, n_trees * 2**depth, outputs)
    index = (leaf + torch.arange(n_trees) * 2**depth).reshape(n_tables, -1, 1).expand(-1, -1, outputs)
    total = value.gather(1, index).reshape(n_tables, n_rows, n_trees, outputs).sum(2)
    return _label(draws, total, n_classes)


def jagged_trees(draws: Draws, x: Tensor, n_classes: Tensor | None) -> Tensor:
    """Sums of ordinary trees: every node has its own column and threshold, depth 2-7."""
    n_tables, n_rows, n_features = x.shape
    n_trees, depth = draws.log_integer(1, 12), draws.integer(2, 7)
    n_nodes = 2**depth
    column = choose_columns(draws, n_tables, n_features, n_trees * n_nodes)
    threshold = x.gather(
        1, draws.integers(n_rows, n_tables, n_trees * n_nodes)[:, :, None].expand(-1, -1, n_features)
    )
    threshold = threshold.gather(2, column[:, :, None]).squeeze(2)
    node = torch.ones(n_tables, n_rows, n_trees, dtype=torch.int64)
    offset = torch.arange(n_trees) * n_nodes
    for _ in range(depth):
        flat = (node + offset).reshape(n_tables, -1)
        asked = column.gather(1, flat).reshape(n_tables, n_rows, n_trees)
        above = x.gather(2, asked) > threshold.gather(1, flat).reshape(n_tables, n_rows, n_trees)
        node = 2 * node + above.long()
    leaf = node - n_nodes
    if n_trees == 1:
        return from_cells(draws, leaf.squeeze(2), max(n_nodes, MAX_CLASSES), n_classes)
    value = draws.normal(n_tables, n_trees * n_nodes)
    total = value.gather(1, (leaf + offset).reshape(n_tables, -1)).reshape(n_tables, n_rows, n_trees).sum(2)
    return _label(draws, total[:, :, None], n_classes)


def rule_lists(draws: Draws, x: Tensor, n_classes: Tensor | None) -> Tensor:
    """First matching rule decides; a rule is a conjunction of one to four conditions."""
    n_tables, n_rows, _ = x.shape
    n_rules = draws.log_integer(4, 24)
    met = conditions(draws, x, n_rules, 4)
    length = draws.integers(4, n_tables, 1, n_rules, 1) + 1
    fires = (met | (torch.arange(4) >= length)).all(3)
    fires = torch.cat([fires, torch.ones(n_tables, n_rows, 1, dtype=torch.bool)], dim=2)
    return from_cells(draws, fires.int().argmax(2), max(n_rules + 1, MAX_CLASSES), n_classes)


def interactions(draws: Draws, x: Tensor, n_classes: Tensor | None) -> Tensor:
    """Products of columns, parities and counts of conditions, next to linear terms."""
    n_tables, n_rows, n_features = x.shape
    n_terms = draws.log_integer(1, 8)
    kind = draws.pick(["product", "parity", "count", "both"])
    total = torch.zeros(n_tables, n_rows, n_terms)
    if kind in ("product", "both"):
        column = choose_columns(draws, n_tables, n_features, n_terms * 2)
        total = total + x.gather(2, column[:, None].expand(-1, n_rows, -1)).reshape(*total.shape, 2).prod(
            3
        ).clamp(-6, 6)
    if kind in ("parity", "both"):
        total = total + (conditions(draws, x, n_terms, draws.integer(2, 3)).sum(3) % 2).float() * 2
    if kind == "count":
        total = conditions(draws, x, n_terms, draws.integer(3, 9)).float().sum(3)
        total = (total > total.mean(1, keepdim=True)).float() if draws.coin(0.5) else total
    outputs = MAX_CLASSES if draws.coin(0.4) else 1
    linear = draws.normal(n_tables, n_features, outputs) * draws.bernoulli(0.4, n_tables, n_features, 1)
    strength = draws.uniform(n_tables, 1, 1, low=-1.0, high=1.0).clamp_min(0)
    mixed = unit(total @ draws.normal(n_tables, n_terms, outputs)) + strength * unit(x @ linear)
    return _label(draws, mixed, n_classes)


def additive(draws: Draws, x: Tensor, n_classes: Tensor | None) -> Tensor:
    """Every column has a step function of its own, and the effects add up.

    On columns with few levels this is an arbitrary effect per level, whatever the order of the codes, as in
    logistic regression on one-hot columns.
    """
    n_tables, n_rows, n_features = x.shape
    n_cuts = draws.integer(2, 6)
    cut = x.gather(1, draws.integers(n_rows, n_tables, n_cuts, n_features))
    level = (x[:, :, None] > cut[:, None] - 1e-6).sum(2)
    outputs = MAX_CLASSES if draws.coin(0.4) else 1
    relevance = (draws.normal(n_tables, n_features, 1, 1) * draws.uniform(n_tables, 1, 1, 1)).exp()
    effect = relevance * draws.normal(n_tables, n_features, n_cuts + 1, outputs)
    index = (level + torch.arange(n_features) * (n_cuts + 1)).reshape(n_tables, -1, 1)
    chosen = effect.reshape(n_tables, -1, outputs).gather(1, index.expand(-1, -1, outputs))
    return _label(draws, chosen.reshape(n_tables, n_rows, n_features, outputs).sum(2), n_classes)


def prototypes(draws: Draws, x: Tensor, n_classes: Tensor | None) -> Tensor:
    """Class of the nearest prototype (a random row) in a random metric: a partition of up to 80 cells."""
    cell, n_cells = _nearest_row(draws, x, draws.log_integer(10, 80))
    return from_cells(draws, cell, n_cells, n_classes)


def experts(draws: Draws, x: Tensor, n_classes: Tensor | None) -> Tensor:
    """Each cell of a coarse partition has its own linear model; one cell gives plain linear tables."""
    n_tables, n_rows, n_features = x.shape
    cell, n_cells = _nearest_row(draws, x, draws.log_integer(1, 8))
    outputs = MAX_CLASSES if draws.coin(0.5) else 1
    weight = draws.normal(n_tables, n_features, n_cells * outputs)
    weight = weight * draws.bernoulli(draws.uniform(n_tables, 1, 1, low=0.2), n_tables, n_features, 1)
    value = (x @ weight).reshape(n_tables, n_rows, n_cells, outputs)
    chosen = value.gather(2, cell[:, :, None, None].expand(-1, -1, 1, outputs)).squeeze(2)
    chosen = unit(chosen) + draws.log_uniform(n_tables, 1, 1, low=0.01, high=1.0) * draws.normal(
        *chosen.shape
    )
    return _label(draws, chosen, n_classes)


def smooth_fields(draws: Draws, x: Tensor, n_classes: Tensor | None) -> Tensor:
    """Random Fourier features: draws of a Gaussian process with length scales from rough to smooth."""
    n_tables, _, n_features = x.shape
    relevance = (draws.normal(n_tables, n_features, 1) * draws.uniform(n_tables, 1, 1, high=1.5)).exp()
    relevance = relevance / relevance.square().sum(1, keepdim=True).sqrt()
    frequency = (
        draws.normal(n_tables, n_features, 48)
        * relevance
        * draws.log_uniform(n_tables, 1, 1, low=0.5, high=6.0)
    )
    waves = torch.cos(x @ frequency + draws.uniform(n_tables, 1, 48, high=6.2832))
    outputs = MAX_CLASSES if draws.coin(0.5) else 1
    field = unit(waves @ draws.normal(n_tables, 48, outputs))
    field = field + draws.uniform(n_tables, 1, 1, low=-0.3, high=0.5).clamp_min(0) * draws.normal(
        *field.shape
    )
    return _label(draws, field, n_classes)


FUNCTIONS = {
    "oblivious_trees": oblivious_trees,
    "jagged_trees": jagged_trees,
    "rule_lists": rule_lists,
    "interactions": interactions,
    "additive": additive,
    "prototypes": prototypes,
    "experts": experts,
    "smooth_fields": smooth_fields,
}


def _nearest_row(draws: Draws, x: Tensor, n_cells: int) -> tuple[Tensor, int]:
    """Index of the nearest of ``n_cells`` random rows after random column scaling."""
    n_tables, n_rows, n_features = x.shape
    scaled = x * (draws.normal(n_tables, 1, n_features) * draws.uniform(n_tables, 1, 1, high=1.5)).exp()
    row = draws.integers(n_rows, n_tables, n_cells)[:, :, None].expand(-1, -1, n_features)
    centre = scaled.gather(1, row) + 0.1 * draws.normal(n_tables, n_cells, n_features)
    distance = centre.square().sum(2)[:, None] - 2 * scaled @ centre.transpose(1, 2)
    return distance.argmin(2), n_cells


def _label(draws: Draws, value: Tensor, n_classes: Tensor | None) -> Tensor:
    """Labels from (B, T, 1) scores or (B, T, MAX_CLASSES) logits; scores get a little noise against ties."""
    if value.shape[2] > 1:
        return from_logits(draws, value, n_classes)
    score = unit(value).squeeze(2)
    noise = draws.uniform(len(score), 1, low=-0.4, high=0.5).clamp_min(1e-3)
    return from_score(draws, score + noise * draws.normal(*score.shape), n_classes)
