"""Find out how a text table is written: encoding, separator, header; say plainly when it is none."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from dataclasses import dataclass

from testtime.errors import InputError, sentence
from testtime.table.readers.encoding import Text, ascii_blocks, find_encoding
from testtime.table.readers.header import decimal_commas, fit_header
from testtime.table.readers.quotes import check_quotes
from testtime.table.readers.source import Source, unreadable

__all__ = ["BRACKETED", "SEPARATORS", "Dialect", "check_names", "find_dialect", "title_rows", "told_title"]

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
_SAMPLE = 2**18  # characters that the separator is judged by
_MOST_TITLE_LINES = 20
BRACKETED = re.compile(r"[<\[](?=[^<>\[\]{}\"]*[^\W\d])[^<>\[\]{}\",;\t|]*[>\]][ ]*[,;\t|]")
"""A header such as ``<DATE>,<TIME>`` or ``[Order ID];[Price]``, which is neither HTML nor JSON."""
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,]*")
_PLAINLY = 0.25  # share of the cells
_LETTER = re.compile(r"[^\W\d]")
_YEAR = re.compile(r"(1[5-9]|20)[0-9][0-9]")
_SAID = re.compile(r"^sep=(.)\r?\n?$", re.IGNORECASE)  # how Excel is told
_FORMATS = {
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"%PDF": "a PDF document",
    b"\x89PNG": "an image",
    b"\xff\xd8\xff": "an image",
    b"SQLite format": "a SQLite database",
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
        Lines before the header.
    notes
        Sentences about what was left out.
    spaced
        Whether quoted values have blanks before them.
    """

    encoding: str
    separator: str
    names: tuple[str, ...]
    skipped: int
    notes: tuple[str, ...] = ()
    spaced: bool = False


def find_dialect(source: Source) -> Dialect:
    """Judge a text file by all of its bytes (encoding) and its first rows (separator, header).

    Raises
    ------
    InputError
        If the file is empty, binary, incomplete, of an unknown encoding, has a header with repeated names, or quotation
        marks between which several rows would become one value.
    """
    with source.open() as stream:
        head = stream.read(16)
    for start, name in _FORMATS.items():
        if head.startswith(start):
            raise unreadable(source.name, f"it is {name}")
    text = find_encoding(source)
    with source.open() as stream:
        sample = codecs.getreader(text.encoding)(stream).read(_SAMPLE)
    if not sample.strip():
        raise unreadable(source.name, "it is empty")
    if sample.lstrip()[0] in "{[<" and not BRACKETED.match(sample.lstrip()):
        raise unreadable(source.name, f"it begins with {sample.lstrip()[0]!r}, like JSON or HTML")
    dialect = _dialect(source, sample, text)
    openers = [dialect.separator.encode(), b"\n", b"\r", b"", *([b" "] if dialect.spaced else [])]
    if text.open_after is not None and text.open_after in openers:
        why = "its last quoted value is not closed, so its end is missing"
        raise unreadable(source.name, why, "Write the file again")
    if text.quoted:
        blocks = ascii_blocks(source, text.encoding)
        spaced, skipped = dialect.spaced, dialect.skipped
        check_quotes(source.name, blocks, dialect.separator, spaced=spaced, skipped=skipped)
    return dialect


def check_names(names: tuple[str, ...], source: Source) -> tuple[str, ...]:
    """Return the names.

    Raises
    ------
    InputError
        If one occurs twice.
    """
    repeated = [name for name, count in Counter(names).items() if count > 1]
    if repeated:
        raise InputError(
            sentence(
                f"{source.name!r} has {names.count(repeated[0])} columns called {repeated[0]!r}",
                expected="different names",
                why="a column is known by its name",
                remedy="Rename them",
            )
        )
    return names


def told_title(lines: int) -> str:
    """Say that lines above the header are left out."""
    return (
        "1 line above the header is left out"
        if lines == 1
        else f"{lines:,} lines above the header are left out"
    )


def title_rows(rows: list[list[str]]) -> int:
    """Count the lines of a title: rows with one value above rows that nearly all have more.

    >>> title_rows([["Sales", ""], ["item", "price"], ["nail", "1"], ["screw", "2"]])
    1
    """
    width = Counter(len(row) for row in rows).most_common(1)[0][0]
    filled = [sum(bool(cell.strip()) for cell in row) for row in rows]
    first = next((at for at, row in enumerate(rows) if len(row) == width and filled[at] > 1), 0)
    agree = sum(len(row) == width for row in rows[first:])
    titles = all(number <= 1 for number in filled[:first])
    header = _names_columns(rows[first], rows[first + 1 :])
    enough = 0 < first <= _MOST_TITLE_LINES and agree >= 0.9 * (len(rows) - first) and agree >= 3
    return first if titles and header and enough else 0


