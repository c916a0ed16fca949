"""What differs between classification and regression in an evaluation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .baselines import CLASSIFICATION_BASELINES, REGRESSION_BASELINES, Method
from .metrics import classification_scores, regression_scores
from .regression_tables import DEVELOPMENT_REGRESSION, REPORTED_REGRESSION, read_regression_table
from .tables import DEVELOPMENT, REPORTED, RealTable, read_table


@dataclass(frozen=True)
class Task:
    """A kind of target.

    Attributes
    ----------
    name : str
        As in the name of exported weights.
    measures : tuple of str
        What ``score`` gives; the first is the one tables are listed by, and all methods have the first two.
    loss : str
        The measure of predicted distributions, which is what steps lower.
    score : callable
        (prediction, targets) -> measure -> value.
    read : callable
        Name -> table.
    development, reported : tuple of str
        Tables that choices may look at, and tables that are only measured.
    baselines : dict of str to Method
    """

    name: str
    measures: tuple[str, ...]
    loss: str
    score: Callable[[np.ndarray, np.ndarray], dict[str, float]]
    read: Callable[[str], RealTable]
    development: tuple[str, ...]
    reported: tuple[str, ...]
    baselines: dict[str, Method]


TASKS = {
    "classifier": Task(
        "classifier",
        ("auc", "log_loss", "accuracy", "calibration_error"),
        "log_loss",
        classification_scores,
        read_table,
        DEVELOPMENT,
        REPORTED,
        CLASSIFICATION_BASELINES,
    ),
    "regressor": Task(
        "regressor",
        ("rmse", "mae", "crps", "coverage"),
        "crps",
        regression_scores,
        read_regression_table,
        DEVELOPMENT_REGRESSION,
        REPORTED_REGRESSION,
        REGRESSION_BASELINES,
    ),
}
