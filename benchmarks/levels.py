"""A category with many levels decides the class: our answer against logistic regression on one column for each level.

    python -m benchmarks.levels [--seeds 3] [--out benchmarks/results/levels.json]

Made tables: every level has a log odds of its own, normal with standard deviation 2; beside the category stands a
number that means nothing. 60 levels with 1,000 training rows, 1,000 levels with 10,000; 2,000 rows are asked about.
``frozen`` is ``TTTClassifier(n_steps=0)``, ``served`` the default fit; ``best`` knows the odds.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from testtime import TTTClassifier

SETTINGS = {60: 1_000, 1_000: 10_000}
N_TEST = 2_000


def measure(n_levels: int, n_train: int, seed: int) -> dict[str, Any]:
    """Areas under the ROC curve of one made table."""
    rng = np.random.default_rng([n_levels, seed])
    odds = rng.normal(scale=2.0, size=n_levels)
    names = np.array([f"level {k}" for k in rng.permutation(n_levels)])
    codes = rng.integers(n_levels, size=n_train + N_TEST)
    y = rng.random(len(codes)) < 1 / (1 + np.exp(-odds[codes]))
    frame = pd.DataFrame({"category": names[codes], "noise": rng.normal(size=len(codes))})
    train, test = frame[:n_train], frame[n_train:]
    one_hot = make_pipeline(
        OneHotEncoder(handle_unknown="ignore"),
        LogisticRegressionCV(Cs=5, scoring="neg_log_loss", max_iter=1000),
    ).fit(train[["category"]], y[:n_train])
    answers = {"best": odds[codes[n_train:]], "one-hot": one_hot.predict_proba(test[["category"]])[:, 1]}
    seconds = {}
    for name, arguments in (("frozen", {"n_steps": 0}), ("served", {})):
        began = time.perf_counter()
        model = TTTClassifier(random_state=seed, precision="float32", **arguments).fit(train, y[:n_train])
        answers[name] = model.predict_proba(test)[:, 1]
        seconds[name] = time.perf_counter() - began
    areas = {name: float(roc_auc_score(y[n_train:], answer)) for name, answer in answers.items()}
    return {"levels": n_levels, "rows": n_train, "seed": seed, "auc": areas, "seconds": seconds}


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/levels.json"))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    cells = []
    for n_levels, n_train in SETTINGS.items():
        for seed in range(options.seeds):
            cells.append(measure(n_levels, n_train, seed))
            areas = " ".join(f"{name} {area:.4f}" for name, area in cells[-1]["auc"].items())
            print(f"{n_levels} levels, {n_train:,} rows, seed {seed}: {areas}", flush=True)
    options.out.write_text(json.dumps({"cells": cells}, indent=1) + "\n")


if __name__ == "__main__":
    main()
