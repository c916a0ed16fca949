"""Tables from files of any size: CSV in its dialects, gzip, Parquet; what was found is said.

The cells of a CSV file stay text: what a column is, and how its cells are read, is for
:class:`testtime.table.columns.TableColumns` to say, at training and at prediction alike. Parquet has types. Text is
read as a stream of blocks, so that memory is bounded by the rows that are asked for. Rows are drawn uniformly: each
gets a random number, and those with the smallest are kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from testtime.errors import InputError, nearest, sentence
from testtime.results import Result
from testtime.tasks.dialect import Dialect, find_dialect, open_bytes, unreadable

__all__ = ["FileFacts", "iterate_table", "read_table"]

_MISSING = pa.array(
    ["", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN", "null", "NULL", "Null"]
)
_BLOCK_BYTES = 2**23


@dataclass(frozen=True)
class FileFacts(Result):
    """What a file was found to be.

    Attributes
    ----------
    path
        The file.
    form
        "CSV" or "Parquet".
    encoding, separator
        How the text is written; empty for Parquet.
    rows, rows_used
        Rows in the file, and rows that were returned: all, or a uniform draw.
    n_columns
        Columns, the target among them.
    """

    path: str
    form: str
    encoding: str
    separator: str
    rows: int
    rows_used: int
    n_columns: int

    @property
    def is_text(self) -> bool:
        """Whether the cells are text, without a type."""
        return self.form == "CSV"

    def explain(self) -> str:
        """Say it in a sentence or two."""
        text = f"{Path(self.path).name}: {self.form}"
        if self.is_text:
            text += f" ({self.encoding}, separated by {self.separator})"
        text += f"; {self.rows:,} rows, {self.n_columns:,} columns."
        if self.rows_used < self.rows:
            text += f" {self.rows_used:,} rows were drawn at random and used."
        return text


def read_table(
    path: str | Path, *, max_rows: int | None = None, random_state: int = 0
) -> tuple[pd.DataFrame, FileFacts]:
    """Read a table, or a uniform draw of its rows in the order of the file.

    Parameters
    ----------
    path
        CSV (separated by comma, semicolon, tab or vertical bar; UTF-8, UTF-16 or Latin-1; gzip or not) or
        Parquet. Empty fields, ``NA``, ``N/A``, ``nan``, ``null`` and ``?`` are missing values in CSV.
    max_rows
        Rows to keep at most; None keeps all. Memory grows with the rows kept, not with the file.
    random_state
        Seed of the draw.

    Raises
    ------
    InputError
        If the file is missing, not a table, incomplete, without rows, or has repeated column names.
    """
    source = _open(Path(path))
    drawn, rows = _draw(source.batches(), max_rows, np.random.default_rng(random_state))
    if drawn is None or not rows:
        raise unreadable(source.path, "it has a header and no rows", "Add rows")
    facts = FileFacts(
        path=str(source.path),
        form="CSV" if source.dialect else "Parquet",
        encoding=source.dialect.encoding.removesuffix("-sig").upper() if source.dialect else "",
        separator=source.dialect.separator_name if source.dialect else "",
        rows=rows,
        rows_used=drawn.num_rows,
        n_columns=drawn.num_columns,
    )
    return _as_pandas(drawn, source), facts


def iterate_table(path: str | Path) -> Iterator[pd.DataFrame]:
    """Yield the rows of a table in pieces, read as by :func:`read_table`.

    Raises
    ------
    InputError
        As for :func:`read_table`, but not for a table without rows, which has no pieces.
    """
    source = _open(Path(path))
    for batch in source.batches():
        if batch.num_rows:
            yield _as_pandas(batch, source)


@dataclass(frozen=True)
class _Source:
    """An open table: its columns, and a stream of its rows."""

    path: Path
    names: tuple[str, ...]
    dialect: Dialect | None  # None for Parquet

    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows in pieces; text columns as trimmed text with nulls for missing."""
        try:
            if self.dialect is None:
                for batch in pa.parquet.ParquetFile(self.path).iter_batches():
                    yield pa.Table.from_batches([batch])
            else:
                for batch in self._reader(self.dialect):
                    yield _trimmed(pa.Table.from_batches([batch]))
        except (pa.ArrowInvalid, EOFError, OSError, UnicodeError) as error:
            raise unreadable(self.path, _shown(error), "Check that row, or write the file again") from error

    def _reader(self, dialect: Dialect) -> pa.csv.CSVStreamingReader:
        return pa.csv.open_csv(
            pa.PythonFile(open_bytes(self.path), mode="r"),
            read_options=pa.csv.ReadOptions(
                use_threads=False,  # only then errors say the row
                block_size=max(_BLOCK_BYTES, 64 * sum(map(len, dialect.names))),
                column_names=list(dialect.names),
                skip_rows=dialect.skipped,
                skip_rows_after_names=1,
                encoding=dialect.encoding.removesuffix("-sig"),
            ),
            parse_options=pa.csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=True),
            convert_options=pa.csv.ConvertOptions(column_types=dict.fromkeys(dialect.names, pa.string())),
        )


