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
from testtime.single_index.readout import Readout, fit_readouts
from testtime.single_index.strong_recovery import (
    StrongRecovery,
    online_sgd,
    polish_many,
    profile_newtons,
    profile_sgd,
    random_network,
)
from testtime.single_index.weak_recovery import KINDS, WeakRecovery, weak_recoveries

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
    width: int = 64
    n_queries: int = 1000
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
        if not (isinstance(self.clip, (int, float, np.number)) and self.clip > 0):
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

    def predict(self, X: Array) -> Array:
        """Predict labels of standardised rows, shape `(n_rows, dim)`."""
        return self.readout(X @ self.directions.T)


def rows_needed(rank: int, n_directions: int, degree: int) -> int:
    """Free parameters of directions and link, plus one: with fewer rows the labels can be fitted without
    error.

    >>> rows_needed(rank=4, n_directions=1, degree=5)
    10
    """
    return n_directions * (rank - n_directions) + len(hermite_basis(n_directions, degree).exponents) + 1


def run_stages(
    X: Array, y: Array, settings: Settings, *, subspace: Array | None = None, seed: int
) -> list[ThreeStages]:
    """Run the stages for several tasks of the same size.

    Every task sees the same random draws, those it would see alone with this `seed`.

    Parameters
    ----------
    X, y
        Standardised rows, shapes `(n_tasks, n_rows, dim)` and `(n_tasks, n_rows)`.
    settings
        Resolved settings.
    subspace
        Orthonormal basis per task, shape `(n_tasks, dim, rank)`; None is the whole space.
    seed
        Seed of everything random.
    """
    n_tasks, n_rows, dim = X.shape
    seeds = np.random.SeedSequence(seed).spawn(4)
    segments = _segments(n_rows, settings, np.random.default_rng(seeds[0]))
    inside = X if subspace is None else X @ subspace
    rank = inside.shape[2]
    weak = weak_recoveries(
        inside[:, segments[0]],
        y[:, segments[0]],
        TILT * np.eye(rank),
        kind=settings.weak,
        n_queries=settings.n_queries,
        clip=settings.clip,
        degree=settings.degree,
        student_rows=(inside[:, segments[1]], y[:, segments[1]]),
        rng=np.random.default_rng(seeds[1]),
    )
    strong = _strong(inside, y, weak, settings, segments, seeds[2])
    lift = np.broadcast_to(np.eye(dim), (n_tasks, dim, dim)) if subspace is None else subspace.swapaxes(1, 2)
    results: dict[int, ThreeStages] = {}
    degrees = np.array([stage.degree for stage in strong])
    for degree in np.unique(degrees):
        group = np.flatnonzero(degrees == degree)
        part = [strong[t] for t in group]
        ends = _finish(X[group], y[group], lift[group], part, int(degree), settings, segments[3], seeds[3])
        for t, (directions, readout, reports) in zip(group, ends, strict=True):
            first = weak[t].directions[: settings.n_directions] @ lift[t]
            report = StageReport(
                "weak recovery",
                weak[t].kinds[0],
                weak[t].n_rows,
                len(weak[t].kinds),
                float(weak[t].held_out_errors[0]),
                span_overlap(first, directions),
            )
            results[int(t)] = ThreeStages(directions, readout, (report, *reports))
    return [results[t] for t in range(n_tasks)]


def _finish(
    X: Array,
    y: Array,
    lift: Array,
    strong: list[StrongRecovery],
    degree: int,
    settings: Settings,
    readout_rows: Array,
    seed: np.random.SeedSequence,
) -> list[tuple[Array, Readout, tuple[StageReport, ...]]]:
    """Polish and read-out of tasks whose links have the same degree, with the reports from stage II on."""
    n_rows, dim = X.shape[1:]
    rank = lift.shape[1]
    found = np.stack([stage.directions for stage in strong]) @ lift
    reached = [found]
    polished = None
    if settings.polish and rank < dim:
        polished = polish_many(X, y, found, degree=degree, rank=rank)
        found = np.stack([stage.directions for stage in polished])
        reached.append(found)
    directions = _canonical(X, y, found, degree)
    readouts = fit_readouts(
        X[:, readout_rows] @ directions.swapaxes(1, 2),
        y[:, readout_rows],
        kind=settings.readout,
        width=settings.width,
        bias_range=1.0 if settings.recipe == "paper" else None,
        degree=degree,
        rng=np.random.default_rng(seed),
    )
    ends = []
    for t, readout in enumerate(readouts):
        stage = strong[t]
        lines = [("strong recovery", settings.strong, stage.n_rows, stage.n_starts, stage.held_out_error)]
        if polished is not None:
            lines.append(("polish", "newton", n_rows, 1, polished[t].held_out_error))
        lines.append(("read-out", readout.kind, len(readout_rows), 1, readout.held_out_error))
        overlaps = [span_overlap(directions_[t], directions[t]) for directions_ in (*reached, directions)]
        reports = tuple(StageReport(*line, overlap) for line, overlap in zip(lines, overlaps, strict=True))
        ends.append((directions[t], readout, reports))
    return ends


