"""How predictions of held-out rows are scored, one class for labels and one for numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.adapt.mix import standard_error
from testtime.errors import InputError, sentence
from testtime.results import Result

if TYPE_CHECKING:
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

__all__ = [
    "CalibrationBin",
    "ClassScorer",
    "CoverageLevel",
    "CurvePoint",
    "NumberPoint",
    "NumberScorer",
    "Scorer",
]

_TINY = 1e-15
_BINS = 10
_COVERED = np.arange(5, 100, 5)  # percentiles whose coverage is counted


@dataclass(frozen=True)
class CurvePoint(Result):
    """Scores of predicted classes at one context length.

    Attributes
    ----------
    n_context
        Context rows.
    adapted
        False for the frozen model.
    log_loss, log_loss_error
        Mean in nats and its standard error over the rows.
    accuracy
        Share of rows whose most probable class is right.
    auc
        Area under the ROC curve, for more than two classes the mean of one-against-rest; NaN if undefined.
    seconds_per_row
        Wall time of the prediction divided by its rows.
    """

    n_context: int
    adapted: bool
    log_loss: float
    log_loss_error: float
    accuracy: float
    auc: float
    seconds_per_row: float


@dataclass(frozen=True)
class NumberPoint(Result):
    """Scores of predicted numbers at one context length, in the units of the target.

    Attributes
    ----------
    n_context
        Context rows.
    adapted
        False for the frozen model.
    crps, crps_error
        Continuous ranked probability score of the quantiles, mean and its standard error over the rows.
    rmse
        Root mean squared error of the predicted means.
    mae
        Mean absolute error of the predicted medians.
    seconds_per_row
        Wall time of the prediction divided by its rows.
    """

    n_context: int
    adapted: bool
    crps: float
    crps_error: float
    rmse: float
    mae: float
    seconds_per_row: float


@dataclass(frozen=True)
class CalibrationBin(Result):
    """Rows whose most probable class has a probability in one interval.

    Attributes
    ----------
    adapted
        False for the frozen model.
    confidence, accuracy
        Mean probability of the predicted class, and how often it is right.
    rows
        Number of rows.
    """

    adapted: bool
    confidence: float
    accuracy: float
    rows: int


@dataclass(frozen=True)
class CoverageLevel(Result):
    """How many targets lie below a predicted quantile.

    Attributes
    ----------
    adapted
        False for the frozen model.
    level, share
        Level of the quantile, and the share of rows whose target is not above it; equal for a calibrated model.
    rows
        Number of rows.
    """

    adapted: bool
    level: float
    share: float
    rows: int


class Scorer(Protocol):
    """What :func:`testtime.evaluation.curves.evaluate` asks of a kind of target."""

    loss_name: str
    n_rows: int

    def predict(self, X: pd.DataFrame, n_context: int, adapted: bool) -> NDArray[np.float64]:
        """Return what is scored, ``(q, K)``."""
        ...

    def row_losses(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the loss of each row, ``(q,)``."""
        ...

    def point(
        self, n_context: int, adapted: bool, predicted: NDArray[np.float64], seconds: float
    ) -> CurvePoint | NumberPoint:
        """Return the scores; `seconds` is the time of the whole prediction."""
        ...

    def calibration(
        self, predicted: NDArray[np.float64], adapted: bool
    ) -> Sequence[CalibrationBin | CoverageLevel]:
        """Return whether probabilities mean what they say."""
        ...


