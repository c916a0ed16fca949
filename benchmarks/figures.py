"""Run figures and keep what pages say about them: claims with their numbers, and medians over tasks.

    python -m benchmarks.figures --out benchmarks/results/figures.json --figures single-index-context [--quick]

A figure that FILE holds already is run again; the others in it are kept. ``python -m benchmarks.words`` writes the
numbers into the pages.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits

from testtime.experiments.drawing import median_interval
from testtime.experiments.figure import FigureResult, run
from testtime.experiments.registry import find

MEASURED = ("mse", "overlap", "missed", "weak", "task")
SUCCESS = 0.95

Row = dict[str, object]


def summary(table: pd.DataFrame) -> list[Row]:
    """Return one row for each method and setting: medians with 95% intervals, and the share of directions found."""
    if "method" not in table:
        return []
    rows = table[table["method"].notna()]
    keys = [column for column in rows if column not in MEASURED and rows[column].nunique(dropna=False) > 1]
    found = []
    for key, group in rows.groupby(keys, dropna=False):
        row: Row = {name: _plain(value) for name, value in zip(keys, key, strict=True)}
        row["tasks"] = len(group)
        for column in ("mse", "missed"):
            if column in group and group[column].notna().any():
                values = group[column].dropna().tolist()
                row[column] = float(np.median(values))
                row[f"{column} interval"] = median_interval(values)
        if "overlap" in group and group["overlap"].notna().any():
            overlap = group["overlap"].dropna()
            row |= {"overlap": float(overlap.mean()), "overlap median": float(overlap.median())}
            row |= {"missed overlap": float(1.0 - overlap.median())}
            row["success"] = float((overlap > SUCCESS).mean())
        found.append({name: value for name, value in row.items() if value is not None})
    return found


def _plain(value: object) -> object:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and np.isnan(value) else value


def report(result: FigureResult, setting: str, config: object, cpu_seconds: float) -> Row:
    """Return what is kept of a run."""
    return {
        "setting": setting,
        "config": asdict(config),  # type: ignore[call-overload]
        "holds": result.holds,
        "cpu_seconds": round(cpu_seconds, 1),
        "claims": [claim.to_dict() for claim in result.claims],
        "summary": summary(result.table),
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/figures.json"))
    parser.add_argument("--figures", nargs="+", required=True)
    parser.add_argument("--quick", action="store_true")
    arguments = parser.parse_args()
    for name in arguments.figures:
        figure = find(name)
        config = figure.config.quick() if arguments.quick else figure.config()
        began = time.process_time()
        with TemporaryDirectory() as folder, threadpool_limits(limits=1):
            result = run(figure, config, folder)
        kept = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        setting = "quick" if arguments.quick else "full"
        kept[name] = report(result, setting, config, time.process_time() - began)
        arguments.out.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n", encoding="utf-8")
        failed = [claim.statement for claim in result.claims if not claim.holds]
        print(name, setting, f"{kept[name]['cpu_seconds']} s", failed or "all claims hold", flush=True)


if __name__ == "__main__":
    main()
