"""One class per file format: the names of its columns, and its rows as pieces of Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

import pyarrow as pa
from pyarrow import feather, ipc, parquet

from testtime.table.readers.dialect import check_names
from testtime.table.readers.source import Source, unreadable

__all__ = ["ArrowFile", "Format", "ParquetFile", "is_text", "shown"]


class Format(Protocol):
    """An open table."""

    form: ClassVar[str]

    @property
    def source(self) -> Source:
        """The bytes it is read from."""
        ...

    @property
    def names(self) -> tuple[str, ...]:
        """Names of its columns."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was left out."""
        ...

    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows in pieces."""
        ...


@dataclass(frozen=True)
class ParquetFile:
    """Parquet, read by row groups."""

    form: ClassVar[str] = "Parquet"
    source: Source
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, source: Source) -> ParquetFile:
        """Read the names.

        Raises
        ------
        InputError
            If the file is incomplete or two columns have one name.
        """
        source = source.on_disk()
        try:
            names = parquet.ParquetFile(source.path).schema_arrow.names
        except (pa.ArrowException, OSError) as error:
            raise unreadable(source.name, shown(error), "Copy the file again") from error
        return cls(source, check_names(tuple(names), source))

    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows in pieces."""
        try:
            for batch in parquet.ParquetFile(self.source.path).iter_batches():
                yield pa.Table.from_batches([batch])
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.source.name, shown(error), "Copy the file again") from error


@dataclass(frozen=True)
class ArrowFile:
    """Arrow's own format as a file (Feather) or a stream."""

    form: ClassVar[str] = "Arrow"
    source: Source
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, source: Source) -> ArrowFile:
        """Read the names.

        Raises
        ------
        InputError
            If the file is incomplete or two columns have one name.
        """
        opened = cls(source.on_disk(), ())
        for schema in opened._pieces(names_only=True):
            return cls(opened.source, check_names(tuple(schema.schema.names), opened.source))
        raise unreadable(source.name, "it is empty")

    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows in pieces."""
        yield from self._pieces(names_only=False)

    def _pieces(self, *, names_only: bool) -> Iterator[pa.Table]:
        try:
            with open(self.source.path, "rb") as stream:
                start = stream.read(6)
            if start.startswith(b"FEA1"):
                yield feather.read_table(self.source.path)
                return
            with pa.memory_map(str(self.source.path)) as mapped:
                if start != b"ARROW1":
                    reader = ipc.open_stream(mapped)
                    yield from _tables(reader.schema, reader, names_only)
                    return
                file = ipc.open_file(mapped)
                batches = (file.get_batch(i) for i in range(file.num_record_batches))
                yield from _tables(file.schema, batches, names_only)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.source.name, shown(error), "Copy the file again") from error


def _tables(schema: pa.Schema, batches: Iterator[pa.RecordBatch], names_only: bool) -> Iterator[pa.Table]:
    if names_only:
        yield schema.empty_table()
        return
    for batch in batches:
        yield pa.Table.from_batches([batch])


def is_text(kind: pa.DataType) -> bool:
    """Tell whether a column holds text, as all of a text table and of a workbook do."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def shown(error: Exception) -> str:
    """Return the first line of a message of Arrow, short enough to be read."""
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return text if len(text) <= 200 else text[:200] + " ..."
