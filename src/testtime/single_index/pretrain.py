r"""Pretraining: one regularised gradient step finds the subspace that the tasks share.

The loss over prompts (context, query) is half the squared error of the one-layer transformer plus
:math:`\tfrac{\lambda}{2}\|\Gamma\|_F^2`; with step size :math:`\eta = 1/\lambda` one step forgets its
start, and for a small read-out

.. math:: \Gamma^* \propto \sum_t y_t\,f'(g_t)\,\mathrm{Cov}_p(y, x)\,x_t^\top ,

whose expectation is proportional to the projector on the shared subspace (Nishikawa et al., 2025; Kuwataka
and Suzuki, 2026).

At feasible sizes the literal step (one query per prompt, no clip, :math:`\Gamma_0 = I/\sqrt d`) is
dominated by single large labels: for cubic links its overlap with the subspace stays between .6 and .8. The
practical step clips the *context* labels, starts from a larger multiple of the identity and uses many
queries per prompt; query labels stay as they are, so it is still a correlation with the raw label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from testtime.errors import InputError, sentence
from testtime.models.softmax_attention import softmax_attention
from testtime.results import Result
from testtime.single_index.strong_recovery import polish_many, profile_newtons

if TYPE_CHECKING:
    from testtime.tasks.single_index import SingleIndexFamily

__all__ = [
    "Pretrained",
    "Prompts",
    "draw_prompts",
    "pretrain",
    "pretrain_family",
    "refine_subspace",
    "subspace_overlap",
]

Array = np.ndarray


class Prompts(NamedTuple):
    """A batch of prompts.

    Attributes
    ----------
    context_inputs, context_labels
        Shapes `(n_prompts, n_context, dim)` and `(n_prompts, n_context)`.
    query_inputs, query_labels
        Shapes `(n_prompts, n_queries, dim)` and `(n_prompts, n_queries)`.
    """

    context_inputs: Array
    context_labels: Array
    query_inputs: Array
    query_labels: Array


@dataclass(frozen=True, eq=False)
class Pretrained(Result):
    """What one step of pretraining found.

    Attributes
    ----------
    subspace
        Orthonormal basis of the estimated subspace, shape `(dim, rank)`; pass it to ``SingleIndexRegressor``.
    gamma
        Symmetric :math:`\\Gamma^*` of that rank, rescaled so that its mean eigenvalue is `tilt`, shape
        `(dim, dim)`.
    step
        The raw gradient step, shape `(dim, dim)`.
    spectrum
        Eigenvalues of the symmetrised step in units of the mean of the leading ones, by descending size; a
        drop after the first `rank` is the sign that the step found the subspace.
    sign
        -1 when the step came out as minus the projector (and was turned), else 1.
    n_prompts
        Prompts used.
    """

    subspace: Array
    gamma: Array
    step: Array
    spectrum: Array
    sign: int
    n_prompts: int


def subspace_overlap(estimate: Array, truth: Array) -> float:
    r"""Mean squared cosine :math:`\|U^\top V\|_F^2/r` between two orthonormal bases of shape `(dim, r)`, in
    [0, 1].

    A random subspace has expectation r/dim.

    >>> subspace_overlap(np.eye(4)[:, :2], np.eye(4)[:, 1:3])
    0.5
    """
    return float(np.sum((estimate.T @ truth) ** 2) / truth.shape[1])


def draw_prompts(
    family: SingleIndexFamily,
    *,
    n_prompts: int = 8000,
    n_context: int = 300,
    n_queries: int = 32,
    batch: int = 125,
    seed: int | np.random.SeedSequence = 0,
) -> Iterator[Prompts]:
    """Draw prompts of fresh tasks in batches; each batch has its own seed spawned from `seed`."""
    sizes = [min(batch, n_prompts - begin) for begin in range(0, n_prompts, batch)]
    root = seed if isinstance(seed, np.random.SeedSequence) else np.random.SeedSequence(seed)
    for size, child in zip(sizes, root.spawn(len(sizes)), strict=True):
        X, y = family.prompts(size, n_context + n_queries, child)
        yield Prompts(X[:, :n_context], y[:, :n_context], X[:, n_context:], y[:, n_context:])


def pretrain(
    prompts: Iterable[Prompts],
    *,
    rank: int,
    recipe: str = "practical",
    temperature: float = 4.0,
    clip: float = 3.0,
    start_scale: float = 0.2,
    tilt: float = 0.35,
) -> Pretrained:
    r"""Take one regularised gradient step from a multiple of the identity.

    Parameters
    ----------
    prompts
        Batches of prompts; consumed once.
    rank
        Dimension r of the shared subspace.
    recipe
        ``"practical"``; ``"paper"`` ignores `clip` and `start_scale`: no clip and :math:`\Gamma_0 = I/\sqrt
        d` (draw one query per prompt to be literal).
    temperature
        Softmax temperature :math:`\rho`.
    clip
        Clip of the context labels.
    start_scale
        :math:`\Gamma_0` is this times the temperature times the identity.
    tilt
        Mean eigenvalue of the rescaled :math:`\Gamma^*`.

    Raises
    ------
    InputError
        If the recipe is unknown, there are no prompts, or `rank` is not between 1 and their dimension.
    """
    if recipe not in ("practical", "paper"):
        raise InputError(sentence(f"recipe={recipe!r}", expected="'practical' or 'paper'"))
    step: Array | None = None
    n_prompts = 0
    for batch in prompts:
        dim = batch.context_inputs.shape[2]
        if not 1 <= rank <= dim:
            raise InputError(
                sentence(
                    f"rank={rank} with inputs of dimension {dim}",
                    expected=f"between 1 and {dim}",
                    why="the subspace lies in the input space",
                )
            )
        scale = dim**-0.5 if recipe == "paper" else start_scale * temperature
        added = _batch_step(batch, scale, temperature, inf if recipe == "paper" else clip)
        step = added if step is None else step + added
        n_prompts += len(batch.context_inputs)
    if step is None:
        raise InputError(
            sentence("no prompts", expected="at least one batch", remedy="Pass an iterator once only.")
        )
    return _rescaled(step / n_prompts, rank, tilt, n_prompts)


def refine_subspace(batch: Prompts, pretrained: Pretrained, *, largest_error: float = 0.3) -> Pretrained:
    """Sharpen a pretrained subspace by solving some of the prompts exactly. Not part of the paper's
    algorithm.

    One gradient step leaves an error of the order of 1/n_prompts that every later task inherits. The
    labelled rows of a prompt say far more: stage II, started inside the pretrained subspace and polished
    outside, recovers the direction of each prompt, and the leading eigenvectors of their second moment are
    the subspace.

    Parameters
    ----------
    batch
        Prompts of fresh tasks, a few hundred; context and query rows are used alike.
    pretrained
        The subspace to start from.
    largest_error
        Prompts whose leave-one-out error, relative to the label variance, stays above this are left out.

    Raises
    ------
    InputError
        If fewer prompts than the rank of the subspace are solved.
    """
    X = np.concatenate([batch.context_inputs, batch.query_inputs], axis=1)
    y = np.concatenate([batch.context_labels, batch.query_labels], axis=1)
    y = (y - y.mean(axis=1, keepdims=True)) / y.std(axis=1, keepdims=True)
    rank = pretrained.subspace.shape[1]
    inside = X @ pretrained.subspace
    solved = []
    for begin in range(0, len(X), 8):  # few tasks at a time stay in the cache
        part = slice(begin, begin + 8)
        none = np.empty((len(X[part]), 0, 1, rank))
        found = profile_newtons(inside[part], y[part], none, n_restarts=16, rng=np.random.default_rng(0))
        starts = np.stack([stage.directions for stage in found]) @ pretrained.subspace.T
        polished = polish_many(X[part], y[part], starts)
        solved += [stage.direction for stage in polished if stage.held_out_error < largest_error]
    if len(solved) < rank:
        raise InputError(
            sentence(
                f"{len(solved)} of {len(X)} prompts could be solved",
                expected=f"at least {rank}, the dimension of the subspace",
                remedy="Pass more prompts, longer prompts, or raise largest_error.",
            )
        )
    directions = np.stack(solved)
    values, vectors = np.linalg.eigh(directions.T @ directions / len(solved))
    values, vectors = values[::-1], vectors[:, ::-1]
    subspace = np.ascontiguousarray(vectors[:, :rank])
    tilt = float(np.trace(pretrained.gamma)) / rank
    return Pretrained(
        subspace,
        tilt * subspace @ subspace.T,
        pretrained.step,
        values / values[:rank].mean(),
        pretrained.sign,
        pretrained.n_prompts + len(solved),
    )


def pretrain_family(
    family: SingleIndexFamily,
    *,
    rank: int | None = None,
    recipe: str = "practical",
    n_prompts: int = 8000,
    n_context: int = 300,
    n_queries: int | None = None,
    n_refine: int = 0,
    seed: int = 0,
) -> Pretrained:
    """Pretrain on fresh tasks of a family.

    `n_queries` None is 32 queries per prompt, and the paper's single one with ``recipe="paper"``.
    `n_refine` further prompts go into :func:`refine_subspace`; 0 leaves the one step as it is.
    """
    if n_queries is None:
        n_queries = 1 if recipe == "paper" else 32
    prompts = draw_prompts(family, n_prompts=n_prompts, n_context=n_context, n_queries=n_queries, seed=seed)
    found = pretrain(prompts, rank=family.rank if rank is None else rank, recipe=recipe)
    if n_refine:
        extra = draw_prompts(
            family,
            n_prompts=n_refine,
            n_context=n_context,
            n_queries=n_queries,
            batch=n_refine,
            seed=np.random.SeedSequence(seed, spawn_key=(1 << 31,)),
        )
        found = refine_subspace(next(extra), found)
    return found


def _batch_step(batch: Prompts, scale: float, temperature: float, clip: float) -> Array:
    """Minus the gradient in Gamma, summed over prompts and averaged over their queries."""
    keys, labels, queries, targets = (torch.as_tensor(part, dtype=torch.float32) for part in batch)
    dim = keys.shape[2]
    with torch.no_grad():
        read = softmax_attention(
            keys,
            labels,
            queries,
            scale * torch.eye(dim),
            temperature=temperature,
            clip=clip,
            with_covariance=True,
        )
        # Signs v = +-1 in equal numbers and zero biases: the read-out is a multiple of |g|.
        weight = targets * torch.sign(read.label) / (temperature * queries.shape[1])
        step = torch.einsum("bq,bqi,bqj->ij", weight, read.covariance, queries)
    return step.numpy().astype(np.float64)


def _rescaled(step: Array, rank: int, tilt: float, n_prompts: int) -> Pretrained:
    """Keep the leading eigenpairs, fix sign and scale."""
    values, vectors = np.linalg.eigh((step + step.T) / 2)
    order = np.argsort(-np.abs(values))
    values, vectors = values[order], vectors[:, order]
    mean = float(values[:rank].mean())  # signed: the step can come out as minus the projector
    if not np.isfinite(mean) or mean == 0.0:
        raise InputError(
            sentence(
                "the pretraining step vanished or is not finite",
                expected="prompts with finite, varying labels",
                remedy="Check the labels; without a clip raise the temperature.",
            )
        )
    values = values / mean
    subspace = np.ascontiguousarray(vectors[:, :rank])
    gamma = tilt * (subspace * values[:rank]) @ subspace.T
    return Pretrained(subspace, gamma, step, values, -1 if mean < 0 else 1, n_prompts)
