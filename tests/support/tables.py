"""Tables whose answer is known, and tables fitted to them without an estimator."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.backbones.base import Backbone
from testtime.table.adapted import AdaptedTable
from testtime.table.build import fit_table
from testtime.table.config import FitConfig
from testtime.table.read_target import class_target, numeric_target


def linear_table(
    n: int = 160, n_classes: int = 2, noise: float = 0.3, seed: int = 0
) -> tuple[pd.DataFrame, NDArray]:
    """Four columns; the target follows the first: a class, or for 0 classes a number."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 4))
    signal = x[:, 0] + noise * rng.standard_normal(n)
    y = np.digitize(signal, np.linspace(-0.5, 0.5, n_classes - 1)) if n_classes else 10 + 3 * signal
    return pd.DataFrame(x, columns=list("abcd")), y


def noise_table(n: int = 160, n_classes: int = 2, seed: int = 0) -> tuple[pd.DataFrame, NDArray]:
    """The same columns; the target follows nothing."""
    rng = np.random.default_rng([seed, 1])
    frame, _ = linear_table(n, n_classes, seed=seed)
    return frame, rng.integers(0, n_classes, n) if n_classes else rng.standard_normal(n)


def fitted(
    backbone: Backbone,
    frame: pd.DataFrame,
    y: NDArray,
    seed: int = 0,
    *,
    numeric: bool = False,
    **params: Any,
) -> AdaptedTable:
    """Adapt a backbone to a frame; `params` are those of the configuration, or groups, time, budget and callbacks."""
    more = {key: params.pop(key) for key in ("groups", "time", "budget", "kinds", "work") if key in params}
    if numeric:
        target, values = numeric_target(y, len(frame))
    else:
        target, values = class_target(y, len(frame), backbone.limits.classes)
    config = FitConfig(**params)
    return fit_table(frame, target, values, backbone, config, np.random.SeedSequence(seed), **more)[0]
