"""Measure a model on real tables against scikit-learn's methods trained on the same rows.

``python -m pretraining evaluate WEIGHTS --out FOLDER`` writes ``results.json`` and prints a table;
``python -m pretraining curve RUN --out FOLDER`` follows the snapshots of a run.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from .checkpoint import read_checkpoint
from .methods import BASELINES, Method, in_context, load_model
from .metrics import scores
from .tables import read_table, split

SIZES = [32, 128, 512, 1024]
MEASURES = ("auc", "accuracy", "log_loss", "calibration_error")


@dataclass(frozen=True)
class Record:
    """One method, table, size and seed."""

    table: str
    n: int
    seed: int
    method: str
    auc: float
    accuracy: float
    log_loss: float
    calibration_error: float
    seconds: float


def measure(
    methods: dict[str, Method], names: Iterable[str], *, sizes: list[int], seeds: int, n_test: int
) -> list[Record]:
    """Every method on every table, size and seed; all methods see the same rows."""
    records = []
    for name in names:
        table = read_table(name)
        for seed in range(seeds):
            train, test = split(table.y, sizes, n_test, seed)
            for n, rows in train.items():
                for method, run in methods.items():
                    start = time.perf_counter()
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")  # convergence, categories unseen in 32 rows
                        probability = run(table, rows, test, seed)
                    seconds = time.perf_counter() - start
                    records.append(
                        Record(name, n, seed, method, **scores(probability, table.y[test]), seconds=seconds)
                    )
    return records


def summary(records: list[Record]) -> dict[str, dict[str, dict[int, float]]]:
    """Mean over tables of the mean over seeds: measure -> method -> size -> value.

    A size counts the tables that have it; the same tables for every method.
    """
    out: dict[str, dict[str, dict[int, float]]] = {}
    for measure_name in MEASURES:
        for method in dict.fromkeys(r.method for r in records):
            for n in sorted({r.n for r in records}):
                by_table: dict[str, list[float]] = {}
                for r in records:
                    if r.method == method and r.n == n:
                        by_table.setdefault(r.table, []).append(getattr(r, measure_name))
                mean = float(np.mean([np.mean(values) for values in by_table.values()]))
                out.setdefault(measure_name, {}).setdefault(method, {})[n] = mean
    return out


def summary_table(records: list[Record]) -> str:
    """The summary as Markdown, best value of each column in bold."""
    data, sizes = summary(records), sorted({r.n for r in records})
    blocks = []
    for measure_name in MEASURES:
        best = max if measure_name in ("auc", "accuracy") else min
        lines = [
            f"| {measure_name.replace('_', ' ')} | " + " | ".join(f"n={n}" for n in sizes) + " |",
            "|---|" + "---|" * len(sizes),
        ]
        top = {n: best(round(row[n], 3) for row in data[measure_name].values()) for n in sizes}
        for method, row in data[measure_name].items():
            cells = [f"**{row[n]:.3f}**" if round(row[n], 3) == top[n] else f"{row[n]:.3f}" for n in sizes]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def per_table(records: list[Record], n: int, measure_name: str = "auc") -> str:
    """One measure at one size, a row per table, a column per method, as Markdown."""
    methods = list(dict.fromkeys(r.method for r in records))
    lines = [f"| {measure_name}, n={n} | " + " | ".join(methods) + " |", "|---|" + "---|" * len(methods)]
    for table in dict.fromkeys(r.table for r in records if r.n == n):
        cells = []
        for method in methods:
            values = [
                getattr(r, measure_name) for r in records if (r.table, r.n, r.method) == (table, n, method)
            ]
            cells.append(f"{np.mean(values):.3f}")
        lines.append(f"| {table} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def paired_table(records: list[Record], method: str, measure_name: str) -> str:
    """Difference to each other method, table by table: mean, its standard error over tables, tables won."""
    sizes = sorted({r.n for r in records})
    means: dict[tuple[str, str, int], float] = {}
    for key in {(r.table, r.method, r.n) for r in records}:
        means[key] = np.mean([getattr(r, measure_name) for r in records if (r.table, r.method, r.n) == key])
    sign = 1 if measure_name in ("auc", "accuracy") else -1
    title = f"{measure_name.replace('_', ' ')}, {method} minus"
    lines = [f"| {title} | " + " | ".join(f"n={n}" for n in sizes) + " |", "|---|" + "---|" * len(sizes)]
    for other in dict.fromkeys(r.method for r in records):
        if other == method:
            continue
        cells = []
        for n in sizes:
            tables = [t for t, m, size in means if m == method and size == n]
            gap = np.array([means[t, method, n] - means[t, other, n] for t in tables])
            error = gap.std(ddof=1) / len(gap) ** 0.5 if len(gap) > 1 else np.nan
            cells.append(f"{gap.mean():+.3f} ± {error:.3f}, {int((sign * gap > 0).sum())}/{len(gap)}")
        lines.append(f"| {other} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def evaluate(
    weights: Path,
    names: Iterable[str],
    *,
    sizes: list[int] | None = None,
    seeds: int = 2,
    n_test: int = 800,
    average: bool = True,
    baselines: bool = True,
) -> list[Record]:
    """The model, once and averaged over four orders of columns and classes, and the baselines."""
    model = load_model(weights, average=average)
    methods = {"model": in_context(model, 1), "model, 4 orders": in_context(model, 4)}
    if baselines:
        methods |= BASELINES
    return measure(methods, names, sizes=sizes or SIZES, seeds=seeds, n_test=n_test)


def baselines_of(path: Path, rows: dict[str, object]) -> list[Record]:
    """The baselines' records of earlier results.

    Raises
    ------
    ValueError
        If they were measured on other tables, sizes, seeds or numbers of test rows.
    """
    records, about = read_results(path)
    for key, value in rows.items():
        if about[key] != value:
            raise ValueError(
                f"{path} has {key}={about[key]}, but {value} was asked for: measure the baselines again."
            )
    return [r for r in records if r.method in BASELINES]


def curve(
    run: Path, names: list[str], *, sizes: list[int], seeds: int, n_test: int
) -> list[dict[str, object]]:
    """Mean scores of the running average of every snapshot of a run."""
    points: list[dict[str, object]] = []
    for snapshot in sorted(run.glob("step-*.safetensors")):
        records = measure(
            {"model": in_context(load_model(snapshot), 1)}, names, sizes=sizes, seeds=seeds, n_test=n_test
        )
        means = {name: rows["model"] for name, rows in summary(records).items()}
        _, counters, _ = read_checkpoint(snapshot)
        points.append({"step": counters["step"], "tables": counters["tables"], **means})
    return points


def write_results(path: Path, records: list[Record], about: dict[str, object]) -> None:
    """Results and what they were measured with, as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    data = {"about": about, "summary": summary(records), "records": [asdict(r) for r in records]}
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")


def read_results(path: Path) -> tuple[list[Record], dict[str, object]]:
    """What :func:`write_results` wrote."""
    data = json.loads(path.read_text(encoding="utf-8"))
    return [Record(**r) for r in data["records"]], data["about"]
