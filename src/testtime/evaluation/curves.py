"""Scores against the number of context rows, of the frozen model and of what is served."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.evaluation.scores import Point, Scorer, scored

__all__ = ["answers", "curve_sizes", "point"]

_LONGEST = 1024  # rows a model can take are more than a drawing needs


def curve_sizes(n_context: int, n_classes: int, n_available: int) -> list[int]:
    """Return the context lengths to measure: powers of four, the served length, and all rows up to a limit.

    >>> curve_sizes(128, 2, 1000)
    [16, 64, 128, 256, 1000]
    """
    longest = min(n_available, max(_LONGEST, n_context))
    powers = [4**k for k in range(2, 6) if max(n_classes, 16) <= 4**k < longest]
    return sorted({*powers, min(n_context, longest), longest})


def answers(
    estimator: Any, X: pd.DataFrame, n_context: int | None = None, *, adapted: bool = True
) -> NDArray[np.float64]:
    """Return probabilities ``(q, C)`` of a classifier, quantiles ``(q, A)`` of a regressor; as served by default."""
    if adapted and n_context == estimator.adaptation_.n_context:
        n_context = None  # what is served has been read and is kept
    return estimator._predict_at(X, n_context, adapted=adapted)


def point(
    estimator: Any, scorer: Scorer, X: pd.DataFrame, n_context: int, *, adapted: bool
) -> tuple[Point, NDArray[np.float64]]:
    """Return the scores at one context length, and what was predicted."""
    started = time.perf_counter()
    predicted = answers(estimator, X, n_context, adapted=adapted)
    seconds = time.perf_counter() - started
    scores = scored(scorer.influences(predicted), scorer.groups)
    return Point(n_context, adapted, scores, seconds / scorer.n_rows), predicted


def lengths_to_measure(sizes: Sequence[int], served: int, *, kept: bool) -> Iterator[tuple[int, bool]]:
    """Yield context lengths and whether adapted, the served length first, then the longest to the shortest."""
    for size in (served, *sorted(set(sizes) - {served}, reverse=True)):
        yield size, False
        if kept:
            yield size, True
