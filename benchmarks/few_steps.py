"""How much of the gain of 100 steps fewer steps keep, as served: eight adapters mixed with the frozen model.

    python -m benchmarks.few_steps [--rows 300] [--every 6] [--seed 0] [--out benchmarks/results/few_steps]

Every sixth reported table, 300 training rows at most. Each number of steps is a fit of its own with the rate
falling to zero over these steps, as ``TTTClassifier(n_steps=...)`` does it; all fits of a table see the same rows,
views and folds. One JSON file per table and number of steps is kept under ``--out``; a rerun skips what is there.
*Kept* is the fall of the mean log loss below the frozen model's, as a share of the fall that 100 steps bring; single
tables gain too little for such a share.
"""

from __future__ import annotations

import argparse
import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import REPORTED
from benchmarks.tabular import Draw, adapted

STEPS = (5, 10, 20, 50, 100)


def run(name: str, seed: int, n_steps: int, n_rows: int, folder: Path) -> dict[str, Any]:
    """Fit with so many steps, or take what is there."""
    path = folder / f"{name.replace(':', '-').replace('/', '-')}-{seed}-{n_steps}.json"
    if not path.exists():
        warnings.simplefilter("ignore")
        found = {"table": name, "steps": n_steps, **adapted(Draw.of(name, seed, n_rows), n_steps=n_steps)}
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(found, indent=1))
        partial.replace(path)
        print(f"{time.strftime('%H:%M:%S')} {name} {n_steps} steps", flush=True)
    return json.loads(path.read_text())


def summarise(fits: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Per number of steps: mean gain, its share of that of 100 steps, and seconds."""
    tables = sorted({fit["table"] for fit in fits})

    def of(n_steps: int, value: Any) -> np.ndarray:
        own = {fit["table"]: fit for fit in fits if fit["steps"] == n_steps}
        return np.array([value(own[name]) for name in tables])

    gains = {n: of(n, lambda fit: fit["frozen"]["log_loss"] - fit["served"]["log_loss"]) for n in STEPS}
    summary = {}
    for n in STEPS:
        summary[str(n)] = {
            "gain": float(gains[n].mean()),
            "kept": float(gains[n].mean() / gains[max(STEPS)].mean()),
            "log_loss": float(of(n, lambda fit: fit["served"]["log_loss"]).mean()),
            "auc": float(of(n, lambda fit: fit["served"]["auc"]).mean()),
            "at least as good as 100": int((gains[n] >= gains[max(STEPS)]).sum()),
            "cpu_seconds": float(np.median(of(n, lambda fit: fit["cpu_seconds"]))),
        }
    return summary


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--every", type=int, default=6, help="measure every so many-th reported table")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/few_steps"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    fits = [
        run(name, given.seed, n_steps, given.rows, given.out)
        for name in REPORTED[:: given.every]
        for n_steps in STEPS
    ]
    settings = {name: value for name, value in vars(given).items() if name != "out"}
    summary = summarise(fits)
    content = {"settings": settings, "load": os.getloadavg()[0], "summary": summary, "fits": fits}
    given.out.with_suffix(".json").write_text(json.dumps(content, indent=1) + "\n")
    for n_steps, found in summary.items():
        print(
            f"{n_steps:>4} steps: gain {found['gain']:+.4f}, kept {found['kept']:.0%}, "
            f"log loss {found['log_loss']:.4f}, AUC {found['auc']:.4f}, {found['cpu_seconds']:.0f} CPU s"
        )


if __name__ == "__main__":
    main()
