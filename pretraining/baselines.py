"""What the model is compared with: scikit-learn's methods, CatBoost and LightGBM, trained on the same rows.

Defaults of the libraries, except where a default cannot learn from 32 rows (leaf size of boosted trees) and where the
default is a choice to be made (200 trees, 10 neighbours weighted by distance).
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import is_classifier
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from testtime.errors import MissingExtra, sentence

from .tables import RealTable

Method = Callable[[RealTable, np.ndarray, np.ndarray, int], np.ndarray]
"""(table, training rows, test rows, seed) -> class probabilities of the test rows; numbers or quantiles of them."""

RIDGE_PENALTIES = tuple(10.0**k for k in range(-3, 4))
N_TREES = 200
N_NEIGHBOURS = 10


def _method(make: Callable[[RealTable, int, int], Pipeline]) -> Method:
    """A method from (table, number of training rows, seed) -> estimator."""

    def run(table: RealTable, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        # Of a column that is missing in all training rows nothing can be learned, and boosted trees find no bins in it.
        x = np.where(np.isnan(table.x[train]).all(axis=0), 0.0, table.x)
        estimator = make(table, len(train), seed).fit(x[train], table.y[train])
        predict = estimator.predict_proba if is_classifier(estimator) else estimator.predict
        return predict(x[test])

    return run


def _filled(last: object) -> Pipeline:
    return make_pipeline(SimpleImputer(keep_empty_features=True), last)


def _one_hot(table: RealTable, last: object) -> Pipeline:
    numeric = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler())
    category = make_pipeline(
        SimpleImputer(strategy="most_frequent", keep_empty_features=True),
        OneHotEncoder(handle_unknown="ignore"),
    )
    columns = [("n", numeric, ~table.categorical), ("c", category, table.categorical)]
    return make_pipeline(ColumnTransformer(columns), last)


def _boosting(kind: type, table: RealTable, n_train: int, seed: int) -> Pipeline:
    few = np.array([len(np.unique(column)) <= 255 for column in table.x.T])
    leaf = min(20, max(2, n_train // 16))
    return make_pipeline(
        kind(categorical_features=table.categorical & few, random_state=seed, min_samples_leaf=leaf)
    )


def _named(make: Callable[[list[str], int], Any]) -> Method:
    """A method that takes categories as such, from (names of categorical columns, seed) -> estimator."""

    def run(table: RealTable, train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
        frame = pd.DataFrame({f"c{j}": column for j, column in enumerate(table.x.T)})
        nominal = [f"c{j}" for j in np.flatnonzero(table.categorical)]
        # a missing category is one more category
        frame[nominal] = frame[nominal].fillna(-1).astype(int).astype("category")
        estimator = make(nominal, seed).fit(frame.iloc[train], table.y[train])
        predict = estimator.predict_proba if is_classifier(estimator) else estimator.predict
        return np.asarray(predict(frame.iloc[test]))

    return run


def _catboost(kind: str) -> Method:
    def make(nominal: list[str], seed: int) -> Any:
        quiet = {"verbose": False, "allow_writing_files": False, "thread_count": 1}
        return getattr(_library("catboost"), kind)(cat_features=nominal, random_seed=seed, **quiet)

    return _named(make)


def _lightgbm(kind: str) -> Method:
    return _named(
        lambda _, seed: getattr(_library("lightgbm"), kind)(random_state=seed, n_jobs=1, verbose=-1)
    )


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtra(
            sentence(
                f"{name} is not installed",
                why="the model is compared with it",
                remedy="Run: pip install 'testtime[benchmark]', or pass --no-baselines",
            )
        ) from error


CLASSIFICATION_BASELINES: dict[str, Method] = {
    "random forest": _method(lambda _, n, seed: _filled(RandomForestClassifier(N_TREES, random_state=seed))),
    "boosted trees": _method(
        lambda table, n, seed: _boosting(HistGradientBoostingClassifier, table, n, seed)
    ),
    "logistic regression": _method(lambda table, n, _: _one_hot(table, LogisticRegression(max_iter=500))),
    "CatBoost": _catboost("CatBoostClassifier"),
    "LightGBM": _lightgbm("LGBMClassifier"),
    "10 nearest rows": _method(
        lambda table, n, _: _one_hot(table, KNeighborsClassifier(N_NEIGHBOURS, weights="distance"))
    ),
}

REGRESSION_BASELINES: dict[str, Method] = {
    "random forest": _method(lambda _, n, seed: _filled(RandomForestRegressor(N_TREES, random_state=seed))),
    "boosted trees": _method(lambda table, n, seed: _boosting(HistGradientBoostingRegressor, table, n, seed)),
    "ridge regression": _method(lambda table, n, _: _one_hot(table, RidgeCV(RIDGE_PENALTIES))),
    "CatBoost": _catboost("CatBoostRegressor"),
    "LightGBM": _lightgbm("LGBMRegressor"),
    "10 nearest rows": _method(
        lambda table, n, _: _one_hot(table, KNeighborsRegressor(N_NEIGHBOURS, weights="distance"))
    ),
}
