"""Cells of a worksheet that are merged down their column: what is written in the first holds for all of them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from openpyxl.utils import coordinate_to_tuple

__all__ = ["Merged"]

_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]+[0-9]+):([A-Z]+[0-9]+)"')
_CHUNK = 2**20
_LONGEST = 200  # bytes of an element

Row = list[str | None]


class Merged:
    """Merged cells by the row in which they begin.

    openpyxl does not tell of them where it reads a sheet row by row, and they are written behind the rows. Only those
    that go down count: a name over several columns is a heading, no value of each.
    """

    def __init__(self, ranges: Iterable[tuple[str, str]]) -> None:
        self._begin: dict[int, list[tuple[int, int]]] = defaultdict(list)  # column and last row of each
        for first, last in ranges:
            (top, left), (bottom, _) = coordinate_to_tuple(first), coordinate_to_tuple(last)
            if bottom > top:
                self._begin[top].append((left - 1, bottom))

    @classmethod
    def of(cls, sheet: Any) -> Merged:
        """Find those of a worksheet that openpyxl has opened for reading only."""
        ranges, kept = [], b""
        archive, path = sheet.parent._archive, sheet._worksheet_path  # openpyxl has no public way to the text
        with archive.open(path) as stream:
            while chunk := stream.read(_CHUNK):
                text = kept + chunk
                end = 0
                for found in _MERGED.finditer(text):
                    ranges.append((found[1].decode(), found[2].decode()))
                    end = found.end()
                kept = text[max(end, len(text) - _LONGEST) :]
        return cls(ranges)

    def filled(self, rows: Iterable[Row], first: int) -> Iterator[Row]:
        """Yield `rows`, the first of which is the sheet's row `first` (from 1), with merged cells filled.

        What begins above the first row is left as it is: a heading may reach down into the table.
        """
        going: dict[int, tuple[int, str]] = {}
        for number, row in enumerate(rows, first):
            for column, (last, value) in list(going.items()):
                if number > last:
                    del going[column]
                    continue
                row += [None] * (column + 1 - len(row))
                row[column] = value if row[column] is None else row[column]
            for column, last in self._begin.get(number, ()):
                value = row[column] if column < len(row) else None
                if value is not None:
                    going[column] = (last, value)
            yield row
