"""Find out how the letters of a text file are written, from all of its bytes."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from testtime.table.readers.source import Source, unreadable

__all__ = ["Text", "find_encoding"]

_BLOCK = 2**20
_NOT_CP1252 = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])
_LETTERS = bytes(one for one in range(128, 256) if bytes([one]).decode("cp1252", "ignore").isalpha())
_WORD_ENDS = re.compile(rb"[\s,;|\"]")
_LONGEST = 20  # bytes of a word on either side


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
    """

    encoding: str
    example: str = ""
    open_after: bytes | None = None


def find_encoding(source: Source) -> Text:
    """Read the file once: UTF-8 unless marked as UTF-16 or not valid; then what Windows writes in the West.

    Raises
    ------
    InputError
        If it is none of these.
    """
    quotes, before, previous = 0, b"", b""
    damaged, foreign, example = b"", b"", b""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with source.open() as stream:
        block = stream.read(_BLOCK)
        if block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return Text("utf-16")
        while block:
            if b"\0" in block:
                raise unreadable(source.name, "it holds zero bytes, so it is not text")
            marks = block.count(b'"')
            if marks:
                quotes += marks
                before = (previous + block)[: block.rfind(b'"') + len(previous)][-1:]
            if not damaged:
                try:
                    decoder.decode(block)
                except UnicodeDecodeError as error:
                    damaged = _word_at(error.object, error.start)
                    example = _word_with(_LETTERS, error.object, error.start)
            elif not example:
                example = _word_with(_LETTERS, block)
            foreign = foreign or _word_with(_NOT_CP1252, block)
            previous = block[-1:]
            block = stream.read(_BLOCK)
    if damaged and foreign:
        shown = [word.decode("ascii", "backslashreplace") for word in (damaged, foreign)]
        why = f"'{shown[0]}' in it is not UTF-8, and '{shown[1]}' is not Windows-1252"
        raise unreadable(source.name, why, "Save the file as UTF-8")
    open_after = before if quotes % 2 else None
    if damaged:
        return Text("cp1252", example.decode("cp1252"), open_after)
    return Text("utf-8-sig", "", open_after)


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
