"""Find out how a text table is written: encoding, separator, header; say plainly when it is none."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from testtime.errors import InputError, sentence

__all__ = ["Dialect", "find_dialect", "open_bytes", "unreadable"]

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_BLOCK = 2**20
_SAMPLE = 2**18  # characters that the separator is judged by
_FORMATS = {
    b"PK\x03\x04": "an Excel workbook or zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"SQLite format": "a SQLite database",
    b"ARROW1": "an Arrow file",
    b"\x89HDF": "an HDF5 file",
    b"\x80\x04\x95": "a pickle",
}


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Attributes
    ----------
    encoding
        Name of a Python codec.
    separator
        One character.
    names
        The header, empty names filled in by position.
    skipped
        Empty lines before the header.
    """

    encoding: str
    separator: str
    names: tuple[str, ...]
    skipped: int

    @property
    def separator_name(self) -> str:
        """The separator in a word."""
        return _SEPARATORS[self.separator]


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, through gzip if it begins like one."""
    with open(path, "rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path, "rb") if packed else open(path, "rb")


def unreadable(path: Path, why: str, remedy: str = "Export the table as CSV or Parquet again") -> InputError:
    """Return the error that says a file is not a table."""
    return InputError(sentence(f"{str(path)!r} cannot be read as a table", why=why, remedy=remedy))


def find_dialect(path: Path) -> Dialect:
    """Judge a text file by all of its bytes (encoding) and its first rows (separator, header).

    Raises
    ------
    InputError
        If the file is empty, binary, incomplete or has a header with repeated names.
    """
    with open_bytes(path) as stream:
        head = stream.read(16)
    for start, name in _FORMATS.items():
        if head.startswith(start):
            raise unreadable(path, f"it is {name}")
    encoding, open_after = _encoding(path)
    with open_bytes(path) as stream:
        sample = codecs.getreader(encoding)(stream).read(_SAMPLE)
    if not sample.strip():
        raise unreadable(path, "it is empty")
    if sample.lstrip()[0] in "{[<":
        raise unreadable(path, f"it begins with {sample.lstrip()[0]!r}, like JSON or HTML")
    separator, header = _separator(path, sample)
    names = tuple(name.strip() or f"Unnamed: {i}" for i, name in enumerate(header))
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(
            sentence(
                f"{str(path)!r} has {names.count(repeated[0])} columns called {repeated[0]!r}",
                expected="different names",
                why="a column is known by its name",
                remedy="Rename them",
            )
        )
    before = sample[: len(sample) - len(sample.lstrip("\r\n"))]
    skipped = before.count("\n") or before.count("\r")
    if open_after is not None and open_after in (separator.encode(), b"\n", b"\r", b""):
        raise unreadable(
            path, "its last quoted value is not closed, so its end is missing", "Write the file again"
        )
    return Dialect(encoding, separator, names, skipped)


def _encoding(path: Path) -> tuple[str, bytes | None]:
    """Read the file once: UTF-8 unless marked as UTF-16 or not valid.

    Also return the byte before the last quotation mark if the number of marks is odd, else None: if that byte
    ends a value or a line, the mark opens a value that nothing closes.
    """
    found, quotes, before, previous = "utf-8-sig", 0, b"", b""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_bytes(path) as stream:
            block = stream.read(_BLOCK)
            if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                return "utf-16", None
            while block:
                if b"\0" in block:
                    raise unreadable(path, "it holds zero bytes, so it is not text")
                marks = block.count(b'"')
                if marks:
                    quotes += marks
                    before = (previous + block)[: block.rfind(b'"') + len(previous)][-1:]
                if found == "utf-8-sig":
                    try:
                        decoder.decode(block)
                    except UnicodeDecodeError:
                        found = "latin-1"
                previous = block[-1:]
                block = stream.read(_BLOCK)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        why = f"its gzip data is incomplete or damaged: {error}"
        raise unreadable(path, why, "Copy the file again") from error
    return found, before if quotes % 2 else None


def _separator(path: Path, sample: str) -> tuple[str, list[str]]:
    """Return the separator that gives most rows the width of the header, and the header."""
    whole = len(sample) < _SAMPLE
    scored: list[tuple[float, int, str, list[str]]] = []
    for separator in _SEPARATORS:
        try:
            rows = [row for row in csv.reader(io.StringIO(sample, newline=""), delimiter=separator) if row]
        except csv.Error as error:
            raise unreadable(path, f"its first rows are not delimited text: {error}") from error
        header, body = rows[0], rows[1:] if whole else rows[1:-1]  # the last row of a part may be cut
        agree = sum(len(row) == len(header) for row in body) / max(1, len(body))
        scored.append((agree if len(header) > 1 else 0.0, len(header), separator, header))
    best = max(scored, key=lambda score: score[:2])
    return best[2], best[3]
