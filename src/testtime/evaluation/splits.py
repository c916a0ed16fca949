"""Which rows are only scored: a share of each class, whole groups, or the latest rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupShuffleSplit

__all__ = ["hold_out", "hold_out_groups", "hold_out_latest"]

_MOST = 5000  # more rows would not sharpen the scores


def hold_out(
    labels: Any, share: float, random_state: int, *, most: int = _MOST
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split rows into those to fit and those to score, with the class shares of the table.

    Parameters
    ----------
    labels
        Class of each row; one class for all rows draws them uniformly.
    share
        Share of rows to hold out; each class keeps at least two rows to fit.
    random_state
        Seed.
    most
        Rows to hold out at most.

    Returns
    -------
    fitted, held_out
        Row numbers in ascending order.

    >>> fitted, held = hold_out(["a"] * 8 + ["b"] * 2, 0.25, 0)
    >>> len(fitted), len(held)
    (8, 2)
    """
    codes = pd.factorize(pd.Series(labels), use_na_sentinel=False)[0]
    counts = np.bincount(codes)
    wanted = min(share, most / max(1, len(codes))) * counts
    quotas = np.floor(wanted).astype(np.int64)
    rest = np.argsort(quotas - wanted, kind="stable")  # the classes that rounding has cut most get one more
    quotas[rest[: round(wanted.sum()) - quotas.sum()]] += 1
    quotas = np.clip(quotas, 0, np.maximum(counts - 2, 0))
    rng = np.random.default_rng(random_state)
    held = [rng.permutation(np.flatnonzero(codes == code))[:quota] for code, quota in enumerate(quotas)]
    chosen = np.sort(np.concatenate(held)) if held else np.zeros(0, dtype=np.int64)
    return np.setdiff1d(np.arange(len(codes)), chosen), chosen


def hold_out_groups(
    groups: NDArray[np.int64], share: float, random_state: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split whole groups: no group has rows on both sides.

    >>> fitted, held = hold_out_groups(np.array([0, 0, 1, 1, 2, 2, 3, 3]), 0.25, 0)
    >>> len(fitted), len(held)
    (6, 2)
    """
    nothing = np.zeros(0, dtype=np.int64)
    if share <= 0 or len(np.unique(groups)) < 2:
        return np.arange(len(groups)), nothing
    split = GroupShuffleSplit(n_splits=1, test_size=share, random_state=random_state)
    fitted, held = next(split.split(groups, groups=groups))
    return np.sort(fitted), np.sort(held)


def hold_out_latest(
    moments: NDArray[np.float64], share: float, *, most: int = _MOST
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split by time: what is scored is later than all that is fitted; rows of one moment stay together.

    >>> hold_out_latest(np.array([3.0, 1.0, 2.0, 2.0]), 0.25)[1].tolist()
    [0]
    """
    wanted = min(round(share * len(moments)), most)
    if wanted < 1:
        return np.arange(len(moments)), np.zeros(0, dtype=np.int64)
    begin = np.sort(moments)[len(moments) - wanted]
    held = np.flatnonzero(moments >= begin)
    if len(held) == len(moments):  # all of one moment: nothing is earlier
        return held, np.zeros(0, dtype=np.int64)
    return np.setdiff1d(np.arange(len(moments)), held), held