def _open(path: Path) -> _Source:
    """Find out what a file is."""
    if path.is_dir():
        raise unreadable(path, "it is a folder", "Pass a file in it")
    try:
        with open(path, "rb") as stream:
            start = stream.read(4)
    except FileNotFoundError as error:
        there = (
            [file.name for file in path.parent.glob("*") if file.is_file()] if path.parent.is_dir() else []
        )
        remedy = nearest(path.name, there) if there else "Check the path"
        raise InputError(sentence(f"there is no file {str(path)!r}", remedy=remedy)) from error
    except OSError as error:
        raise unreadable(path, error.strerror or str(error), "Check the permissions") from error
    if start != b"PAR1":
        dialect = find_dialect(path)
        return _Source(path, dialect.names, dialect)
    try:
        names = pa.parquet.ParquetFile(path).schema_arrow.names
    except (pa.ArrowInvalid, OSError) as error:
        raise unreadable(path, _shown(error), "Copy the file again") from error
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise InputError(
            sentence(f"{str(path)!r} has several columns called {repeated[0]!r}", remedy="Rename them")
        )
    return _Source(path, tuple(names), None)


def _shown(error: Exception) -> str:
    """Return the first line of a message of Arrow, short enough to be read."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return text if len(text) <= 200 else text[:200] + " ..."


def _trimmed(table: pa.Table) -> pa.Table:
    columns = []
    for column in table.columns:
        text = pc.utf8_trim_whitespace(column)
        columns.append(pc.if_else(pc.is_in(text, value_set=_MISSING), pa.scalar(None, pa.string()), text))
    return pa.Table.from_arrays(columns, names=table.column_names)


def _draw(
    batches: Iterator[pa.Table], max_rows: int | None, rng: np.random.Generator
) -> tuple[pa.Table | None, int]:
    """Keep the `max_rows` rows with the smallest random keys; return them and the number of rows seen."""
    kept: list[pa.Table] = []
    keys: list[np.ndarray] = []
    rows, bound = 0, np.inf
    for batch in batches:
        rows += batch.num_rows
        if max_rows is None:
            kept.append(batch)
            continue
        key = rng.random(batch.num_rows)
        chosen = np.flatnonzero(key < bound)
        kept.append(batch.take(chosen))
        keys.append(key[chosen])
        if sum(map(len, keys)) > 2 * max_rows:
            kept, keys = _smallest(kept, keys, max_rows)
            bound = keys[0].max()
    if max_rows is not None and sum(map(len, keys)) > max_rows:
        kept, keys = _smallest(kept, keys, max_rows)
    return (pa.concat_tables(kept).combine_chunks() if kept else None), rows


def _smallest(
    kept: list[pa.Table], keys: list[np.ndarray], max_rows: int
) -> tuple[list[pa.Table], list[np.ndarray]]:
    key = np.concatenate(keys)
    chosen = np.sort(np.argpartition(key, max_rows - 1)[:max_rows])
    return [pa.concat_tables(kept).take(chosen).combine_chunks()], [key[chosen]]


def _as_pandas(table: pa.Table, source: _Source) -> pd.DataFrame:
    """Hand over the columns as they are: text of a CSV file as text, columns of Parquet with their type."""
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        try:
            columns[name] = _series(column)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, ValueError) as error:
            got = f"column {name!r} of {str(source.path)!r} has the type {column.type}"
            remedy = "Convert or drop it"
            raise InputError(
                sentence(got, expected="numbers, text, booleans or dates", remedy=remedy)
            ) from error
    return pd.DataFrame(columns)


def _series(column: pa.ChunkedArray) -> pd.Series:
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        raise pa.ArrowInvalid("not a column of single values")
    return column.cast(pa.float64()).to_pandas() if pa.types.is_decimal(kind) else column.to_pandas()
