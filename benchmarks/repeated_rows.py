"""Rows that repeat each other: is what is served ever worse than the frozen model on fresh rows?

    python -m benchmarks.repeated_rows [--draws 10] [--out benchmarks/results/repeated_rows.json]

Four kinds of tables, each of which makes a careless split believe in what it has memorised: rows five times over with
random labels; near copies with random labels; groups of rows with one random label for each group (``groups=`` is
passed); and the rarer class of a real signal drawn with replacement until the classes are equal. Each fit (four
adapters, twelve steps) is compared with the frozen model of the same context on 1,000 fresh rows. Worse means: by more
than two standard errors of the paired difference of the log loss.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime import TTTClassifier

N_ROWS, N_COLUMNS, N_FRESH = 80, 4, 1_000
Made = tuple[NDArray, NDArray, NDArray | None, NDArray, NDArray]


def _fresh(rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    return rng.normal(size=(N_FRESH, N_COLUMNS)), rng.integers(2, size=N_FRESH)


def copies(rng: np.random.Generator) -> Made:
    """Each row five times, random labels."""
    x, y = rng.normal(size=(N_ROWS, N_COLUMNS)), rng.integers(2, size=N_ROWS)
    return np.repeat(x, 5, axis=0), np.repeat(y, 5), None, *_fresh(rng)


def near_copies(rng: np.random.Generator) -> Made:
    """Each row five times with a little noise, random labels."""
    x, y, _, *fresh = copies(rng)
    return x + 1e-4 * rng.normal(size=x.shape), y, None, *fresh


def grouped(rng: np.random.Generator) -> Made:
    """Groups of five rows around a centre, one random label for each group."""
    centres, y = rng.normal(size=(N_ROWS, N_COLUMNS)), rng.integers(2, size=N_ROWS)
    x = np.repeat(centres, 5, axis=0) + 0.3 * rng.normal(size=(5 * N_ROWS, N_COLUMNS))
    return x, np.repeat(y, 5), np.repeat(np.arange(N_ROWS), 5), *_fresh(rng)


def oversampled(rng: np.random.Generator) -> Made:
    """A weak signal, one class in ten, drawn with replacement until the classes are equal."""

    def draw(n: int) -> tuple[NDArray, NDArray]:
        x = rng.normal(size=(n, N_COLUMNS))
        return x, (rng.random(n) < 0.1 * np.exp(0.5 * x[:, 0] - 0.125)).astype(int)

    x, y = draw(4 * N_ROWS)
    rare = np.flatnonzero(y)
    rows = np.concatenate([np.arange(len(y)), rng.choice(rare, size=len(y) - 2 * len(rare))])
    return x[rows], y[rows], None, *draw(N_FRESH)


KINDS: dict[str, Callable[[np.random.Generator], Made]] = {
    "copies": copies,
    "near copies": near_copies,
    "groups": grouped,
    "oversampled": oversampled,
}


def measure(kind: str, draw: int) -> dict[str, Any]:
    """Fit once; the paired difference of the loss on fresh rows, and its standard error."""
    x, y, groups, fresh, truth = KINDS[kind](np.random.default_rng([draw, len(kind)]))
    model = TTTClassifier(n_members=4, n_steps=12, random_state=draw, precision="float32").fit(
        x, y, groups=groups
    )
    n_context = model.adaptation_.n_context
    rows = np.arange(N_FRESH)
    served = -np.log(np.maximum(model.predict_proba(fresh)[rows, truth], 1e-15))
    frozen = -np.log(np.maximum(model.predict_proba_at(fresh, n_context, adapted=False)[rows, truth], 1e-15))
    difference = served - frozen
    error = float(difference.std(ddof=1) / np.sqrt(N_FRESH))
    return {
        "kind": kind,
        "draw": draw,
        "weight": model.adaptation_.weight,
        "difference": float(difference.mean()),
        "standard error": error,
        "worse": bool(difference.mean() > 2 * error > 0),
    }


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/repeated_rows.json"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cells = []
    for kind in KINDS:
        own = [measure(kind, draw) for draw in range(options.draws)]
        cells += own
        served, worse = (sum(map(bool, (c[key] for c in own))) for key in ("weight", "worse"))
        mean = np.mean([cell["difference"] for cell in own])
        print(
            f"{kind}: {len(own)} fits, adapters served in {served}, worse than frozen by two standard errors in "
            f"{worse}, mean difference {mean:+.4f}",
            flush=True,
        )
    options.out.write_text(json.dumps({"cells": cells}, indent=1) + "\n")


if __name__ == "__main__":
    main()
