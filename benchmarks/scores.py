"""Scores and encodings shared by the benchmarks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score


def area_under_curve(y: np.ndarray, classes: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve; one class against the rest, unweighted mean over classes both sides of which occur."""
    columns = [c for c, label in enumerate(classes) if 0 < (y == label).sum() < len(y)]
    if len(classes) == 2:
        columns = columns[-1:]
    return float(np.mean([roc_auc_score(y == classes[c], probabilities[:, c]) for c in columns]))


def log_loss(y: np.ndarray, classes: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean log loss in nats; a class unknown to the model costs as much as a probability of 1e-12."""
    codes = {label: c for c, label in enumerate(classes)}
    chosen = np.array(
        [probabilities[i, codes[label]] if label in codes else 0.0 for i, label in enumerate(y)]
    )
    return float(-np.log(np.clip(chosen, 1e-12, 1.0)).mean())


def ordinal_frame(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Categories as ordinal codes, missing values as the training mean, for models that take numbers only."""
    columns = []
    for name in train.columns:
        pair = [train[name], test[name]]
        if not pd.api.types.is_numeric_dtype(train[name].dtype):
            levels = {v: i for i, v in enumerate(sorted(train[name].dropna().unique(), key=str))}
            pair = [values.astype(object).map(levels) for values in pair]
        arrays = [values.to_numpy(dtype=np.float64, na_value=np.nan) for values in pair]
        mean = np.nanmean(arrays[0]) if np.isfinite(arrays[0]).any() else 0.0
        columns.append([np.where(np.isnan(array), mean, array) for array in arrays])
    return np.column_stack([c[0] for c in columns]), np.column_stack([c[1] for c in columns])
