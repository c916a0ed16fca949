r"""How the embedded model wants its columns: half z-score, half mid-rank.

.. math:: s(x) = (1-w)\,\mathrm{clip}\Big(\frac{x-\bar c}{\hat\sigma},\,-6,\,6\Big)
          + w\sqrt{12}\Big(\frac{\#\{c_i<x\}+\#\{c_i\le x\}}{2m}-\tfrac12\Big),\quad w=\tfrac12

over the ``m`` present reference values :math:`c_i` of a column. The z-score keeps distances; the mid-rank keeps skewed
and mostly-zero columns readable. Missing values and constant columns give 0, the middle of both halves.
The model was pretrained on columns prepared this way, so changing the rule here changes what it sees.
A numeric target is z-scored only: what is predicted must be mapped back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLIP", "RANK_WEIGHT", "ColumnScaler", "TargetScaler"]

CLIP = 6.0
RANK_WEIGHT = 0.5
_MOST_REFERENCE = 1024  # ranks are known to 1/1024, far below what a column's embedding resolves


def _moments(present: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and population standard deviation of sorted values, for any offset and size that float64 holds."""
    # Centring on one of the values first keeps large offsets (years, identifiers) exact.
    origin = present[len(present) // 2]
    size = _extent(present)
    # Dividing by the range first keeps the squares of huge values from overflowing.
    centred = (present - origin) / size if size > 0 else present - origin
    return float(origin + centred.mean() * size), float(centred.std() * size)


def _extent(present: NDArray[np.float64]) -> float:
    """Largest distance of sorted values from their middle one."""
    origin = present[len(present) // 2]
    return float(max(abs(present[0] - origin), abs(present[-1] - origin)))


@dataclass(frozen=True)
class ColumnScaler:
    """Column statistics and the transform they define.

    Attributes
    ----------
    mean, scale
        Mean and population standard deviation of the present reference values, ``(D,)``; scale 0 marks a column
        that is constant or all missing.
    reference
        Sorted reference values of each column, thinned to at most 1,024 quantiles.
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    reference: tuple[NDArray[np.float64], ...]

    @classmethod
    def fit(cls, x: NDArray[np.float64]) -> ColumnScaler:
        """Read the statistics off reference rows ``(N, D)``; NaN is missing."""
        means, scales, references = [], [], []
        for column in x.T:
            present = np.sort(column[~np.isnan(column)])
            if len(present) == 0:
                present = np.zeros(1)
            mean, scale = _moments(present)
            # Rounding noise is no information; times of one hour are, though they differ by 1e-6 of their size only.
            size = _extent(present)
            largest = max(abs(present[0]), abs(present[-1]))
            constant = size <= 1e-12 * largest or not np.isfinite(size)
            means.append(mean)
            scales.append(0.0 if constant else scale)
            if len(present) > _MOST_REFERENCE:
                at = np.linspace(0, len(present) - 1, _MOST_REFERENCE).round().astype(np.int64)
                present = present[at]
            references.append(present)
        return cls(np.array(means), np.array(scales), tuple(references))

    def transform(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scale rows ``(N, D)``; the result is finite and within -6 and 6."""
        out = np.zeros_like(x, dtype=np.float64)
        used = np.flatnonzero(self.scale)
        values = x.T[used]  # a column is a row here: searching wants it in one piece
        z = np.clip((values - self.mean[used, None]) / self.scale[used, None], -CLIP, CLIP)
        rank = np.empty(values.shape)
        for at, (j, column) in enumerate(zip(used, values, strict=True)):
            reference = self.reference[j]  # its methods, since the time of a single row is that of calling
            both = reference.searchsorted(column, "left") + reference.searchsorted(column, "right")
            rank[at] = np.sqrt(12.0) * (both / (2 * len(reference)) - 0.5)
        out[:, used] = np.where(np.isnan(values), 0.0, (1 - RANK_WEIGHT) * z + RANK_WEIGHT * rank).T
        return out

    def to_arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the statistics as three flat arrays, for the store."""
        lengths = np.array([len(values) for values in self.reference], dtype=np.float64)
        moments = np.stack([self.mean, self.scale, lengths])
        return {"scaler_moments": moments, "scaler_reference": np.concatenate(self.reference)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float64]]) -> ColumnScaler:
        """Rebuild a scaler from :meth:`to_arrays`."""
        mean, scale, lengths = arrays["scaler_moments"]
        ends = np.cumsum(lengths.astype(np.int64))
        return cls(mean, scale, tuple(np.split(arrays["scaler_reference"], ends[:-1])))


@dataclass(frozen=True)
class TargetScaler:
    """Mean and population standard deviation of a numeric target; no rank half, so that answers can be mapped back.

    >>> scaler = TargetScaler.fit(np.array([1e12, 1e12 + 2.0]))
    >>> scaler.transform(np.array([1e12 + 4.0])).tolist(), scaler.inverse(np.array([3.0])).tolist()
    ([3.0], [1000000000004.0])
    """

    mean: float
    scale: float

    @classmethod
    def fit(cls, y: NDArray[np.float64]) -> TargetScaler:
        """Read the moments off finite values ``(N,)``; a scale of 0 or infinity tells that they cannot be used."""
        present = np.sort(y)
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale = _moments(present)
        return cls(mean, scale if np.isfinite(scale) and np.isfinite(mean) else np.inf)

    def transform(self, y: NDArray[np.float64]) -> NDArray[np.float64]:
        """Standardise targets."""
        return (y - self.mean) / self.scale

    def inverse(self, z: NDArray[np.float64]) -> NDArray[np.float64]:
        """Map standardised values back to the units of the target."""
        return self.mean + self.scale * z
