"""The forecast of ``plan_table``: signs of real tables against what a default fit gained on them.

    python -m benchmarks.forecast [--cells benchmarks/results/tabular.json ...] [--ship]

Cells are those of ``benchmarks.tabular``: the gain is the relative fall of the loss on test rows, served against the
frozen model with all rows and averaged views. Signs are measured on the training rows of the same draw and kept in
``benchmarks/results/signs.json``. Everything printed is from tables that were left out whole. ``--ship`` writes what
the package uses.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from benchmarks.tabular import Draw
from testtime.table.forecast import forecaster as room
from testtime.table.forecast.forecaster import Forecaster, bent
from testtime.table.forecast.signs import NAMES

PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
RESULTS = Path("benchmarks/results")
KEPT_SHARE = 0.95
"""Share of the gain of always adapting that following the advice should keep."""


def signs_of(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Signs of the training rows of each draw, measured once; a rerun goes on where the last one was stopped."""
    from testtime.adapt.parallel import side_by_side
    from testtime.estimators.planning import measure

    warnings.simplefilter("ignore")
    path = RESULTS / "signs.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    for cell in cells:
        if (key := _key(cell)) in kept:
            continue
        draw = Draw.of(cell["table"], cell["seed"])
        began = time.process_time()
        task = "regress" if draw.y.dtype.kind == "f" else "classify"
        (signs,) = side_by_side([partial(measure, draw.X, draw.y, task=task, random_state=cell["seed"])])
        values = dict(zip(NAMES, signs[0].values, strict=True))
        kept[key] = {"signs": values, "seconds": time.process_time() - began}
        path.write_text(json.dumps(dict(sorted(kept.items())), indent=1) + "\n")
        print(f"{time.strftime('%H:%M:%S')} {key}", flush=True)
    return [kept[_key(cell)] for cell in cells]


def _key(cell: dict[str, Any]) -> str:
    return f"{cell['table']} {cell['seed']}"


def gain_of(cell: dict[str, Any]) -> tuple[float, float]:
    """Relative fall of the loss on test rows, and processor seconds of the fit (NaN where only the clock was read)."""
    found = cell.get("default") or cell["numbers"]
    loss = "log_loss" if "default" in cell else "crps"
    return 1.0 - found["served"][loss] / found["frozen"][loss], found.get("cpu_seconds", np.nan)


def left_out(
    signs: np.ndarray, gains: np.ndarray, tables: np.ndarray, penalty: float
) -> tuple[np.ndarray, list]:
    """Forecast every draw from the draws of other tables: the bent middle, and interval and probability of harm."""
    middle, forecasts = np.zeros(len(gains)), []
    for i, name in enumerate(tables):
        others = tables != name
        fitted = Forecaster.fit(signs[others], gains[others], penalty, tables[others])
        middle[i] = fitted.values(signs[i])
        forecasts.append(fitted(signs[i]))
    return middle, forecasts


def threshold_of(middle: np.ndarray, gains: np.ndarray) -> float:
    """Return the largest threshold on forecasts that keeps enough of the gain of always adapting."""
    order = np.argsort(-middle, kind="stable")
    kept = np.cumsum(gains[order]) / gains.sum()
    enough = int(np.argmax(kept >= KEPT_SHARE)) if (kept >= KEPT_SHARE).any() else len(order) - 1
    return float(middle[order[enough]])


def between_draws(cells: list[dict[str, Any]], gains: np.ndarray) -> float:
    """Rank correlation of the gains in two draws of the same tables, on the mean over pairs of draws.

    No forecast that does not know the draw can do much better.
    """
    by_seed: dict[int, dict[str, float]] = {}
    for cell, gain in zip(cells, gains, strict=True):
        by_seed.setdefault(cell["seed"], {})[cell["table"]] = gain
    found = []
    for one, other in combinations(by_seed.values(), 2):
        both = [name for name in one if name in other]
        found.append(spearmanr([one[name] for name in both], [other[name] for name in both]).statistic)
    return float(np.mean(found))


