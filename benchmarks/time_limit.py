"""How well ``fit`` keeps a time limit: tall, wide and ordinary tables, limits of 1, 5 and 20 seconds.

    python -m benchmarks.time_limit [--limits 1 5 20] [--repeats 1] [--out benchmarks/results/time_limit.json]

Each line is a process of its own on a synthetic table (scikit-learn's make_classification, two classes, seed 0).
Importing the libraries and loading the base weights come before the clock starts, since the limit of ``fit`` does not
cover them. ``floor`` is a fit of zero steps without a limit: what no limit can go below. A limit is kept when fit took
at most 1.1 times as long.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

TABLES = {
    "100k x 20": (100_000, 20),
    "60k x 5": (60_000, 5),
    "10k x 100": (10_000, 100),
    "3k x 20": (3_000, 20),
}
TOLERANCE = 1.1

_CHILD = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
case = json.loads(sys.argv[1])
from sklearn.datasets import make_classification
from testtime import TTTClassifier
X, y = make_classification(case["rows"], case["columns"], n_informative=min(case["columns"], 5), n_redundant=0,
                           flip_y=0.05, random_state=0)
TTTClassifier(n_steps=0).fit(X[:50], y[:50])  # imports and the base weights are not part of fit
started, used = time.perf_counter(), time.process_time()
model = TTTClassifier(random_state=0, **case["arguments"]).fit(X, y)
seconds, cpu = time.perf_counter() - started, time.process_time() - used
record = model.adaptation_
print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "n_steps": record.n_steps, "n_context": record.n_context,
                  "n_members": record.n_members, "weight": record.weight}))
"""


def run(rows: int, columns: int, arguments: dict[str, Any]) -> dict[str, Any]:
    """Fit one table in a fresh process; return its seconds and what was chosen."""
    case = json.dumps({"rows": rows, "columns": columns, "arguments": arguments})
    done = subprocess.run([sys.executable, "-c", _CHILD, case], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--limits", type=float, nargs="+", default=[1.0, 5.0, 20.0])
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/time_limit.json"))
    given = parser.parse_args()
    found: list[dict[str, Any]] = []
    print("| table | limit s | fit s | of the limit | CPU s | steps | adapters | context |")
    print("|---|---|---|---|---|---|---|---|")
    for name, (rows, columns) in TABLES.items():
        cases: list[tuple[float | None, dict[str, Any]]] = [(None, {"n_steps": 0})]
        cases += [(limit, {"time_limit": limit}) for limit in given.limits for _ in range(given.repeats)]
        for limit, arguments in cases:
            took = run(rows, columns, arguments)
            share = None if limit is None else took["seconds"] / limit
            found.append({"table": name, "limit": limit, "share": share, **took})
            print(
                f"| {name} | {'floor' if limit is None else f'{limit:g}'} | {took['seconds']:.2f} "
                f"| {'' if share is None else f'{share:.2f}'} | {took['cpu_seconds']:.1f} | {took['n_steps']} "
                f"| {took['n_members']} | {took['n_context']} |",
                flush=True,
            )
            write(given.out, found)  # after every line, so that a run that is stopped is not lost
    late = [row for row in found if row["share"] is not None and row["share"] > TOLERANCE]
    kept = sum(row["share"] is not None for row in found) - len(late)
    print(f"\n{kept} limits kept within {TOLERANCE - 1:.0%}, {len(late)} not.")


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write what was found so far, and how busy the machine was with other work."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "tolerance": TOLERANCE,
        "cores": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "rows": rows,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
