"""From raw rows to what the stages expect: checks, winsorising, standardising, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from testtime.errors import InputError, sentence
from testtime.single_index.hermite_ridge import fit_links, held_out_rows, hermite_basis
from testtime.single_index.pipeline import PAPER_SEGMENTS, Settings, ThreeStages, rows_needed, run_stages
from testtime.tasks.single_index import check_orthonormal

__all__ = ["Prepared", "Scaling", "checked_subspace", "prepare", "run_prepared"]

Array = np.ndarray

ORTHONORMAL_TOLERANCE = 1e-6
"""Largest entry of the Gram matrix of a subspace basis minus the identity."""

TAIL_TRIGGER, TAIL_LIMIT = 50.0, 20.0
"""Labels are winsorised at `TAIL_LIMIT` robust deviations when one lies beyond `TAIL_TRIGGER`. Cubic and
quartic links of
Gaussian inputs stay below the trigger up to thousands of rows; a label with infinite variance does not."""

ROBUST_ROUNDS, RESIDUAL_LIMIT = 4, 4.0
"""In these further rounds residuals beyond `RESIDUAL_LIMIT` robust deviations are pulled in."""

UNEXPLAINED = 0.5
"""Far labels count as signal when leaving one out leaves less than this share of their power unexplained."""


@dataclass(frozen=True, eq=False)
class Scaling:
    """Means and scales of the columns and of the labels."""

    mean: Array
    scale: Array
    label_mean: float
    label_scale: float

    def to_raw(self, directions: Array) -> tuple[Array, Array, Array]:
        """Express directions found on standardised rows in the units of the raw rows.

        Returns
        -------
        tuple
            Orthonormal raw directions D, a matrix M and a shift s such that the standardised projections are
            ``(x @ D.T) @ M.T - s``.
        """
        raw = directions / self.scale
        q, r = np.linalg.qr(raw.T)
        sign = np.where(np.diag(r) < 0, -1.0, 1.0)
        return (q * sign).T, (sign[:, None] * r).T, raw @ self.mean


@dataclass(frozen=True, eq=False)
class Prepared:
    """Standardised rows, the subspace in their coordinates, and what the user should be told.

    Labels that were winsorised come with `raw_y`, all of them in the same standard units, and `kept`, the same
    rows prepared as if no label had been pulled in; both are None when none was.
    """

    X: Array
    y: Array
    subspace: Array | None
    scaling: Scaling
    n_winsorized: int
    warnings: tuple[str, ...]
    raw_y: Array | None = None
    kept: Prepared | None = None


def checked_subspace(subspace: Any, dim: int, n_directions: int) -> Array | None:
    """Check the basis of a pretrained subspace against the number of columns.

    Raises
    ------
    InputError
        If it is not a finite matrix with `dim` rows and at most as many columns, is not orthonormal, or has
        fewer columns than directions are asked for.
    """
    if subspace is None:
        if n_directions > dim:
            raise InputError(
                sentence(
                    f"n_directions={n_directions} with {dim} columns", expected=f"at most {dim} directions"
                )
            )
        return None
    try:
        basis = np.asarray(subspace, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(
            sentence(f"subspace of type {type(subspace).__name__}", expected="a matrix of numbers")
        ) from error
    if basis.ndim != 2 or basis.shape[0] != dim or not 1 <= basis.shape[1] <= dim:
        raise InputError(
            sentence(
                f"subspace of shape {basis.shape} for X with {dim} columns",
                expected=f"({dim}, rank) with 1 <= rank <= {dim}",
                why="its columns are directions in the space of the inputs",
                remedy="Transpose it if the directions are its rows.",
            )
        )
    check_orthonormal(basis, ORTHONORMAL_TOLERANCE)
    if n_directions > basis.shape[1]:
        raise InputError(
            sentence(
                f"n_directions={n_directions} in a subspace of dimension {basis.shape[1]}",
                expected=f"at most {basis.shape[1]}",
                why="the directions are orthonormal inside the subspace",
            )
        )
    return basis


def prepare(X: Array, y: Array, subspace: Array | None, settings: Settings) -> Prepared:
    """Check the rows, winsorise and standardise.

    Parameters
    ----------
    X, y
        Finite rows, shapes `(n_rows, dim)` and `(n_rows,)`.
    subspace
        Checked basis in raw coordinates, or None.
    settings
        Resolved settings.

    Raises
    ------
    InputError
        If all labels are equal or there are too few rows.
    """
    n_rows, dim = X.shape
    rank = dim if subspace is None else subspace.shape[1]
    needed = _check_rows(n_rows, rank, settings)
    messages = []
    if n_rows < 2 * needed:
        messages.append(
            f"{n_rows} rows for {needed} free parameters of direction and link: "
            f"the direction is uncertain below about {2 * needed} rows."
        )
    raw = y
    y, n_winsorized, limit = _winsorise(y)
    tails = f"heavy-tailed labels: {n_winsorized} of {n_rows} lay more than {TAIL_LIMIT:.0f} robust standard "
    tails += "deviations from the median and were "
    pulled = [*messages]
    if n_winsorized:
        pulled.append(
            f"{tails}pulled in to {limit[0]:.4g} or {limit[1]:.4g}. "
            "Transform y (for example its logarithm or rank) if they carry signal."
        )
        messages.append(
            f"{tails}kept: the link found without them predicts them. Their errors dominate the fit."
        )
    label_mean, label_scale = float(y.mean()), float(_deviation(y))
    if label_scale <= 1e-12 * abs(label_mean):
        raise InputError(
            sentence(
                f"all {n_rows} labels are {label_mean:.6g}",
                expected="labels that vary",
                why="a constant label has no direction",
            )
        )
    mean, scale = X.mean(axis=0), _deviation(X)
    # a constant column is left as it is
    scale = np.where(scale > 1e-12 * np.abs(mean), scale, 1.0)
    basis = None
    if subspace is not None:  # <b, x> = <scale * b, standardised x> + constant
        basis = np.linalg.qr(scale[:, None] * subspace)[0]
    standard = (X - mean) / scale
    kept, raw_y = None, None
    if n_winsorized:
        raw_y = (raw - label_mean) / label_scale
        raw_scaling = Scaling(mean, scale, float(raw.mean()), float(_deviation(raw)))
        labels = (raw - raw_scaling.label_mean) / raw_scaling.label_scale
        kept = Prepared(standard, labels, basis, raw_scaling, 0, tuple(messages))
    scaling = Scaling(mean, scale, label_mean, label_scale)
    labels = (y - label_mean) / label_scale
    return Prepared(standard, labels, basis, scaling, n_winsorized, tuple(pulled), raw_y, kept)


def run_prepared(
    prepared: list[Prepared], settings: Settings, seed: int
) -> list[tuple[Prepared, ThreeStages]]:
    """Run the stages on prepared tasks of the same size; each result comes with the preparation it is for.

    Winsorised labels can still outweigh the rest in a least-squares fit. Tasks that have some are fitted
    again from labels cut off close to the rest, then with labels replaced by fitted value plus clipped
    residual (Huber's pseudo-values): a label that the link explains stays, one that it does not loses its
    weight. The result replaces the first fit if its median absolute residual is lower. If far labels can be
    predicted along the direction found so, they are signal, and the task is fitted with all labels as they are.
    """
    X, y = np.stack([item.X for item in prepared]), np.stack([item.y for item in prepared])
    bases = [item.subspace for item in prepared if item.subspace is not None]
    subspace = np.stack(bases) if bases else None
    found = run_stages(X, y, settings, subspace=subspace, seed=seed)
    ends = []
    for t, (item, result) in enumerate(zip(prepared, found, strict=True)):
        basis = None if subspace is None else subspace[[t]]
        ends.append((item, result if item.kept is None else _robust(item, result, settings, basis, seed)))
        if item.kept is not None and _tails_are_signal(item, ends[t][1].directions, settings.degree):
            again = run_stages(item.X[None], item.kept.y[None], settings, subspace=basis, seed=seed)[0]
            ends[t] = item.kept, again
    return ends


def _robust(
    item: Prepared, first: ThreeStages, settings: Settings, basis: Array | None, seed: int
) -> ThreeStages:
    """Refit with Huber's pseudo-values and keep the fit with the lowest median absolute residual."""
    found, best = first, _median_residual(first, item)
    fitted = np.full(len(item.y), np.median(item.y))
    for _ in range(ROBUST_ROUNDS):
        residual = item.y - fitted
        limit = RESIDUAL_LIMIT * 1.4826 * float(np.median(np.abs(residual)))
        labels = fitted + np.clip(residual, -limit, limit)
        again = run_stages(item.X[None], labels[None], settings, subspace=basis, seed=seed)[0]
        fitted = again.predict(item.X)
        if _median_residual(again, item) < best:
            found, best = again, _median_residual(again, item)
    return found


def _tails_are_signal(item: Prepared, directions: Array, degree: int) -> bool:
    """Whether a Hermite link of all other labels predicts most of what the far ones are.

    The directions come from labels without their tails, so a far label that is noise cannot have turned them.
    """
    if item.raw_y is None:
        return False
    far = item.raw_y != item.y
    fit = fit_links(hermite_basis(len(directions), degree), directions @ item.X.T, item.raw_y, 1e-2)
    errors = held_out_rows(fit, np.inf)
    power = (item.raw_y - np.median(item.raw_y)) ** 2
    return bool(errors[far].sum() < UNEXPLAINED * power[far].sum())


def _deviation(values: Array) -> Array:
    """Standard deviation along the first axis; units so small or large that squares leave the range do no harm."""
    centred = values - values.mean(axis=0)
    size = np.abs(centred).max(axis=0)
    return size * (centred / np.where(size > 0, size, 1.0)).std(axis=0)


def _median_residual(found: ThreeStages, item: Prepared) -> float:
    return float(np.median(np.abs(item.y - found.predict(item.X))))


def _check_rows(n_rows: int, rank: int, settings: Settings) -> int:
    """Refuse fewer rows than free parameters (in each of the four segments of the paper's recipe)."""
    needed = rows_needed(rank, settings.n_directions, settings.degree)
    why = (
        f"directions ({settings.n_directions}, in {rank} dimensions) and a link of degree "
        f"{settings.degree} have {needed - 1} free parameters"
    )
    if settings.recipe == "paper":
        why += ", and each segment must outnumber them"
        needed = int(np.ceil(needed / PAPER_SEGMENTS[3]))
    if n_rows < needed:
        rows = "1 row (1 sample)" if n_rows == 1 else f"{n_rows} rows"
        raise InputError(
            sentence(
                rows,
                expected=f"at least {needed}",
                why=why,
                remedy="Pass more rows, a lower degree, or a pretrained subspace of fewer dimensions.",
            )
        )
    return needed


def _winsorise(y: Array) -> tuple[Array, int, tuple[float, float]]:
    """Pull in far outliers, measured in normal-consistent median (if that is 0, mean) absolute deviations."""
    median = float(np.median(y))
    deviation = np.abs(y - median)
    spread = 1.4826 * float(np.median(deviation))
    if spread == 0.0:
        spread = 1.2533 * float(deviation.mean())
    if spread == 0.0 or float(deviation.max()) <= TAIL_TRIGGER * spread:
        return y, 0, (median, median)
    low, high = median - TAIL_LIMIT * spread, median + TAIL_LIMIT * spread
    return np.clip(y, low, high), int(np.sum((y < low) | (y > high))), (low, high)
