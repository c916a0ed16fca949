"""Scores of predictions: class probabilities, or numbers and quantiles."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from testtime.adapt.losses import pinball
from testtime.estimators.regressor import at_levels

HIGHER_IS_BETTER = ("auc", "accuracy")
CENTRAL = 0.8
"""Share of the targets that should lie inside the central interval of the predicted quantiles."""
FEWEST_QUANTILES = 9
"""That hold the ends of that interval."""
PERCENTILES = np.arange(1, 100) / 100


def classification_scores(probability: np.ndarray, y: np.ndarray) -> dict[str, float]:
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


def regression_scores(prediction: np.ndarray, y: np.ndarray) -> dict[str, float]:
    """RMSE, MAE and, of quantiles, CRPS; all in standard deviations of the test targets, so that tables compare.

    Parameters
    ----------
    prediction : ndarray of shape (rows,) or (rows, K)
        Points, or quantiles at the levels ``k / (K + 1)``. The point of a row of quantiles is their mean for RMSE and
        the middle one for MAE.
    y : ndarray of shape (rows,)
        Targets that are not all equal.

    Returns
    -------
    dict
        ``rmse`` (1 is no better than the mean of the test targets), ``mae`` and, of quantiles, ``crps`` and the
        ``coverage`` of the central 80% interval (of nine quantiles or more). The CRPS of 99 quantiles or more is that
        of the percentiles, because a mean over more levels is smaller: 199 of the same distribution would seem .5%
        better than 99.

    >>> scores = regression_scores(np.array([1.0, 1.0]), np.array([0.0, 2.0]))
    >>> scores["rmse"], scores["mae"]
    (1.0, 1.0)
    """
    scale = y.std()
    if prediction.ndim == 1:
        mean, middle = prediction, prediction
    else:
        mean, middle = prediction.mean(1), np.median(prediction, axis=1)
    out = {
        "rmse": float(np.sqrt(np.mean((mean - y) ** 2)) / scale),
        "mae": float(np.mean(np.abs(middle - y)) / scale),
    }
    if prediction.ndim == 2:
        fine = prediction.shape[1] >= len(PERCENTILES)
        out["crps"] = float(
            crps(at_levels(prediction, PERCENTILES) if fine else prediction, y).mean() / scale
        )
        if prediction.shape[1] >= FEWEST_QUANTILES:
            out["coverage"] = coverage(prediction, y)
    return out


def coverage(quantiles: np.ndarray, y: np.ndarray) -> float:
    """Share of targets between the first and the last tenth of the predicted distribution.

    Parameters
    ----------
    quantiles : ndarray of shape (rows, K)
        At the levels ``k / (K + 1)``, K at least 9; levels in between are interpolated.
    y : ndarray of shape (rows,)

    >>> coverage(np.tile(np.arange(1.0, 10.0), (3, 1)), np.array([0.5, 5.0, 9.0]))
    0.6666666666666666
    """
    tail = (1 - CENTRAL) / 2
    low, high = at_levels(quantiles, (tail, 1 - tail)).T
    return float(np.mean((low <= y) & (y <= high)))


def crps(quantiles: np.ndarray, y: np.ndarray) -> np.ndarray:
    r"""Continuous ranked probability score of each row, from K quantiles at the levels ``k / (K + 1)``.

    .. math:: \mathrm{CRPS}(F, y) = 2 \int_0^1 \rho_\tau\big(y - F^{-1}(\tau)\big)\,d\tau

    with the pinball loss :math:`\rho_\tau`; the integral is the mean over the levels. (Gneiting and Raftery, 2007,
    "Strictly Proper Scoring Rules, Prediction, and Estimation", JASA 102, section 4.2.)

    Parameters
    ----------
    quantiles : ndarray of shape (rows, K)
    y : ndarray of shape (rows,)

    Returns
    -------
    ndarray of shape (rows,)
        In the units of ``y``.
    """
    return 2 * pinball(torch.from_numpy(quantiles), torch.from_numpy(y)).numpy()
