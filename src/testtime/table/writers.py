"""Write a table in pieces; the ending of the file's name says the format, and the file is whole or not there.

Values are written as they are. A text such as ``=1+1`` stays one: a spreadsheet that opens a CSV file may take it for a
formula, and docs/security.md says what to do about that.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path

import pandas as pd
import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from testtime.errors import InputError, sentence
from testtime.plain import json_text
from testtime.store.atomic import replace_file
from testtime.store.places import refuse_output

__all__ = ["WRITTEN_ENDINGS", "check_output", "write_table"]


def check_output(out: Path, *, overwrite: bool) -> None:
    """Raise if :func:`write_table` would refuse this file; commands ask before they compute.

    Raises
    ------
    InputError
        If no format has this ending, or the name cannot be one.
    StoreError
        If something other than a plain file is there, or a file without `overwrite`, or its folder cannot be written.
    """
    refuse_output(out, overwrite=overwrite)
    _writer_of(out)


def write_table(pieces: Iterable[pd.DataFrame], out: Path) -> int:
    """Write frames with the same columns one below the other and return the number of rows.

    Parameters
    ----------
    pieces
        Taken one at a time, so that a table may be larger than the memory. The types of the first hold for all.
    out
        File to write, or to replace; see :data:`WRITTEN_ENDINGS`.

    Raises
    ------
    InputError
        If no format has this ending, there is no piece, or the format cannot hold a value.
    StoreError
        If the file cannot be written; an older file is left as it was.
    """
    write, rows = _writer_of(out), 0

    def counted() -> Iterator[pd.DataFrame]:
        nonlocal rows
        for piece in pieces:
            rows += len(piece)
            yield piece

    def fill(staged: Path) -> None:
        frames = counted()
        first = next(frames, None)
        if first is None:
            raise InputError(sentence(f"there are no rows to write to {str(out)!r}"))
        try:
            write(chain([first], frames), staged)
        except _OtherType as error:
            raise InputError(
                sentence(
                    f"{str(out)!r} cannot hold the column {error.column!r}",
                    expected="values of one type in all rows",
                    why=str(error),
                    remedy="Choose another format, such as .csv or .jsonl, or write that column as one type",
                )
            ) from error
        except (pa.ArrowException, UnicodeEncodeError) as error:
            raise InputError(
                sentence(
                    f"{str(out)!r} cannot hold what is to be written",
                    why=str(error).splitlines()[0],
                    remedy="Choose another format, such as .csv, or change the labels",
                )
            ) from error

    replace_file(out, fill)
    return rows


def _writer_of(out: Path) -> Callable[[Iterator[pd.DataFrame], Path], None]:
    for ending, write in _WRITERS.items():
        if out.name.lower().endswith(ending):
            return write
    raise InputError(
        sentence(
            f"the name of the output file {out.name!r} does not say a format that is written here",
            expected=f"one that ends in {', '.join(WRITTEN_ENDINGS[:-1])} or {WRITTEN_ENDINGS[-1]}",
            remedy="Choose one of them; spreadsheets open .csv",
        )
    )


def _write_text(pieces: Iterator[pd.DataFrame], path: Path, *, separator: str, packed: bool) -> None:
    with _text_stream(path, packed) as stream:
        for number, piece in enumerate(pieces):
            piece.to_csv(stream, sep=separator, index=False, header=number == 0, lineterminator="\n")


def _write_lines(pieces: Iterator[pd.DataFrame], path: Path, *, packed: bool) -> None:
    with _text_stream(path, packed) as stream:
        for piece in pieces:
            for row in piece.to_dict("records"):
                stream.write(json_text(row, indent=None, ascii_only=False) + "\n")


def _write_arrow(pieces: Iterator[pd.DataFrame], path: Path, *, parquet: bool) -> None:
    first = pa.Table.from_pandas(next(pieces), preserve_index=False)
    empty = {field.name for field in first.schema if pa.types.is_null(field.type)}
    fields = [field.with_type(pa.large_string()) if field.name in empty else field for field in first.schema]
    first = first.cast(pa.schema(fields, first.schema.metadata))  # further pieces may hold anything there
    if parquet:
        writer = ParquetWriter(path, first.schema)
    else:
        writer = pa.ipc.new_file(path, first.schema, options=pa.ipc.IpcWriteOptions(compression="lz4"))
    with writer:
        writer.write_table(first)
        for piece in pieces:
            columns = [
                _column(piece.loc[:, field.name], field, spelled=field.name in empty) for field in fields
            ]
            writer.write_table(pa.Table.from_arrays(columns, schema=first.schema))


def _column(values: pd.Series, field: pa.Field, *, spelled: bool) -> pa.Array:
    """Turn a column of a further piece into the type of the first one, or spell its values.

    Raises
    ------
    _OtherType
        If a value is none of that type.
    """
    try:
        if spelled:
            return pa.Array.from_pandas(values).cast(field.type)
        return pa.Array.from_pandas(values, type=field.type)
    except pa.ArrowException as error:
        raise _OtherType(field, error) from error


class _OtherType(Exception):
    """A column holds values of another type than it did in the first piece."""

    def __init__(self, field: pa.Field, error: Exception) -> None:
        super().__init__(f"its first rows are {field.type}, and further down: {str(error).splitlines()[0]}")
        self.column = field.name


@contextmanager
def _text_stream(path: Path, packed: bool) -> Iterator[io.TextIOBase]:
    """Open a file for text, packed by gzip without the time and the name, so that same rows are same bytes."""
    with ExitStack() as stack:
        stream = stack.enter_context(open(path, "wb"))
        if packed:
            stream = stack.enter_context(gzip.GzipFile("", "wb", fileobj=stream, mtime=0))
        yield stack.enter_context(io.TextIOWrapper(stream, encoding="utf-8", newline=""))


_WRITERS: dict[str, Callable[[Iterator[pd.DataFrame], Path], None]] = {
    ".csv": partial(_write_text, separator=",", packed=False),
    ".csv.gz": partial(_write_text, separator=",", packed=True),
    ".tsv": partial(_write_text, separator="\t", packed=False),
    ".tsv.gz": partial(_write_text, separator="\t", packed=True),
    ".parquet": partial(_write_arrow, parquet=True),
    ".feather": partial(_write_arrow, parquet=False),
    ".arrow": partial(_write_arrow, parquet=False),
    ".jsonl": partial(_write_lines, packed=False),
    ".jsonl.gz": partial(_write_lines, packed=True),
}
WRITTEN_ENDINGS = tuple(_WRITERS)
"""Endings of file names that say a format."""
