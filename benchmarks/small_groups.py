"""What adapting brings to groups of a few hundred rows: real tables cut to that size, together and each by itself.

    python -m benchmarks.small_groups [--rows 400] [--seeds 1] [--development] [--out FILE]

Every table is one group: a draw of ``--rows`` training rows, and up to 1,000 test rows. Log loss on the test rows, as
served against the same fit without its adapters: the frozen model with the same context in the same eight views, which
is what a group has without training. Processor seconds of ``fit``. ``by itself`` is what `testtime adapt --by COL`
does, ``together`` what its option `--together` does, one group at a time. A run that is stopped keeps the tables it
has done.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import DEVELOPMENT, REPORTED
from benchmarks.tabular import Draw
from testtime import TTTClassifier
from testtime.estimators.together import fit_together
from testtime.scale.groups.adapt import LIGHT
from testtime.table.tail_episodes import TailRecipe

TOGETHER = {"together": TailRecipe(), "together, weight without a bound": TailRecipe(doubt=None)}
ALONE = {"by itself, 4 adapters, 5 steps": LIGHT}


def measure(draw: Draw) -> dict[str, Any]:
    """Log losses and processor seconds of every way."""
    found: dict[str, Any] = {}
    for way in (*ALONE, *TOGETHER):
        began = time.process_time()
        model = TTTClassifier(random_state=draw.seed, precision="float32", **ALONE.get(way, {}))
        if way in TOGETHER:
            (error,) = fit_together([model], [(draw.X, draw.y)], TOGETHER[way])
            if error is not None:
                raise error
        else:
            model.fit(draw.X, draw.y)
        seconds = time.process_time() - began
        record = model.adaptation_
        frozen = model.predict_proba_at(draw.X_test, record.n_context, adapted=False)
        found[way] = {
            "log_loss": draw.scores(model.classes_, model.predict_proba(draw.X_test))["log_loss"],
            "frozen": draw.scores(model.classes_, frozen)["log_loss"],
            "cpu_seconds": seconds,
            "weight": record.weight,
            "adapter_bytes": record.adapter_bytes,
        }
    return found


def summary(cells: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Relative differences of log loss against the frozen model, by way."""
    told = {}
    for way in (*ALONE, *TOGETHER):
        own = np.array([cell[way]["log_loss"] / cell[way]["frozen"] - 1.0 for cell in cells])
        told[way] = {
            "mean": float(own.mean()),
            "standard error": float(own.std(ddof=1) / np.sqrt(len(own))),
            "median": float(np.median(own)),
            "lower": float((own < 0).mean()),
            "lower by 1%": float((own < -0.01).mean()),
            "higher by 1%": float((own > 0.01).mean()),
            "worst": float(own.max()),
            "processor seconds": float(np.median([cell[way]["cpu_seconds"] for cell in cells])),
            "bytes": float(np.median([cell[way]["adapter_bytes"] for cell in cells])),
        }
    return told


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--development", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/small_groups.json"))
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    cells = []
    for name in DEVELOPMENT if given.development else REPORTED:
        for seed in range(given.seeds):
            cells.append({"table": name, "seed": seed, **measure(Draw.of(name, seed, given.rows))})
            content = {
                "rows": given.rows,
                "summary": summary(cells) if len(cells) > 1 else {},
                "cells": cells,
            }
            given.out.write_text(json.dumps(content, indent=1) + "\n")
    for way, told in summary(cells).items():
        print(way, {name: round(value, 4) for name, value in told.items()})


if __name__ == "__main__":
    main()
