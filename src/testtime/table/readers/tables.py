"""Read a table, a uniform draw of its rows, or its rows in pieces, from a file of any format."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from testtime.errors import without_columns
from testtime.results import Result
from testtime.table.columns.frame import DataWarning
from testtime.table.columns.typed import TYPED
from testtime.table.readers.delimited import DelimitedFile
from testtime.table.readers.dialect import BRACKETED, SEPARATORS
from testtime.table.readers.draw import draw
from testtime.table.readers.excel import ExcelFile
from testtime.table.readers.formats import ArrowFile, Format, ParquetFile
from testtime.table.readers.json_lines import JsonFile
from testtime.table.readers.printed import Printed
from testtime.table.readers.source import open_source, unreadable
from testtime.table.readers.totals import rows_of_sums

__all__ = ["FileFacts", "iterate_table", "open_table", "read_table", "require_columns", "with_names"]

_ENCODINGS = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-32": "UTF-32", "cp1252": "Windows-1252"}
_WHOLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}
_SHEETS = ("CSV", "Excel")  # what people write and print
_CONTINUATION = b"\xff\xff\xff\xff"  # how a stream of Arrow begins


@dataclass(frozen=True)
class FileFacts(Result):
    """What a file was found to be.

    Attributes
    ----------
    path
        The file.
    form
        "CSV", "Parquet", "Arrow", "JSON" or "Excel".
    packing
        "gzip", "bz2", "xz", "zip" or empty.
    encoding, separator
        How the text of a CSV file is written; empty for others.
    columns
        Names, in order.
    rows, rows_used
        Rows in the file, and rows that were returned: all, or a uniform draw.
    notes
        What was left out.
    drawn
        Whether the rows are a draw.
    """

    path: str
    form: str
    packing: str
    encoding: str
    separator: str
    columns: tuple[str, ...]
    rows: int
    rows_used: int
    notes: tuple[str, ...]
    drawn: bool = False

    def explain(self) -> str:
        """Say it in a sentence or two."""
        text = f"{Path(self.path).name}: {self.form}"
        details = [self.packing] if self.packing else []
        if self.separator:
            details += [self.encoding, f"separated by {self.separator}"]
        if details:
            text += f" ({', '.join(details)})"
        text += f"; {self.rows:,} rows, {len(self.columns):,} columns."
        for note in self.notes:
            text += f" {note[0].upper()}{note[1:]}."
        if self.drawn:
            text += f" {self.rows_used:,} rows were drawn at random and used."
        return text


def read_table(
    path: str | Path, *, max_rows: int | None = None, random_state: int = 0
) -> tuple[pd.DataFrame, FileFacts]:
    """Read a table, or a uniform draw of its rows in the order of the file.

    Parameters
    ----------
    path
        A file, pipe, or ``-`` for standard input: CSV (separated by comma, semicolon, tab or vertical bar; UTF-8,
        UTF-16 or Windows-1252), Parquet, Feather or Arrow, JSON lines or xlsx; packed with gzip, bz2, xz or zip or
        not. The cells of CSV and xlsx files are text, and empty ones are missing.
    max_rows
        Rows to keep at most; None keeps all. Memory grows with the rows kept, not with the file.
    random_state
        Seed of the draw.

    Returns
    -------
    frame, facts
        The index of the frame is the number of each row in the file.

    Raises
    ------
    InputError
        If the file is missing, not a table, incomplete, without rows, or has repeated column names.
    MissingExtra
        If a workbook is to be read and openpyxl is not installed.
    """
    opened = open_table(path)
    sheet = Printed(opened) if opened.form in _SHEETS else None
    batches = opened.batches() if sheet is None else sheet.batches()
    drawn = draw(batches, max_rows, np.random.default_rng(random_state))
    if drawn.table is None or not drawn.rows:
        raise unreadable(opened.source.name, "it has a header and no rows", "Add rows")
    notes = [*opened.notes, *(sheet.notes if sheet else ())]
    if drawn.n_empty:
        notes.append(f"{drawn.n_empty:,} empty {'row is' if drawn.n_empty == 1 else 'rows are'} left out")
    table, at = drawn.table, drawn.at
    n_sums, total = rows_of_sums(drawn) if opened.form in _SHEETS else (0, "")
    kept = int((at < drawn.rows - n_sums).sum())
    if kept < len(at):
        named, since = (f", {total!r},", f", from {total!r} on,") if total else ("", "")
        one = f"the last row{named} holds sums and is left out"
        more = f"the last {n_sums} rows{since} hold sums and remarks and are left out"
        notes.append(one if n_sums == 1 else more)
        table, at = table.slice(0, kept), at[:kept]
    frame = _frame(table, at, opened)
    dialect = opened.dialect if isinstance(opened, DelimitedFile) else None
    facts = FileFacts(
        path=opened.source.name,
        form=opened.form,
        packing=opened.source.packing,
        encoding=_ENCODINGS[dialect.encoding] if dialect else "",
        separator=SEPARATORS[dialect.separator] if dialect else "",
        columns=tuple(map(str, frame.columns)),
        rows=drawn.rows,
        rows_used=len(frame),
        notes=tuple(notes),
        drawn=drawn.table.num_rows < drawn.rows,
    )
    return frame, facts


def iterate_table(
    table: str | Path | Format,
    columns: Collection[str],
    *,
    carried: Collection[str] = (),
    known: Collection[str] = (),
) -> Iterator[pd.DataFrame]:
    """Yield some columns of a table in pieces; memory does not grow with the file.

    Parameters
    ----------
    table
        A path as for :func:`read_table`, or what :func:`open_table` returned for one.
    columns
        Names of the columns to return: those a model needs.
    carried
        Names of further columns to return: those the user asks for, which must be there, too.
    known
        Other columns of the training table, the target among them: they may be there, and are left out without a
        word. Further columns are left out with a warning that names them.

    Raises
    ------
    InputError
        As for :func:`read_table`; also if a column is missing.
    """
    opened = open_table(table) if isinstance(table, (str, Path)) else table
    opened = with_names(opened, [*columns, *carried])
    require_columns(opened.source.name, opened.names, columns)
    wanted = list(dict.fromkeys([*columns, *carried]))
    extra = [name for name in opened.names if name not in wanted and name not in known]
    if extra:
        shown = ", ".join(map(repr, extra[:5])) + (f" and {len(extra) - 5} more" if len(extra) > 5 else "")
        warnings.warn(
            f"Columns that are not in the training table are ignored: {shown}.", DataWarning, stacklevel=2
        )
    rows = 0
    sheet = Printed(opened) if opened.form in _SHEETS else None
    for batch in opened.batches() if sheet is None else sheet.batches():
        if batch.num_rows:
            yield _frame(_selected(batch, wanted), np.arange(rows, rows + batch.num_rows), opened)
            rows += batch.num_rows
    for note in sheet.notes if sheet else ():
        warnings.warn(f"In {Path(opened.source.name).name!r} {note}.", DataWarning, stacklevel=2)


def require_columns(name: str, there: Collection[str], columns: Collection[str]) -> None:
    """Raise unless a file has some columns.

    Raises
    ------
    InputError
        If one of `columns` is not `there`.
    """
    absent = [column for column in columns if column not in there]
    if absent:
        raise without_columns(repr(name), absent, there, f"the {len(columns)} columns of the training table")


def with_names(opened: Format, names: Collection[str]) -> Format:
    """Return an open table whose names are those of all its rows, if the first ones lack one that is asked for.

    Only JSON has rows with names of their own, and is read to its end for that.

    Raises
    ------
    InputError
        If a row cannot be read.
    """
    if isinstance(opened, JsonFile) and not set(names) <= set(opened.names):
        return opened.with_all_names()
    return opened


def open_table(path: str | Path) -> Format:
    """Find out what a file is, by its first bytes, and what its columns are called.

    A pipe and standard input are read to their end, once.

    Raises
    ------
    InputError
        As for :func:`read_table`.
    """
    source = open_source(path)
    with source.open() as stream:
        start = stream.read(64)
    if start.startswith(b"PAR1"):
        return ParquetFile.open(source)
    if start.startswith((b"ARROW1", b"FEA1", _CONTINUATION)):
        return ArrowFile.open(source)
    if start.startswith(b"PK\x03\x04"):
        return ExcelFile.open(source)
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"{", b"[") and not BRACKETED.match(text.decode("latin-1")):
        return JsonFile.open(source)
    return DelimitedFile.open(source)


def _selected(table: pa.Table, names: list[str]) -> pa.Table:
    """Choose columns; a piece of JSON may lack one that others have."""
    there = set(table.column_names)
    return pa.table({name: table[name] if name in there else pa.nulls(table.num_rows) for name in names})


def _frame(table: pa.Table, index: np.ndarray, opened: Format) -> pd.DataFrame:
    """Turn Arrow into pandas: whole numbers with gaps stay whole, truth values with gaps stay true or false.

    Of a workbook the frame remembers which text spells number cells.
    """
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        kind = column.type
        if pa.types.is_decimal(kind):
            column = column.cast(pa.float64())
        gaps = column.null_count > 0
        if gaps and pa.types.is_boolean(kind):
            values = column.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
        elif gaps and pa.types.is_integer(kind):
            values = column.to_pandas(types_mapper=_WHOLE.get)
        else:
            values = column.to_pandas(date_as_object=False)
        columns[name] = values.to_numpy() if values.dtype == object else values.array
    frame = pd.DataFrame(columns, index=index)
    if isinstance(opened, ExcelFile):
        frame.attrs[TYPED] = opened.typed
    return frame
