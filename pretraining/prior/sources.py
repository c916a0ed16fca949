"""Tables whose features come from a random process: causal networks and class-conditional mixtures."""

from __future__ import annotations

import torch
from torch import Tensor

from .draws import Draws, unit
from .labels import MAX_CLASSES, draw_shares, from_logits, from_score, shuffle_codes

ACTIVATIONS = {
    "identity": lambda h: h,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sin": lambda h: torch.sin(2 * h),
    "abs": torch.abs,
    "square": lambda h: h.square().clamp_max(25),
    "step": lambda h: (h > 0).float(),
    "bump": lambda h: torch.exp(-h.square()),
    "floor": lambda h: torch.floor(1.5 * h),
    "softplus": torch.nn.functional.softplus,
}


def causes(draws: Draws, n_tables: int, n_rows: int, width: int) -> Tensor:
    """Root variables: normal, uniform, heavy-tailed, two-cluster or discrete, by thirds of the columns."""
    out = draws.normal(n_tables, n_rows, width)
    for part in out.tensor_split(3, dim=2):
        kind = draws.pick(["normal", "normal", "uniform", "heavy", "clusters", "levels"])
        if kind == "uniform":
            part.copy_(draws.uniform(*part.shape, low=-1.7, high=1.7))
        elif kind == "heavy" and draws.tails:
            part.mul_((0.5 * draws.normal(*part.shape)).exp())
        elif kind == "clusters":
            part.mul_(0.4).add_(
                draws.bernoulli(draws.uniform(n_tables, 1, part.shape[2]), *part.shape).float() * 2 - 1
            )
        elif kind == "levels" and draws.levels:
            part.copy_(torch.round(part * draws.uniform(n_tables, 1, part.shape[2], low=0.5, high=2.0)))
    return out


