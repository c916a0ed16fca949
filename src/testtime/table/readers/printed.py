"""Lines of a sheet that are no rows: the header once more, a rule of dashes, the types of the columns; and ``="01"``.

Files that were put together with ``cat`` have the header several times; programs that print tables draw a rule below
it, and some write the types of the columns there. Spreadsheets are made to keep a text as it is with ``="01"``.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.readers.formats import Format, is_text

__all__ = ["Printed"]

_RULE = r"^(:?[-=_]+:?|[+|]+)$"
_LONG = r"[-=_]{3}"
_TYPE = re.compile(
    r"<?((n?var)?char(acter)?|str(ing)?|text|object|factor|categor(y|ical)|nominal|ordinal|(big|small)?int(eger)?[0-9]*"
    r"|long|short|num(ber|eric)?|double|float[0-9]*|real|decimal|bool(ean)?|logical|date(time)?|time(stamp)?)>?",
    re.IGNORECASE,
)
_PROTECTED = r'^="([^"]*)"$'
_FEWEST = 2  # columns; of a single one, a cell with its name may be a value


class Printed:
    """The rows of a sheet without the lines that are none.

    A row is left out if each of its cells holds the name of its column; if all that it holds are dashes and the like,
    three in one cell at least; and as the first one, if each cell names a type.

    >>> table = pa.table({"colour": ["-----", "red", "colour"], "price": ["--", '="05"', "price"]})
    >>> class File:
    ...     names = ("colour", "price")
    ...     def batches(self):
    ...         yield table
    >>> sheet = Printed(File())
    >>> [batch.to_pylist() for batch in sheet.batches()]
    [[{'colour': 'red', 'price': '05'}]]
    >>> sheet.notes  # doctest: +ELLIPSIS
    ['1 line that repeats the header is left out', '1 line of dashes is left out', 'cells such as ="05" are taken ...']
    """

    def __init__(self, opened: Format) -> None:
        self._opened = opened
        self._n_headers = self._n_rules = self._n_types = 0
        self._protected = ""

    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows in pieces."""
        first = True
        for batch in self._opened.batches():
            batch = self._shown(batch)
            none = self._are_none(batch, first=first)
            first = first and not batch.num_rows
            yield batch.filter(pa.array(~none)) if none.any() else batch

    @property
    def notes(self) -> list[str]:
        """Sentences about the rows that were read so far."""
        found = (
            (self._n_headers, "that repeats the header", "that repeat the header"),
            (self._n_rules, "of dashes", "of dashes"),
            (self._n_types, "of types below the header", "of types below the header"),
        )
        told = [
            f"1 line {one} is left out" if n == 1 else f"{n:,} lines {more} are left out"
            for n, one, more in found
            if n
        ]
        return told + (
            [f"cells such as {self._protected} are taken as what they show"] if self._protected else []
        )

    def _shown(self, batch: pa.Table) -> pa.Table:
        """Take cells such as ``="01"`` as the text that a spreadsheet shows."""
        columns = list(batch.columns)
        for at, column in enumerate(columns):
            if not is_text(column.type):
                continue
            if pc.any(pc.starts_with(column, '="')).as_py():
                inside = pc.match_substring_regex(column, _PROTECTED)
                cells = column.filter(inside)
                self._protected = self._protected or (cells[0].as_py() if len(cells) else "")
                text = pc.replace_substring_regex(column, _PROTECTED, r"\1")
                columns[at] = pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)
        return pa.table(columns, names=batch.column_names)

    def _are_none(self, batch: pa.Table, *, first: bool) -> NDArray[np.bool_]:
        names, none = self._opened.names, np.zeros(batch.num_rows, dtype=bool)
        if len(names) < _FEWEST or not all(is_text(column.type) for column in batch.columns):
            return none
        headers = _rows_where(batch, _is_name)
        rules = [at for at in _rows_where(batch, _is_rule) if _are_long(batch.slice(at, 1))]
        types = [0] if first and batch.num_rows and _are_types([c[0].as_py() for c in batch.columns]) else []
        self._n_headers += len(headers)
        self._n_rules += len(rules)
        self._n_types += len(types)
        none[[*headers, *rules, *types]] = True
        return none


def _rows_where(batch: pa.Table, test: Callable[[pa.ChunkedArray, str], pa.ChunkedArray]) -> list[int]:
    """Return the places of rows that pass a test in every column; few are looked at in more than the first."""
    at = np.arange(batch.num_rows)
    for name, column in zip(batch.column_names, batch.columns, strict=True):
        some = column if len(at) == batch.num_rows else column.take(pa.array(at))
        at = at[pc.fill_null(test(some, name), False).to_numpy().astype(bool)]
        if not len(at):
            break
    return at.tolist()


def _is_name(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """Which cells hold the name of their column, or nothing where the file has no name for it."""
    same = pc.equal(column, name)
    return pc.fill_null(same, True) if name.startswith("Unnamed: ") else same


def _is_rule(column: pa.ChunkedArray, _name: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.match_substring_regex(column, _RULE), True)


def _are_long(row: pa.Table) -> bool:
    return any(re.search(_LONG, column[0].as_py() or "") for column in row.columns)


def _are_types(cells: Sequence[str | None]) -> bool:
    return all(cell is not None and _TYPE.fullmatch(cell) for cell in cells)
