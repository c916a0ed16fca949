"""The time of the year of a date, as a point on a circle: the last day of a year lies beside the first of the next."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from testtime.table.columns.kinds.base import Output

__all__ = ["Season", "find_seasons"]

_YEAR = 365.2425  # days
_SPAN, _FEWEST_DAYS = 300.0, 30  # days between the first and the last, and different days of the year
_MOST = 3


class Season(BaseModel):
    """Sine and cosine of the time of the year of a column of dates."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    source: str = Field(max_length=100_000)

    def outputs(self, days: NDArray[np.float64]) -> list[Output]:
        """Return both columns, from days since 1970, ``(N,)``.

        >>> [one.values.round(2).tolist() for one in Season(source="d").outputs(np.array([0.0, 365.2425 / 12]))]
        [[0.0, 0.5], [1.0, 0.87]]
        """
        angle = 2.0 * np.pi * (days % _YEAR) / _YEAR
        name = f"{self.source}: time of the year"
        return [Output(np.sin(angle), f"{name}, sine"), Output(np.cos(angle), f"{name}, cosine")]


def find_seasons(days: Mapping[str, NDArray[np.float64]]) -> list[Season]:
    """Find the columns of dates, up to three, that go through nearly a year and have many different days.

    Parameters
    ----------
    days
        Days since 1970 by column, each ``(N,)``; NaN is missing.

    >>> find_seasons({"day": np.arange(0.0, 700.0), "wave": np.repeat([0.0, 365.0, 730.0], 99)})
    [Season(source='day')]
    """
    found = []
    for name, own in days.items():
        there = own[~np.isnan(own)]
        if len(there) == 0:
            continue
        low, high = np.quantile(there, [0.01, 0.99])
        if high - low >= _SPAN and len(np.unique(np.floor(there % _YEAR))) >= _FEWEST_DAYS:
            found.append(Season(source=name))
    return found[:_MOST]
