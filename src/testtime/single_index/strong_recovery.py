r"""Stage II: from a correlated direction to the right one.

Three methods, all on the sphere and all confined to the pretrained subspace when a projector is given:

:func:`online_sgd`
    The literal stage of Kuwataka and Suzuki (2026): one pass,
    :math:`u \leftarrow \mathrm{normalise}\big(u + \eta\,y\,\phi'(\langle u,x\rangle)(I-uu^\top)x\big)` with
    a fixed random ReLU network :math:`\phi`. Its drift :math:`\sum_k k\,c_k(s)\,c_k(\phi)\,m^{k-1}` needs
    Hermite coefficients of :math:`\phi` whose signs match those of the link. Those of a random network do at
    degree two; at one and three they are arbitrary, so that on cubic links some tasks gain and others lose
    (figure ``single-index-stage2``).
:func:`profile_sgd`
    The same pass in minibatches with :math:`\phi` replaced by the link refitted to the rows seen so far.
:func:`profile_newton`
    Full-batch Gauss-Newton on the same profile loss from the candidates of stage I and a few random ones,
    all at once (:mod:`testtime.single_index.profile`). The default of the regressor.

:func:`polish` ends without the projector: a direction confined to an estimated subspace cannot be better
than that subspace.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from testtime.results import Result
from testtime.single_index.hermite_ridge import (
    WINSOR,
    clearly_lower,
    fit_links,
    held_out_errors,
    held_out_rows,
    hermite_basis,
)
from testtime.single_index.profile import gauss_newton, orthonormal_rows

__all__ = [
    "StrongRecovery",
    "online_sgd",
    "polish",
    "polish_many",
    "profile_newton",
    "profile_newtons",
    "profile_sgd",
    "random_network",
]

Array = np.ndarray

ROWS_PER_FEATURE = 4
"""A degree is raised only with this many rows per coefficient of the link."""

RESTART_ELEMENTS = 8192
"""Random restarts times rows: many starts when rows are few and a start is cheap, few when rows are many."""


@dataclass(frozen=True, eq=False)
class StrongRecovery(Result):
    """Directions of Stage II.

    Attributes
    ----------
    directions
        Orthonormal rows, shape `(n_directions, dim)`.
    held_out_error
        Winsorised leave-one-out error of the Hermite link along them, in units of the label variance.
    n_rows
        Rows used; rows that were visited several times count once.
    n_starts
        Candidates that were tried.
    degree
        Degree of the Hermite link at the end.
    """

    directions: Array
    held_out_error: float
    n_rows: int
    n_starts: int
    degree: int

    @property
    def direction(self) -> Array:
        """The first direction, shape `(dim,)`."""
        return self.directions[0]


def _scored(
    X: Array, y: Array, directions: Array, degree: int, penalty: float, n_starts: int
) -> StrongRecovery:
    fit = fit_links(hermite_basis(len(directions), degree), directions @ X.T, y, penalty)
    return StrongRecovery(directions, float(held_out_errors(fit)), len(X), n_starts, degree)


def random_network(width: int, rng: np.random.Generator, bias_range: float = 1.0) -> tuple[Array, Array]:
    """Signs v and biases b of the paper's network, shapes `(width,)`; output weights are all 1/width."""
    return rng.choice([-1.0, 1.0], width), rng.uniform(-bias_range, bias_range, width)


def online_sgd(
    X: Array,
    y: Array,
    start: Array,
    *,
    network: tuple[Array, Array],
    step_size: float = 0.05,
    projector: Array | None = None,
    degree: int = 5,
) -> StrongRecovery:
    """Spherical SGD, one pass, one row per step, fixed activation: the literal stage.

    Parameters
    ----------
    X, y
        Rows in the order they arrive, shapes `(n_rows, dim)` and `(n_rows,)`.
    start
        Direction of stage I, shape `(dim,)`.
    network
        Signs and biases of the fixed activation, see :func:`random_network`.
    step_size
        Step per row; the update is bounded by normalisation only, as in the paper.
    projector
        Projector on the pretrained subspace; None is the identity.
    degree
        Of the Hermite link that scores the result.
    """
    signs, biases = network
    u = start / np.linalg.norm(start)
    for x, label in zip(X if projector is None else X @ projector, y, strict=True):
        z = float(x @ u)
        slope = float((signs * (signs * z + biases > 0)).mean())
        u = u + step_size * label * slope * (x - z * u)
        u /= np.linalg.norm(u)
    return _scored(X, y, u[None], degree, 1e-2, 1)


