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
from math import inf
from typing import Any

import numpy as np
import torch

from testtime.errors import InputError, nearest, sentence
from testtime.models.softmax_attention import Attended, softmax_attention
from testtime.results import Result
from testtime.single_index.hermite_ridge import fit_links, held_out_errors, hermite_basis

__all__ = ["KINDS", "WeakRecovery", "attention_slopes", "teacher", "weak_recoveries", "weak_recovery"]

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
    """In-context labels of the queries from the pretrained attention, in single precision.

    `X` has shape `(n_tasks, n_rows, dim)`, `y` `(n_tasks, n_rows)`, `queries` `(n_queries, dim)`, `gamma`
    `(dim, dim)`; the result has shape `(n_tasks, n_queries)`. A single task may leave out its first axis.
    """
    if X.ndim == 2:
        return teacher(X[None], y[None], queries, gamma, temperature=temperature, clip=clip)[0]
    read = _attention(X, y, queries[None], gamma, temperature, clip, with_covariance=False)
    return read.label.numpy().astype(np.float64)


def weak_recovery(X: Array, y: Array, gamma: Array, **options: Any) -> WeakRecovery:
    """Candidates of one task: :func:`weak_recoveries` without the leading axis of `X` and `y`."""
    if options.get("student_rows") is not None:
        options["student_rows"] = tuple(part[None] for part in options["student_rows"])
    return weak_recoveries(X[None], y[None], gamma, **options)[0]


def weak_recoveries(
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
) -> list[WeakRecovery]:
    r"""Find candidate directions for several tasks; they share the queries and the starts that are drawn.

    Parameters
    ----------
    X, y
        Labelled rows, shapes `(n_tasks, n_rows, dim)` and `(n_tasks, n_rows)`, centred, of about unit
        variance.
    gamma
        :math:`\Gamma^*` of pretraining, shape `(dim, dim)`; without pretraining a small multiple of the
        identity.
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
        Context of the attention student (the segment N2 of the paper), shaped like `X` and `y`; None uses
        those.
    rng
        Draws queries and starts.

    Raises
    ------
    InputError
        If `kind` is unknown.
    """
    if kind not in KINDS:
        raise InputError(sentence(f"kind={kind!r} is not a student of Stage I", remedy=nearest(kind, KINDS)))
    n_tasks, n_rows, dim = X.shape
    project = np.eye(dim) if projector is None else projector
    n_starts = 3 if kind == "distill-multi" else 1
    starts = rng.standard_normal((n_starts, dim))
    if start is not None:
        starts[0] = start
    starts = starts @ project
    starts /= np.linalg.norm(starts, axis=1, keepdims=True)
    fallback = rng.standard_normal(dim) @ project
    unlabelled = kind not in ("labels", "attention-labels", "random")
    kinds = [kind]
    if kind == "random":
        found = np.broadcast_to(starts, (n_tasks, 1, dim))
    elif kind == "labels":
        found = _relu_steps(X @ project, y - y.mean(axis=1, keepdims=True), starts)
    else:
        queries = rng.standard_normal((n_queries, dim)) @ project
        inside = X if projector is None else X @ project
        if kind.startswith("attention"):
            rows = (inside, y) if student_rows is None else (student_rows[0] @ project, student_rows[1])
            if kind == "attention":
                labels = _centred(teacher(inside, y, queries, gamma, temperature=temperature, clip=clip))
                points = queries[None]
            else:
                labels, points = _centred(y), inside
            found = _attention_step(rows, points, labels, gamma, starts[0], temperature, clip)
        else:
            # centring: without it a step follows the sample mean of the queries
            labels = _centred(teacher(inside, y, queries, gamma, temperature=temperature, clip=clip))
            found, kinds = _teacher_moments(kind, queries, labels, starts)
    found = found @ project
    norm = np.linalg.norm(found, axis=2, keepdims=True)
    alive = np.isfinite(norm) & (norm > 0)  # a constant teacher gives no direction: start anywhere
    found = np.where(alive, found / np.where(alive, norm, 1.0), fallback / np.linalg.norm(fallback))
    fit = fit_links(hermite_basis(1, degree), (found @ X.swapaxes(1, 2))[:, :, None, :], y[:, None, :], 1e-2)
    errors = held_out_errors(fit)
    order = np.argsort(errors, axis=1, kind="stable")
    return [
        WeakRecovery(
            found[t, order[t]],
            errors[t, order[t]],
            tuple(kinds[k] for k in order[t]),
            n_rows,
            n_queries if unlabelled else 0,
        )
        for t in range(n_tasks)
    ]


