"""Should an episode have the very context that will be served? Short contexts of 128 rows, development tables.

    python -m benchmarks.served_context [--seeds 2] [--jobs 2] [--out benchmarks/results/served_context.json]

Shares of the episodes that have it: none (each draws its context), half (what ``fit`` does) and all. Losses of what is
served are compared with the frozen model's from the same 128 rows: the log loss of the first eight development tables
of classes (one draw), the CRPS of the five of numbers (``--seeds`` draws, from seed 1 on). Cells that are stored are
kept.
"""

from __future__ import annotations

import argparse
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import joblib
import numpy as np

from benchmarks.tables import DEVELOPMENT, DEVELOPMENT_NUMBERS
from benchmarks.tabular import Draw, adapted

N_SERVED, N_TABLES = 128, 8
SHARES = {"none": 0.0, "every other": 0.5, "all": 1.0}
_LEVELS = np.arange(1, 100) / 100


def crps(draw: Draw) -> dict[str, float]:
    """CRPS of a regressor as served and frozen, with the same short context."""
    from testtime import TTTRegressor
    from testtime.adapt.task import Numbers

    model = TTTRegressor(n_context=N_SERVED, random_state=draw.seed, precision="float32").fit(draw.X, draw.y)
    answers = {
        "served": model.predict_quantiles(draw.X_test, _LEVELS),
        "frozen": model.predict_quantiles_at(draw.X_test, N_SERVED, _LEVELS, adapted=False),
    }
    return {name: float(Numbers().score(own, draw.y_test).mean()) for name, own in answers.items()}


def log_losses(draw: Draw) -> dict[str, float]:
    """Log loss of a classifier as served and frozen, with the same short context."""
    found = adapted(draw, n_context=N_SERVED)
    return {name: found[name]["log_loss"] for name in ("served", "frozen")}


def measure(kind: str, name: str, seed: int, share: str) -> dict[str, Any]:
    """One fit."""
    import torch

    from testtime.backbones.embedded import load_embedded

    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    backbone = load_embedded("classifier" if kind == "classes" else "regressor")
    recipe = backbone.recipe
    try:
        backbone.recipe = replace(recipe, served_share=SHARES[share])
        losses = (log_losses if kind == "classes" else crps)(Draw.of(name, seed))
    finally:
        backbone.recipe = recipe
    return {"kind": kind, "table": name, "seed": seed, "share": share, **losses}


def summarise(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Relative differences to the frozen model, by kind of target and share."""
    summary: dict[str, Any] = {}
    for kind in ("classes", "numbers"):
        draws = sorted({(cell["table"], cell["seed"]) for cell in cells if cell["kind"] == kind})
        changes = {
            share: {
                (c["table"], c["seed"]): c["served"] / c["frozen"] - 1.0 for c in cells if c["share"] == share
            }
            for share in SHARES
        }
        draws = [draw for draw in draws if all(draw in own for own in changes.values())]
        for share, own in changes.items() if draws else ():
            values = np.array([own[draw] for draw in draws])
            best = [own[draw] == min(other[draw] for other in changes.values()) for draw in draws]
            summary.setdefault(kind, {})[share] = {
                "draws": len(draws),
                "mean": float(values.mean()),
                "worst": float(values.max()),
                "best of the three on": float(np.mean(best)),
            }
    return summary


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=2, help="draws of each table of numbers")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/served_context.json"))
    options = parser.parse_args()
    jobs = [("classes", name, 0, share) for name in DEVELOPMENT[:N_TABLES] for share in SHARES]
    jobs += [
        ("numbers", name, seed, share)
        for seed in range(1, options.seeds + 1)
        for name in DEVELOPMENT_NUMBERS
        for share in SHARES
    ]
    cells = json.loads(options.out.read_text())["cells"] if options.out.exists() else []
    known = {(cell["kind"], cell["table"], cell["seed"], cell["share"]) for cell in cells}
    missing = [job for job in jobs if job not in known]
    workers = joblib.Parallel(n_jobs=options.jobs, return_as="generator_unordered")
    for cell in workers(joblib.delayed(measure)(*job) for job in missing):
        cells.append(cell)
        print(cell, flush=True)
        content = {"n_context": N_SERVED, "summary": summarise(cells), "cells": cells}
        options.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
