"""The views of tabicl's own estimators, made by its own classes: normalisations, feature orders and class codes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn import config_context
from sklearn.impute import SimpleImputer
from tabicl._sklearn.preprocessing import EnsembleGenerator, PreprocessingPipeline, UniqueFeatureFilter
from torch import Tensor

from testtime.adapt.learner import Rows
from testtime.backbones.base import Encoded
from testtime.backbones.targets import view_targets

__all__ = ["NORMALISATIONS", "TabICLView", "random_state_of", "tabicl_views"]

NORMALISATIONS = ("none", "power")
"""What the official estimators alternate between by default."""

_MISSING_LEVEL = -1.0


@dataclass(frozen=True)
class TabICLView:
    """One member of an official ensemble.

    Attributes
    ----------
    nominal
        Columns of level codes, ``(D,)``; a missing one counts as a level of its own.
    imputer, kept, pipeline
        Fitted steps: means for missing numbers, columns that vary, normalisation with soft clipping.
    columns
        Order of the columns that are left.
    codes
        ``codes[c]`` is the code of class ``c``; empty for a numeric target.
    """

    nominal: NDArray[np.bool_]
    imputer: SimpleImputer
    kept: UniqueFeatureFilter
    pipeline: PreprocessingPipeline
    columns: NDArray[np.int64]
    codes: NDArray[np.int64]

    def rows(self, x: NDArray[np.float64], y: NDArray, like: Tensor) -> Rows:
        """Return labelled rows: class codes (int64), or numbers in the dtype of `like`."""
        return Rows(self.features(x, like), view_targets(y, self.codes, like))

    def features(self, x: NDArray[np.float64], like: Tensor) -> Tensor:
        """Return normalised rows ``(q, D')``."""
        with config_context(transform_output="default"):
            shown = self.kept.transform(self.imputer.transform(_levels(x, self.nominal)))
            shown = self.pipeline.transform(shown)[:, self.columns]
        return torch.as_tensor(np.ascontiguousarray(shown), dtype=like.dtype, device=like.device)

    def answer(self, answer: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities in the table's order of classes; quantiles as they are."""
        return answer[:, self.codes] if len(self.codes) else answer


def random_state_of(seed: np.random.SeedSequence) -> int:
    """Return the ``random_state`` with which an official estimator draws the views that are drawn here from `seed`."""
    return int(seed.generate_state(1)[0])


def tabicl_views(
    reference: Encoded, y: NDArray, n_classes: int, n: int, seed: np.random.SeedSequence
) -> tuple[TabICLView, ...]:
    """Return the views that ``TabICLClassifier(n_estimators=n)`` or ``TabICLRegressor`` makes of the reference rows.

    A table of few columns and classes has fewer different views; they are then repeated.
    """
    nominal = np.array([kind == "nominal" for kind in reference.kinds])
    with config_context(transform_output="default"):
        imputer = SimpleImputer(keep_empty_features=True)
        x = imputer.fit_transform(_levels(reference.x, nominal))
        generator = EnsembleGenerator(
            classification=n_classes > 0,
            n_estimators=n,
            norm_methods=list(NORMALISATIONS),
            random_state=random_state_of(seed),
        )
        generator.fit(x, y)
    for pipeline in generator.preprocessors_.values():
        pipeline.X_transformed_ = None  # the reference rows once more, which nobody reads here
    views = [
        TabICLView(
            nominal,
            imputer,
            generator.unique_filter_,
            generator.preprocessors_[norm],
            np.array(columns, dtype=np.int64),
            np.array(() if codes is None else codes, dtype=np.int64),
        )
        for norm, (columns, codes) in _in_order(generator.ensemble_configs_)
    ]
    return tuple(views[i % len(views)] for i in range(n))


def _in_order(configs: Any) -> list[tuple[str, Any]]:
    """Members by turns of the normalisations, as they are numbered before tabicl groups them."""
    most = max(len(members) for members in configs.values())
    used = [norm for norm in NORMALISATIONS if norm in configs]
    return [(norm, configs[norm][i]) for i in range(most) for norm in used if i < len(configs[norm])]


def _levels(x: NDArray[np.float64], nominal: NDArray[np.bool_]) -> NDArray[np.float64]:
    """A missing level becomes a level; missing numbers stay missing."""
    if not nominal.any():
        return x
    x = x.copy()
    x[:, nominal] = np.where(np.isnan(x[:, nominal]), _MISSING_LEVEL, x[:, nominal])
    return x
