"""The model as a method: plain in context, for class probabilities or quantiles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from tabicl._model.tabicl import TabICL

from testtime.backbones.base import Encoded
from testtime.table.levels import LevelStatistics

from .baselines import Method
from .checkpoint import part, read_checkpoint
from .model import build_model, lean_logits, read_weights
from .prior import standardise
from .prior.targets import standardise_target
from .tables import RealTable


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
        config, weights = json.loads(beside.read_text(encoding="utf-8"))["config"], read_weights(path)
    else:
        tensors, _, settings = read_checkpoint(path)
        config, weights = settings["model"], part(tensors, "model.")
        if average:
            weights |= part(tensors, "ema.")
    model = build_model(config, seed=0)
    model.load_state_dict(weights)
    return model.train()  # the training path has no autocast; there is no dropout


def scaled_rows(x: np.ndarray, n_context: int) -> torch.Tensor:
    """Rows as the model sees them, (T, H), scaled by the first ``n_context``, which are the context."""
    return standardise(torch.from_numpy(x).float()[None], n_context)[0]


def shown_columns(
    table: RealTable, train: np.ndarray, other: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Columns as the package shows them to the model: with what their levels say about the target beside them.

    Those of training rows come from other training rows (:mod:`testtime.table.levels`).

    Returns
    -------
    ndarray of shape (training rows, columns), float32
    ndarray of shape (other rows, columns), float32
    """
    y = table.y[train]
    n_classes = 0 if np.issubdtype(y.dtype, np.floating) else int(y.max()) + 1
    levels = tuple(
        int(np.nanmax(column)) + 1 if nominal else 0
        for column, nominal in zip(table.x.T, table.categorical, strict=True)
    )
    kinds = tuple("nominal" if nominal else "number" for nominal in table.categorical)
    names = tuple(map(str, range(len(levels))))
    known, unknown = (
        Encoded(table.x[rows].astype(np.float64), names, kinds, levels) for rows in (train, other)
    )
    statistics = LevelStatistics.fit(known, y, n_classes)
    shown = statistics.cross_fitted(known, y, seed), statistics.transform(unknown)
    return shown[0].astype(np.float32), shown[1].astype(np.float32)


@torch.no_grad()
def class_orders(
    model: TabICL, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, members: int, seed: int
) -> np.ndarray:
    """Class probabilities with each of ``members`` orders of columns and class codes (the first unchanged).

    Returns
    -------
    ndarray of shape (members, test rows, classes)
    """
    n_classes = int(y_train.max()) + 1
    x = scaled_rows(np.concatenate([x_train, x_test]), len(x_train))[None]
    y = torch.from_numpy(y_train)[None]
    rng = torch.Generator().manual_seed(seed)
    out = []
    for member in range(members):
        columns = torch.randperm(x.shape[2], generator=rng) if member else torch.arange(x.shape[2])
        codes = torch.randperm(n_classes, generator=rng) if member else torch.arange(n_classes)
        logits = lean_logits(model, x[:, :, columns], codes[y].float())[0, :, :n_classes]
        out.append(logits[:, codes].softmax(1))
    return torch.stack(out).numpy()


@torch.no_grad()
def quantile_orders(
    model: TabICL, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, members: int, seed: int
) -> np.ndarray:
    """Quantiles in the units of the target with each of ``members`` orders of columns (the first unchanged).

    Targets are put on the scale of the training rows as in the prior; quantiles that cross are sorted
    (Chernozhukov, Fernandez-Val and Galichon, 2010, "Quantile and Probability Curves without Crossing",
    Econometrica 78).

    Returns
    -------
    ndarray of shape (members, test rows, quantiles), float64
    """
    mean, scale = y_train.mean(), max(y_train.std(), 1e-6)
    x = scaled_rows(np.concatenate([x_train, x_test]), len(x_train))[None]
    y = standardise_target(torch.from_numpy(y_train)[None], len(y_train)).float()
    rng = torch.Generator().manual_seed(seed)
    out = []
    for member in range(members):
        columns = torch.randperm(x.shape[2], generator=rng) if member else torch.arange(x.shape[2])
        out.append(lean_logits(model, x[:, :, columns], y)[0].sort(1).values)
    return mean + scale * torch.stack(out).double().numpy()


def predict_orders(
    model: TabICL, table: RealTable, train: np.ndarray, test: np.ndarray, members: int, seed: int
) -> np.ndarray:
    """Predictions with each of ``members`` orders, (members, test rows, K); the head says of what."""
    run = class_orders if model.max_classes else quantile_orders
    known, unknown = shown_columns(table, train, test, seed)
    return run(model, known, table.y[train], unknown, members, seed)


def in_context(model: TabICL) -> Method:
    """The model, with the columns as they come, as a method."""

    def run(table: RealTable, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        return predict_orders(model, table, train, test, 1, seed)[0]

    return run
