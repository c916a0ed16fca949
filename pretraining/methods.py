"""The model as a method: plain in context, for class probabilities or quantiles."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from tabicl._model.tabicl import TabICL

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


def scaled_rows(x_train: np.ndarray, x_other: np.ndarray) -> torch.Tensor:
    """Rows as the model sees them, training rows first, (T, H); the training rows are the context."""
    rows = torch.from_numpy(np.concatenate([x_train, x_other])).float()[None]
    return standardise(rows, len(x_train))[0]


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
    x = scaled_rows(x_train, x_test)[None]
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
    x = scaled_rows(x_train, x_test)[None]
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
    return run(model, table.x[train], table.y[train], table.x[test], members, seed)


def in_context(model: TabICL) -> Method:
    """The model, with the columns as they come, as a method."""

    def run(table: RealTable, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        return predict_orders(model, table, train, test, 1, seed)[0]

    return run
