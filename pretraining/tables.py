"""Real classification tables for the evaluation: which ones, how encoded, how split.

Choices (prior, schedule, which weights to ship) may look at ``DEVELOPMENT`` tables and at synthetic
validation loss. ``REPORTED`` tables are only ever measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from testtime.errors import InputError, sentence
from testtime.tasks.tables import load_table

from .class_tables import CLASS_TARGETS, N_DEVELOPMENT
from .packages import read_source

DEVELOPMENT = (
    "sklearn:breast_cancer",
    "sklearn:wine",
    "keel:german",
    "keel:pima",
    "keel:segment",
    "keel:tic-tac-toe",
    "keel:vehicle",
    *tuple(CLASS_TARGETS)[:N_DEVELOPMENT],
)
"""Tables that choices may look at."""

REPORTED = (
    "adult",
    "sklearn:digits",
    "keel:banana",
    "keel:chess",
    "keel:contraceptive",
    "keel:imbalanced/page-blocks0",
    "keel:magic",
    "keel:marketing",
    "keel:mushroom",
    "keel:optdigits",
    "keel:penbased",
    "keel:phoneme",
    "keel:ring",
    "keel:satimage",
    "keel:spambase",
    "keel:splice",
    "keel:titanic",
    "keel:twonorm",
    *tuple(CLASS_TARGETS)[N_DEVELOPMENT:],
)
"""Tables that are only measured. Of the packaged ones every table at hand with at least 1,250 rows and at most 10
classes that is no development table (penbased stands for its shorter copy pendigits, and one of the imbalanced
variants for all)."""


@dataclass(frozen=True)
class RealTable:
    """A table as numbers.

    Attributes
    ----------
    name : str
    x : ndarray of shape (rows, columns), float32
        Categories as ordinal codes in sorted order, missing as NaN.
    y : ndarray of shape (rows,), int64 or float64
        Class codes, or numeric targets.
    categorical : ndarray of shape (columns,), bool
    """

    name: str
    x: np.ndarray
    y: np.ndarray
    categorical: np.ndarray


def read_table(name: str) -> RealTable:
    """Load and encode one classification table; rows without a class are dropped."""
    if name in CLASS_TARGETS:
        chosen, frame = CLASS_TARGETS[name], read_source(name)
        frame = frame[frame[chosen.column].notna()]
        features, target = frame.drop(columns=[chosen.column, *chosen.drop]), frame[chosen.column]
    else:
        table = load_table(name)
        features, target = table.X, table.target
    x, categorical = encode(features)
    y = np.unique(target.astype(str).to_numpy(), return_inverse=True)[1].astype(np.int64)
    return RealTable(name, x, y, categorical)


def encode(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Columns as numbers, text as ordinal codes, missing as NaN; constant and empty columns are dropped.

    Returns
    -------
    x : ndarray of shape (rows, columns), float32
    categorical : ndarray of shape (columns,), bool
        Which columns hold codes.
    """
    columns, categorical = [], []
    for name in frame.columns:
        values = frame[name]
        is_category = not pd.api.types.is_numeric_dtype(values.dtype)
        if is_category:
            codes = values.astype("category").cat.codes.to_numpy(np.float32)
            numbers = np.where(codes < 0, np.nan, codes)
        else:
            numbers = values.to_numpy(np.float64, na_value=np.nan)
        present = numbers[~np.isnan(numbers)]
        if len(present) and present.max() > present.min():
            columns.append(numbers.astype(np.float32))
            categorical.append(is_category)
    return np.stack(columns, axis=1), np.array(categorical)


def usable_sizes(y: np.ndarray, sizes: Sequence[int]) -> list[int]:
    """The training sizes that can hold every class and leave 100 rows for the test."""
    fewest = 1 if np.issubdtype(y.dtype, np.floating) else len(np.unique(y))
    return [n for n in sizes if fewest <= n <= len(y) - 100]


def split(
    y: np.ndarray, sizes: list[int], n_test: int, seed: int
) -> tuple[dict[int, np.ndarray], np.ndarray]:
    """Nested training sets and one test set.

    Every training set holds at least one row of every class; the test rows are the same for every size.

    Parameters
    ----------
    y : ndarray
        Class codes (integers), or numeric targets (floating).
    sizes : list of int
        Training sizes; those that leave fewer than 100 test rows are dropped.
    n_test : int
        Most test rows.
    seed : int
        Of the shuffle.

    Returns
    -------
    train : dict of int to ndarray
        Row numbers by size.
    test : ndarray
        Row numbers.

    Raises
    ------
    InputError
        If no size is left.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    if not np.issubdtype(y.dtype, np.floating):
        first = np.array([np.flatnonzero(y[order] == c)[0] for c in np.unique(y)])
        order = np.concatenate([order[np.sort(first)], np.delete(order, first)])
    usable = usable_sizes(y, sizes)
    if not usable:
        raise InputError(
            sentence(
                f"sizes {list(sizes)} of a table with {len(y):,} rows",
                expected=f"a size of at most {len(y) - 100}, with a row of every class",
                why="every class must be in the training rows, and 100 rows must be left for the test",
                remedy="Pass other --sizes",
            )
        )
    largest = max(usable)
    test = order[largest : largest + n_test]
    return {n: order[:n] for n in usable}, test
