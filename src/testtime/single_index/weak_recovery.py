r"""Stage I: a first direction from self-distillation on fresh, unlabelled queries.

The pretrained attention is the teacher: :math:`t_i = g(\Gamma^*, X, y, w_i)` on queries :math:`w_i \sim
N(0, I)` that cost no labels. Its label transform :math:`y e^{y/\rho}` lowers the information exponent of
the link to (about) its generative exponent, so a student that takes one step on the teacher's output sees
the direction where a student of the raw labels does not (Kuwataka and Suzuki, 2026).  The students:

``"distill"``
    ReLU network, one regularised step from a small output layer:
    :math:`u_1 \propto \sum_i (t_i - \bar t)\,1[\langle u_0, w_i\rangle > 0]\,w_i`.
``"labels"``
    The same step on the labelled rows themselves: the baseline without distillation.
``"attention"``
    The transformer itself with :math:`\Gamma^* + uu^\top`, one step on u (the paper's literal student).
``"attention-labels"``
    That student trained on the labelled rows.
``"linear"``, ``"spectral"``
    First and second moments of the centred teacher: :math:`E[(t-\bar t)w]` and the leading eigenvectors of
    :math:`E[(t-\bar t)(ww^\top - I)]`, the limit of many steps of a quadratic student on the same free
    queries.
``"random"``
    No Stage I.
``"distill-multi"``
    Three ``"distill"`` steps from different starts, ``"linear"``, and two ``"spectral"`` vectors, sorted by
    the held-out error of a Hermite ridge along each.  The default.

The sign of a direction means nothing here: later stages refit the link.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from testtime.errors import InputError, nearest, sentence
from testtime.models.softmax_attention import softmax_attention
from testtime.results import Result
from testtime.single_index.hermite_ridge import fit_links, held_out_errors, hermite_basis

__all__ = ["KINDS", "WeakRecovery", "teacher", "weak_recovery"]

Array = np.ndarray

KINDS = (
    "distill-multi",
    "distill",
    "labels",
    "attention",
    "attention-labels",
    "linear",
    "spectral",
    "random",
)


@dataclass(frozen=True, eq=False)
class WeakRecovery(Result):
    """Candidate directions of Stage I.

    Attributes
    ----------
    directions
        Unit rows, shape `(n_candidates, dim)`, best first.
    held_out_errors
        Winsorised leave-one-out error of a Hermite ridge of the labels along each, in units of the label
        variance.
    kinds
        The student each candidate came from.
    n_rows, n_queries
        Labelled rows and unlabelled queries used.
    """

    directions: Array
    held_out_errors: Array
    kinds: tuple[str, ...]
    n_rows: int
    n_queries: int

    @property
    def direction(self) -> Array:
        """The best candidate, shape `(dim,)`."""
        return self.directions[0]


def teacher(
    X: Array, y: Array, queries: Array, gamma: Array, *, temperature: float = 1.0, clip: float = 3.0
) -> Array:
    """In-context label of each query from the pretrained attention, shape `(n_queries,)`, in single
    precision.

    `X` has shape `(n_rows, dim)`, `queries` `(n_queries, dim)`, `gamma` `(dim, dim)`.
    """
    keys, labels, points, matrix = (
        torch.as_tensor(part, dtype=torch.float32) for part in (X, y, queries, gamma)
    )
    with torch.no_grad():
        read = softmax_attention(
            keys[None], labels[None], points[None], matrix, temperature=temperature, clip=clip
        )
    return read.label[0].numpy().astype(np.float64)


def weak_recovery(
    X: Array,
    y: Array,
    gamma: Array,
    *,
    kind: str = "distill-multi",
    projector: Array | None = None,
    n_queries: int = 2000,
    temperature: float = 1.0,
    clip: float = 3.0,
    degree: int = 5,
    start: Array | None = None,
    student_rows: tuple[Array, Array] | None = None,
    rng: np.random.Generator,
) -> WeakRecovery:
    r"""Find candidate directions.

    Parameters
    ----------
    X, y
        Labelled rows, shapes `(n_rows, dim)` and `(n_rows,)`, centred, of about unit variance.
    gamma
        :math:`\Gamma^*` of pretraining, shape `(dim, dim)`; a small multiple of the identity without
        pretraining.
    kind
        One of :data:`KINDS`, described at the top of this module.
    projector
        Projector on the pretrained subspace, shape `(dim, dim)`; None is the identity.
    n_queries
        Fresh queries the teacher labels. They cost `n_rows * n_queries * dim` operations and no labels.
    temperature, clip
        Of the teacher. The label transform must be strong, so the temperature is lower than in pretraining.
    degree
        Of the Hermite ridge that scores the candidates.
    start
        Start :math:`u_0` of the one-step students, shape `(dim,)`; None draws one uniformly.
    student_rows
        Context of the attention student (the segment N2 of the paper); None uses `X` and `y`.
    rng
        Draws queries and starts.

    Raises
    ------
    InputError
        If `kind` is unknown.
    """
    if kind not in KINDS:
        raise InputError(sentence(f"kind={kind!r} is not a student of Stage I", remedy=nearest(kind, KINDS)))
    dim = X.shape[1]
    project = np.eye(dim) if projector is None else projector
    trainer = _Students(X, y, gamma, project, n_queries, temperature, clip, rng)
    starts = [_unit(project @ (rng.standard_normal(dim) if start is None else start), rng)]
    if kind == "distill-multi":
        starts += [_unit(project @ rng.standard_normal(dim), rng) for _ in range(2)]
        found = [
            ("distill", trainer.relu_step(trainer.queries, trainer.centred_teacher(), u)) for u in starts
        ]
        found.append(("linear", trainer.linear()))
        found += [("spectral", u) for u in trainer.spectral(2)]
    elif kind == "distill":
        found = [(kind, trainer.relu_step(trainer.queries, trainer.centred_teacher(), starts[0]))]
    elif kind == "labels":
        found = [(kind, trainer.relu_step(X, y - y.mean(), starts[0]))]
    elif kind == "linear":
        found = [(kind, trainer.linear())]
    elif kind == "spectral":
        found = [(kind, u) for u in trainer.spectral(min(2, dim))]
    elif kind == "random":
        found = [(kind, starts[0])]
    else:
        found = [(kind, trainer.attention_step(starts[0], student_rows or (X, y), kind == "attention"))]
    directions = np.stack([_unit(u, rng, project) for _, u in found])
    errors = held_out_errors(
        fit_links(hermite_basis(1, degree), (directions @ X.T)[:, None, :], y[None], penalty=1e-2)
    )
    order = np.argsort(errors, kind="stable")
    return WeakRecovery(
        directions[order],
        errors[order],
        tuple(found[i][0] for i in order),
        len(X),
        0 if kind in ("labels", "attention-labels", "random") else n_queries,
    )


def _unit(u: Array, rng: np.random.Generator, project: Array | None = None) -> Array:
    """Normalise; a zero or non-finite vector (a constant teacher) becomes a random direction."""
    norm = np.linalg.norm(u)
    if np.isfinite(norm) and norm > 0:
        return u / norm
    u = rng.standard_normal(len(u))
    u = u if project is None else project @ u
    return u / np.linalg.norm(u)


class _Students:
    """The students of one task; queries and teacher labels are drawn once, when first needed."""

    def __init__(
        self,
        X: Array,
        y: Array,
        gamma: Array,
        project: Array,
        n_queries: int,
        temperature: float,
        clip: float,
        rng: np.random.Generator,
    ) -> None:
        self.X, self.y, self.gamma, self.project = X, y, gamma, project
        self.n_queries, self.temperature, self.clip, self.rng = n_queries, temperature, clip, rng
        self._queries: Array | None = None
        self._teacher: Array | None = None

    @property
    def queries(self) -> Array:
        if self._queries is None:
            self._queries = self.rng.standard_normal((self.n_queries, self.X.shape[1])) @ self.project
        return self._queries

    def centred_teacher(self) -> Array:
        """Teacher labels minus their mean: without it the step follows the mean of the queries."""
        if self._teacher is None:
            labels = teacher(
                self.X @ self.project,
                self.y,
                self.queries,
                self.gamma,
                temperature=self.temperature,
                clip=self.clip,
            )
            self._teacher = labels - labels.mean()
        return self._teacher

    def relu_step(self, inputs: Array, labels: Array, start: Array) -> Array:
        """One step of the ReLU student from a small output layer: the gradient at `start` is all of it."""
        return self.project @ ((labels * (inputs @ start > 0)) @ inputs)

    def linear(self) -> Array:
        return self.project @ (self.centred_teacher() @ self.queries)

    def spectral(self, count: int) -> list[Array]:
        centred, queries = self.centred_teacher(), self.queries
        matrix = (queries * centred[:, None]).T @ queries  # the centred teacher removes the identity
        values, vectors = np.linalg.eigh(matrix)
        return list(vectors[:, np.argsort(-np.abs(values))[:count]].T)

    def attention_step(self, start: Array, rows: tuple[Array, Array], distil: bool) -> Array:
        r"""One step on u of the transformer with :math:`\Gamma^* + uu^\top`.

        The derivative of g in u is :math:`\rho^{-1}[\mathrm{Cov}\,\langle u, w\rangle +
        w\,\langle\mathrm{Cov}, u\rangle]`.
        """
        points, labels = (
            (self.queries, self.centred_teacher()) if distil else (self.X, self.y - self.y.mean())
        )
        gamma = self.gamma + np.outer(start, start)
        arrays = (rows[0] @ self.project, rows[1], points, gamma)
        keys, context, queries, matrix = (torch.as_tensor(part, dtype=torch.float32) for part in arrays)
        with torch.no_grad():
            covariance = softmax_attention(
                keys[None],
                context[None],
                queries[None],
                matrix,
                temperature=self.temperature,
                clip=self.clip,
                with_covariance=True,
            ).covariance
        if covariance is None:
            raise RuntimeError("the attention returned no covariance")
        cov = covariance[0].numpy().astype(np.float64)
        slope = cov * (points @ start)[:, None] + points * (cov @ start)[:, None]
        return self.project @ (labels @ slope)
