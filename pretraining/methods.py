"""What is compared: the model, plain in context, and scikit-learn's methods trained on the same rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from tabicl._model.tabicl import TabICL

from .checkpoint import part, read_checkpoint
from .model import build_model, lean_logits
from .prior import standardise
from .tables import RealTable

Method = Callable[[RealTable, np.ndarray, np.ndarray, int], np.ndarray]
"""(table, training rows, test rows, seed) -> class probabilities of the test rows."""


def load_model(path: Path, *, average: bool = True) -> TabICL:
    """A model from a checkpoint or snapshot of the loop, or from exported weights with their JSON beside
    them.

    Parameters
    ----------
    path : Path
    average : bool
        Of a checkpoint, take the running average rather than the last weights.
    """
    beside = path.with_suffix(".json")
    if beside.exists():
        config = json.loads(beside.read_text(encoding="utf-8"))["config"]
        weights = {name: value.float() for name, value in load_file(path).items()}
    else:
        tensors, _, settings = read_checkpoint(path)
        config, weights = settings["model"], part(tensors, "model.")
        if average:
            weights |= part(tensors, "ema.")
    model = build_model(config, seed=0)
    model.load_state_dict(weights)
    return model.train()  # the training path has no autocast; there is no dropout


@torch.no_grad()
def predict(
    model: TabICL, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, members: int, seed: int
):
    """Class probabilities, averaged over ``members`` orders of columns and class codes (the first unchanged).

    Returns
    -------
    ndarray of shape (test rows, classes)
    """
    n_classes = int(y_train.max()) + 1
    rows = torch.from_numpy(np.concatenate([x_train, x_test])).float()[None]
    x = standardise(rows, len(x_train))
    y = torch.from_numpy(y_train)[None]
    rng = torch.Generator().manual_seed(seed)
    total = torch.zeros(len(x_test), n_classes)
    for member in range(members):
        columns = torch.randperm(x.shape[2], generator=rng) if member else torch.arange(x.shape[2])
        codes = torch.randperm(n_classes, generator=rng) if member else torch.arange(n_classes)
        logits = lean_logits(model, x[:, :, columns], codes[y].float())[0, :, :n_classes]
        total += logits[:, codes].softmax(1)
    return (total / members).numpy()


def in_context(model: TabICL, members: int) -> Method:
    """The model as a method."""

    def run(table: RealTable, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        return predict(model, table.x[train], table.y[train], table.x[test], members, seed)

    return run


def _one_hot(table: RealTable):
    numeric = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    category = make_pipeline(
        SimpleImputer(strategy="most_frequent", keep_empty_features=True),
        OneHotEncoder(handle_unknown="ignore"),
    )
    return ColumnTransformer([("n", numeric, ~table.categorical), ("c", category, table.categorical)])


def _scikit(make: Callable[[RealTable, int, int], object]) -> Method:
    def run(table: RealTable, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        estimator = make(table, len(train), seed)
        estimator.fit(table.x[train], table.y[train])
        return estimator.predict_proba(table.x[test])

    return run


def _boosting(table: RealTable, n_train: int, seed: int):
    few = np.array([len(np.unique(column)) <= 255 for column in table.x.T])
    return HistGradientBoostingClassifier(
        categorical_features=table.categorical & few,
        random_state=seed,
        min_samples_leaf=min(20, max(2, n_train // 16)),
    )


BASELINES: dict[str, Method] = {
    "random forest": _scikit(
        lambda table, n, seed: make_pipeline(
            SimpleImputer(keep_empty_features=True), RandomForestClassifier(200, random_state=seed)
        )
    ),
    "boosted trees": _scikit(_boosting),
    "logistic regression": _scikit(
        lambda table, n, seed: make_pipeline(_one_hot(table), LogisticRegression(max_iter=500))
    ),
    "10 nearest rows": _scikit(
        lambda table, n, seed: make_pipeline(_one_hot(table), KNeighborsClassifier(10, weights="distance"))
    ),
}
"""Defaults of scikit-learn, except where a default cannot learn from 32 rows (leaf size of boosted trees)."""
