"""Scores of probabilistic predictions."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import roc_auc_score


def scores(probability: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """AUC (one against the rest, mean over the classes that occur), accuracy, log loss and calibration error.

    Parameters
    ----------
    probability : ndarray of shape (rows, classes)
        Rows sum to 1.
    y : ndarray of shape (rows,)
        Class codes.

    Returns
    -------
    dict
        ``auc``, ``accuracy``, ``log_loss`` (nats, probabilities floored at 1e-7), ``calibration_error``.
    """
    auc = [roc_auc_score(y == c, probability[:, c]) for c in np.unique(y)]
    own = np.clip(probability[np.arange(len(y)), y], 1e-7, 1.0)
    return {
        "auc": float(np.mean(auc)),
        "accuracy": float(np.mean(probability.argmax(1) == y)),
        "log_loss": float(-np.log(own).mean()),
        "calibration_error": calibration_error(probability, y),
    }


def calibration_error(probability: np.ndarray, y: np.ndarray, n_bins: int = 10) -> float:
    """Expected calibration error of the predicted class: mean of |accuracy - confidence| over equal-width
    bins.

    >>> calibration_error(np.array([[0.75, 0.25]] * 4), np.array([0, 0, 0, 1]))
    0.0
    """
    confidence, hit = probability.max(1), probability.argmax(1) == y
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    total = 0.0
    for b in np.unique(bins):
        inside = bins == b
        total += inside.mean() * abs(hit[inside].mean() - confidence[inside].mean())
    return float(total)
