"""From signs of a table to the gain of adapting: a ridge regression over tables, with intervals that were left out.

The numbers are made by ``python -m benchmarks.forecast`` from fits of real tables, and ship beside this file with how
they were made. What is forecast is ``asinh(100 * gain)``, which is close to the gain in per cent where that is small
and to its logarithm where it is large, so that one table that gains a lot does not bend the rest. Intervals are
quantiles of the errors on tables that were left out; on this scale all tables have the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.table.forecast.signs import NAMES

__all__ = ["HARM", "Forecast", "Forecaster", "bent", "shipped", "straight"]

HARM = 0.005
"""Relative rise of the loss that counts as harm."""

_NUMBERS = Path(__file__).with_name("numbers.json")


def bent(gain: Any) -> Any:
    """Scale on which gains are forecast.

    >>> round(float(bent(0.01)), 2)
    0.88
    """
    return np.arcsinh(100.0 * np.asarray(gain))


def straight(value: Any) -> Any:
    """Undo :func:`bent`."""
    return np.sinh(value) / 100.0


@dataclass(frozen=True)
class Forecast:
    """Relative fall of the loss against the frozen model with all rows and averaged views.

    Attributes
    ----------
    gain
        In the middle.
    low, high
        Ends of the 80% interval.
    harm
        Probability that the loss rises by more than :data:`HARM`.
    """

    gain: float
    low: float
    high: float
    harm: float


@dataclass(frozen=True)
class Forecaster:
    """A fitted ridge regression.

    Attributes
    ----------
    centre, scale
        Of each sign over the tables, ``(F,)``.
    weights, intercept
        The regression on signs in these units.
    errors
        Forecast errors on tables that were left out, ascending.
    threshold
        Forecasts below it are not worth training: chosen on tables that were left out.
    """

    centre: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    intercept: float
    errors: NDArray[np.float64]
    threshold: float

    @classmethod
    def fit(
        cls,
        signs: NDArray[np.float64],
        gains: NDArray[np.float64],
        penalty: float,
        tables: NDArray | None = None,
    ) -> Forecaster:
        """Fit to draws of tables; errors are those of leaving one table out, with all of its draws.

        The threshold is set by who knows what training costs.

        Parameters
        ----------
        signs, gains
            Of each draw, ``(T, F)`` and ``(T,)``.
        penalty
            Of the ridge.
        tables
            Name of the table of each draw, at least two tables, ``(T,)``; None when each is a table of its own.
        """
        tables = np.arange(len(gains)) if tables is None else tables
        errors = np.empty(len(gains))
        for name in np.unique(tables):
            own = tables == name
            errors[own] = bent(gains[own]) - _values(signs[own], *_ridge(signs[~own], gains[~own], penalty))
        return cls(*_ridge(signs, gains, penalty), np.sort(errors), -np.inf)

    def values(self, signs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Forecasts on the bent scale, ``(..., F) -> (...)``; signs beyond three deviations count as three."""
        return _values(signs, self.centre, self.scale, self.weights, self.intercept)

    def __call__(self, signs: NDArray[np.float64]) -> Forecast:
        """Forecast one table."""
        middle = float(self.values(signs))
        low, high = (middle + _conformal(self.errors, level) for level in (0.1, 0.9))
        harm = float(np.mean(middle + self.errors < bent(-HARM)))
        return Forecast(float(straight(middle)), float(straight(low)), float(straight(high)), harm)

    def worth(self, forecast: Forecast) -> bool:
        """Whether to train."""
        return bool(bent(forecast.gain) >= self.threshold)

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers for a file."""
        arrays = {
            name: np.round(getattr(self, name), 6).tolist()
            for name in ("centre", "scale", "weights", "errors")
        }
        return {
            "signs": list(NAMES),
            **arrays,
            "intercept": round(self.intercept, 6),
            "threshold": round(self.threshold, 6),
        }


def _ridge(
    signs: NDArray[np.float64], gains: NDArray[np.float64], penalty: float
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float]:
    """Centre, scale, weights and intercept of the regression of bent gains on signs in deviations."""
    centre, scale = signs.mean(0), np.maximum(signs.std(0), 1e-6)
    x, t = np.clip((signs - centre) / scale, -3, 3), bent(gains)
    mean, middle = x.mean(0), float(t.mean())
    x = x - mean
    weights = np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ (t - middle))
    return centre, scale, weights, middle - float(mean @ weights)


def _values(
    signs: NDArray[np.float64],
    centre: NDArray[np.float64],
    scale: NDArray[np.float64],
    weights: NDArray[np.float64],
    intercept: float,
) -> NDArray[np.float64]:
    return np.clip((signs - centre) / scale, -3, 3) @ weights + intercept


def _conformal(errors: NDArray[np.float64], level: float) -> float:
    """Quantile of ascending errors that a new one is below with at least (above the middle) that probability."""
    n = len(errors)
    rank = np.ceil((n + 1) * level) if level > 0.5 else np.floor((n + 1) * level)
    return float(errors[int(np.clip(rank, 1, n)) - 1])


@cache
def shipped() -> Forecaster:
    """Return the forecaster that ships with the package."""
    stored = json.loads(_NUMBERS.read_text(encoding="utf-8"))["forecaster"]
    arrays = {name: np.array(stored[name]) for name in ("centre", "scale", "weights", "errors")}
    return Forecaster(**arrays, intercept=stored["intercept"], threshold=stored["threshold"])
