"""Excel workbooks: the first sheet, its cells as text, so that they are read like those of a CSV file."""

from __future__ import annotations

import zlib
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, ClassVar
from zipfile import BadZipFile

import pyarrow as pa

from testtime.errors import InputError, MissingExtra, sentence
from testtime.table.columns.cells import spell
from testtime.table.columns.typed import is_number, is_pointed
from testtime.table.readers.dialect import check_names, title_rows, told_title
from testtime.table.readers.source import Source, unreadable

__all__ = ["ExcelFile"]

_BLOCK_ROWS = 10_000
_DAMAGE = (
    BadZipFile,
    zlib.error,
    SyntaxError,
    OSError,
    EOFError,
    LookupError,
    ValueError,
    AttributeError,
    TypeError,
)
"""What openpyxl raises for a file that it cannot read; SyntaxError is broken XML."""
_SAMPLE_ROWS = 200  # that tell a title from the header


class _Number(str):
    """The spelling of a number cell."""

    __slots__ = ()


@dataclass
class _Typed:
    """Which columns of a sheet hold number cells, and the text of each column that looks like one."""

    numbers: set[str] = field(default_factory=set)
    texts: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def look(self, name: str, cells: Sequence[str | None]) -> None:
        """Look at some cells of a column."""
        for cell in cells:
            if isinstance(cell, _Number):
                self.numbers.add(name)
            elif cell is not None and is_pointed(cell):
                self.texts[name].add(cell)


@dataclass(frozen=True)
class ExcelFile:
    """The first visible sheet of a workbook that has several columns and rows; else the first that holds anything.

    The header is its first row that is not empty, or the one below a title of `skipped` rows with one value each. An
    empty row between others is one of missing values, as it is in a text file, so that rows stay where they stand.
    """

    form: ClassVar[str] = "Excel"
    source: Source
    names: tuple[str, ...]
    sheet: str
    skipped: int = 0
    notes: tuple[str, ...] = ()
    _seen: _Typed = field(default_factory=_Typed, repr=False, compare=False)

    @property
    def typed(self) -> dict[str, list[str]]:
        """Columns with number cells, as far as they were read, and the text in each that looks like one."""
        return {name: sorted(self._seen.texts[name]) for name in self._seen.numbers}

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
            found = {
                sheet: first
                for sheet in _in_order(book)
                if (first := list(islice(filter(None, _rows(sheet, source)), _SAMPLE_ROWS)))
            }
            if not found:
                raise unreadable(source.name, "it is empty")
            sheet = next((sheet for sheet in found if _is_table(sheet, found[sheet])), next(iter(found)))
            others = [repr(other.title) for other in book.worksheets if other is not sheet]
            title, first = sheet.title, found[sheet]
        skipped = title_rows(_padded(first))
        names = tuple(name or f"Unnamed: {i}" for i, name in enumerate(first[skipped]))
        notes = [f"the sheet {title!r} is read, not {', '.join(others)}"] if others else []
        notes += [told_title(skipped)] if skipped else []
        check_names(names, source)
        _check_formulas(source, title, names, first[skipped:])
        return cls(source, names, title, skipped, tuple(notes))

    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows in pieces."""
        with _workbook(self.source) as book:
            sheet = book[self.sheet]
            numbered = enumerate(_rows(sheet, self.source), 1)
            header = deque(islice((at for at, row in numbered if row), self.skipped + 1), maxlen=1)
            rows = _merged(sheet, self.source).filled((row for _, row in numbered), header[0] + 1)
            while block := list(islice(rows, _BLOCK_ROWS)):
                widest = max(map(len, block))
                if widest > len(self.names):
                    why = f"a row of the sheet {self.sheet!r} has {widest:,} values and its header {len(self.names):,}"
                    remedy = "Name every column in the first row, and put the table on the first sheet"
                    raise unreadable(self.source.name, why, remedy)
                columns = list(
                    zip(*(row + [None] * (len(self.names) - len(row)) for row in block), strict=True)
                )
                for name, cells in zip(self.names, columns, strict=True):
                    self._seen.look(name, cells)
                yield pa.table(
                    [pa.array(column, pa.large_string()) for column in columns], names=list(self.names)
                )


def _check_formulas(
    source: Source, title: str, names: Sequence[str], rows: Sequence[list[str | None]]
) -> None:
    """Refuse a column of formulas whose results the workbook does not hold, as a program writes it.

    Raises
    ------
    InputError
        If such a column seems empty in `rows`, the header and some rows below it.
    """
    empty = [at for at in range(len(names)) if all(at >= len(row) or row[at] is None for row in rows[1:])]
    if not empty:
        return
    with _workbook(source, data_only=False) as book:
        for row in islice(book[title].iter_rows(), _SAMPLE_ROWS):
            for at in empty:
                cell = row[at] if at < len(row) else None
                if cell is not None and cell.data_type == "f":
                    raise InputError(
                        sentence(
                            f"{source.name!r}: column {names[at]!r} holds formulas without results, such as "
                            f"{str(cell.value)[:40]!r} in {cell.coordinate}",
                            expected="their results",
                            why="the workbook was written by a program that does not compute",
                            remedy="Open it in a spreadsheet program and save it",
                        )
                    )


@contextmanager
def _workbook(source: Source, *, data_only: bool = True) -> Iterator[Any]:
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
            book = load_workbook(stream, read_only=True, data_only=data_only, keep_links=False)
        except _DAMAGE as error:
            raise _damaged(source, error) from error
        try:
            yield book
        finally:
            book.close()


def _is_table(sheet: Any, rows: Sequence[Sequence[str | None]]) -> bool:
    return sheet.sheet_state == "visible" and len(rows) > 1 and max(map(len, rows)) > 1


def _in_order(book: Any) -> list[Any]:
    """Return the sheets with cells, those that are hidden last."""
    sheets = [sheet for sheet in book.worksheets if hasattr(sheet, "iter_rows")]
    return sorted(sheets, key=lambda sheet: sheet.sheet_state != "visible")


def _rows(sheet: Any, source: Source) -> Iterator[list[str | None]]:
    """Yield the rows up to the last that is not empty, without the empty cells at their end."""
    sheet.reset_dimensions()  # what a workbook says of its size can be wrong
    cells_of_rows = sheet.iter_rows(values_only=True)
    n_empty = 0
    while True:
        try:
            cells = next(cells_of_rows, None)
        except _DAMAGE as error:  # rows are unpacked as they are asked for
            raise _damaged(source, error) from error
        if cells is None:
            return
        row = [_spelled(cell) for cell in cells]
        while row and row[-1] is None:
            row.pop()
        if not row:
            n_empty += 1
            continue
        yield from ([] for _ in range(n_empty))
        n_empty = 0
        yield row


def _merged(sheet: Any, source: Source) -> Any:
    from testtime.table.readers.merged import Merged  # which needs openpyxl

    try:
        return Merged.of(sheet)
    except _DAMAGE as error:
        raise _damaged(source, error) from error


def _spelled(cell: Any) -> str | None:
    if is_number(cell):
        return _Number(spell(cell, ""))
    return None if cell is None else spell(cell, "") or None


def _damaged(source: Source, error: Exception) -> InputError:
    """Return the error for a workbook that cannot be unpacked."""
    return unreadable(source.name, f"it is no valid workbook: {error}", "Save it as xlsx or CSV again")


def _padded(rows: list[list[str | None]]) -> list[list[str]]:
    """Give all rows the width of the widest, as they have in a text file."""
    width = max(map(len, rows))
    return [[cell or "" for cell in row] + [""] * (width - len(row)) for row in rows]
