"""What you have against what you get: real tables, default settings, against everything a user could do instead.

    python -m benchmarks.tabular [--seeds 3] [--parts default short trees ...] [--out benchmarks/results/tabular]
    python -m benchmarks.tabular --numbers          numeric targets

One JSON file per (table, seed, part) is kept under ``--out``; a rerun skips what is there. The summary is printed and
written to ``--out``.json. ``--development`` measures the tables that choices looked at instead of the reported ones,
``--backbone embedded:1`` other weights than the default ones.

Protocol: 1,000 training rows and up to 1,000 test rows per seed, drawn at random. The *rival* is the frozen embedded
model with all training rows as context, averaged over 8 orders of columns and class codes: what a user has without this
package's training. ``default`` is ``TTTClassifier(random_state=seed)``, ``short`` the same with ``n_context=128``.
CatBoost and LightGBM (``pip install catboost lightgbm``) and scikit-learn's models have their default settings, the
logistic regression a penalty chosen by cross-validation. ``tuner`` is tabicl's own fine-tuning of the same checkpoint.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
import zlib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.ranks import draw
from benchmarks.scores import area_under_curve, log_loss, ordinal_frame
from benchmarks.summary import print_summary, summarise
from benchmarks.tables import DEVELOPMENT, REPORTED, REPORTED_NUMBERS, read

N_TRAIN, N_TEST, SERVED = 1000, 1000, 128


@dataclass(frozen=True)
class Draw:
    """Training and test rows of one table and seed."""

    X: pd.DataFrame
    y: np.ndarray
    X_test: pd.DataFrame
    y_test: np.ndarray
    seed: int
    backbone: str = "embedded"

    @classmethod
    def of(cls, name: str, seed: int, n_rows: int = N_TRAIN, backbone: str = "embedded") -> Draw:
        """Draw rows at random; the same for every method and model. Fewer training rows are the first of more."""
        X, target = read(name)
        rows = np.random.default_rng([seed, zlib.crc32(name.encode())]).permutation(len(X))
        most = min(N_TRAIN, int(0.7 * len(X)))
        train, test = rows[: min(most, n_rows)], rows[most : most + N_TEST]
        y = target.to_numpy()
        test = test[np.isin(y[test], y[train])] if y.dtype.kind not in "fi" else test
        return cls(X.iloc[train], y[train], X.iloc[test], y[test], seed, backbone)

    def scores(self, classes: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        """Scores of probabilities of the test rows."""
        return {
            "auc": area_under_curve(self.y_test, classes, probabilities),
            "log_loss": log_loss(self.y_test, classes, probabilities),
            "accuracy": float((classes[probabilities.argmax(1)] == self.y_test).mean()),
        }


def _spent(began: tuple[float, float]) -> dict[str, float]:
    """Wall and processor seconds since then; only the second does not depend on what else a machine does."""
    return {"seconds": time.perf_counter() - began[0], "cpu_seconds": time.process_time() - began[1]}


def adapted(draw: Draw, **arguments: Any) -> dict[str, Any]:
    """Fit; scores as served, and of the frozen model in the same views with the same context."""
    from testtime import TTTClassifier

    began = time.perf_counter(), time.process_time()
    given = {"backbone": draw.backbone, "random_state": draw.seed, "precision": "float32"}
    model = TTTClassifier(**given, **arguments).fit(draw.X, draw.y)
    spent = _spent(began)
    record, classes = model.adaptation_, model.classes_
    served = model.predict_proba(draw.X_test)
    frozen = model.predict_proba_at(draw.X_test, record.n_context, adapted=False)
    kept = ("status", "weight", "n_steps", "n_context", "loss_before", "loss_after", "standard_error")
    return {
        "served": draw.scores(classes, served),
        "frozen": draw.scores(classes, frozen),
        **spent,
        "record": {name: record.to_dict()[name] for name in (*kept, "expected_gain", "adapter_bytes")},
    }


def views(draw: Draw) -> dict[str, Any]:
    """The frozen model in one view and in four."""
    from dataclasses import replace

    from testtime import TTTClassifier
    from testtime.backbones.registry import load_backbone

    given = {"backbone": draw.backbone, "n_steps": 0, "precision": "float32"}
    one = TTTClassifier(n_members=1, **given).fit(draw.X, draw.y)
    backbone = load_backbone(draw.backbone, "classifier")
    recipe = backbone.recipe
    try:
        backbone.recipe = replace(recipe, n_views=4)
        four = TTTClassifier(**given).fit(draw.X, draw.y)
    finally:
        backbone.recipe = recipe
    models = {"plain, 1 order": one, "plain, 4 orders": four}
    return {name: draw.scores(m.classes_, m.predict_proba(draw.X_test)) for name, m in models.items()}


def trees(draw: Draw, names: Collection[str] | None = None) -> dict[str, Any]:
    """Trees, boosting and a linear model on the same rows; `names` are some of them."""
    from catboost import CatBoostClassifier
    from lightgbm import LGBMClassifier
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    numbers, numbers_test = ordinal_frame(draw.X, draw.X_test)
    seed = draw.seed
    models = {
        "random forest": RandomForestClassifier(300, random_state=seed, n_jobs=1),
        "boosted trees": HistGradientBoostingClassifier(random_state=seed),
        "logistic regression": make_pipeline(StandardScaler(), LogisticRegressionCV(Cs=5, max_iter=1000)),
        "CatBoost": CatBoostClassifier(
            random_seed=seed, verbose=False, thread_count=1, allow_writing_files=False
        ),
        "LightGBM": LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1),
    }
    result = {}
    for name, model in models.items():
        if names is not None and name not in names:
            continue
        began = time.perf_counter()
        model.fit(numbers, draw.y)
        scores = draw.scores(np.asarray(model.classes_), np.asarray(model.predict_proba(numbers_test)))
        result[name] = {**scores, "seconds": time.perf_counter() - began}
    return result


def tuner(draw: Draw) -> dict[str, Any]:
    """tabicl's own fine-tuning, default settings, of the same checkpoint."""
    from benchmarks.official import tuned_probabilities

    began = time.perf_counter(), time.process_time()
    classes, probabilities = tuned_probabilities(*ordinal_frame(draw.X, draw.X_test), draw.y, draw.seed)
    return {"official tuner": {**draw.scores(classes, probabilities), **_spent(began)}}


