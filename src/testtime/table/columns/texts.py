"""Which columns are text of which a part says more than the whole, and what is in it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from testtime.table.columns.cells import Cells, WordCells
from testtime.table.columns.encoded import ColumnRecord
from testtime.table.columns.identity import are_hashes
from testtime.table.columns.kinds.base import Fitted
from testtime.table.columns.kinds.level import LevelColumn
from testtime.table.columns.kinds.parts import Parts, find_beginnings, find_items, find_parts
from testtime.table.columns.kinds.unused import UnusedColumn

__all__ = ["may_have_parts", "parts_of"]

_MANY_TEXTS, _RARELY = 30, 0.2  # different texts, and those per row, of which parts may occur more often
_FEWEST_LISTS = 6  # different ones


def may_have_parts(column: Fitted, record: ColumnRecord) -> bool:
    """Tell whether a column may be text of which parts occur more often than the whole."""
    if isinstance(column, UnusedColumn):
        return record.kind in ("text", "id")
    is_nominal = isinstance(column, LevelColumn) and record.kind == "nominal"
    return is_nominal and record.levels >= _FEWEST_LISTS


def parts_of(cells: Cells, record: ColumnRecord, n_rows: int, index: NDArray[np.int64] | None) -> list[Parts]:
    """Find what is in a column that :func:`may_have_parts`: the items of lists, else parts of what hardly repeats.

    Where texts go on in two ways, words stand behind their parts, for what the parts do not say.

    Parameters
    ----------
    cells, record
        The column.
    n_rows, index
        Rows of the table, and the position of each in the table it was drawn from, if it was.
    """
    if not isinstance(cells, WordCells) or are_hashes(cells.words):
        return []
    if (items := find_items(cells, record.name)) is not None:
        return [items]
    if record.kind == "nominal" and not (record.levels >= _MANY_TEXTS and record.levels > _RARELY * n_rows):
        return []
    found = find_beginnings(cells, record.name, index), find_parts(cells, record.name, index)
    return [parts for parts in found if parts is not None]