def _centred(labels: Array) -> Array:
    return labels - labels.mean(axis=-1, keepdims=True)


def _attention(
    X: Array, y: Array, points: Array, gamma: Array, temperature: float, clip: float, *, with_covariance: bool
) -> Attended:
    keys, labels, queries, matrix = (
        torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32)) for part in (X, y, points, gamma)
    )
    with torch.no_grad():
        return softmax_attention(
            keys,
            labels,
            queries,
            matrix,
            temperature=temperature,
            clip=clip,
            with_covariance=with_covariance,
        )


def _relu_steps(inputs: Array, labels: Array, starts: Array) -> Array:
    """One step of the ReLU student from each start, shape `(n_tasks, n_starts, dim)`.

    `inputs` has shape `(n_inputs, dim)`, or `(n_tasks, n_inputs, dim)`. From a small output layer with a
    regularised step the gradient at the start is all that remains.
    """
    active = starts @ inputs.swapaxes(-1, -2) > 0
    return (labels[:, None, :] * active) @ inputs


def _teacher_moments(kind: str, queries: Array, labels: Array, starts: Array) -> tuple[Array, list[str]]:
    """Directions of the students that see queries and teacher labels only, with the student of each."""
    found, kinds = [], []
    if kind in ("distill", "distill-multi"):
        found.append(_relu_steps(queries, labels, starts))
        kinds += ["distill"] * len(starts)
    if kind in ("linear", "distill-multi"):
        found.append((labels @ queries)[:, None, :])
        kinds.append("linear")
    if kind in ("spectral", "distill-multi"):
        moment = (queries.T * labels[:, None, :]) @ queries  # centred labels take the identity out
        values, vectors = np.linalg.eigh(moment)
        leading = np.argsort(-np.abs(values), axis=1)[:, :2]
        found.append(np.take_along_axis(vectors, leading[:, None, :], axis=2).swapaxes(1, 2))
        kinds += ["spectral"] * leading.shape[1]
    return np.concatenate(found, axis=1), kinds


def _attention_step(
    rows: tuple[Array, Array],
    points: Array,
    labels: Array,
    gamma: Array,
    start: Array,
    temperature: float,
    clip: float,
) -> Array:
    r"""One step on u of the transformer with :math:`\Gamma^* + uu^\top`, shape `(n_tasks, 1, dim)`."""
    slopes = attention_slopes(rows, points, gamma, start, temperature=temperature, clip=clip)
    return labels[:, None, :] @ slopes


def attention_slopes(
    rows: tuple[Array, Array],
    points: Array,
    gamma: Array,
    start: Array,
    *,
    temperature: float = 1.0,
    clip: float = inf,
) -> Array:
    r"""Derivative of the attended label in u at :math:`\Gamma + uu^\top`, for every query.

    .. math:: \nabla_u\,g(w) = \rho^{-1}[\mathrm{Cov}\,\langle u, w\rangle + w\,\langle\mathrm{Cov}, u\rangle]

    Parameters
    ----------
    rows
        Context rows and their labels, shapes `(n_tasks, n_rows, dim)` and `(n_tasks, n_rows)`.
    points
        Queries w, shape `(n_tasks, n_queries, dim)`; a first axis of 1 is shared. A single task may leave it out, here
        and in `rows`.
    gamma, start
        :math:`\Gamma` and u, shapes `(dim, dim)` and `(dim,)`.
    temperature, clip
        Of the attention.

    Returns
    -------
    Array
        Shape of `points`, with as many tasks as `rows`; the factor :math:`1/\rho` is left out.
    """
    X, y = rows
    if X.ndim == 2:
        alone = (X[None], y[None])
        return attention_slopes(alone, points[None], gamma, start, temperature=temperature, clip=clip)[0]
    matrix = gamma + np.outer(start, start)
    read = _attention(X, y, points, matrix, temperature, clip, with_covariance=True)
    if read.covariance is None:
        raise RuntimeError("the attention returned no covariance")
    covariance = read.covariance.numpy().astype(np.float64)
    return covariance * (points @ start)[..., None] + points * (covariance @ start)[..., None]
