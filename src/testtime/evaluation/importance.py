"""How much worse predictions become when the values of one column are dealt anew among the rows."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.evaluation.influence import mean
from testtime.results import Result

__all__ = ["Importance", "column_importances"]


@dataclass(frozen=True)
class Importance(Result):
    """What one column is worth.

    Attributes
    ----------
    column
        Its name.
    increase, error
        Mean increase of the loss when its values are permuted, and the standard error over the rows.
    """

    column: str
    increase: float
    error: float


def column_importances(
    row_losses: Callable[[pd.DataFrame], NDArray[np.float64]],
    frame: pd.DataFrame,
    columns: Sequence[Hashable],
    *,
    repeats: int,
    seed: int,
    groups: NDArray[np.int64] | None = None,
) -> Iterator[Importance]:
    """Yield the importance of each column.

    :func:`sklearn.inspection.permutation_importance` gives the spread over permutations of the same rows. What a reader
    takes for the error is the spread over rows, which is larger: so losses are kept row by row here.

    Parameters
    ----------
    row_losses
        Loss of each row of a frame like `frame`.
    columns
        Names of the columns to permute.
    repeats
        Permutations of each column, averaged.
    """
    before = row_losses(frame)
    rng = np.random.default_rng(seed)
    for name in columns:
        worse = np.zeros(len(frame))
        for _ in range(repeats):
            order = rng.permutation(len(frame))
            shuffled = frame.copy(deep=False)  # not assign: a column may be called "self"
            shuffled[name] = frame[name].iloc[order].set_axis(frame.index)
            worse += row_losses(shuffled) - before
        increase = mean(worse / repeats)
        yield Importance(str(name), increase.value, increase.error(groups))
