"""What ``fit`` and ``predict`` cost: seconds and peak memory, of this tree and, beside it, of an older one.

    git worktree add ../before v0.1.0
    python -m benchmarks.costs [--before ../before] [--repeats 3] [--cases NAME ...]

Each line is a process of its own (peak memory is that of the whole process, imports included), repeated; medians and
ranges over the repeats. Both trees run in turn, so that what else the machine does favours neither; only their ratio
means something on a machine that does other work. Data are made by scikit-learn's ``make_classification``, two classes,
seed 0. Seconds are wall time, with one thread of PyTorch in each worker.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]
_FIXED = {"n_context": 1024, "n_steps": 0, "n_members": 1}
_STEPS = {"n_context": 256, "guard": False, "n_members": 1}
_FOLDS = {"n_context": 128, "n_steps": 60, "n_members": 2}

CASES: dict[str, dict[str, Any]] = {
    "predict 1 row, 1,024 context rows": {"kind": "again", "rows": 1500, "asked": 1, "arguments": _FIXED},
    "predict 2,000 rows x 100 columns, 1,024 context rows": {
        "kind": "again",
        "rows": 1500,
        "columns": 100,
        "asked": 2000,
        "arguments": _FIXED,
    },
    "a training step": {"kind": "step", "arguments": _STEPS},
    "two adapters of one model, memory over one": {
        "kind": "two",
        "arguments": {"n_steps": 2, "n_members": 1},
    },
    "fit, two adapters of 60 steps": {"kind": "fit", "arguments": _FOLDS},
    "fit 10,000 rows x 100 columns, peak memory": {
        "kind": "memory",
        "rows": 10_000,
        "columns": 100,
        "arguments": {"n_context": 128, "n_steps": 4, "n_members": 1},
    },
    "default fit": {"kind": "fit", "arguments": {}},
    "default fit, peak memory": {"kind": "memory", "arguments": {}},
    "n_steps=1": {"kind": "fit", "arguments": {"n_steps": 1}},
    "default fit, 300 rows": {"kind": "fit", "rows": 300, "arguments": {}},
    "default fit, 3,000 rows": {"kind": "fit", "rows": 3000, "arguments": {}},
    "default fit, 30 columns": {"kind": "fit", "columns": 30, "arguments": {}},
}
"""What is measured; ``kind`` says how, see the text of the child."""

_CHILD = """
import json, os, resource, sys, time, warnings
warnings.simplefilter("ignore")
case = json.loads(sys.argv[1])
from sklearn.datasets import make_classification
from testtime import TTTClassifier
n, d, asked, arguments = case.get("rows", 1000), case.get("columns", 10), case.get("asked", 1), case["arguments"]
X, y = make_classification(n + 2000, d, n_informative=min(d, 6), n_redundant=0, n_clusters_per_class=2,
                           flip_y=0.05, random_state=0)
TTTClassifier(n_steps=0, n_members=1).fit(X[:50], y[:50])  # imports and the base weights are not part of it
def seconds(call):
    began = time.perf_counter(); call(); return time.perf_counter() - began
def fit(**more):
    return TTTClassifier(random_state=0, **{**arguments, **more}).fit(X[:n], y[:n])
def resident():
    with open("/proc/self/statm") as pages: return int(pages.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
if case["kind"] == "fit":
    value = seconds(fit)
elif case["kind"] == "again":
    model, rows = fit(), X[n:n + asked]
    model.predict_proba(rows)
    value = min(seconds(lambda: model.predict_proba(rows)) for _ in range(3))
elif case["kind"] == "step":
    fit(n_steps=2)
    value = (seconds(lambda: fit(n_steps=42)) - seconds(lambda: fit(n_steps=12))) / 30
elif case["kind"] == "memory":
    fit().predict_proba(X[n:n + 1000])
    value = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
else:
    models = [fit()]
    models[0].predict_proba(X[n:n + 100])
    one = resident()
    models.append(TTTClassifier(random_state=1, **arguments).fit(X[:n], y[:n]))
    models[1].predict_proba(X[n:n + 100])
    value = resident() / one
print(json.dumps(value))
"""


def measure(tree: Path, case: dict[str, Any], seconds: float = 900.0) -> float | None:
    """Run one case in one tree; None when it cannot run there."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(tree / "src")}
    command = [sys.executable, "-c", _CHILD, json.dumps(case)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=seconds, check=False
    )
    return float(done.stdout) if done.returncode == 0 else None


def summary(values: list[float]) -> dict[str, float]:
    """Median and range."""
    return {"median": median(values), "low": min(values), "high": max(values)}


def _shown(row: dict[str, float]) -> str:
    return f"{row['median']:.3g} ({row['low']:.3g}-{row['high']:.3g})"


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, help="root of an older tree")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cases", nargs="*", choices=list(CASES), default=list(CASES))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/costs.json")
    arguments = parser.parse_args()
    trees = {"now": ROOT, **({"before": arguments.before.resolve()} if arguments.before else {})}
    found = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    cases = found.get("cases", {}) if found.get("format") == 2 else {}
    print("| case | " + " | ".join(trees) + " | ratio |\n|---|" + "---|" * (len(trees) + 1))
    for name in arguments.cases:
        values: dict[str, list[float]] = {tree: [] for tree in trees}
        for _ in range(arguments.repeats):
            for tree, root in trees.items():
                value = measure(root, CASES[name])
                if value is not None:
                    values[tree].append(value)
        row: dict[str, Any] = {tree: summary(of) for tree, of in values.items() if of}
        if {"now", "before"} <= set(row):
            row["ratio"] = row["now"]["median"] / row["before"]["median"]
        cases[name] = row
        shown = [_shown(row[tree]) if tree in row else "" for tree in trees]
        shown.append(f"{row['ratio']:.3f}" if "ratio" in row else "")
        print(f"| {name} | " + " | ".join(shown) + " |", flush=True)
        content = {"format": 2, "repeats": arguments.repeats, "cases": cases}
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
