"""Means, ranks and paired differences over tables, with intervals from a bootstrap over whole tables."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.ranks import compare

HIGHER_IS_BETTER = {"auc": True, "log_loss": False, "accuracy": True, "crps": False, "rmse": False}


def methods_of(cell: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Scores of every method in a cell, by its name in the tables that are printed."""
    found: dict[str, dict[str, float]] = {}
    for part, names in (("default", ("served", "frozen")), ("short", ("served", "frozen")), ("numbers", ())):
        if part in cell:
            label = {"default": "testtime", "short": "testtime, 128 rows"}.get(part, "testtime")
            rival = {"default": "rival: frozen, all rows, 8 orders", "short": "frozen, 128 rows"}.get(
                part, ""
            )
            for key, name in zip(names, (label, rival), strict=False):
                found[name] = cell[part][key]
    if "numbers" in cell:
        own = cell["numbers"]
        found |= {"testtime": own["served"], "rival: frozen, all rows, 8 orders": own["frozen"]}
        found["random forest"] = own["random forest"]
    for part in ("views", "trees", "tuner"):
        found |= cell.get(part, {})
    return found


def summarise(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """Compare methods over tables; scores of one table are means over its seeds."""
    tables = sorted({cell["table"] for cell in cells})
    by_table = {name: [methods_of(cell) for cell in cells if cell["table"] == name] for name in tables}
    methods = sorted(set.intersection(*(set(found) for group in by_table.values() for found in group)))
    summary: dict[str, Any] = {"tables": len(tables), "runs": len(cells), "methods": {}}
    for measure, higher in HIGHER_IS_BETTER.items():
        have = [
            m for m in methods if all(measure in found[m] for group in by_table.values() for found in group)
        ]
        if not have:
            continue
        scores = np.array(
            [[np.mean([found[m][measure] for found in by_table[t]]) for m in have] for t in tables]
        )
        by_method = {method: scores[:, i].tolist() for i, method in enumerate(have)}
        compared = compare(by_method, higher=higher)
        for i, method in enumerate(have):
            own = summary["methods"].setdefault(method, {})
            own[measure] = float(scores[:, i].mean())
            own[f"mean rank of {measure}"] = compared["mean ranks"][method]
        if len(have) > 2 and len(tables) > 1:
            summary.setdefault("ranks", {})[measure] = compared
    pairs = [
        ("testtime", "rival: frozen, all rows, 8 orders"),
        ("testtime, 128 rows", "frozen, 128 rows"),
        ("testtime, 128 rows", "rival: frozen, all rows, 8 orders"),
        *(("testtime", other) for other in methods if not other.startswith(("testtime", "rival", "frozen"))),
    ]
    summary["against"] = {
        f"{a} against {b}": _paired(by_table, tables, a, b) for a, b in pairs if {a, b} <= set(methods)
    }
    for part in ("default", "short", "numbers"):
        seconds = [cell[part]["seconds"] for cell in cells if part in cell]
        if seconds:
            summary[f"seconds of {part}"] = {
                "median": float(np.median(seconds)),
                "quartiles": [float(q) for q in np.quantile(seconds, [0.25, 0.75])],
            }
    return summary


def _paired(by_table: dict[str, list], tables: list[str], a: str, b: str) -> dict[str, Any]:
    loss = "log_loss" if "log_loss" in by_table[tables[0]][0][a] else "crps"
    if loss not in by_table[tables[0]][0][b]:
        loss = "rmse"
    runs = [(t, found) for t in tables for found in by_table[t]]
    relative = np.array([found[a][loss] / found[b][loss] - 1 for _, found in runs])
    means = np.array(
        [np.mean([relative[i] for i, (t, _) in enumerate(runs) if t == name]) for name in tables]
    )
    result: dict[str, Any] = {
        f"relative difference of {loss}": float(means.mean()),
        "interval": _interval(means),
        "median over tables": float(np.median(means)),
        "tables better by 1%": float(np.mean(means < -0.01)),
        "tables better": float(np.mean(means < 0)),
        "runs worse by 1%": float(np.mean(relative > 0.01)),
        "runs worse by 0.5%": float(np.mean(relative > 0.005)),
        "worst run": float(relative.max()),
    }
    if loss == "log_loss":
        auc = np.array([np.mean([f[a]["auc"] - f[b]["auc"] for f in by_table[t]]) for t in tables])
        result |= {
            "auc": float(auc.mean()),
            "auc interval": _interval(auc),
            "auc better": float(np.mean(auc > 0)),
        }
    return result


def _interval(values: np.ndarray, draws: int = 2000) -> list[float]:
    """95% interval of a mean over tables, by drawing whole tables."""
    rng = np.random.default_rng(0)
    means = rng.choice(values, (draws, len(values))).mean(1)
    return [float(q) for q in np.quantile(means, [0.025, 0.975])]


def print_summary(summary: dict[str, Any]) -> None:
    """Print tables in Markdown."""
    measures = [m for m in HIGHER_IS_BETTER if any(m in own for own in summary["methods"].values())]
    print(f"\n{summary['tables']} tables, {summary['runs']} runs\n")
    print("| method | " + " | ".join(f"{m} | rank" for m in measures) + " |")
    print("|---|" + "---|---|" * len(measures))
    order = sorted(
        summary["methods"].items(), key=lambda item: item[1].get(f"mean rank of {measures[0]}", 99)
    )
    for name, own in order:
        row = (f"{own[m]:.4f} | {own[f'mean rank of {m}']:.2f}" if m in own else " | " for m in measures)
        print(f"| {name} | " + " | ".join(row) + " |")
    for measure, compared in summary.get("ranks", {}).items():
        distance, p = compared["critical difference"], compared["p of equal ranks"]
        print(f"\nranks of {measure}: critical difference {distance:.2f}, p of equal ranks {p:.1e}")
    for name, found in summary["against"].items():
        print(f"\n{name}: " + ", ".join(f"{key} {_shown(value)}" for key, value in found.items()))
    for name, value in summary.items():
        if name.startswith("seconds"):
            print(f"{name}: {value}")


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(f"{v:+.4f}" for v in value) + "]"
    return f"{value:+.4f}"
