"""Scores of predicted class probabilities, as the figures of tables show them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["class_scores"]


def class_scores(probabilities: NDArray[np.float64], codes: NDArray[np.int64]) -> dict[str, float]:
    """Return log loss in nats, area under the ROC curve, and accuracy.

    The area is of one class against the rest, averaged over the classes that are there, weighted by their rows.

    Parameters
    ----------
    probabilities, codes
        Shapes ``(q, C)`` and ``(q,)``, the codes in the order of the columns.

    >>> class_scores(np.array([[0.5, 0.5], [0.2, 0.8]]), np.array([0, 1]))["auc"]
    1.0
    """
    from sklearn.metrics import roc_auc_score

    p = np.maximum(probabilities, 1e-15)
    counts = np.bincount(codes, minlength=p.shape[1])
    there = [c for c in range(p.shape[1]) if 0 < counts[c] < len(codes)]
    areas = [float(roc_auc_score(codes == c, p[:, c])) for c in there]
    return {
        "log_loss": float(-np.log(p[np.arange(len(codes)), codes]).mean()),
        "auc": float(np.average(areas, weights=counts[there])) if there else float("nan"),
        "accuracy": float((p.argmax(1) == codes).mean()),
    }
