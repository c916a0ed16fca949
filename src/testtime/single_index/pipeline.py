"""The three stages in a row, on arrays: what the regressor and the batched fit run.

Everything here works in the coordinates of the search: rows are standardised and, with a pretrained
subspace, projected on its basis, so that `dim` is the rank of the subspace. Only the polish sees all
coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from testtime.errors import InputError, nearest, sentence
from testtime.results import Result
from testtime.single_index.hermite_ridge import fit_links, hermite_basis
from testtime.single_index.profile import orthonormal_rows
from testtime.single_index.readout import Readout, fit_readout
from testtime.single_index.strong_recovery import (
    StrongRecovery,
    online_sgd,
    polish,
    profile_newton,
    profile_sgd,
    random_network,
)
from testtime.single_index.weak_recovery import KINDS, WeakRecovery, weak_recovery

__all__ = ["PAPER_SEGMENTS", "Settings", "StageReport", "ThreeStages", "rows_needed", "run_stages"]

Array = np.ndarray

TILT = 0.35
"""Mean eigenvalue of the key-query matrix at test time."""

PAPER_SEGMENTS = (0.3, 0.1, 0.4, 0.2)
"""Shares of the rows in the segments N1 to N4 of the strict one-pass recipe."""

_STRONG = ("newton", "sgd", "online")
_READOUT = ("auto", "relu", "hermite")


@dataclass(frozen=True)
class Settings:
    """How the stages run; the fields are those of ``SingleIndexRegressor``."""

    n_directions: int = 1
    recipe: str = "practical"
    weak: str = "auto"
    strong: str = "auto"
    readout: str = "auto"
    degree: int = 5
    width: int = 100
    n_queries: int = 2000
    clip: float = 3.0
    polish: bool = True
    n_restarts: int | None = None

    def resolved(self) -> Settings:
        """Replace every ``"auto"`` by what the recipe means, and check the rest."""
        if self.recipe not in ("practical", "paper"):
            raise InputError(sentence(f"recipe={self.recipe!r}", expected="'practical' or 'paper'"))
        paper = self.recipe == "paper"
        choices = {
            "weak": (self.weak, ("auto", *KINDS), "distill" if paper else "distill-multi"),
            "strong": (self.strong, ("auto", *_STRONG), "online" if paper else "newton"),
            "readout": (self.readout, _READOUT, "relu" if paper else "auto"),
        }
        found = {}
        for name, (value, allowed, automatic) in choices.items():
            if value not in allowed:
                raise InputError(
                    sentence(f"{name}={value!r} is not an option", remedy=nearest(value, allowed))
                )
            found[name] = automatic if value == "auto" else value
        counts = {"n_directions": self.n_directions, "degree": self.degree, "width": self.width}
        counts["n_queries"] = self.n_queries
        for name, value in counts.items():
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
                raise InputError(sentence(f"{name}={value!r}", expected="an integer of at least 1"))
        if self.n_restarts is not None and (
            not isinstance(self.n_restarts, (int, np.integer)) or self.n_restarts < 0
        ):
            raise InputError(
                sentence(f"n_restarts={self.n_restarts!r}", expected="None or an integer of 0 or more")
            )
        if not self.clip > 0:
            raise InputError(
                sentence(
                    f"clip={self.clip!r}",
                    expected="a number above 0",
                    why="it bounds labels in the attention",
                )
            )
        if self.n_directions > 1 and found["strong"] != "newton":
            raise InputError(
                sentence(
                    f"strong={found['strong']!r} with n_directions={self.n_directions}",
                    expected="strong='newton'",
                    why="the stochastic methods follow one direction",
                    remedy="Pass strong='newton' or n_directions=1.",
                )
            )
        return Settings(
            self.n_directions,
            self.recipe,
            found["weak"],
            found["strong"],
            found["readout"],
            self.degree,
            self.width,
            self.n_queries,
            float(self.clip),
            bool(self.polish) and not paper,
            self.n_restarts,
        )


@dataclass(frozen=True)
class StageReport(Result):
    """What one stage did.

    Attributes
    ----------
    name
        ``"weak recovery"``, ``"strong recovery"``, ``"polish"`` or ``"read-out"``.
    method
        The student, the optimiser or the read-out that ran.
    n_rows
        Labelled rows the stage used.
    n_candidates
        Directions it tried.
    held_out_error
        Winsorised leave-one-out squared error after the stage, in units of the label variance.
    overlap_with_final
        Overlap in [0, 1] of the stage's directions with the final ones: the true direction is unknown, so
        this is the proxy for it.
    """

    name: str
    method: str
    n_rows: int
    n_candidates: int
    held_out_error: float
    overlap_with_final: float


@dataclass(frozen=True, eq=False)
class ThreeStages(Result):
    """Directions (orthonormal rows, shape `(n_directions, dim)`), read-out on them, and the stage reports."""

    directions: Array
    readout: Readout
    stages: tuple[StageReport, ...]


def rows_needed(rank: int, n_directions: int, degree: int) -> int:
    """Free parameters of directions and link, plus one: with fewer rows the labels can be fitted without
    error.

    >>> rows_needed(rank=4, n_directions=1, degree=5)
    10
    """
    return n_directions * (rank - n_directions) + len(hermite_basis(n_directions, degree).exponents) + 1


def run_stages(
    X: Array, y: Array, settings: Settings, *, subspace: Array | None = None, rng: np.random.Generator
) -> ThreeStages:
    """Run the stages on standardised rows.

    Parameters
    ----------
    X, y
        Shapes `(n_rows, dim)` and `(n_rows,)`; columns and labels centred, of unit variance.
    settings
        Resolved settings.
    subspace
        Orthonormal basis, shape `(dim, rank)`; None is the whole space.
    rng
        Source of everything random.
    """
    frame = np.eye(X.shape[1]) if subspace is None else subspace
    weak_rows, student_rows, strong_rows, readout_rows = _segments(len(X), settings, rng)
    inside = X @ frame
    student = (inside[student_rows], y[student_rows]) if settings.weak.startswith("attention") else None
    weak = weak_recovery(
        inside[weak_rows],
        y[weak_rows],
        TILT * np.eye(frame.shape[1]),
        kind=settings.weak,
        n_queries=settings.n_queries,
        clip=settings.clip,
        degree=settings.degree,
        student_rows=student,
        rng=rng,
    )
    strong = _strong(inside, y, weak, settings, weak_rows, strong_rows, rng)
    reports = [("strong recovery", settings.strong, strong.n_rows, strong.n_starts, strong.held_out_error)]
    lifted = [strong.directions @ frame.T]
    if settings.polish and subspace is not None and frame.shape[1] < X.shape[1]:
        polished = polish(X, y, lifted[0], degree=settings.degree, rank=frame.shape[1])
        lifted.append(polished.directions)
        reports.append(("polish", "newton", polished.n_rows, 1, polished.held_out_error))
    directions = _canonical(X, y, lifted[-1], settings.degree)
    readout = read_out(X[readout_rows] @ directions.T, y[readout_rows], settings, rng)
    reports.append(("read-out", readout.kind, len(readout_rows), 1, readout.held_out_error))
    lifted.append(directions)
    first = weak.directions[: settings.n_directions] @ frame.T
    reports.insert(
        0, ("weak recovery", weak.kinds[0], weak.n_rows, len(weak.kinds), float(weak.held_out_errors[0]))
    )
    overlaps = [span_overlap(found, directions) for found in (first, *lifted)]
    stages = tuple(StageReport(*report, overlap) for report, overlap in zip(reports, overlaps, strict=True))
    return ThreeStages(directions, readout, stages)


def read_out(z: Array, y: Array, settings: Settings, rng: np.random.Generator) -> Readout:
    """Stage III as the settings ask for it."""
    return fit_readout(
        z,
        y,
        kind=settings.readout,
        width=settings.width,
        bias_range=1.0 if settings.recipe == "paper" else None,
        degree=settings.degree,
        rng=rng,
    )


def span_overlap(estimate: Array, truth: Array) -> float:
    """Root mean squared cosine between the row spaces of two matrices, relative to the rows of `truth`."""
    squared = np.linalg.norm(orthonormal_rows(estimate) @ truth.T) ** 2
    return float(min(1.0, np.sqrt(squared / len(truth))))


def _segments(n_rows: int, settings: Settings, rng: np.random.Generator) -> tuple[Array, Array, Array, Array]:
    """Rows of the four segments: all rows four times, or disjoint in the strict recipe."""
    everything = np.arange(n_rows)
    if settings.recipe != "paper":
        return everything, everything, everything, everything
    ends = np.cumsum(np.round(np.array(PAPER_SEGMENTS) * n_rows).astype(int))[:-1]
    first, second, third, fourth = np.split(rng.permutation(n_rows), ends)
    return first, second, third, fourth


def _strong(
    X: Array,
    y: Array,
    weak: WeakRecovery,
    settings: Settings,
    weak_rows: Array,
    strong_rows: Array,
    rng: np.random.Generator,
) -> StrongRecovery:
    inputs, labels = X[strong_rows], y[strong_rows]
    if settings.strong == "online":
        return online_sgd(inputs, labels, weak.direction, network=random_network(settings.width, rng))
    if settings.strong == "sgd":
        if settings.recipe == "paper":
            seen = (X[weak_rows], y[weak_rows])
            return profile_sgd(
                inputs, labels, weak.directions[:1], epochs=1, warmup=seen, degree=settings.degree
            )
        return profile_sgd(inputs, labels, weak.directions[:3], degree=settings.degree, rng=rng)
    return profile_newton(
        inputs,
        labels,
        _frames(weak.directions, settings.n_directions),
        n_directions=settings.n_directions,
        degree=settings.degree,
        n_restarts=settings.n_restarts,
        rng=rng,
    )


def _frames(candidates: Array, n_directions: int) -> Array:
    """Candidates as starts: each alone, or each with its next neighbours in the ranking."""
    if n_directions == 1:
        return candidates[:, None, :]
    count = len(candidates)
    if count < n_directions:
        return np.empty((0, n_directions, candidates.shape[1]))
    pairs = [np.roll(np.arange(count), -shift)[:n_directions] for shift in range(count)]
    return orthonormal_rows(candidates[np.array(pairs)])


def _canonical(X: Array, y: Array, directions: Array, degree: int) -> Array:
    """Fix what the labels leave open: signs, and for two directions the rotation in their plane.

    The rotation is the one with the least energy in mixed Hermite terms, so that directions of an additive
    function come out one by one.
    """
    if len(directions) == 2:
        basis = hermite_basis(2, degree)
        angles = np.linspace(0.0, np.pi / 2, 90, endpoint=False)
        turns = np.stack(
            [np.stack([np.cos(angles), np.sin(angles)], -1), np.stack([-np.sin(angles), np.cos(angles)], -1)],
            1,
        )
        mixed = (basis.exponents > 0).all(axis=1)
        fits = fit_links(basis, turns @ (directions @ X.T), y, 1e-2)
        directions = turns[int(np.argmin((fits.coefficients[:, mixed] ** 2).sum(axis=1)))] @ directions
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=1)[:, None], axis=1)
    return directions * np.where(largest < 0, -1.0, 1.0)
