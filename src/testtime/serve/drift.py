"""Whether the rows that come in still look like the context an adapter was made with: a recommendation, nothing else.

Each column of the last rows is compared with the context by the two-sample Kolmogorov-Smirnov test. Missing values
count as the lowest value and unknown levels as the highest, so that more of them are noticed as well.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from testtime.results import Result

__all__ = ["ColumnDrift", "Watch", "compare"]

KEPT_ROWS = 512
FEWEST_ROWS = 100
EVERY = 50
"""Rows between two tests."""
LEVEL = 1e-3
LEAST = 0.15
"""Both must hold: p-value times the number of columns below LEVEL, and distance of the distributions above LEAST."""


@dataclass(frozen=True)
class ColumnDrift(Result):
    """How far one column has moved.

    Attributes
    ----------
    name
        Of the column.
    distance
        Largest difference of the two distribution functions, 0 to 1.
    p_value
        Of the test, times the number of columns (Bonferroni).
    """

    name: str
    distance: float
    p_value: float

    @property
    def moved(self) -> bool:
        """Whether the move is both certain and large enough to matter."""
        return self.p_value < LEVEL and self.distance > LEAST


def compare(
    reference: NDArray[np.float64], rows: NDArray[np.float64], names: tuple[str, ...]
) -> list[ColumnDrift]:
    """Compare rows ``(q, D)`` with a reference ``(n, D)``, column by column; the farthest first."""
    lowest = -np.finfo(np.float64).max
    found = []
    for j, name in enumerate(names):
        ours, theirs = (np.nan_to_num(x[:, j], nan=lowest, neginf=lowest) for x in (reference, rows))
        tested: Any = ks_2samp(ours, theirs, method="asymp")
        found.append(ColumnDrift(name, float(tested.statistic), min(1.0, float(tested.pvalue) * len(names))))
    return sorted(found, key=lambda column: -column.distance)


@dataclass
class Watch:
    """The last rows that one version of an adapter was asked about; thread-safe."""

    reference: NDArray[np.float64]
    names: tuple[str, ...]
    rows: deque[NDArray[np.float64]] = field(default_factory=lambda: deque(maxlen=KEPT_ROWS))
    columns: list[ColumnDrift] = field(default_factory=list)
    n_new: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def see(self, x: NDArray[np.float64]) -> None:
        """Remember rows ``(q, D)``, and test when there are enough new ones."""
        with self._lock:
            self.rows.extend(x[-KEPT_ROWS:])
            self.n_new += len(x)
            if len(self.rows) < FEWEST_ROWS or self.n_new < EVERY:
                return
            self.n_new, kept = 0, np.stack(self.rows)
        self.columns = compare(self.reference, kept, self.names)

    @property
    def distance(self) -> float:
        """How far the column that moved most has moved, 0 to 1; NaN before enough rows were seen."""
        return self.columns[0].distance if self.columns else float("nan")

    @property
    def moved(self) -> tuple[str, ...]:
        """Columns that no longer look like the context."""
        return tuple(column.name for column in self.columns if column.moved)

    def advice(self) -> str:
        """Say what to do, in a sentence; "" if nothing."""
        if not self.moved:
            return ""
        shown = ", ".join(self.moved[:3]) + (", ..." if len(self.moved) > 3 else "")
        return f"Incoming rows differ from the context in {shown}: adapting again is due."
