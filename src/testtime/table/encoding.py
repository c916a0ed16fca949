"""From a frame to the numbers a model is shown: columns, and what their levels say about the target."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.backbones.base import Encoded
from testtime.table.columns import TableColumns
from testtime.table.levels import LevelStatistics

__all__ = ["TableEncoding", "encode_fold", "with_statistics"]


@dataclass(frozen=True)
class TableEncoding:
    """The fitted encoding of a table.

    Attributes
    ----------
    columns
        Kinds, levels and parsing rules of the columns.
    levels
        Statistics of nominal levels, of all rows of the fit.
    """

    columns: TableColumns
    levels: LevelStatistics

    def transform(self, frame: pd.DataFrame) -> NDArray[np.float64]:
        """Encode new rows, ``(q, D + S)``."""
        return self.levels.transform(self.columns.transform(frame))


def with_statistics(encoded: Encoded, x: NDArray[np.float64]) -> Encoded:
    """Return `x`, the columns of `encoded` and the statistics beside them, with names and kinds."""
    extra = x.shape[1] - len(encoded.names)
    return Encoded(
        x,
        (*encoded.names, *(f"statistic {i}" for i in range(extra))),
        (*encoded.kinds, *["number"] * extra),
        (*encoded.n_levels, *[0] * extra),
    )


def encode_fold(
    encoded: Encoded, y: NDArray, n_classes: int, fold: NDArray[np.int64], seed: np.random.SeedSequence
) -> NDArray[np.float64]:
    """Encode all rows so that nothing of the fold's targets is in any of them, ``(N, D + S)``.

    Rows outside the fold get statistics of other rows outside it, rows of the fold those of all rows outside it.
    """
    outside = np.setdiff1d(np.arange(len(y)), fold)
    own = replace(encoded, x=encoded.x[outside])
    levels = LevelStatistics.fit(own, y[outside], n_classes)
    crossed = levels.cross_fitted(own, y[outside], int(seed.generate_state(1)[0]))
    x = np.empty((len(y), crossed.shape[1]))
    x[outside] = crossed
    x[fold] = levels.transform(replace(encoded, x=encoded.x[fold]))
    return x
