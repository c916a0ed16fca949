"""Which rows should stay when the context is short? Four rules on the development tables, frozen model, 128 rows.

    python -m benchmarks.context_rows [--rows 128] [--seeds 2] [--out benchmarks/results/context_rows.json]

``stratified``: a random draw with each class in its share, what ``fit`` does. ``coverage``: within each class, in its
share, rows far from those that were taken (k-means++ seeding on the scaled columns). ``influence``: of eight stratified
draws the one with the lowest loss of the frozen model, in one view, on 512 of the training rows outside it. Each is
scored on test rows with the mean of eight views.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.tables import DEVELOPMENT
from benchmarks.tabular import Draw
from testtime import TTTClassifier
from testtime.adapt.episodes import stratified_order
from testtime.adapt.learner import FROZEN
from testtime.table.adapted import AdaptedTable
from testtime.table.coverage import coverage_order
from testtime.table.outside import answer_rows

N_DRAWS, N_ASKED = 8, 512
Rule = Callable[[AdaptedTable, int, np.random.Generator], NDArray[np.int64]]


def stratified(table: AdaptedTable, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """A random draw with each class in its share."""
    return stratified_order(table.y, len(table.y), rng)[:n]


def coverage(table: AdaptedTable, n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of each class that are far from each other."""
    order = stratified_order(table.y, len(table.y), rng)
    return coverage_order(order, table.x, table.y, n, rng)[:n]


def influence(
    table: AdaptedTable, n: int, rng: np.random.Generator, rule: Rule = stratified
) -> NDArray[np.int64]:
    """The draw from which the frozen model predicts other training rows best."""
    import torch

    learner = table.backbone.learner(table.task, table.device, torch.float32)
    draws, losses = [], []
    for _ in range(N_DRAWS):
        rows = rule(table, n, rng)
        asked = rng.permutation(np.setdiff1d(np.arange(len(table.y)), rows))[:N_ASKED]
        answer = answer_rows(learner, FROZEN, table.views[0], (table.x[rows], table.y[rows]), table.x[asked])
        draws.append(rows)
        losses.append(table.task.score(answer, table.y[asked]).mean())
    return draws[int(np.argmin(losses))]


RULES: dict[str, Rule] = {
    "stratified": stratified,
    "coverage": coverage,
    "influence": influence,
    "both": lambda table, n, rng: influence(table, n, rng, coverage),
}


def measure(name: str, seed: int, n: int) -> dict:
    """Scores and seconds of each rule on one draw of a table."""
    draw = Draw.of(name, seed)
    model = TTTClassifier(n_steps=0, random_state=seed, precision="float32").fit(draw.X, draw.y)
    table, frame = model._table, model._check_table(draw.X_test, reset=False)
    found: dict = {"table": name, "seed": seed}
    for rule, choose in RULES.items():
        began = time.perf_counter()
        rows = choose(table, n, np.random.default_rng(seed))
        seconds = time.perf_counter() - began
        served = replace(table, x=table.x[rows], y=table.y[rows])
        found[rule] = {
            **draw.scores(model.classes_, served.predict_at(frame, n, adapted=False)),
            "seconds": seconds,
        }
    return found


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/context_rows.json"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cells = [measure(name, seed, options.rows) for seed in range(options.seeds) for name in DEVELOPMENT]
    summary = {}
    for rule in RULES:
        relative = [cell[rule]["log_loss"] / cell["stratified"]["log_loss"] - 1.0 for cell in cells]
        error = np.std(relative, ddof=1) / np.sqrt(len(relative))
        summary[rule] = {
            "log loss against stratified, mean": float(np.mean(relative)),
            "standard error": float(error),
            "median": float(np.median(relative)),
            "lower on": float(np.mean(np.array(relative) < 0)),
            "AUC against stratified": float(
                np.mean([c[rule]["auc"] - c["stratified"]["auc"] for c in cells])
            ),
            "seconds": float(np.median([cell[rule]["seconds"] for cell in cells])),
        }
        print(rule, " ".join(f"{key}: {value:+.4f}" for key, value in summary[rule].items()))
    options.out.write_text(
        json.dumps({"rows": options.rows, "summary": summary, "cells": cells}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