def study(cells: list[dict[str, Any]]) -> tuple[Forecaster, dict[str, Any]]:
    """Fit and validate."""
    measured = signs_of(cells)
    signs = np.array([[one["signs"][name] for name in NAMES] for one in measured])
    gains, seconds = (np.array(values) for values in zip(*map(gain_of, cells), strict=True))
    tables = np.array([cell["table"] for cell in cells])
    by_penalty = {p: left_out(signs, gains, tables, p)[0] for p in PENALTIES}
    penalty = min(PENALTIES, key=lambda p: float(np.square(by_penalty[p] - bent(gains)).mean()))
    middle, forecasts = left_out(signs, gains, tables, penalty)
    inside = [f.low <= gain <= f.high for f, gain in zip(forecasts, gains, strict=True)]
    # The threshold for a table comes from the others, too.
    advised = np.zeros(len(gains), dtype=bool)
    for i, name in enumerate(tables):
        others = tables != name
        advised[i] = middle[i] >= threshold_of(middle[others], gains[others])
    means = np.array([(middle[tables == t].mean(), gains[tables == t].mean()) for t in np.unique(tables)]).T
    spent = np.array([one["seconds"] for one in measured])
    timed = np.isfinite(seconds)
    fitted = Forecaster.fit(signs, gains, penalty, tables)
    fitted = Forecaster(**{**vars(fitted), "threshold": threshold_of(middle, gains)})
    weights = dict(zip(NAMES, np.round(fitted.weights, 3).tolist(), strict=True))
    return fitted, {
        "tables": len(set(tables)),
        "draws": len(tables),
        "penalty": penalty,
        "share inside the 80% interval": float(np.mean(inside)),
        "rank correlation of forecast and gain": float(spearmanr(middle, gains).statistic),
        "rank correlation of means over draws": float(spearmanr(*means).statistic),
        "rank correlation of gains in two draws": between_draws(cells, gains),
        "share of tables that are advised to adapt": float(advised.mean()),
        "share of draws that would do": float(np.mean(gains >= threshold_of(gains, gains))),
        "gain kept by following the advice": float(gains[advised].sum() / gains.sum()),
        "seconds spent by following the advice": float(
            (seconds[advised & timed].sum() + spent[timed].sum()) / seconds[timed].sum()
        )
        if timed.any()
        else None,
        "mean probability of harm": float(np.mean([f.harm for f in forecasts])),
        "share harmed": float(np.mean(gains < -room.HARM)),
        "median seconds of the signs": float(np.median(spent)),
        "weights of the signs in standard deviations": weights,
        "draws left out": [
            {
                "table": t,
                "seed": c["seed"],
                "gain": round(float(g), 5),
                "forecast": round(f.gain, 5),
                "low": round(f.low, 5),
                "high": round(f.high, 5),
                "harm": round(f.harm, 3),
                "advised": bool(a),
            }
            for t, c, g, f, a in zip(tables, cells, gains, forecasts, advised, strict=True)
        ],
    }


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="*", type=Path)
    parser.add_argument("--ship", action="store_true")
    options = parser.parse_args()
    paths = options.cells or [RESULTS / f"{name}.json" for name in ("tabular", "development", "numbers")]
    cells = [cell for path in paths for cell in json.loads(path.read_text())["cells"]]
    fitted, found = study(cells)
    (RESULTS / "forecast.json").write_text(json.dumps(found, indent=1) + "\n")
    for name, value in found.items():
        if name != "draws left out":
            print(f"{name}: {value}")
    if options.ship:
        log = {key: value for key, value in found.items() if key != "draws left out"}
        content = {
            "made by": "python -m benchmarks.forecast --ship",
            "log": log,
            "forecaster": fitted.to_dict(),
        }
        Path(room.__file__).with_name("numbers.json").write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    main()
