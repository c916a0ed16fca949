"""Excel workbooks: the first sheet, its cells as text, so that they are read like those of a CSV file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar
from zipfile import BadZipFile

import pyarrow as pa

from testtime.errors import MissingExtra, sentence
from testtime.table.columns.cells import spell
from testtime.table.readers.dialect import check_names, title_rows
from testtime.table.readers.source import Source, unreadable

__all__ = ["ExcelFile"]

_BLOCK_ROWS = 10_000
_SAMPLE_ROWS = 200  # that tell a title from the header


@dataclass(frozen=True)
class ExcelFile:
    """The first sheet of a workbook that holds anything.

    The header is its first row that is not empty, or the one below a title of `skipped` rows with one value each.
    """

    form: ClassVar[str] = "Excel"
    source: Source
    names: tuple[str, ...]
    sheet: str
    skipped: int = 0
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, source: Source) -> ExcelFile:
        """Read the header.

        Raises
        ------
        MissingExtra
            If openpyxl is not installed.
        InputError
            If the file is no workbook or has no rows.
        """
        source = source.on_disk()
        with _workbook(source) as book:
            for sheet in book.worksheets:
                first = list(islice(_rows(sheet), _SAMPLE_ROWS))
                if not first:
                    continue
                skipped = title_rows(_padded(first))
                names = tuple(name or f"Unnamed: {i}" for i, name in enumerate(first[skipped]))
                others = [repr(other.title) for other in book.worksheets if other is not sheet]
                notes = [f"the sheet {sheet.title!r} is read, not {', '.join(others)}"] if others else []
                notes += [f"{skipped:,} lines above the header are left out"] if skipped else []
                return cls(source, check_names(names, source), sheet.title, skipped, tuple(notes))
        raise unreadable(source.name, "it is empty")

    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows in pieces."""
        with _workbook(self.source) as book:
            rows = islice(_rows(book[self.sheet]), self.skipped + 1, None)
            while block := list(islice(rows, _BLOCK_ROWS)):
                widest = max(map(len, block))
                if widest > len(self.names):
                    why = f"a row has {widest:,} values and the header {len(self.names):,}"
                    raise unreadable(self.source.name, why, "Name every column in the first row")
                columns = zip(*(row + [None] * (len(self.names) - len(row)) for row in block), strict=True)
                yield pa.table(
                    [pa.array(column, pa.large_string()) for column in columns], names=list(self.names)
                )


@contextmanager
def _workbook(source: Source) -> Iterator[Any]:
    try:
        from openpyxl import load_workbook
    except ImportError as error:
        raise MissingExtra(
            sentence(
                f"{source.name!r} is an Excel workbook and openpyxl is not installed",
                remedy="Install testtime[excel], or save the sheet as CSV",
            )
        ) from error
    with open(source.path, "rb") as stream:
        try:
            book = load_workbook(stream, read_only=True, data_only=True, keep_links=False)
        except (BadZipFile, KeyError, ValueError, OSError, SyntaxError) as error:  # SyntaxError: broken XML
            why = f"it is no valid workbook: {error}"
            raise unreadable(source.name, why, "Save it as xlsx or CSV again") from error
        try:
            yield book
        finally:
            book.close()


def _rows(sheet: Any) -> Iterator[list[str | None]]:
    """Yield the rows that are not empty, without the empty cells at their end."""
    sheet.reset_dimensions()  # what a workbook says of its size can be wrong
    for cells in sheet.iter_rows(values_only=True):
        row = [None if cell is None else spell(cell, "") or None for cell in cells]
        while row and row[-1] is None:
            row.pop()
        if row:
            yield row


def _padded(rows: list[list[str | None]]) -> list[list[str]]:
    """Give all rows the width of the widest, as they have in a text file."""
    width = max(map(len, rows))
    return [[cell or "" for cell in row] + [""] * (width - len(row)) for row in rows]