def numbers(draw: Draw) -> dict[str, Any]:
    """Numeric targets: CRPS in standard deviations of the training target, and root mean squared errors."""
    from sklearn.ensemble import RandomForestRegressor

    from testtime import TTTRegressor
    from testtime.adapt.task import Numbers

    spread = draw.y.std()
    began = time.perf_counter(), time.process_time()
    given = {"backbone": draw.backbone, "random_state": draw.seed, "precision": "float32"}
    model = TTTRegressor(**given).fit(draw.X, draw.y)
    spent = _spent(began)
    levels = np.arange(1, 100) / 100
    n_context = model.adaptation_.n_context
    forest = RandomForestRegressor(300, random_state=draw.seed, n_jobs=1)
    plain, plain_test = ordinal_frame(draw.X, draw.X_test)
    guess = forest.fit(plain, draw.y).predict(plain_test)
    result: dict[str, Any] = {**spent, "weight": model.adaptation_.weight}
    answers = {
        "served": model.predict_quantiles(draw.X_test, levels),
        "frozen": model.predict_quantiles_at(draw.X_test, n_context, levels, adapted=False),
    }
    for name, quantiles in answers.items():
        crps = Numbers().score(quantiles, draw.y_test).mean() / spread
        inside = (draw.y_test >= quantiles[:, 9]) & (draw.y_test <= quantiles[:, 89])
        error = np.sqrt(np.mean((quantiles.mean(1) - draw.y_test) ** 2)) / spread
        result[name] = {"crps": float(crps), "rmse": float(error), "coverage of 80%": float(inside.mean())}
    result["random forest"] = {"rmse": float(np.sqrt(np.mean((guess - draw.y_test) ** 2)) / spread)}
    return result


PARTS: dict[str, Callable[[Draw], dict[str, Any]]] = {
    "default": adapted,
    "short": lambda draw: adapted(draw, n_context=SERVED),
    "views": views,
    "trees": trees,
    "tuner": tuner,
    "numbers": numbers,
}


def run(
    name: str, seed: int, part: str, folder: Path, n_rows: int, backbone: str = "embedded"
) -> dict[str, Any]:
    """Measure one part on one table with one draw of rows, or take what is there."""
    path = folder / f"{name.replace(':', '-').replace('/', '-')}-{seed}-{part}.json"
    if not path.exists():
        warnings.simplefilter("ignore")
        partial = path.with_suffix(".part")
        partial.write_text(json.dumps(PARTS[part](Draw.of(name, seed, n_rows, backbone)), indent=1))
        partial.replace(path)
        print(f"{time.strftime('%H:%M:%S')} {name} seed {seed} {part}", flush=True)
    return json.loads(path.read_text())


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", nargs="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parts", nargs="*", choices=list(PARTS))
    parser.add_argument("--development", action="store_true", help="the tables that choices looked at")
    parser.add_argument("--numbers", action="store_true", help="tables with a numeric target")
    parser.add_argument("--rows", type=int, default=N_TRAIN, help="training rows at most")
    parser.add_argument(
        "--backbone", default="embedded", help="as TTTClassifier takes it; not for trees and tuner"
    )
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    kind = "numbers" if options.numbers else "development" if options.development else "tabular"
    few = "" if options.rows == N_TRAIN else f"-{options.rows}"
    other = "" if options.backbone == "embedded" else "-" + options.backbone.replace(":", "-")
    out = options.out or Path("benchmarks/results") / f"{kind}{few}{other}"
    known = {"numbers": REPORTED_NUMBERS, "development": DEVELOPMENT, "tabular": REPORTED}[kind]
    parts = options.parts or (["numbers"] if options.numbers else ["default", "short", "views", "trees"])
    out.mkdir(parents=True, exist_ok=True)
    cells = [
        {
            "table": name,
            "seed": seed,
            **{part: run(name, seed, part, out, options.rows, options.backbone) for part in parts},
        }
        for seed in range(options.seeds)
        for name in options.tables or known
    ]
    summary = summarise(cells)
    out.with_suffix(".json").write_text(json.dumps({"cells": cells, "summary": summary}, indent=1) + "\n")
    for measure, compared in summary.get("ranks", {}).items():
        draw(
            compared,
            out.with_name(f"{out.name}_ranks_{measure}.svg"),
            f"{measure} on {compared['tables']} tables",
        )
    print_summary(summary)


if __name__ == "__main__":
    main()
