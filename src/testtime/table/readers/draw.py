"""A uniform draw from a stream: each row gets a random number, and those with the smallest are kept."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

__all__ = ["Drawn", "draw"]

_LAST_ROWS = 8


@dataclass(frozen=True)
class Drawn:
    """Rows of a file: the table, their numbers in the file, the rows of the file, and empty rows left out.

    `ends` are the last rows of the file in pieces, drawn or not.
    """

    table: pa.Table | None
    at: NDArray[np.int64] = field(repr=False)
    rows: int
    n_empty: int
    ends: tuple[pa.Table, ...] = field(default=(), repr=False)

    def last(self) -> pa.Table | None:
        """Return the last rows of the file, at most eight; None if it has none."""
        if not self.ends:
            return None
        joined = _joined(list(self.ends))
        return joined.slice(max(0, joined.num_rows - _LAST_ROWS))


def draw(batches: Iterator[pa.Table], max_rows: int | None, rng: np.random.Generator) -> Drawn:
    """Keep `max_rows` rows, or all; rows without any value are left out."""
    kept: list[pa.Table] = []
    keys: list[NDArray[np.float64]] = []
    places: list[NDArray[np.int64]] = []
    ends: list[pa.Table] = []
    rows, n_empty, bound = 0, 0, np.inf
    for batch in batches:
        batch, n_dropped = _without_empty(batch)
        n_empty += n_dropped
        at = np.arange(rows, rows + batch.num_rows)
        rows += batch.num_rows
        if batch.num_rows:
            ends.append(batch.slice(max(0, batch.num_rows - _LAST_ROWS)))
        while sum(end.num_rows for end in ends[1:]) >= _LAST_ROWS:
            ends.pop(0)
        if max_rows is not None:
            key = rng.random(batch.num_rows)
            chosen = np.flatnonzero(key < bound)
            batch, at, key = batch.take(pa.array(chosen)), at[chosen], key[chosen]
            keys.append(key)
        kept.append(batch)
        places.append(at)
        if max_rows is not None and sum(map(len, keys)) > 2 * max_rows:
            kept, keys, places = _smallest(kept, keys, places, max_rows)
            bound = keys[0].max()
    if max_rows is not None and sum(map(len, keys)) > max_rows:
        kept, keys, places = _smallest(kept, keys, places, max_rows)
    table = _joined(kept) if kept else None
    at = np.concatenate(places) if places else np.empty(0, np.int64)
    return Drawn(table, at, rows, n_empty, tuple(ends))


def _smallest(
    kept: list[pa.Table], keys: list[NDArray[np.float64]], places: list[NDArray[np.int64]], max_rows: int
) -> tuple[list[pa.Table], list[NDArray[np.float64]], list[NDArray[np.int64]]]:
    key = np.concatenate(keys)
    chosen = np.sort(np.argpartition(key, max_rows - 1)[:max_rows])
    table = _joined(kept).take(pa.array(chosen)).combine_chunks()
    return [table], [key[chosen]], [np.concatenate(places)[chosen]]


def _without_empty(batch: pa.Table) -> tuple[pa.Table, int]:
    if not batch.num_columns or not all(column.null_count for column in batch.columns):
        return batch, 0
    there = np.zeros(batch.num_rows, bool)
    for column in batch.columns:
        there |= pc.is_valid(column).to_numpy()
    return (batch, 0) if there.all() else (batch.filter(pa.array(there)), int((~there).sum()))


def _joined(tables: list[pa.Table]) -> pa.Table:
    """Put pieces together; a column whose pieces have no common type, as JSON can have, becomes text."""
    try:
        return pa.concat_tables(tables, promote_options="permissive").combine_chunks()
    except (pa.ArrowTypeError, pa.ArrowInvalid):
        return pa.concat_tables(map(_as_text, tables), promote_options="permissive").combine_chunks()


def _as_text(table: pa.Table) -> pa.Table:
    return pa.table(
        {
            name: column.cast(pa.large_string())
            for name, column in zip(table.column_names, table.columns, strict=True)
        }
    )