class ClassScorer:
    """Scores a classifier on labelled rows.

    Raises
    ------
    InputError
        If a label is not one of the classes of the fit, or there are no rows.
    """

    loss_name = "log loss"

    def __init__(self, estimator: TTTClassifier, labels: NDArray[Any]) -> None:
        self._estimator = estimator
        self._codes = _codes(labels, np.asarray(estimator.classes_).tolist())
        self.n_rows = len(self._codes)

    def predict(self, X: pd.DataFrame, n_context: int, adapted: bool) -> NDArray[np.float64]:
        """Return probabilities, ``(q, n_classes)``."""
        return self._estimator.predict_proba_at(X, n_context, adapted=adapted)

    def row_losses(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log loss of each row in nats."""
        return -np.log(np.maximum(predicted[np.arange(self.n_rows), self._codes], _TINY))

    def point(
        self, n_context: int, adapted: bool, predicted: NDArray[np.float64], seconds: float
    ) -> CurvePoint:
        """Return log loss, accuracy and AUC."""
        row_losses = self.row_losses(predicted)
        return CurvePoint(
            n_context=n_context,
            adapted=adapted,
            log_loss=float(row_losses.mean()),
            log_loss_error=standard_error(row_losses),
            accuracy=float((predicted.argmax(axis=1) == self._codes).mean()),
            auc=_auc(predicted, self._codes),
            seconds_per_row=seconds / self.n_rows,
        )

    def calibration(self, predicted: NDArray[np.float64], adapted: bool) -> list[CalibrationBin]:
        """Sort rows by the probability of the predicted class and cut them into bins of equal size."""
        confidence, right = predicted.max(axis=1), predicted.argmax(axis=1) == self._codes
        pieces = np.array_split(
            np.argsort(confidence, kind="stable"), min(_BINS, max(1, len(confidence) // 20))
        )
        return [
            CalibrationBin(adapted, float(confidence[rows].mean()), float(right[rows].mean()), len(rows))
            for rows in pieces
        ]


class NumberScorer:
    """Scores a regressor on rows with a numeric target.

    Raises
    ------
    InputError
        If a target is no finite number, or there are no rows.
    """

    loss_name = "CRPS"
    _levels = np.arange(1, 100) / 100

    def __init__(self, estimator: TTTRegressor, targets: NDArray[Any]) -> None:
        self._estimator = estimator
        try:
            self._targets = np.asarray(targets, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(
                sentence(f"a held-out target is no number ({error})", remedy="Leave such rows out")
            ) from error
        if not len(targets) or not np.isfinite(self._targets).all():
            got = "a held-out target is missing or infinite" if len(targets) else "there are no held-out rows"
            raise InputError(sentence(got, remedy="Leave such rows out" if len(targets) else "Add some"))
        self.n_rows = len(self._targets)

    def predict(self, X: pd.DataFrame, n_context: int, adapted: bool) -> NDArray[np.float64]:
        """Return the 99 percentiles, ``(q, 99)``."""
        return self._estimator.predict_quantiles_at(X, n_context, self._levels.tolist(), adapted=adapted)

    def row_losses(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the ranked probability score of each row: twice the mean pinball loss of its percentiles."""
        error = self._targets[:, None] - predicted
        return 2 * np.maximum(self._levels * error, (self._levels - 1) * error).mean(axis=1)

    def point(
        self, n_context: int, adapted: bool, predicted: NDArray[np.float64], seconds: float
    ) -> NumberPoint:
        """Return CRPS, RMSE of the mean and MAE of the median."""
        row_losses = self.row_losses(predicted)
        middle = predicted.shape[1] // 2
        return NumberPoint(
            n_context=n_context,
            adapted=adapted,
            crps=float(row_losses.mean()),
            crps_error=standard_error(row_losses),
            rmse=float(np.sqrt(np.mean((predicted.mean(axis=1) - self._targets) ** 2))),
            mae=float(np.abs(predicted[:, middle] - self._targets).mean()),
            seconds_per_row=seconds / self.n_rows,
        )

    def calibration(self, predicted: NDArray[np.float64], adapted: bool) -> list[CoverageLevel]:
        """Count the targets that are not above every fifth percentile."""
        below = (self._targets[:, None] <= predicted).mean(axis=0)
        return [
            CoverageLevel(adapted, float(self._levels[k - 1]), float(below[k - 1]), self.n_rows)
            for k in _COVERED
        ]


def _codes(labels: NDArray[Any], classes: list[Any]) -> NDArray[np.int64]:
    """Return the position of each label among the classes of the fit."""
    lookup = {label: code for code, label in enumerate(classes)}
    unknown = [label for label in labels if label not in lookup]
    if unknown or not len(labels):
        raise InputError(
            sentence(
                f"the held-out label {unknown[0]!r}" if unknown else "there are no held-out rows",
                expected="one of " + ", ".join(repr(label) for label in classes[:10]) if unknown else "",
                remedy="Leave out rows of other classes" if unknown else "Add some",
            )
        )
    return np.array([lookup[label] for label in labels], dtype=np.int64)


def _auc(probabilities: NDArray[np.float64], codes: NDArray[np.int64]) -> float:
    """Mean over classes of the one-against-rest area; classes without rows, or with all, do not count."""
    from sklearn.metrics import roc_auc_score

    columns = [1] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    areas = [
        roc_auc_score(codes == c, probabilities[:, c]) for c in columns if 0 < (codes == c).sum() < len(codes)
    ]
    return float(np.mean(areas)) if areas else float("nan")
