"""Columns the model does not see."""

from __future__ import annotations

from typing import ClassVar, Literal

from testtime.table.columns.cells import Cells
from testtime.table.columns.kinds.base import Fitted, Habits, Output

__all__ = ["UnusedColumn"]


class UnusedColumn(Fitted):
    """A column that is left out; it may be absent from new rows."""

    kind: ClassVar[str] = "ignored"
    form: Literal["unused"] = "unused"

    def transform(self, cells: Cells, habits: Habits, told: list[str]) -> list[Output]:
        """Give nothing."""
        return []
