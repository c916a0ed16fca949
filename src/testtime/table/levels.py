r"""What the levels of nominal columns say about the target, from labelled rows only.

For each nominal column with at least three levels, the mean of the target among the rows of a level, shrunk to the
mean of all rows by the number of rows (credibility, Buhlmann 1967):

.. math:: s_\ell = \frac{n_\ell \bar y_\ell + m\,\bar y}{n_\ell + m}, \qquad m = \frac{\text{variance within levels}}
          {\text{variance between levels}},

both variances estimated from the same rows, so that levels that say nothing are shrunk to nothing. The target is the
indicator of a class, for at most three classes per column (those whose share differs most between levels), or the
number itself. A second column holds the logarithm of one plus the rows of the level. Missing is a level like any
other; a level that is not among the labelled rows gets the mean of all.

The rows the statistics come from must not see themselves: :meth:`LevelStatistics.cross_fitted` gives each row the
statistics of the other folds. scikit-learn's ``TargetEncoder`` does the same; it shrinks each level by its own
variance, which is unknown for a level of two or three rows, and gives a column for every class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from testtime.errors import StoreError, sentence
from testtime.table.columns import Encoded

__all__ = ["LevelStatistics"]

_FEWEST_LEVELS = 3  # the code of one of two levels says all there is to say
_MOST_CLASSES = 3  # columns per nominal column
_FOLDS = 5
_MOST_PRIOR_ROWS = 1e9


@dataclass(frozen=True)
class _Table:
    """The statistics of one nominal column.

    Attributes
    ----------
    column
        Its place in ``Encoded.x``.
    classes
        The classes whose shares it holds, or -1 for the mean of a numeric target.
    values
        One row per level, then unknown and missing: shrunk means, then the logarithm of the count.
    """

    column: int
    classes: tuple[int, ...]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class LevelStatistics:
    """Statistics of the levels of nominal columns; see the module.

    Attributes
    ----------
    n_classes
        Number of classes, 0 for a numeric target.
    tables
        One table per nominal column that has enough levels.
    """

    n_classes: int
    tables: tuple[_Table, ...]

    @property
    def n_columns(self) -> int:
        """Number of columns that are added."""
        return sum(table.values.shape[1] for table in self.tables)

    @classmethod
    def fit(cls, encoded: Encoded, y: NDArray[np.float64], n_classes: int = 0) -> LevelStatistics:
        """Read the statistics off labelled rows.

        Parameters
        ----------
        encoded
            The rows ``(N, D)``.
        y
            Their targets ``(N,)``: classes ``0 ... n_classes - 1``, or finite numbers.
        n_classes
            Number of classes; 0 for a numeric target.
        """
        tables = []
        for column, (kind, levels) in enumerate(zip(encoded.kinds, encoded.n_levels, strict=True)):
            if kind == "nominal" and levels >= _FEWEST_LEVELS:
                codes = _codes(encoded.x[:, column], levels)
                classes = _telling_classes(codes, levels + 2, y, n_classes)
                tables.append(_Table(column, classes, _statistics(codes, levels + 2, y, classes)))
        return cls(n_classes, tuple(tables))

    def transform(self, encoded: Encoded) -> NDArray[np.float64]:
        """Return new rows ``(N, D)`` with the statistics of their levels beside them, ``(N, D + S)``."""
        return np.column_stack(
            [
                encoded.x,
                *(
                    table.values[_codes(encoded.x[:, table.column], len(table.values) - 2)]
                    for table in self.tables
                ),
            ]
        )

    def cross_fitted(self, encoded: Encoded, y: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
        """Return the rows the statistics were fitted on, ``(N, D + S)``, each with statistics of other rows only.

        Parameters
        ----------
        encoded, y
            As for :meth:`fit`.
        seed
            Seed of the folds.
        """
        added = [np.empty((len(y), table.values.shape[1])) for table in self.tables]
        fold = _folds(y, self.n_classes, seed)
        for table, columns in zip(self.tables, added, strict=True):
            codes = _codes(encoded.x[:, table.column], len(table.values) - 2)
            for k in np.unique(fold):
                others, own = fold != k, fold == k
                values = _statistics(codes[others], len(table.values), y[others], table.classes)
                # Counts say nothing about the target; those of all rows are what new rows will see.
                columns[own] = np.column_stack([values[codes[own], :-1], table.values[codes[own], -1:]])
        return np.column_stack([encoded.x, *added])

    def names(self, encoded: Encoded, classes: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Name the columns of :meth:`transform`; `classes` are the labels."""
        added = []
        for table in self.tables:
            name = encoded.names[table.column]
            shares = (f"{name}: {_meaning(label, classes)}" for label in table.classes)
            added += [*shares, f"{name}: rows of the level"]
        return (*encoded.names, *added)

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the tables as flat arrays, for the store."""
        heads = [[table.column, *table.values.shape, *table.classes] for table in self.tables]
        return {
            "levels_head": np.array(
                [self.n_classes, *(number for head in heads for number in head)], dtype=np.float64
            ),
            "levels_values": np.concatenate([table.values.ravel() for table in self.tables] or [np.empty(0)]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float64]]) -> LevelStatistics:
        """Rebuild from :meth:`to_arrays`.

        Raises
        ------
        StoreError
            If the arrays do not fit together.
        """
        head, values = arrays["levels_head"], arrays["levels_values"]
        try:
            return cls._rebuilt([int(number) for number in head], values)
        except (IndexError, ValueError, OverflowError) as error:
            raise StoreError(
                sentence("the saved statistics of levels do not fit together", remedy="Save the model again")
            ) from error

    @classmethod
    def _rebuilt(cls, head: list[int], values: NDArray[np.float64]) -> LevelStatistics:
        n_classes, at, used = head[0], 1, 0
        tables = []
        while at < len(head):
            column, rows, width = head[at : at + 3]
            classes = tuple(head[at + 3 : at + 2 + width])
            known = all(-1 <= label < max(n_classes, 1) for label in classes)
            if (
                column < 0
                or rows < 2
                or not 1 <= width <= 1 + _MOST_CLASSES
                or len(classes) != width - 1
                or not known
            ):
                raise ValueError(head)
            table = values[used : used + rows * width].reshape(rows, width)
            tables.append(_Table(column, classes, table))
            used += rows * width
            at += 2 + width
        if n_classes < 0 or used != len(values) or not np.isfinite(values).all():
            raise ValueError(head)
        return cls(n_classes, tuple(tables))


def _meaning(label: int, classes: tuple[str, ...]) -> str:
    if label < 0:
        return "mean of the target"
    return f"share of {classes[label]!r}" if classes else f"share of class {label}"


def _codes(column: NDArray[np.float64], n_levels: int) -> NDArray[np.int64]:
    """Give missing the place after the unknown level."""
    return np.where(np.isnan(column), n_levels + 1, column).astype(np.int64)


def _targets(y: NDArray[np.float64], classes: tuple[int, ...]) -> NDArray[np.float64]:
    return np.stack(
        [y.astype(np.float64) if label < 0 else (y == label).astype(np.float64) for label in classes]
    )


def _telling_classes(
    codes: NDArray[np.int64], size: int, y: NDArray[np.float64], n_classes: int
) -> tuple[int, ...]:
    """Return the classes whose shares differ most between levels; of two classes, the second says all."""
    if n_classes == 0:
        return (-1,)
    if n_classes <= 2:
        return (n_classes - 1,)
    counts = np.bincount(codes, minlength=size)
    spread = np.empty(n_classes)
    for label in range(n_classes):
        shares = np.bincount(codes, weights=y == label, minlength=size) / np.maximum(counts, 1)
        spread[label] = np.sum(counts * (shares - np.mean(y == label)) ** 2)
    return tuple(sorted(np.argsort(-spread, kind="stable")[:_MOST_CLASSES].tolist()))


def _statistics(
    codes: NDArray[np.int64], size: int, y: NDArray[np.float64], classes: tuple[int, ...]
) -> NDArray[np.float64]:
    """Shrunk means of each level, and the logarithm of one plus its rows, ``(size, len(classes) + 1)``."""
    counts = np.bincount(codes, minlength=size).astype(np.float64)
    columns = []
    for target in _targets(y, classes):
        centre = target.mean()
        # Centred and scaled first, so that the squares of large values neither cancel nor overflow.
        size_of = np.abs(target - centre).max() or 1.0
        scaled = (target - centre) / size_of
        sums = np.bincount(codes, weights=scaled, minlength=size).astype(np.float64)
        prior_rows = _prior_rows(counts, sums, float(np.square(scaled).sum()))
        columns.append(centre + size_of * sums / (counts + prior_rows))
    return np.column_stack([*columns, np.log1p(counts)])


def _prior_rows(counts: NDArray[np.float64], sums: NDArray[np.float64], squares: float) -> float:
    """Rows that the mean of all counts for: variance within levels over variance between them."""
    there = counts > 0
    n, levels = counts.sum(), int(there.sum())
    if levels < 2 or n <= levels:
        return _MOST_PRIOR_ROWS
    between_squares = float(np.sum(sums[there] ** 2 / counts[there]))  # the mean of all is 0
    within = (squares - between_squares) / (n - levels)
    between = (between_squares - (levels - 1) * within) / (n - np.sum(counts**2) / n)
    if between <= 0:
        return _MOST_PRIOR_ROWS
    return float(min(max(within, 0.0) / between, _MOST_PRIOR_ROWS)) + 1e-9  # never 0 / 0


def _folds(y: NDArray[np.float64], n_classes: int, seed: int) -> NDArray[np.int64]:
    """Deal rows to folds so that each has its part of every class, or of small and large numbers."""
    rng = np.random.default_rng(seed)
    tie = rng.permutation(len(y))
    order = np.lexsort((tie, y)) if n_classes else np.lexsort((tie, np.argsort(np.argsort(y)) // _FOLDS))
    fold = np.empty(len(y), dtype=np.int64)
    fold[order] = np.arange(len(y)) % _FOLDS
    return fold