def profile_sgd(
    X: Array,
    y: Array,
    starts: Array,
    *,
    projector: Array | None = None,
    degree: int = 5,
    penalty: float = 1e-2,
    batch: int = 8,
    epochs: int = 4,
    refit_every: int = 4,
    step_size: float = 0.5,
    clip: float = 3.0,
    warmup: tuple[Array, Array] | None = None,
    rng: np.random.Generator | None = None,
) -> StrongRecovery:
    r"""Minibatch SGD with the link refitted to the rows seen so far.

    .. math:: u \leftarrow \mathrm{normalise}\Big(u + \eta_t\,
              \frac{\mathrm{mean}[\,\mathrm{clip}(y - f(z))\,f'(z)\,(x - zu)]}{E f'(z)^2}\Big),\qquad
              \eta_t = \frac{\eta_0}{1 + 4t/T}

    with steps of length at most 1/2. Dividing by :math:`E f'^2` makes the step of Gauss-Newton length and
    lets a start of small overlap explore.

    Parameters
    ----------
    X, y
        Rows, shapes `(n_rows, dim)` and `(n_rows,)`.
    starts
        Unit rows, shape `(n_starts, dim)`; they run side by side and the best held-out error wins.
    projector
        Projector on the pretrained subspace; None is the identity.
    degree, penalty
        Of the Hermite link.
    batch, epochs, refit_every, step_size
        Rows per step, passes, steps between two refits of the link, :math:`\eta_0`.
    clip
        Bound of the residual (in label units) and of the slope (in units of its root mean square).
    warmup
        Rows already seen (stage I); they enter the refits of the first pass.
    rng
        Order of the rows from the second pass on; None keeps their order.
    """
    basis = hermite_basis(1, degree)
    derivative = basis.derivatives[0]
    inputs = X if projector is None else X @ projector
    seen_X, seen_y = (inputs[:0], y[:0]) if warmup is None else warmup
    pool, pool_y = np.concatenate([seen_X, inputs]), np.concatenate([seen_y, y])
    u = starts / np.linalg.norm(starts, axis=1, keepdims=True)
    n_steps = epochs * max(1, len(X) // batch)
    step = 0
    coefficients = np.zeros((len(u), degree + 1))
    slope_power = np.ones(len(u))
    for epoch in range(epochs):
        order = np.arange(len(X)) if rng is None or epoch == 0 else rng.permutation(len(X))
        for rows in np.array_split(order, max(1, len(X) // batch)):
            if step % refit_every == 0:
                known = len(pool) if epoch else max(len(seen_X) + rows[-1] + 1, 4 * batch)
                fit = fit_links(basis, (u @ pool[:known].T)[:, None, :], pool_y[:known], penalty)
                coefficients = fit.coefficients
                slopes = ((coefficients @ derivative)[:, None, :] @ fit.design)[:, 0]
                slope_power = (slopes**2).mean(axis=1) + 1e-12
            x, z = inputs[rows], u @ inputs[rows].T
            design = basis.design(z[:, None, :])
            residual = np.clip(y[rows] - (coefficients[:, None, :] @ design)[:, 0], -clip, clip)
            bound = clip * np.sqrt(slope_power)[:, None]
            slope = np.clip(((coefficients @ derivative)[:, None, :] @ design)[:, 0], -bound, bound)
            pull = residual * slope
            move = (pull @ x - (pull * z).sum(axis=1, keepdims=True) * u) / (len(rows) * slope_power[:, None])
            move *= step_size / (1 + 4 * step / n_steps)
            length = np.linalg.norm(move, axis=1, keepdims=True)
            u = u + move * np.minimum(1.0, 0.5 / np.maximum(length, 1e-30))
            u = u / np.linalg.norm(u, axis=1, keepdims=True)
            step += 1
    errors = held_out_errors(fit_links(basis, (u @ pool.T)[:, None, :], pool_y, penalty))
    best = u[int(np.argmin(errors))]
    return StrongRecovery(best[None], float(errors.min()), len(X), len(u), degree)


def profile_newton(X: Array, y: Array, starts: Array, **options: Any) -> StrongRecovery:
    """Gauss-Newton for one task: :func:`profile_newtons` without the leading axis of the arrays."""
    return profile_newtons(X[None], y[None], starts[None], **options)[0]


def profile_newtons(
    X: Array,
    y: Array,
    starts: Array,
    *,
    degree: int = 5,
    raised_degrees: Sequence[int] = (8, 11),
    penalty: float = 1e-2,
    n_restarts: int | None = None,
    rng: np.random.Generator,
) -> list[StrongRecovery]:
    """Full-batch Gauss-Newton on the profile loss from given and random starts, for several tasks at once.

    To confine the search to a subspace pass the coordinates of the rows in an orthonormal basis of it.

    Parameters
    ----------
    X, y
        Rows, shapes `(n_tasks, n_rows, dim)` and `(n_tasks, n_rows)`, of about unit variance.
    starts
        Candidates of stage I, shape `(n_tasks, n_starts, n_directions, dim)`; `n_starts` may be 0.
    degree, penalty
        Of the Hermite link.
    raised_degrees
        Higher degrees, tried in turn from the best direction while the leave-one-out error falls by more
        than two standard errors: a low degree finds the direction from few rows, a wiggly link needs a
        higher one to end.
    n_restarts
        Random starts, the same for all tasks; None spends about the same time at every number of rows (64
        down to 4).
    rng
        Draws the restarts.
    """
    n_tasks, n_rows, dim = X.shape
    n_directions = starts.shape[2]
    if n_restarts is None:
        n_restarts = int(np.clip(RESTART_ELEMENTS // n_rows, 4, 64))
    random = rng.standard_normal((n_restarts, n_directions, dim))
    candidates = np.concatenate([starts, np.broadcast_to(random, (n_tasks, *random.shape))], axis=1)
    found = gauss_newton(X, y, orthonormal_rows(candidates), degree=degree, penalty=penalty)
    directions, errors = found.directions[:, 0], held_out_rows(found.fit)[:, 0]
    degrees = np.full(n_tasks, degree)
    active = np.arange(n_tasks)
    schedule = ((12, 1),)
    for higher in raised_degrees:
        basis = hermite_basis(n_directions, higher)
        if n_rows < ROWS_PER_FEATURE * len(basis.exponents):
            break
        # search with a higher degree only where the longer link helps along the same direction
        z = directions[active] @ X[active].swapaxes(1, 2)
        longer = held_out_rows(fit_links(basis, z, y[active], penalty))
        active = active[clearly_lower(longer, errors[active], margin=0.0)]
        if not active.size:
            break
        refined = gauss_newton(
            X[active], y[active], directions[active, None], degree=higher, penalty=penalty, schedule=schedule
        )
        refined_errors = held_out_rows(refined.fit)[:, 0]
        better = clearly_lower(refined_errors, errors[active], margin=2.0)
        active = active[better]
        directions[active], errors[active] = refined.directions[better, 0], refined_errors[better]
        degrees[active] = higher
    return [
        StrongRecovery(directions[t], float(errors[t].mean()), n_rows, candidates.shape[1], int(degrees[t]))
        for t in range(n_tasks)
    ]


def polish(X: Array, y: Array, directions: Array, **options: Any) -> StrongRecovery:
    """Polish one task: :func:`polish_many` without the leading axis of `X`, `y` and `directions`."""
    return polish_many(X[None], y[None], directions[None], **options)[0]


def polish_many(
    X: Array,
    y: Array,
    directions: Array,
    *,
    degree: int = 5,
    penalty: float = 1e-2,
    rank: int | None = None,
) -> list[StrongRecovery]:
    """Gauss-Newton without the projector, kept only when it predicts better.

    Parameters
    ----------
    X, y
        Rows, shapes `(n_tasks, n_rows, dim)` and `(n_tasks, n_rows)`.
    directions
        Orthonormal rows, shape `(n_tasks, n_directions, dim)`.
    degree, penalty
        Of the Hermite link.
    rank
        Dimension of the subspace the directions were confined to. With it generalised cross-validation
        decides: the squared error has to fall by more than what `dim - rank` extra free parameters per
        direction buy by chance. None keeps the polished directions always.
    """
    n_tasks, n_rows, dim = X.shape
    n_directions = directions.shape[1]
    basis = hermite_basis(n_directions, degree)
    moved = gauss_newton(X, y, directions[:, None], degree=degree, penalty=penalty, schedule=((20, 1),))
    after, after_fit = moved.directions[:, 0], moved.fit
    before_fit = fit_links(basis, (directions @ X.swapaxes(1, 2))[:, None], y[:, None], penalty)
    better = np.ones(n_tasks, dtype=bool)
    if rank is not None:
        scores = []
        for fit, free in ((before_fit, rank), (after_fit, dim)):
            left = n_rows - len(basis.exponents) - n_directions * (free - n_directions)
            error = np.minimum(fit.residuals[:, 0] ** 2, WINSOR).sum(axis=1)
            scores.append(error / left**2 if left > 0 else np.full(n_tasks, np.inf))
        better = scores[1] < scores[0]
    errors = np.where(better, held_out_errors(after_fit)[:, 0], held_out_errors(before_fit)[:, 0])
    return [
        StrongRecovery(after[t] if better[t] else directions[t], float(errors[t]), n_rows, 1, degree)
        for t in range(n_tasks)
    ]
