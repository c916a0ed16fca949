"""Do rows pull the pretrained weights in one direction? Cosines between gradients of disjoint parts of the rows.

For a linear head this is the alignment of the theory: without noise and with a direction that all rows share it is 1,
where rows pull the pretrained weights apart it is 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.delta import Delta, DeltaSpec
from testtime.adapt.episodes import sample_episode
from testtime.adapt.learner import Learner, Rows

__all__ = ["episode_gradients", "mean_cosine"]

EPISODE = 256
"""Context rows of the episode that a gradient is taken on, at most."""


def episode_gradients(
    learner: Learner,
    rows: Rows,
    labels: NDArray[np.int64] | None,
    pool: NDArray[np.int64],
    parts: Sequence[str],
    rng: np.random.Generator,
) -> dict[str, torch.Tensor]:
    """Return the gradient of one episode's loss with respect to each part of the pretrained weights.

    Parameters
    ----------
    rows
        All rows of the table, in one view.
    labels
        Class codes of all rows, or None.
    pool
        Rows that the episode is drawn from; two thirds of it are context, up to :data:`EPISODE`.
    parts
        Names of parts, as in :meth:`testtime.adapt.learner.Learner.parts`.

    Returns
    -------
    gradients
        One vector for each part; none where no query row has a class that the context holds.
    """
    n_context = min(EPISODE, max(1, 2 * len(pool) // 3))
    episode = sample_episode(pool, labels, n_context, n_context // 2 + 1, rng)
    if len(episode.query) == 0:
        return {}
    first = torch.Generator().manual_seed(0)
    deltas = {name: Delta(learner, DeltaSpec(name)) for name in parts}
    states = {
        name: {key: value.requires_grad_() for key, value in delta.zero(first).items()}
        for name, delta in deltas.items()
    }
    weights = {
        key: value for name, delta in deltas.items() for key, value in delta.weights(states[name]).items()
    }
    with torch.enable_grad():
        read = learner.read(weights, rows.take(episode.context))
        output = learner.predict(weights, read, rows.x[episode.query])
        loss = learner.loss(output, rows.y[episode.query]).mean()
    found = {}
    for name, state in states.items():
        gradients = torch.autograd.grad(loss, list(state.values()), retain_graph=True, allow_unused=True)
        flat = [gradient.flatten() for gradient in gradients if gradient is not None]
        if flat:
            found[name] = torch.cat(flat)
    return found


def mean_cosine(gradients: Sequence[torch.Tensor]) -> float:
    """Return the mean cosine over pairs, 0 where there is no pair.

    >>> round(mean_cosine([torch.tensor([1.0, 0.0]), torch.tensor([1.0, 1.0])]), 4)
    0.7071
    """
    cosines = [float(torch.cosine_similarity(a, b, dim=0)) for a, b in combinations(gradients, 2)]
    return float(np.mean(cosines)) if cosines else 0.0
