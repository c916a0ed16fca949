"""What one would try first: scikit-learn models on the same rows, with encodings that suit them.

They see the columns as they were read for the in-context model: dates, currencies and stray tokens cost them nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

from testtime.backbones.base import Encoded
from testtime.evaluation.influence import power_of_two

__all__ = ["Baseline", "baselines"]

_MOST_LEVELS = 60  # one-hot columns of one nominal column; rarer levels share one
_TREE_LEVELS = 250  # what boosted trees split as categories
_LARGEST = float(np.finfo(np.float32).max)  # forests hold their inputs in float32, and refuse what is beyond


@dataclass(frozen=True)
class Baseline:
    """A model to compare with.

    Attributes
    ----------
    name
        In words.
    seconds
        What a fit takes on one core, roughly; for a budget.
    """

    name: str
    seconds: float
    _model: Any
    _categorical: bool

    def fit(self, x: NDArray[np.float64], y: NDArray) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
        """Fit to rows and return a function that predicts: probabilities ``(q, C)``, or numbers ``(q,)``.

        Classes are codes ``0 ... C-1``, all of which are in `y`.
        """
        model: Any = clone(self._model)
        if not self._categorical:
            # Trees take spreads below 1e-8 for none, and squares of huge targets overflow: the unit must not matter.
            unit = power_of_two(y - y.mean())
            model.fit(_bounded(x), y / unit)
            return lambda rows: model.predict(_bounded(rows)) * unit
        model.fit(_bounded(x), y)
        # A leaf of one class says 0 and 1; one row of doubt keeps its log loss finite.
        doubt = 1.0 / (len(y) + 1)
        prior = np.bincount(y) / len(y)
        return lambda rows: (1 - doubt) * model.predict_proba(_bounded(rows)) + doubt * prior


def baselines(described: Encoded, y: NDArray, n_classes: int, seed: int = 0) -> list[Baseline]:
    """Return the models for a table, the cheapest first.

    Parameters
    ----------
    described
        Its columns; the values are not looked at.
    y
        Training targets: class codes, or numbers.
    n_classes
        Classes (0 for a numeric target).
    """
    nominal = [at for at, kind in enumerate(described.kinds) if kind == "nominal"]
    numbers = [at for at, kind in enumerate(described.kinds) if kind != "nominal"]
    few = [at for at in nominal if described.n_levels[at] < _TREE_LEVELS]
    cells = len(y) * len(described.kinds)
    # Early stopping sets a tenth of the rows aside, and each class must be on both sides.
    stopped = len(y) > 500 and (not n_classes or (np.bincount(y).min() > 1 and len(y) >= 10 * n_classes))
    linear = make_pipeline(
        ColumnTransformer(
            [
                (
                    "numbers",
                    make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler()),
                    numbers,
                ),
                ("levels", _one_hot(), nominal),
            ]
        ),
        LogisticRegression(max_iter=500) if n_classes else RidgeCV(alphas=np.logspace(-2, 4, 13)),
    )
    trees: dict[str, Any] = {"n_estimators": 200, "min_samples_leaf": 2, "n_jobs": -1, "random_state": seed}
    forest = RandomForestClassifier(**trees) if n_classes else RandomForestRegressor(**trees)
    boosting: Any = HistGradientBoostingClassifier if n_classes else HistGradientBoostingRegressor
    ordinal = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=np.nan, encoded_missing_value=np.nan
    )
    boosted = make_pipeline(
        ColumnTransformer([("levels", ordinal, few)], remainder="passthrough"),
        boosting(categorical_features=list(range(len(few))), early_stopping=stopped, random_state=seed),
    )
    always = DummyClassifier(strategy="prior") if n_classes else DummyRegressor()
    kinds = bool(n_classes)
    return [
        Baseline("class shares" if n_classes else "mean of the target", 0.01, always, kinds),
        Baseline(
            "logistic regression" if n_classes else "ridge regression", 0.1 + 1e-5 * cells, linear, kinds
        ),
        Baseline("boosted trees", 0.5 + 1e-5 * cells * max(n_classes, 1), boosted, kinds),
        Baseline(
            "random forest",
            0.3 + 2e-5 * cells,
            make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), forest),
            kinds,
        ),
    ]


def _bounded(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(x, -_LARGEST, _LARGEST)


def _one_hot() -> Any:
    missing = SimpleImputer(strategy="constant", fill_value=-1.0)  # missing is a level of its own
    return make_pipeline(
        missing,
        OneHotEncoder(max_categories=_MOST_LEVELS, handle_unknown="infrequent_if_exist", sparse_output=True),
    )