def span_overlap(estimate: Array, truth: Array) -> float:
    """Root mean squared cosine between the row spaces of two matrices, relative to the rows of `truth`."""
    squared = np.linalg.norm(orthonormal_rows(estimate) @ truth.T) ** 2
    return float(min(1.0, np.sqrt(squared / len(truth))))


def _segments(n_rows: int, settings: Settings, rng: np.random.Generator) -> list[Array]:
    """Rows of the four segments: all rows four times, or disjoint in the strict recipe."""
    if settings.recipe != "paper":
        return [np.arange(n_rows)] * 4
    ends = np.cumsum(np.round(np.array(PAPER_SEGMENTS) * n_rows).astype(int))[:-1]
    return np.split(rng.permutation(n_rows), ends)


def _strong(
    X: Array,
    y: Array,
    weak: list[WeakRecovery],
    settings: Settings,
    segments: list[Array],
    seed: np.random.SeedSequence,
) -> list[StrongRecovery]:
    inputs, labels = X[:, segments[2]], y[:, segments[2]]
    if settings.strong == "newton":
        return profile_newtons(
            inputs,
            labels,
            np.stack([_frames(stage.directions, settings.n_directions) for stage in weak]),
            degree=settings.degree,
            n_restarts=settings.n_restarts,
            rng=np.random.default_rng(seed),
        )
    found = []
    for t, stage in enumerate(weak):
        rng = np.random.default_rng(seed)
        if settings.strong == "online":
            network = random_network(settings.width, rng)
            result = online_sgd(
                inputs[t], labels[t], stage.direction, network=network, degree=settings.degree
            )
        elif settings.recipe == "paper":
            seen = (X[t, segments[0]], y[t, segments[0]])
            start = stage.directions[:1]
            result = profile_sgd(inputs[t], labels[t], start, epochs=1, warmup=seen, degree=settings.degree)
        else:
            result = profile_sgd(inputs[t], labels[t], stage.directions[:3], degree=settings.degree, rng=rng)
        found.append(result)
    return found


def _frames(candidates: Array, n_directions: int) -> Array:
    """Candidates as starts: each alone, or each with its next neighbours in the ranking."""
    if n_directions == 1:
        return candidates[:, None, :]
    count = len(candidates)
    if count < n_directions:
        return np.empty((0, n_directions, candidates.shape[1]))
    groups = [np.roll(np.arange(count), -shift)[:n_directions] for shift in range(count)]
    return orthonormal_rows(candidates[np.array(groups)])


def _canonical(X: Array, y: Array, directions: Array, degree: int) -> Array:
    """Fix what the labels leave open: signs, and for two directions the rotation in their plane.

    The rotation is the one with the least energy in mixed Hermite terms, so that the directions of an
    additive function come out one by one. `directions` has shape `(n_tasks, n_directions, dim)`.
    """
    if directions.shape[1] == 2:
        basis = hermite_basis(2, degree)
        angle = np.linspace(0.0, np.pi / 2, 90, endpoint=False)
        turns = np.stack([np.cos(angle), np.sin(angle), -np.sin(angle), np.cos(angle)], axis=1).reshape(
            -1, 2, 2
        )
        mixed = (basis.exponents > 0).all(axis=1)
        turned = []
        for rows, labels, plane in zip(X, y, directions, strict=True):
            fits = fit_links(basis, turns @ (plane @ rows.T), labels, 1e-2)
            turned.append(turns[int(np.argmin((fits.coefficients[:, mixed] ** 2).sum(axis=1)))] @ plane)
        directions = np.stack(turned)
    largest = np.take_along_axis(directions, np.abs(directions).argmax(axis=2)[..., None], axis=2)
    return directions * np.where(largest < 0, -1.0, 1.0)
