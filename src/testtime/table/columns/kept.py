"""Which of the columns are kept, once it is known what each of them is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from testtime.errors import InputError, sentence
from testtime.table.columns.cells import Cells
from testtime.table.columns.choose import Choice
from testtime.table.columns.encoded import ColumnRecord
from testtime.table.columns.kinds.base import Fitted, Habits, Lossy
from testtime.table.columns.kinds.unused import UnusedColumn
from testtime.table.columns.said import listed

__all__ = ["ignored", "one_indicator_per_pattern", "something"]


def ignored(name: str) -> Choice:
    """Return a column that nobody looks at, as asked."""
    return Choice(UnusedColumn(name=name), ColumnRecord(name, "ignored", 0, 0, "", "as asked", ()))


def something(choices: list[Choice]) -> tuple[list[Choice], list[str]]:
    """Return the columns to use; where nothing else is left, those that look like names of rows.

    Raises
    ------
    InputError
        If there is nothing to use at all.
    """
    if any(not isinstance(choice.column, UnusedColumn) for choice in choices):
        return choices, []
    kept = [choice.spare or choice for choice in choices]
    names = [new.record.name for new, old in zip(kept, choices, strict=True) if new is not old]
    if not names:
        constant = all(choice.record.kind == "constant" for choice in choices)
        raise InputError(
            sentence(
                f"none of the {len(choices)} columns holds two different values"
                if constant
                else f"all {len(choices)} columns are left out, as asked or since they do not vary",
                expected="at least one column that varies",
                why="there is nothing to learn from",
            )
        )
    return kept, [
        f"Columns that look like names of rows are used, since nothing else is there: {listed(names)}."
    ]


def one_indicator_per_pattern(columns: list[Fitted], cells: Mapping[str, Cells | None]) -> list[Fitted]:
    """Keep one column that says "missing" where several columns are missing in the same rows."""
    seen: set[bytes] = set()
    kept: list[Fitted] = []
    for column in columns:
        read = cells[column.name]
        if isinstance(column, Lossy) and column.indicator and read is not None:
            values = column.transform(read, Habits(), [])[0].values
            pattern = np.packbits(np.isnan(values)).tobytes()
            if pattern in seen:
                column = column.model_copy(update={"indicator": False})
            seen.add(pattern)
        kept.append(column)
    return kept