def _names_columns(header: list[str], body: list[list[str]]) -> bool:
    """Tell whether a row is a header: words, of which some may be missing, or years over columns of other values."""
    if not any(map(_LETTER.search, header)):
        return False
    for at, cell in enumerate(map(str.strip, header)):
        if not cell or _LETTER.search(cell):
            continue
        below = [row[at].strip() for row in body if at < len(row)]
        if not _YEAR.fullmatch(cell) or 2 * sum(bool(_YEAR.fullmatch(value)) for value in below) > len(below):
            return False
    return True


def _dialect(source: Source, sample: str, text: Text) -> Dialect:
    """Read separator and header off the first rows."""
    first = sample.splitlines(keepends=True)[0]
    said = _SAID.match(first)
    if said and said[1] in SEPARATORS:
        reading = _reading(source, sample[len(first) :], said[1])
        lines = 1
    else:
        readings = [_reading(source, sample, separator) for separator in SEPARATORS]
        reading = _best(readings[_of_one_column(sample, readings[0]) :])
        lines = 0
    rows = reading.rows
    if not rows:
        raise unreadable(source.name, "it is empty")
    title = title_rows([row for _, row in rows])
    if title:
        rows = rows[title:]
    header, body = rows[0][1], [row for _, row in rows[1:]]
    before = rows[0][0]
    notes: tuple[str, ...] = (told_title(title),) if title else ()
    if text.example:
        notes += (
            f"it is not UTF-8 and is taken as Windows-1252, in which a word reads {text.example!r}; "
            "if that is wrong, save the file as UTF-8",
        )
    header, fitted = fit_header(header, body, source)
    notes += (fitted,) if fitted else ()
    names = tuple(name.strip() or f"Unnamed: {i}" for i, name in enumerate(header))
    check_names(names, source)
    return Dialect(text.encoding, reading.separator, names, lines + before, notes, reading.spaced)


def _of_one_column(sample: str, commas: _Reading) -> bool:
    """Tell whether the commas are those of decimals; names of rows in quotes are no parts of numbers."""
    rows = [row for _, row in commas.rows]
    return bool(rows) and decimal_commas(rows[0], rows[1:]) and '"' not in sample.lstrip().partition("\n")[2]


@dataclass(frozen=True)
class _Score:
    """How much rows are a table: the share that has one width, the width, and the share of numbers among the cells."""

    agree: float
    width: int
    numbers: float


@dataclass(frozen=True)
class _Reading:
    """The rows of a sample as one separator makes them."""

    separator: str
    spaced: bool
    rows: list[tuple[int, list[str]]]
    score: _Score


def _best(readings: list[_Reading]) -> _Reading:
    """Of the readings whose rows agree best, return the widest one, unless another one finds plainly more numbers.

    With decimal commas, and commas in the header, a comma divides all rows alike as a semicolon does, into more cells.
    """
    most = max(reading.score.agree for reading in readings)
    agreeing = [reading for reading in readings if reading.score.agree == most]
    numbers = max(reading.score.numbers for reading in agreeing)
    numeric = [reading for reading in agreeing if reading.score.numbers >= numbers - _PLAINLY]
    return max(numeric, key=lambda reading: (reading.score.width, reading.score.numbers))


def _reading(source: Source, sample: str, separator: str) -> _Reading:
    """Read a sample, without the blanks before quoted values where there are such and rows agree as well."""
    rows = _rows(source, sample, separator)
    plain = _Reading(separator, False, rows, _score(rows))
    mark = re.escape(separator)
    if not re.search(rf'(?m)(?:^|{mark})[ ]+"(?:[^"]|"")*"[ ]*(?:{mark}|$|\r)', sample):
        return plain
    rows = _rows(source, sample, separator, spaced=True)
    spaced = _Reading(separator, True, rows, _score(rows))
    return spaced if spaced.score.agree >= plain.score.agree else plain


def _rows(
    source: Source, sample: str, separator: str, *, spaced: bool = False
) -> list[tuple[int, list[str]]]:
    """Return the rows of a sample that are not empty, each with the number of lines before it."""
    reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator, skipinitialspace=spaced)
    rows: list[tuple[int, list[str]]] = []
    line = 0
    try:
        for row in reader:
            if row and (len(row) > 1 or row[0].strip()):
                rows.append((line, row))
            line = reader.line_num
    except csv.Error as error:
        raise unreadable(source.name, f"its first rows are not delimited text: {error}") from error
    return rows if len(sample) < _SAMPLE or len(rows) < 2 else rows[:-1]  # the last row of a part may be cut


def _score(rows: list[tuple[int, list[str]]]) -> _Score:
    if not rows:
        return _Score(-1.0, 0, 0.0)
    body = rows[title_rows([row for _, row in rows]) :]
    width = len(body[0][1])
    if width == 1:
        return _Score(0.0, 1, 0.0)
    agree = sum(len(row) == width for _, row in body[1:]) / max(1, len(rows) - 1)
    cells = [cell.strip() for _, row in body[1:] for cell in row]
    numbers = sum(bool(_NUMBER.fullmatch(cell)) for cell in cells) / max(1, len(cells))
    return _Score(agree, width, numbers)