def network_nodes(draws: Draws, n_tables: int, n_rows: int, n_nodes: int) -> tuple[Tensor, list[int]]:
    """All nodes of random sparse networks with random activations and noise.

    Returns
    -------
    nodes : Tensor of shape (n_tables, n_rows, at least n_nodes)
        Causes first, then layer by layer.
    sizes : list of int
        Number of nodes per layer.
    """
    depth = draws.integer(1, 4)
    width = max(4, -(-n_nodes // depth))
    hidden = causes(draws, n_tables, n_rows, draws.integer(2, max(3, width)))
    layers = [hidden]
    noise = draws.log_uniform(n_tables, 1, 1, low=0.003, high=0.3)
    for _ in range(depth):
        fan_in = hidden.shape[2]
        density = draws.uniform(n_tables, 1, 1, low=1.5 / fan_in, high=1.0)
        weight = draws.normal(n_tables, fan_in, width) * draws.bernoulli(density, n_tables, fan_in, width)
        before = unit(hidden @ weight)
        gain = draws.log_uniform(n_tables, 1, width, low=0.6, high=2.5)
        before = before * gain + draws.normal(n_tables, 1, width) * 0.7
        chunks = before.tensor_split(min(width, 4), dim=2)
        names = [draws.pick(list(ACTIVATIONS)) for _ in chunks]
        hidden = torch.cat(
            [ACTIVATIONS[name](chunk) for name, chunk in zip(names, chunks, strict=True)], dim=2
        )
        hidden = hidden + noise * draws.normal(*hidden.shape)
        layers.append(hidden)
    return torch.cat(layers, dim=2), [layer.shape[2] for layer in layers]


def causal_tables(
    draws: Draws, n_tables: int, n_rows: int, n_features: int, n_classes: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Features and target picked among the nodes of a random network (a structural causal model).

    In a third of the batches the features are early nodes and the target is a late one (prediction along the
    arrows); else both are picked anywhere, so that features can be effects of the target.
    """
    nodes, _ = network_nodes(draws, n_tables, n_rows, n_features + draws.integer(2, n_features + 4))
    n_nodes = nodes.shape[2]
    order = draws.permutations(n_tables, n_nodes)
    if draws.coin(0.35):
        position = torch.arange(n_nodes) / n_nodes + draws.uniform(n_tables, n_nodes, high=0.3)
        order = position.argsort(1)
    x = nodes.gather(2, order[:, None, :n_features].expand(-1, n_rows, -1))
    rest = order[:, n_features:].flip(1)
    if rest.shape[1] > 2 and draws.coin(0.35):
        mix = draws.normal(n_tables, min(rest.shape[1], 4), MAX_CLASSES)
        late = nodes.gather(2, rest[:, None, : mix.shape[1]].expand(-1, n_rows, -1))
        return x, from_logits(draws, unit(late) @ mix, n_classes)
    score = nodes.gather(2, rest[:, None, :1].expand(-1, n_rows, -1)).squeeze(2)
    return x, from_score(draws, score + 1e-4 * draws.normal(*score.shape), n_classes)


def class_tables(draws: Draws, n_rows: int, n_features: int, n_classes: Tensor) -> tuple[Tensor, Tensor]:
    """Features drawn given the class: Gaussian clusters, bits, levels or zero-inflated counts.

    Each class has one to four clusters; in each table only some columns depend on the cluster.
    """
    n_tables = len(n_classes)
    per_class = draws.integer(1, 4)
    shares = draw_shares(draws, n_classes)
    y = torch.multinomial(shares, n_rows, replacement=True, generator=draws.generator)
    cluster = y * per_class + draws.integers(per_class, *y.shape)
    n_clusters = MAX_CLASSES * per_class
    informative = draws.bernoulli(draws.uniform(n_tables, 1, 1, low=0.15, high=1.2), n_tables, 1, n_features)
    pick = cluster[:, :, None].expand(-1, -1, n_features)
    strength = draws.log_uniform(n_tables, 1, 1, low=0.4, high=3.0) / (1 + 0.1 * n_features) ** 0.5

    def per_row(value: Tensor) -> Tensor:
        return value.gather(1, pick)

    kind = draws.pick({"gaussian": 0.45, "bits": 0.15, "counts": 0.2, "levels": 0.2})
    if kind in ("bits", "levels") and not draws.levels:
        kind = "gaussian"
    effect = draws.normal(n_tables, n_clusters, n_features) * informative
    if kind == "gaussian":
        spread = (
            draws.normal(n_tables, n_clusters, n_features) * draws.uniform(n_tables, 1, 1, high=0.7)
        ).exp()
        noise = draws.normal(n_tables, n_rows, n_features)
        if draws.coin(0.5):
            noise = unit(
                noise @ (torch.eye(n_features) + 0.6 * draws.normal(n_tables, n_features, n_features))
            )
        x = per_row(1.5 * strength * effect) + per_row(spread) * noise
    elif kind == "bits":
        base = draws.normal(n_tables, 1, n_features) * 1.5
        x = draws.bernoulli(
            torch.sigmoid(per_row(base + 2 * strength * effect)), n_tables, n_rows, n_features
        ).float()
    elif kind == "levels":
        n_levels = draws.integer(3, 6)
        logit = (
            draws.normal(n_tables, n_clusters, n_features, n_levels) * (2 * strength * informative)[..., None]
        )
        logit = logit + draws.normal(n_tables, 1, n_features, n_levels)
        own = logit.gather(1, pick[..., None].expand(-1, -1, -1, n_levels))
        x = (own + draws.gumbel(*own.shape)).argmax(3).float()
    else:
        base = draws.normal(n_tables, 1, n_features) - draws.uniform(n_tables, 1, 1, low=-1.0, high=2.0)
        present = draws.bernoulli(
            torch.sigmoid(per_row(base + 2.5 * strength * effect)), n_tables, n_rows, n_features
        )
        size = (per_row(strength * effect) + draws.normal(n_tables, n_rows, n_features)).clamp(-4, 4).exp()
        x = present * size
    return x, shuffle_codes(draws, y, n_classes)
