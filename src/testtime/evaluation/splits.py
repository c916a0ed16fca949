"""Which rows are only scored: a share of each class, whole groups, or the latest rows."""

# pyright: reportAttributeAccessIssue=false
# (the types of pandas leave pandas.util out)

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.estimators.beside import group_codes
from testtime.table.repeats import joined

__all__ = ["copies", "hold_out"]


def hold_out(
    labels: Any,
    share: float,
    random_state: int,
    *,
    groups: Any = None,
    time: NDArray[np.float64] | None = None,
    copies: NDArray[np.int64] | None = None,
    most: int = 5000,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows into those to fit and those to score.

    Parameters
    ----------
    labels
        Class of each row, whose shares both parts have; one class for all rows draws them uniformly.
    share
        Share of rows to hold out; each class keeps at least two rows to fit.
    random_state
        Seed.
    groups
        Group of each row, or None. Groups are held out whole, whatever their classes; a row without one stands alone.
    time
        Position of each row in time, or None. With it, the latest rows are held out, whatever their group.
    copies
        Code of each row, the same for rows that are copies of each other, or None. Copies are on one side, unless
        `time` parts them: what repeats the past may be remembered.
    most
        Rows to hold out at most: more would not sharpen the scores.

    Returns
    -------
    fitted, held_out
        Row numbers in ascending order. Rows that are held out and of a class that no fitted row has are in neither.

    >>> fitted, held = hold_out(["a"] * 8 + ["b"] * 2, 0.25, 0)
    >>> len(fitted), len(held)
    (8, 2)
    >>> hold_out(["a"] * 4, 0.5, 0, time=np.array([3, 1, 2, 4]))[1].tolist()
    [0, 3]
    """
    codes = pd.factorize(pd.Series(labels), use_na_sentinel=False)[0]
    grouped = group_codes(groups, len(codes))
    rng = np.random.default_rng(random_state)
    share = min(share, most / max(1, len(codes)))
    if time is not None:
        chosen = _latest(time, share)
    elif grouped is not None:
        chosen = _whole_groups(grouped if copies is None else joined(grouped, copies), share, rng)
    elif copies is not None:
        _, first, of_row = np.unique(copies, return_index=True, return_inverse=True)
        chosen = np.flatnonzero(np.isin(of_row, _stratified(codes[first], share, rng)))
    else:
        chosen = _stratified(codes, share, rng)
    fitted = np.setdiff1d(np.arange(len(codes)), chosen)
    return fitted, chosen[np.isin(codes[chosen], codes[fitted])]


def copies(frame: pd.DataFrame, labels: Any) -> NDArray[np.int64] | None:
    """Find rows that are equal in every column, and in their label.

    Rows whose columns occur with another label as well coincide in a few coarse columns, and are no copies.

    Parameters
    ----------
    frame
        Features ``(N, D)``.
    labels
        Class or number of each row.

    Returns
    -------
    codes
        The same for rows that are copies of each other, ``(N,)``; None where no row is one.

    >>> copies(pd.DataFrame({"a": [1, 2, 1, 3, 3]}), [0, 0, 0, 0, 1]).tolist()
    [0, 1, 0, 2, 3]
    """
    if not len(frame.columns):
        return None
    try:
        alike = pd.factorize(pd.util.hash_pandas_object(frame, index=False))[0].astype(np.int64)
    except TypeError:  # lists and the like, which a fit refuses by name
        return None
    labels_of = pd.Series(pd.factorize(pd.Series(labels))[0]).groupby(alike).nunique().to_numpy()
    coincide = labels_of[alike] > 1
    found = pd.factorize(np.where(coincide, len(alike) + np.arange(len(alike)), alike))[0].astype(np.int64)
    return found if found.max(initial=-1) < len(found) - 1 else None


def _stratified(codes: NDArray[np.int64], share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    counts = np.bincount(codes)
    wanted = share * counts
    quotas = np.floor(wanted).astype(np.int64)
    rest = np.argsort(quotas - wanted, kind="stable")  # the classes that rounding has cut most get one more
    quotas[rest[: round(wanted.sum()) - quotas.sum()]] += 1
    quotas = np.clip(quotas, 0, np.maximum(counts - 2, 0))
    held = [rng.permutation(np.flatnonzero(codes == code))[:quota] for code, quota in enumerate(quotas)]
    return np.sort(np.concatenate(held)) if held else np.zeros(0, dtype=np.int64)


def _latest(time: NDArray[np.float64], share: float) -> NDArray[np.int64]:
    """Rows later than the others; rows of one moment stay together."""
    n_held = round(share * len(time))
    if not n_held:
        return np.zeros(0, dtype=np.int64)
    last_fitted = np.sort(time)[len(time) - n_held - 1]
    return np.flatnonzero(time > last_fitted)


def _whole_groups(codes: NDArray[np.int64], share: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Groups in random order, as many as fit in the share."""
    sizes = np.bincount(codes)
    order = rng.permutation(len(sizes))
    held = order[np.cumsum(sizes[order]) <= round(share * len(codes))]
    return np.flatnonzero(np.isin(codes, held))
