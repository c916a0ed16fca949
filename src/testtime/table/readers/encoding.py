"""Find out how the letters of a text file are written, from all of its bytes."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from testtime.table.readers.source import Source, unreadable

__all__ = ["Text", "ascii_blocks", "find_encoding"]

_BLOCK = 2**20
_NOT_CP1252 = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])
_LETTERS = bytes(one for one in range(128, 256) if bytes([one]).decode("cp1252", "ignore").isalpha())
_WORD_ENDS = re.compile(rb"[\s,;|\"]")
_LONGEST = 20  # bytes of a word on either side
_WIDE = {  # the longer marks first: one begins with another
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


@dataclass(frozen=True)
class Text:
    """What the bytes of a file say about its text.

    Attributes
    ----------
    encoding
        Name of a Python codec.
    example
        A word with letters beyond ASCII, as it is read without being sure; empty for UTF-8, and where there is none.
    open_after
        The byte before the last quotation mark if the number of marks is odd, else None: if that byte ends a
        value or a line, the mark opens a value that nothing closes.
    quoted
        Whether there is any quotation mark.
    """

    encoding: str
    example: str = ""
    open_after: bytes | None = None
    quoted: bool = False


def find_encoding(source: Source) -> Text:
    """Read the file once: UTF-8 unless marked as UTF-16 or -32 or not valid; then what Windows writes in the West.

    Raises
    ------
    InputError
        If it is none of these.
    """
    with source.open() as stream:
        start = stream.read(4)
    wide = next((codec for mark, codec in _WIDE.items() if start.startswith(mark)), "")
    marks = _Marks()
    if wide:
        for block in ascii_blocks(source, wide):
            marks.see(block)
        return Text(wide, "", marks.open_after, marks.count > 0)
    damaged, foreign, example = b"", b"", b""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with source.open() as stream:
        while block := stream.read(_BLOCK):
            if b"\0" in block:
                raise unreadable(source.name, "it holds zero bytes, so it is not text")
            marks.see(block)
            if not damaged:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError as error:
                    damaged = _word_at(error.object, error.start)
                    example = _word_with(_LETTERS, error.object, error.start)
            elif not example:
                example = _word_with(_LETTERS, block)
            foreign = foreign or _word_with(_NOT_CP1252, block)
    if damaged and foreign:
        shown = [word.decode("ascii", "backslashreplace") for word in (damaged, foreign)]
        why = f"'{shown[0]}' in it is not UTF-8, and '{shown[1]}' is not Windows-1252"
        raise unreadable(source.name, why, "Save the file as UTF-8")
    if damaged:
        return Text("cp1252", example.decode("cp1252"), marks.open_after, marks.count > 0)
    return Text("utf-8-sig", "", marks.open_after, marks.count > 0)


def ascii_blocks(source: Source, encoding: str) -> Iterator[bytes]:
    """Yield a text in blocks in which what is ASCII is one byte: as it is, or UTF-8 for UTF-16 and UTF-32.

    Raises
    ------
    InputError
        If it is UTF-16 or UTF-32 by its first bytes only.
    """
    with source.open() as stream:
        if encoding not in _WIDE.values():
            yield from iter(lambda: stream.read(_BLOCK), b"")
            return
        try:
            yield from _as_utf8(stream, encoding)
        except UnicodeError as error:
            why = f"it begins as {encoding.upper()} does, and is not: {error}"
            raise unreadable(source.name, why, "Copy the file again, or save it as UTF-8") from error


def _as_utf8(stream: IO[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    while block := stream.read(_BLOCK):
        yield decoder.decode(block).encode("utf-8")
    yield decoder.decode(b"", final=True).encode("utf-8")


class _Marks:
    """Counts the quotation marks of a text, and keeps the byte before the last one."""

    def __init__(self) -> None:
        self.count = 0
        self._before = self._previous = b""

    def see(self, block: bytes) -> None:
        found = block.count(b'"')
        if found:
            self.count += found
            self._before = (self._previous + block)[: block.rfind(b'"') + len(self._previous)][-1:]
        self._previous = block[-1:] or self._previous

    @property
    def open_after(self) -> bytes | None:
        return self._before if self.count % 2 else None


def _word_with(signs: bytes, block: bytes, start: int = 0) -> bytes:
    """Return the first word that holds one of some bytes; empty if there is none."""
    if len(block.translate(None, signs)) == len(block):
        return b""
    places = [at for at in (block.find(sign, start) for sign in signs) if at >= 0]
    return _word_at(block, min(places)) if places else b""


def _word_at(block: bytes, at: int) -> bytes:
    """Return what stands around a byte, up to blanks, separators and quotation marks."""
    left = _WORD_ENDS.split(block[max(0, at - _LONGEST) : at])[-1]
    return left + _WORD_ENDS.split(block[at : at + _LONGEST])[0]
