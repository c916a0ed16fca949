"""A value in quotes over several lines: is it one, or does it run from one stray quotation mark to the next?"""

from __future__ import annotations

import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from itertools import chain

from testtime.table.readers.source import unreadable

__all__ = ["check_quotes"]

_MOST_BYTES = 2**23  # of one value; readers give up at as many
_SHOWN = 20  # bytes on either side
_REMEDY = "Remove the mark, or put the value in quotes with each mark in it written twice"


def check_quotes(
    name: str, blocks: Iterable[bytes], separator: str, *, spaced: bool = False, skipped: int = 0
) -> None:
    """Refuse a value of several lines that is followed by text, as between the two marks of ``"b`` and ``5" pipe``.

    Readers take what follows for the rest of the value, so that all rows between two stray marks become one cell.

    Parameters
    ----------
    name
        What to call the file.
    blocks
        Its text from the beginning, in which what is ASCII is one byte.
    separator, spaced, skipped
        As in a :class:`~testtime.table.readers.dialect.Dialect`.

    Raises
    ------
    InputError
        If there is such a value, or one that is not closed, or not within 8 MB.
    """
    proper, begins, value = _patterns(separator, spaced)
    lines, text, is_open = skipped, b"\n", False  # the text begins outside of any value
    for block in chain(_without_lines(blocks, skipped), (b"\n",)):
        text += block
        at, is_open = 0, False
        while not is_open:
            if passed := proper.match(text, at):
                at = passed.end()
            if not (begin := begins.search(text, at)):
                break
            if cell := value.match(text, begin.start()):
                if re.search(rb"[\r\n]", cell[1]):
                    raise unreadable(name, _told(text, cell, lines), _REMEDY)
                at = cell.end()
            is_open = not cell
        at = at if is_open else _line_at(text, at, len(text))
        if len(text) - at > _MOST_BYTES:
            break
        lines += _line_ends(text, at)
        text = text[at:]
    if is_open:
        begin = begins.search(text)
        line = lines + _line_ends(text, begin.end() if begin else 0)
        why = f"the quoted value that begins in line {line:,} is not closed, or goes on for more than 8 MB"
        raise unreadable(name, why, _REMEDY)


def _patterns(separator: str, spaced: bool) -> tuple[re.Pattern[bytes], re.Pattern[bytes], re.Pattern[bytes]]:
    """Return what matches all up to a value that is not written properly, where values begin, and a value.

    None of them tries a byte twice, and all that is proper is passed in one match: files are large.
    """
    ends = rb"[\r\n" + re.escape(separator.encode()) + rb"]"
    if spaced:
        opening = ends + rb' *+"'
        others = rb"(?:[^" + ends[1:] + rb"++|" + ends + rb'(?! *+"))*+'
    else:
        opening = rb'"(?<=' + ends + rb'")'
        others = rb'(?:[^"]++|"(?<!' + ends + rb'"))*+'
    value = opening + rb'([^"]*+(?:""[^"]*+)*+)"(?!")'  # whose end is seen by what comes next
    proper = rb"(?:" + others + value + rb"(?= *+" + ends + rb"))*+"
    return re.compile(proper), re.compile(opening), re.compile(value + rb"(?= *+[^ ])")


def _without_lines(blocks: Iterable[bytes], skipped: int) -> Iterator[bytes]:
    """Leave out the mark of UTF-8 and some lines at the beginning."""
    blocks, begin = iter(blocks), b""
    lines = re.compile(rb"(?:[^\r\n]*+(?:\r\n|\r(?=[^\n])|\n)){%d}" % skipped)
    for block in blocks:
        begin += block
        if len(begin) >= len(BOM_UTF8) and (found := lines.match(begin)):
            yield begin.removeprefix(BOM_UTF8) if not skipped else begin[found.end() :]
            break
    yield from blocks


def _line_at(text: bytes, start: int, end: int) -> int:
    """Return where the last end of a line before `end` is, or `start`."""
    return max(text.rfind(b"\n", start, end), text.rfind(b"\r", start, end), start)


def _line_ends(text: bytes, end: int) -> int:
    """Count the ends of lines before a place; both bytes of Windows are one, which may lie on both sides of it."""
    returns = text.count(b"\r", 0, end)
    return text.count(b"\n", 0, end) + (returns - text.count(b"\r\n", 0, end + 1) if returns else 0)


def _told(text: bytes, cell: re.Match[bytes], lines: int) -> str:
    """Say where the value begins, and within what its closing mark stands."""
    begin, end = cell.start(1) - 1, cell.end()
    first = re.split(rb"[\r\n]", text[begin : begin + _SHOWN])[0]
    last = text[_line_at(text, end - _SHOWN, end) : end].strip()
    last += re.split(rb"[\r\n]", text[end : end + _SHOWN])[0]
    shown = [one.decode("utf-8", "replace") for one in (first, last)]
    numbers = [lines + _line_ends(text, place) for place in (begin, end)]
    return (
        f"a value in quotes begins with {shown[0]!r} in line {numbers[0]:,}, and its closing mark stands within "
        f"{shown[1]!r} in line {numbers[1]:,}, so all between them would be one value"
    )
