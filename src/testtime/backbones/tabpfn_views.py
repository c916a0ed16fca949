"""The views of tabpfn's own estimators: its preprocessing members, fitted by the official estimator itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tabpfn import TabPFNClassifier, TabPFNRegressor
from tabpfn.base import ModelSpecs
from tabpfn.preprocessing.clean import clean_data_transform
from tabpfn.preprocessing.datamodel import FeatureModality
from torch import Tensor

from testtime.adapt.learner import Rows
from testtime.backbones.base import Encoded
from testtime.backbones.tabicl_views import random_state_of
from testtime.backbones.targets import view_targets

__all__ = ["TabPFNView", "tabpfn_views"]


@dataclass(frozen=True)
class TabPFNView:
    """One member of an official ensemble.

    Attributes
    ----------
    categorical
        Columns that tabpfn takes as categories.
    ordinal
        Fitted encoder of these.
    member
        tabpfn's own fitted preprocessing of this view.
    codes
        ``codes[c]`` is the code of class ``c``; empty for a numeric target.
    mean, scale
        Of a numeric target, before its transform.
    extremes
        Smallest and largest reference target, which stand in where a transform cannot be undone.
    """

    categorical: list[int]
    ordinal: Any
    member: Any
    codes: NDArray[np.int64]
    mean: float = 0.0
    scale: float = 1.0
    extremes: tuple[float, float] = (0.0, 0.0)

    def rows(self, x: NDArray[np.float64], y: NDArray, like: Tensor) -> Rows:
        """Return labelled rows: class codes (int64), or transformed numbers in the dtype of `like`."""
        shown = y if len(self.codes) else self._transformed(y)
        return Rows(self.features(x, like), view_targets(shown, self.codes, like))

    def features(self, x: NDArray[np.float64], like: Tensor) -> Tensor:
        """Return rows as the architecture takes them, ``(q, D')``; NaN where a value is missing."""
        shown = clean_data_transform(x, cat_indices=self.categorical, ord_encoder=self.ordinal)
        shown = torch.as_tensor(self.member.transform_X_test(shown), dtype=torch.float64)
        if self.member.gpu_preprocessor is not None:
            fitted = self.member.gpu_preprocessor(
                shown.unsqueeze(1), self.member.feature_schema, num_train_rows=0, use_fitted_cache=True
            )
            shown = fitted.x.squeeze(1)
        return shown.to(like.device, like.dtype)

    def answer(self, answer: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities in the table's order of classes, or quantiles in the unit of the target."""
        if len(self.codes):
            return answer[:, self.codes]
        transform = self.member.config.target_transform
        if transform is not None:  # quantiles go through an increasing map as they are
            flat = transform.inverse_transform(answer.reshape(-1, 1)).reshape(answer.shape)
            low, high = self.extremes
            answer = np.where(np.isfinite(flat), flat, np.where(answer > 0, high, low))
            answer = np.sort(answer, axis=1)
        return self.mean + self.scale * answer

    def _transformed(self, y: NDArray) -> NDArray[np.float64]:
        standard = (y - self.mean) / self.scale
        transform = self.member.config.target_transform
        return standard if transform is None else transform.transform(standard.reshape(-1, 1)).ravel()


def tabpfn_views(
    specs: ModelSpecs, reference: Encoded, y: NDArray, n_classes: int, n: int, seed: np.random.SeedSequence
) -> tuple[TabPFNView, ...]:
    """Return the views that an official estimator of `n` members makes of the reference rows.

    Parameters
    ----------
    specs
        The model and its checkpoint's settings for preprocessing; the model is not run.
    """
    estimator_class = TabPFNClassifier if n_classes else TabPFNRegressor
    estimator = estimator_class(
        model_path=specs,
        n_estimators=n,
        categorical_features_indices=[i for i, kind in enumerate(reference.kinds) if kind == "nominal"],
        device="cpu",
        fit_mode="fit_preprocessors",
        ignore_pretraining_limits=True,
        random_state=random_state_of(seed),
    )
    estimator.fit(reference.x, y)
    engine: Any = estimator.executor_
    return tuple(_view(estimator, member, y, n_classes) for member in engine.ensemble_members)


def _view(estimator: Any, member: Any, y: NDArray, n_classes: int) -> TabPFNView:
    if member.gpu_preprocessor is not None:  # soft clipping of outliers, fitted once on the reference rows
        member.gpu_preprocessor.keep_fitted_cache = True
        shown = torch.as_tensor(member.X_train, dtype=torch.float64).unsqueeze(1)
        member.gpu_preprocessor(shown, member.feature_schema)
    member.X_train = member.y_train = None  # the reference rows once more, which nobody reads here
    schema = estimator.inferred_feature_schema_
    categorical = schema.indices_for(FeatureModality.CATEGORICAL)
    if n_classes:
        permutation = member.config.class_permutation
        codes = np.arange(n_classes) if permutation is None else np.asarray(permutation, dtype=np.int64)
        return TabPFNView(categorical, estimator.ordinal_encoder_, member, codes)
    mean, scale = estimator.y_train_mean_, estimator.y_train_std_
    extremes = (float(y.min()) - mean) / scale, (float(y.max()) - mean) / scale
    return TabPFNView(
        categorical, estimator.ordinal_encoder_, member, np.empty(0, dtype=np.int64), mean, scale, extremes
    )
