"""JSON: a row per line, or an array of rows."""

from __future__ import annotations

import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pyarrow as pa
from pyarrow import json as arrow_json

from testtime.table.columns.cells import spell
from testtime.table.readers.dialect import check_names
from testtime.table.readers.formats import shown
from testtime.table.readers.source import Source, unreadable

__all__ = ["JsonFile"]

_BLOCK_BYTES = 2**23
_MANY_DIGITS = re.compile(rb":[ \t]*+-?[0-9]{19}")  # 2^63 has as many


@dataclass(frozen=True)
class JsonFile:
    """Rows as JSON objects; keys that a row lacks are missing values."""

    form: ClassVar[str] = "JSON"
    source: Source
    names: tuple[str, ...]
    notes: tuple[str, ...] = ()

    @classmethod
    def open(cls, source: Source) -> JsonFile:
        """Read the names off the first rows.

        Raises
        ------
        InputError
            If the text is no JSON of rows.
        """
        for first in cls(source, ()).batches():
            if all(pa.types.is_nested(kind) for kind in first.schema.types):
                raise unreadable(source.name, "it is JSON, but not a row of values per line")
            return cls(source, check_names(tuple(first.column_names), source))
        raise unreadable(source.name, "it holds no rows")

    def with_all_names(self) -> JsonFile:
        """Return the same rows with the names of all of them, behind those that the first ones have.

        Raises
        ------
        InputError
            If a row cannot be read.
        """
        names = dict.fromkeys(self.names)
        for batch in self.batches():
            names |= dict.fromkeys(batch.column_names)
        return replace(self, names=tuple(names))

    def batches(self) -> Iterator[pa.Table]:
        """Yield the rows in pieces; an array of rows is read whole."""
        try:
            with self.source.open() as stream:
                start = stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
            with self.source.open() as stream:
                if start.startswith(b"["):
                    yield _of_rows(
                        json.load(io.TextIOWrapper(stream, "utf-8-sig"), object_pairs_hook=_object)
                    )
                    return
                rest = b""
                while block := stream.read(_BLOCK_BYTES):
                    whole, end, rest = (rest + block).rpartition(b"\n")
                    if whole.strip():
                        yield _of_lines(whole + end)
                if rest.strip():
                    yield _of_lines(rest)
        except UnicodeDecodeError as error:
            word = repr(error.object[error.start : error.start + 12].split()[0])[1:]
            raise unreadable(self.source.name, f"{word} in it is not UTF-8", "Save it as UTF-8") from error
        except _Twice as error:
            raise unreadable(self.source.name, str(error), "Give every value a name of its own") from error
        except (pa.ArrowException, ValueError, RecursionError, TypeError) as error:
            raise unreadable(
                self.source.name, f"it is not a row of JSON per line: {shown(error)}", "Write the file again"
            ) from error


def _of_lines(lines: bytes) -> pa.Table:
    lines = lines.removeprefix(b"\xef\xbb\xbf")
    lines.decode("utf-8")  # Arrow does not look, and fails later, where a name or a value is asked for
    try:
        table = arrow_json.read_json(io.BytesIO(lines))
    except pa.ArrowInvalid:  # a column of several types, or a name twice in a row, among other things
        table = None
    if table is None or (any(map(pa.types.is_floating, table.schema.types)) and _MANY_DIGITS.search(lines)):
        # Arrow takes whole numbers beyond int64 for floating ones, so that different ones would be equal
        rows = (json.loads(line, object_pairs_hook=_object) for line in lines.splitlines() if line.strip())
        return _of_rows(list(rows))
    return table


class _Twice(ValueError):
    """A name occurs twice in one object."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        name = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
        values = [value for other, value in pairs if other == name]
        raise _Twice(
            f"{name[:60]!r} occurs twice in one object, with {values[0]!r:.40} and {values[1]!r:.40}"
        )
    return row


def _of_rows(rows: Any) -> pa.Table:
    """Build a table from dictionaries; a column of several types becomes text."""
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError("a row is no object")
    names = list(dict.fromkeys(name for row in rows for name in row))
    return pa.table({name: _column([row.get(name) for row in rows], name) for name in names})


def _column(values: list[Any], name: str) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, OverflowError):
        return pa.array(
            [None if value is None else spell(value, name) for value in values], pa.large_string()
        )
