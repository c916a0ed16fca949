"""Warm, cold or scaled: where the groups of a real table are best begun, by the rows a group has.

    python -m benchmarks.starts [--table adult] [--by education] [--groups 8] [--sizes 128 256 400]
                                [--out benchmarks/results/starts.json]

Every start is trained with the same steps. Losses are log losses on up to 400 rows of each group that no fit saw. A
group's warm start is trained on the groups of the other half (:mod:`testtime.table.starts`). Beside them stands the
number of training rows at which the linear theory changes from one start to the other, for a linear task of as many
columns with the context of an episode: a setting of its own, not a forecast for the table.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.tables import read
from testtime import TTTClassifier
from testtime.adapt.task import Classes
from testtime.estimators.together import fit_start, fit_together
from testtime.table.starts import SCALES
from testtime.table.tail_episodes import TailRecipe
from testtime.theory.linear import Setting, best_scaled_start, start_transition

_N_TEST = 400
_STARTS = {"cold": (0.0,), "scaled": (0.5,), "warm": (1.0,), "chosen": SCALES}


def groups_of(table: str, by: str, n_groups: int, n_rows: int) -> dict[str, tuple[pd.DataFrame, pd.Series]]:
    """Return shuffled rows of the largest groups that have enough."""
    X, y = read(table)
    keys, rng = X[by].astype(str), np.random.default_rng(0)
    names = [str(name) for name, count in keys.value_counts().items() if count >= n_rows + _N_TEST][:n_groups]
    found = {}
    for name in names:
        rows = rng.permutation(np.flatnonzero(keys == name))
        found[name] = (
            X.drop(columns=by).iloc[rows].reset_index(drop=True),
            y.iloc[rows].reset_index(drop=True),
        )
    return found


def measure(groups: dict[str, tuple[pd.DataFrame, pd.Series]], n_rows: int) -> list[dict[str, Any]]:
    """Fit every group from every start with so many rows."""
    names, recipe = list(groups), TailRecipe()

    def estimators() -> dict[str, TTTClassifier]:
        return {name: TTTClassifier(random_state=seed) for seed, name in enumerate(names)}

    tables = {name: (X.iloc[:n_rows], y.iloc[:n_rows]) for name, (X, y) in groups.items()}
    start = fit_start(estimators(), tables, recipe, 0)
    found = []
    for how, scales in _STARTS.items():
        fitted = estimators()
        errors = fit_together(
            list(fitted.values()), list(tables.values()), recipe, [start.of(name) for name in names], scales
        )
        failed = next((error for error in errors if error is not None), None)
        if failed is not None:
            raise failed
        for name, model in fitted.items():
            X, y = (part.iloc[-_N_TEST:] for part in groups[name])
            codes = np.searchsorted(model.classes_, y)
            frozen = model.predict_proba_at(X, model.adaptation_.n_context, adapted=False)
            task = Classes(len(model.classes_))
            found.append(
                {
                    "rows": n_rows,
                    "group": name,
                    "start": how,
                    "scale": model.adaptation_.start_scale,
                    "weight": model.adaptation_.weight,
                    "loss": float(task.score(model.predict_proba(X), codes).mean()),
                    "frozen_loss": float(task.score(frozen, codes).mean()),
                }
            )
    return found


def in_theory(n_rows: int, dim: int) -> dict[str, float]:
    """The transition of the linear theory, and the best scale, with the context of an episode of so many rows."""
    pool = 3 * n_rows // 4
    setting = Setting(n_context=2 * pool // 3, n_train=pool, dim=dim, task=1.0)
    scaled = best_scaled_start(setting)
    return {
        "rows": n_rows,
        "train_rows": pool,
        "transition": start_transition(setting).n_train,
        "scale": scaled.scale,
    }


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--table", default="adult")
    parser.add_argument("--by", default="education")
    parser.add_argument("--groups", type=int, default=8)
    parser.add_argument("--sizes", nargs="*", type=int, default=[128, 256, 400])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/starts.json"))
    given = parser.parse_args()
    groups = groups_of(given.table, given.by, given.groups, max(given.sizes))
    dim = next(iter(groups.values()))[0].shape[1]
    found = [row for n_rows in given.sizes for row in measure(groups, n_rows)]
    theory = [in_theory(n_rows, dim) for n_rows in given.sizes]
    settings = {name: value for name, value in vars(given).items() if name != "out"}
    content = {"settings": settings, "load": os.getloadavg()[0], "fits": found, "theory": theory}
    given.out.write_text(json.dumps(content, indent=1) + "\n")
    frame = pd.DataFrame(found)
    frame["gain"] = frame["frozen_loss"] - frame["loss"]
    print(
        frame.groupby(["rows", "start"])[["frozen_loss", "loss", "gain", "weight", "scale"]].mean().round(4)
    )
    print(pd.DataFrame(theory).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
