"""Text tables in their dialects, as a stream of blocks, so that memory is bounded by the rows that are asked for."""
# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import csv as text_csv
import io
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import IO, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from testtime.table.readers.dialect import Dialect, find_dialect
from testtime.table.readers.formats import shown
from testtime.table.readers.source import Source, unreadable

__all__ = ["DelimitedFile"]

_BLOCK_BYTES = 2**23
_BLOCK_CELLS = 2**18


@dataclass(frozen=True)
class DelimitedFile:
    """A text table: its cells are trimmed text, null for empty."""

    form: ClassVar[str] = "CSV"
    source: Source
    dialect: Dialect

    @classmethod
    def open(cls, source: Source) -> DelimitedFile:
        """Find out how the text is written.

        Raises
        ------
        InputError
            If it is no table.
        """
        return cls(source, find_dialect(source))

    @property
    def names(self) -> tuple[str, ...]:
        """The header."""
        return self.dialect.names

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what was left out."""
        return self.dialect.notes

    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows in pieces."""
        try:
            with self.source.open() as stream:
                if self.dialect.spaced:
                    yield from map(_trimmed, self._spaced(stream))
                    return
                for batch in self._reader(stream):
                    yield _trimmed(pa.Table.from_batches([batch]))
        except (pa.ArrowException, OSError, UnicodeError, text_csv.Error) as error:
            raise unreadable(
                self.source.name, shown(error), "Check that row, or write the file again"
            ) from error

    def _reader(self, stream: IO[bytes]) -> csv.CSVStreamingReader:
        dialect = self.dialect
        return csv.open_csv(
            pa.PythonFile(stream, mode="r"),
            read_options=csv.ReadOptions(
                use_threads=False,  # only then errors say the row
                block_size=max(_BLOCK_BYTES, 64 * sum(map(len, dialect.names))),
                column_names=list(dialect.names),
                skip_rows=dialect.skipped,
                skip_rows_after_names=1,
                encoding=dialect.encoding.removesuffix("-sig"),
            ),
            parse_options=csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=True),
            convert_options=csv.ConvertOptions(column_types=dict.fromkeys(dialect.names, pa.large_string())),
        )

    def _spaced(self, stream: IO[bytes]) -> Iterator[pa.Table]:
        """Read values that have blanks before their quotes, which Arrow takes for part of them."""
        dialect, width = self.dialect, len(self.names)
        text = io.TextIOWrapper(stream, dialect.encoding, newline="")
        deque(islice(text, dialect.skipped), maxlen=0)
        reader = text_csv.reader(text, delimiter=dialect.separator, skipinitialspace=True)
        rows = islice((row for row in reader if len(row) > 1 or "".join(row).strip()), 1, None)
        while block := list(islice(rows, max(1, _BLOCK_CELLS // width))):
            odd = next((row for row in block if len(row) != width), None)
            if odd is not None:
                shown_row = dialect.separator.join(odd)[:80]
                why = f"the row {shown_row!r} has {len(odd):,} values and the header {width:,}"
                raise unreadable(self.source.name, why, "Check that row, or write the file again")
            columns = zip(*block, strict=True)
            yield pa.table(
                [pa.array(column, pa.large_string()) for column in columns], names=list(self.names)
            )


def _trimmed(table: pa.Table) -> pa.Table:
    nothing = pa.scalar(None, pa.large_string())
    columns = [pc.utf8_trim_whitespace(column) for column in table.columns]
    return pa.table(
        [pc.if_else(pc.equal(text, ""), nothing, text) for text in columns], names=table.column_names
    )
