"""What ``fit`` and ``predict`` cost: seconds and peak memory as rows, columns, context and steps grow.

    python -m benchmarks.costs [--repeats 3] [--out benchmarks/results/costs.json]

Each line is a process of its own (peak memory is that of the whole process, imports included), repeated; medians and
ranges over the repeats. The table is synthetic (scikit-learn's make_classification, two classes, seed 0). Lines that
belong together are run one after the other in turn, so a drift of the machine's speed does not favour any of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

BASE = {"rows": 1000, "columns": 10, "arguments": {}}
CASES = {
    "defaults": {},
    "n_steps=1, n_context=128": {"arguments": {"n_steps": 1, "n_context": 128}},
    "n_steps=0, n_context=128": {"arguments": {"n_steps": 0, "n_context": 128}},
    "rows 300": {"rows": 300},
    "rows 3,000": {"rows": 3000},
    "rows 10,000": {"rows": 10_000},
    "columns 30": {"columns": 30},
    "columns 100": {"columns": 100, "arguments": {"n_steps": 20}},
    "n_context 32": {"arguments": {"n_context": 32}},
    "n_context 128": {"arguments": {"n_context": 128}},
    "n_context 512": {"arguments": {"n_context": 512}},
    "n_steps 20": {"arguments": {"n_steps": 20, "n_context": 128}},
    "n_steps 80": {"arguments": {"n_steps": 80, "n_context": 128}},
    "adapt lora": {"arguments": {"adapt": "lora", "n_context": 128}},
}

_CHILD = """
import json, resource, sys, time, warnings
warnings.simplefilter("ignore")
case = json.loads(sys.argv[1])
from sklearn.datasets import make_classification
from testtime import TTTClassifier
n, d = case["rows"], case["columns"]
X, y = make_classification(n + 1000, d, n_informative=min(d, 6), n_redundant=0, n_clusters_per_class=2,
                           flip_y=0.05, random_state=0)
TTTClassifier(n_steps=0).fit(X[:50], y[:50])  # imports and the base weights are not part of fit
model = TTTClassifier(**case["arguments"])
started = time.perf_counter(); model.fit(X[:n], y[:n]); fit = time.perf_counter() - started
started = time.perf_counter(); model.predict_proba(X[n:]); predict = time.perf_counter() - started
record = model.adaptation_
print(json.dumps({"fit_seconds": fit, "predict_1000_seconds": predict, "n_steps": record.n_steps,
                  "n_folds": record.n_folds, "n_context": record.n_context, "kept": record.kept,
                  "adapter_kb": record.adapter_bytes / 1000,
                  "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}))
"""


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/costs.json"))
    parser.add_argument("--threads", type=int, default=1, help="OMP_NUM_THREADS of every run")
    arguments = parser.parse_args()
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    runs: dict[str, list[dict]] = {name: [] for name in CASES}
    for _ in range(arguments.repeats):
        for name, changes in CASES.items():
            command = [sys.executable, "-c", _CHILD, json.dumps({**BASE, **changes})]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
            runs[name].append(json.loads(done.stdout))
            _write(arguments, runs)
    print("| case | fit s | predict 1,000 rows s | peak MB | steps | folds | context | adapter KB |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in _write(arguments, runs).items():
        print(
            f"| {name} | {row['fit_seconds']:.1f} ({row['fit_range'][0]:.1f}-{row['fit_range'][1]:.1f}) "
            f"| {row['predict_1000_seconds']:.2f} | {row['peak_mb']:,.0f} | {row['n_steps']:.0f} "
            f"| {row['n_folds']:.0f} | {row['n_context']:.0f} | {row['adapter_kb']:.0f} |"
        )


def _write(arguments: argparse.Namespace, runs: dict[str, list[dict]]) -> dict[str, dict]:
    """Write the medians of the runs so far, so that a stopped benchmark is not lost; return them."""
    table = {}
    for name, results in runs.items():
        if results:
            table[name] = {key: median(r[key] for r in results) for key in results[0] if key != "kept"}
            seconds = [r["fit_seconds"] for r in results]
            table[name]["fit_range"] = [min(seconds), max(seconds)]
    content = {"base": BASE, "repeats": arguments.repeats, "threads": arguments.threads, "cases": table}
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(content, indent=1))
    return table


if __name__ == "__main__":
    main()
