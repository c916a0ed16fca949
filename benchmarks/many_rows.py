"""``testtime predict`` on a file of many rows: does memory grow with them, and how many are predicted in a second?

    python -m benchmarks.many_rows [--rows 100000 1000000] [--out benchmarks/results/many_rows.json]

A model is saved once (2,000 made rows of 10 columns, 64 context rows, one view, no training, float32: the cheapest
there is); the command then predicts CSV files of new rows, each in a process of its own whose peak memory is measured.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from testtime import TTTClassifier

N_COLUMNS, CHUNK = 10, 100_000


def write(path: Path, n_rows: int) -> None:
    """Write so many made rows, some at a time."""
    rng = np.random.default_rng(1)
    names = [f"x{k}" for k in range(N_COLUMNS)]
    for begin in range(0, n_rows, CHUNK):
        rows = rng.normal(size=(min(CHUNK, n_rows - begin), N_COLUMNS)).round(4)
        pd.DataFrame(rows, columns=names).to_csv(path, mode="a", header=begin == 0, index=False)


def predict(model: Path, rows: Path, n_rows: int) -> dict[str, Any]:
    """Run the command; wall seconds and peak memory of its process."""
    out = rows.with_suffix(".answers.csv")
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "testtime", "predict", model, rows, "--out", out], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if status:
        raise RuntimeError(f"predict ended with status {status}")
    return {
        "rows": n_rows,
        "seconds": seconds,
        "rows a second": n_rows / seconds,
        "peak memory in MB": usage.ru_maxrss / 1024,
        "megabytes of the file": rows.stat().st_size / 1e6,
    }


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/many_rows.json"))
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    x = pd.DataFrame(rng.normal(size=(2_000, N_COLUMNS)), columns=[f"x{k}" for k in range(N_COLUMNS)])
    found = []
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        arguments = {"n_steps": 0, "n_members": 1, "n_context": 64, "precision": "float32"}
        TTTClassifier(random_state=0, **arguments).fit(x, (x["x0"] * x["x1"] > 0).astype(int)).save(model)
        for n_rows in options.rows:
            path = Path(folder) / f"{n_rows}.csv"
            write(path, n_rows)
            found.append(predict(model, path, n_rows))
            print(" ".join(f"{key}: {value:,.1f}" for key, value in found[-1].items()), flush=True)
    options.out.write_text(json.dumps({"runs": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
