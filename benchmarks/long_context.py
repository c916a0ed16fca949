"""Tables of more than a thousand rows: all of them as context, up to 4,096, against the first 1,024 of them.

    python -m benchmarks.long_context [--seeds 1]
    python -m benchmarks.long_context --numbers        numeric targets
    python -m benchmarks.long_context --development    the tables that choices looked at

Tables of at least 2,400 rows; 4,096 training rows at most, a quarter of the table or 1,000 rows for the test.
``default`` is what a fit does, ``first`` the same with a context of at most 1,024 rows, as it was once: training and
folds see all rows in both, contexts do not. ``trees`` are CatBoost and a random forest with their default settings on
the same rows. One JSON file per table, seed and part is kept under ``--out``; a rerun skips what is there.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import DEVELOPMENT, REPORTED, REPORTED_NUMBERS, read
from benchmarks.tabular import Draw, adapted, numbers, trees
from testtime.backbones.registry import load_backbone

FEWEST, MOST, FIRST, N_TEST = 2400, 4096, 1024, 1000
PARTS = ("default", "first", "trees")
_COMPARED = ("CatBoost", "random forest")


def drawn(name: str, seed: int) -> Draw | None:
    """Draw training and test rows; None for a table that is too short."""
    X, target = read(name)
    if len(X) < FEWEST:
        return None
    rows = np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(len(X))
    n_test = min(N_TEST, len(X) // 4)
    test, train = rows[:n_test], rows[n_test:][:MOST]
    y = target.to_numpy()
    test = test[np.isin(y[test], y[train])] if y.dtype.kind not in "fi" else test
    return Draw(X.iloc[train], y[train], X.iloc[test], y[test], seed)


@contextmanager
def at_most(n_context: int, task: str) -> Iterator[None]:
    """Let the embedded model serve so many rows at most."""
    backbone = load_backbone("embedded", task)
    limits = backbone.limits
    try:
        backbone.limits = replace(limits, context=n_context)
        yield
    finally:
        backbone.limits = limits


def measure(draw: Draw, part: str, *, numeric: bool) -> dict[str, Any]:
    """Scores of one part, and the seconds it took."""
    if part == "trees":
        return trees(draw, _COMPARED)
    fit = numbers if numeric else adapted
    if part == "default":
        return fit(draw)
    with at_most(FIRST, "regressor" if numeric else "classifier"):
        return fit(draw)


def run(name: str, seed: int, part: str, folder: Path, *, numeric: bool) -> dict[str, Any] | None:
    """Measure one part on one table, or take what is there; None for a table that is too short."""
    path = folder / f"{name.replace(':', '-').replace('/', '-')}-{seed}-{part}.json"
    if not path.exists():
        warnings.simplefilter("ignore")
        draw = drawn(name, seed)
        if draw is None:
            return None
        partial = path.with_suffix(".part")
        partial.write_text(
            json.dumps({"rows": len(draw.y), **measure(draw, part, numeric=numeric)}, indent=1)
        )
        partial.replace(path)
        print(f"{time.strftime('%H:%M:%S')} {name} seed {seed} {part}", flush=True)
    return json.loads(path.read_text())


def summarise(cells: list[dict[str, Any]], *, numeric: bool) -> dict[str, Any]:
    """The default against the others: relative losses by table (means over draws), and mean scores."""
    loss, score = ("crps", "rmse") if numeric else ("log_loss", "auc")
    methods: dict[str, dict[str, dict[str, list[float]]]] = {}
    for cell in cells:
        forest = {"random forest": cell["default"]["random forest"]} if numeric else {}
        found = {
            "default": cell["default"]["served"],
            "default, frozen": cell["default"]["frozen"],
            "first 1,024": cell["first"]["served"],
            "first 1,024, frozen": cell["first"]["frozen"],
            **(forest or {name: cell["trees"][name] for name in _COMPARED}),
        }
        for method, scores in found.items():
            for measured in (m for m in (loss, score) if m in scores):
                of_table = methods.setdefault(method, {}).setdefault(measured, {})
                of_table.setdefault(cell["table"], []).append(scores[measured])
    means = {
        method: {m: {t: float(np.mean(v)) for t, v in by.items()} for m, by in found.items()}
        for method, found in methods.items()
    }
    own, summary = means["default"], {"tables": len(means["default"][loss]), "draws": len(cells)}
    for method, found in means.items():
        gaps = np.array([own[score][t] - found[score][t] for t in own[score]])
        of_score = {score: float(np.mean(list(found[score].values()))), f"{score} gap": float(gaps.mean())}
        if loss not in found:  # a point has no distribution
            summary[method] = of_score
            continue
        ratios = np.array([own[loss][t] / found[loss][t] - 1 for t in own[loss]])
        summary[method] = {
            **of_score,
            loss: float(np.mean(list(found[loss].values()))),
            "change": float(ratios.mean()),
            "median change": float(np.median(ratios)),
            "lower on": float((ratios < 0).mean()),
            "worst": float(ratios.max()),
        }
    for part in ("default", "first"):
        summary[f"{part} seconds"] = float(np.median([cell[part]["seconds"] for cell in cells]))
        summary[f"{part} processor seconds"] = float(np.median([cell[part]["cpu_seconds"] for cell in cells]))
    return summary


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--development", action="store_true", help="the tables that choices looked at")
    parser.add_argument("--numbers", action="store_true", help="tables with a numeric target")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    kind = "-numbers" if options.numbers else "-development" if options.development else ""
    out = options.out or Path(f"benchmarks/results/long_context{kind}")
    out.mkdir(parents=True, exist_ok=True)
    known = REPORTED_NUMBERS if options.numbers else DEVELOPMENT if options.development else REPORTED
    parts = PARTS[:2] if options.numbers else PARTS
    cells = []
    for seed in range(options.seeds):
        for name in options.tables or known:
            found = {part: run(name, seed, part, out, numeric=options.numbers) for part in parts}
            if all(found.values()):
                cells.append({"table": name, "seed": seed, **found})
    summary = summarise(cells, numeric=options.numbers)
    out.with_suffix(".json").write_text(json.dumps({"cells": cells, "summary": summary}, indent=1) + "\n")
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
