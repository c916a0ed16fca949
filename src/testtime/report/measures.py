"""What held-out rows are scored by: for classes the log loss first, for numbers the ranked probability score."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["CLASS_MEASURES", "NUMBER_MEASURES", "Measure", "as_number", "measures_of"]


def as_number(value: Any) -> float:
    """Return a number of a saved result, in which NaN is None and an infinity is text.

    >>> as_number(None), as_number("inf"), as_number(0.5)
    (nan, inf, 0.5)
    """
    return math.nan if value is None else float(value)


@dataclass(frozen=True)
class Measure:
    """One score.

    Attributes
    ----------
    key
        Its name in a measured point.
    name
        Its name in a sentence or a table.
    form
        How its value is formatted.
    axis, title
        What a panel that draws it says.
    """

    key: str
    name: str
    form: str
    axis: str
    title: str

    def text(self, value: Any, sign: str = "", missing: str = "-") -> str:
        """Format a value, or with ``sign="+"`` a difference; `missing` where there is none."""
        number = as_number(value)
        if not math.isfinite(number):
            return missing
        return format(number, sign + self.form).rstrip(".")  # four digits of 1234.5 are "1234."

    def of(self, point: Mapping[str, Any] | None, missing: str = "-") -> str:
        """Return the value of a point as text, `missing` where there is none."""
        return missing if point is None else self.text(point["scores"][self.key]["value"], missing=missing)

    def error_of(self, point: Mapping[str, Any], missing: str = "-") -> str:
        """Return the standard error of a point as text."""
        return self.text(point["scores"][self.key]["error"], missing=missing)


CLASS_MEASURES = (
    Measure("log_loss", "log loss", ".4f", "log loss (nats)", "Log loss: lower is better"),
    Measure("accuracy", "accuracy", ".1%", "accuracy", "Accuracy"),
    Measure("auc", "AUC", ".3f", "AUC", "Area under the ROC curve"),
)
NUMBER_MEASURES = (
    Measure("crps", "CRPS", "#.4g", "CRPS (units of the target)", "Ranked probability score"),
    Measure("rmse", "RMSE", "#.4g", "RMSE (units of the target)", "Root mean squared error"),
    Measure("mae", "MAE", "#.4g", "MAE (units of the target)", "Mean absolute error"),
)


def measures_of(evaluation: Mapping[str, Any]) -> tuple[Measure, ...]:
    """Return the measures of an evaluation; the first is the loss that adapting lowers.

    >>> [measure.name for measure in measures_of({"loss_name": "CRPS"})]
    ['CRPS', 'RMSE', 'MAE']
    """
    return NUMBER_MEASURES if evaluation["loss_name"] == "CRPS" else CLASS_MEASURES
