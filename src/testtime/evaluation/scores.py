"""How predictions of held-out rows are scored, one class for labels and one for numbers; every score has its error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from testtime.adapt.task import Numbers
from testtime.errors import InputError, sentence
from testtime.evaluation.influence import Influence, area, mean, mean_of, root_mean_square
from testtime.results import Result

__all__ = ["ClassScorer", "NumberScorer", "Point", "Score", "Scorer", "scored"]

_TINY = 1e-15


@dataclass(frozen=True)
class Score(Result):
    """A score and its standard error over the rows."""

    value: float
    error: float


@dataclass(frozen=True)
class Point(Result):
    """Scores at one context length.

    Attributes
    ----------
    n_context
        Context rows.
    adapted
        False for the frozen model.
    scores
        By name: "log_loss" (nats), "accuracy" and "auc" of classes (one-against-rest, averaged, for more than two);
        "crps", "rmse" and "mae" of numbers, in their unit.
    seconds_per_row
        Wall time of the prediction divided by its rows.
    """

    n_context: int
    adapted: bool
    scores: dict[str, Score]
    seconds_per_row: float


class Scorer(Protocol):
    """What is asked of a kind of target.

    Attributes
    ----------
    loss_name
        What adapting lowers: "log loss" or "CRPS".
    compared
        The score by which other models are compared: those that predict numbers have no quantiles.
    n_rows, groups
        Rows, and their groups or None.
    """

    loss_name: str
    loss: str
    compared: str
    n_rows: int
    groups: NDArray[np.int64] | None

    def influences(self, predicted: NDArray[np.float64]) -> dict[str, Influence]:
        """Return every score by name, the loss first."""
        ...

    def row_losses(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the loss of each row, ``(q,)``."""
        ...


def scored(influences: Mapping[str, Influence], groups: NDArray[np.int64] | None) -> dict[str, Score]:
    """Return values and errors."""
    return {
        name: Score(one.value, one.error(groups) if np.isfinite(one.value) else float("nan"))
        for name, one in influences.items()
    }


class ClassScorer:
    """Scores class probabilities ``(q, C)``.

    Parameters
    ----------
    labels
        Labels of the rows.
    classes
        Classes in the order of the probabilities.
    groups
        Group codes of the rows, or None.

    Raises
    ------
    InputError
        If a label is not one of the classes, or there are no rows.
    """

    loss_name, loss, compared = "log loss", "log_loss", "log_loss"

    def __init__(
        self, labels: Sequence[Any] | NDArray, classes: Sequence[Any], groups: NDArray[np.int64] | None = None
    ) -> None:
        self.codes = _codes(labels, classes)
        self.n_rows, self.groups = len(self.codes), groups

    def row_losses(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the log loss of each row in nats."""
        return -np.log(np.maximum(predicted[np.arange(self.n_rows), self.codes], _TINY))

    def influences(self, predicted: NDArray[np.float64]) -> dict[str, Influence]:
        """Return log loss, accuracy and AUC."""
        return {
            "log_loss": mean(self.row_losses(predicted)),
            "accuracy": mean(predicted.argmax(axis=1) == self.codes),
            "auc": self._area(predicted),
        }

    def _area(self, predicted: NDArray[np.float64]) -> Influence:
        """Mean over classes of the one-against-rest area; classes without rows, or with all, do not count."""
        columns = [1] if predicted.shape[1] == 2 else range(predicted.shape[1])
        parts = [area(predicted[:, c], self.codes == c) for c in columns]
        return mean_of([part for part in parts if np.isfinite(part.value)], self.n_rows)


class NumberScorer:
    """Scores predicted quantiles ``(q, A)`` at even levels, or means ``(q,)``, which have no ranked probability score.

    Raises
    ------
    InputError
        If a target is no finite number, or there are no rows.
    """

    loss_name, loss, compared = "CRPS", "crps", "rmse"

    def __init__(self, targets: Any, groups: NDArray[np.int64] | None = None) -> None:
        try:
            self.targets = np.asarray(targets, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise InputError(
                sentence(f"a held-out target is no number ({error})", remedy="Leave such rows out")
            ) from error
        if not len(self.targets) or not np.isfinite(self.targets).all():
            there = len(self.targets)
            got = "a held-out target is missing or infinite" if there else "there are no held-out rows"
            raise InputError(sentence(got, remedy="Leave such rows out" if there else "Add some"))
        self.n_rows, self.groups = len(self.targets), groups

    def row_losses(self, predicted: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the ranked probability score of each row: twice the mean pinball loss of its quantiles."""
        return Numbers().score(predicted, self.targets)

    def influences(self, predicted: NDArray[np.float64]) -> dict[str, Influence]:
        """Return CRPS, RMSE of the mean and MAE of the median."""
        middle = centre = predicted
        crps = Influence(float("nan"), np.zeros(self.n_rows))
        if predicted.ndim == 2:
            centre, middle = predicted.mean(axis=1), predicted[:, predicted.shape[1] // 2]
            crps = mean(self.row_losses(predicted))
        return {
            "crps": crps,
            "rmse": root_mean_square(centre - self.targets),
            "mae": mean(np.abs(middle - self.targets)),
        }


def _own(label: Any) -> Any:
    """A label as Python writes it: a scalar of NumPy names its type, too."""
    return label.item() if isinstance(label, np.generic) else label


def _codes(labels: Sequence[Any] | NDArray, classes: Sequence[Any]) -> NDArray[np.int64]:
    """Return the position of each label among the classes of the fit."""
    lookup = {label: code for code, label in enumerate(classes)}
    unknown = np.asarray(
        [label for label in labels if label not in lookup]
    ).tolist()  # plain values, to be shown
    if unknown or not len(labels):
        raise InputError(
            sentence(
                f"the held-out label {_own(unknown[0])!r}" if unknown else "there are no held-out rows",
                expected="one of " + ", ".join(repr(_own(label)) for label in classes[:10])
                if unknown
                else "",
                remedy="Leave out rows of other classes" if unknown else "Add some",
            )
        )
    return np.array([lookup[label] for label in labels], dtype=np.int64)
