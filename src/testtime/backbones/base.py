"""What a foundation model must offer to be adapted; one file per model implements it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import nn

from testtime.adapt.learner import Learner

__all__ = ["Backbone", "Scaler"]


class Scaler(Protocol):
    """Column preprocessing of a backbone, fitted on labelled rows and then fixed."""

    def transform(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Prepare rows ``(N, D)``; NaN is missing."""
        ...

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the statistics as arrays, for the store."""
        ...


class Backbone(Protocol):
    """A pretrained in-context learner.

    Attributes
    ----------
    name
        The name users pass as ``backbone=``.
    fingerprint
        sha256 of the base weights; a saved adapter refuses any other.
    max_classes, max_features
        Limits of the architecture and of what is sensible on a CPU; a regressor has ``max_classes = 0``.
    """

    name: str
    fingerprint: str
    max_classes: int
    max_features: int

    def new_module(self) -> nn.Module:
        """Return a private copy of the base module, free to be merged with an adapter."""
        ...

    def learner(self, module: nn.Module, n_classes: int) -> Learner:
        """Return the adapt engine's view of `module` on a table with `n_classes` classes, 0 for a numeric target."""
        ...

    def fit_scaler(self, x: NDArray[np.float64]) -> Scaler:
        """Fit the preprocessing on rows ``(N, D)``."""
        ...

    def load_scaler(self, arrays: Mapping[str, NDArray[np.float64]]) -> Scaler:
        """Rebuild the preprocessing from :meth:`Scaler.to_arrays`."""
        ...
