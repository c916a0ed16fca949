"""The bytes of a table: from a file, a pipe or standard input, packed or not."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import re
import shutil
import stat
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from testtime.errors import InputError, nearest, sentence

__all__ = ["Source", "open_source", "unreadable"]

STANDARD_INPUT = "-"
_PACKED = {b"\x1f\x8b": "gzip", b"\xfd7zXZ\x00": "xz", b"PK\x03\x04": "zip"}
_BZ2 = re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)")  # and not any text that begins with BZh
_DAMAGE = (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile)


@dataclass(frozen=True)
class Source:
    """Bytes that can be read from their beginning as often as needed.

    Attributes
    ----------
    name
        What to call them in a message.
    path
        The file that holds them: a copy for a pipe.
    packing
        "gzip", "bz2", "xz", "zip" or empty.
    member
        The file in a zip archive.
    """

    name: str
    path: Path
    packing: str = ""
    member: str = ""
    _copy: Any = field(default=None, repr=False)  # the temporary file goes when the source goes

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """Open the bytes, unpacked.

        Raises
        ------
        InputError
            If packed bytes turn out to be incomplete or damaged while they are read.
        """
        try:
            with self._opened() as stream:
                yield stream
        except (*_DAMAGE, OSError) as error:
            if not isinstance(error, _DAMAGE) and self.packing != "bz2":  # which raises what a disk does
                raise
            why = f"its {self.packing} data is incomplete or damaged: {error}"
            raise unreadable(self.name, why, "Copy the file again") from error
        except RuntimeError as error:  # what zipfile raises for a password
            if self.packing != "zip":
                raise
            raise unreadable(self.name, f"{error}", "Unpack it") from error

    def on_disk(self) -> Source:
        """Return the same bytes unpacked in a file, for formats that are read from their end."""
        if not self.packing:
            return self
        with self.open() as stream:
            return _copied(stream, self.name)

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        if self.packing == "zip":
            with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as stream:
                yield stream
            return
        openers = {"gzip": gzip.open, "bz2": bz2.open, "xz": lzma.open}
        with openers.get(self.packing, open)(self.path, "rb") as stream:
            yield stream


def open_source(path: str | Path) -> Source:
    """Find the bytes of a path; ``-`` is standard input, and what is no regular file is read once, to its end.

    Raises
    ------
    InputError
        If there is no such file, it is a folder, cannot be read, or is an archive of several files; or if ``-`` is
        asked for and standard input is a terminal.
    """
    name = str(path)
    if name == STANDARD_INPUT:
        if sys.stdin.isatty():
            got = "'-' is standard input, which is the keyboard"
            raise InputError(sentence(got, remedy="Name a file, or pipe one: cat FILE | ..."))
        return _unpacked(_copied(sys.stdin.buffer, "standard input"))
    path = Path(path)
    try:
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise unreadable(name, "it is a folder", "Pass a file in it")
        if not stat.S_ISREG(mode):
            with open(path, "rb") as stream:
                return _unpacked(_copied(stream, name))
        return _unpacked(Source(name, path))
    except FileNotFoundError as error:
        there = (
            [file.name for file in path.parent.glob("*") if file.is_file()] if path.parent.is_dir() else []
        )
        remedy = nearest(path.name, there) if there else "Check the path"
        raise InputError(sentence(f"there is no file {name!r}", remedy=remedy)) from error
    except OSError as error:
        raise unreadable(name, error.strerror or str(error), "Check the permissions") from error
    except InputError:
        raise
    except ValueError as error:  # a zero byte in the name
        raise unreadable(name, str(error), "Check the path") from error


def unreadable(name: str, why: str, remedy: str = "Export the table as CSV or Parquet again") -> InputError:
    """Return the error that says a file is not a table."""
    return InputError(sentence(f"{name!r} cannot be read as a table", why=why, remedy=remedy))


def _copied(stream: IO[bytes], name: str) -> Source:
    copy = tempfile.NamedTemporaryFile(prefix="testtime-")  # noqa: SIM115 -- lives as long as the source
    shutil.copyfileobj(stream, copy, 2**20)
    copy.flush()
    return Source(name, Path(copy.name), _copy=copy)


def _unpacked(source: Source) -> Source:
    with open(source.path, "rb") as stream:
        start = stream.read(10)
    packing = next((name for magic, name in _PACKED.items() if start.startswith(magic)), "")
    packing = "bz2" if _BZ2.match(start) else packing
    if packing != "zip":
        return Source(source.name, source.path, packing, _copy=source._copy)
    return _of_archive(source)


def _of_archive(source: Source) -> Source:
    """Take the only file of an archive; a workbook is an archive too, and stays as it is."""
    try:
        with zipfile.ZipFile(source.path) as archive:
            names = archive.namelist()
    except zipfile.BadZipFile as error:
        why = f"its zip data is incomplete or damaged: {error}"
        raise unreadable(source.name, why, "Copy the file again") from error
    if "xl/workbook.xml" in names or "[Content_Types].xml" in names:
        return source
    if "mimetype" in names and "content.xml" in names:
        raise unreadable(source.name, "it is an OpenDocument spreadsheet", "Save it as xlsx or CSV")
    hidden = [name for name in names if name.startswith("__MACOSX/") or Path(name).name.startswith(".")]
    files = [name for name in names if not name.endswith("/") and name not in hidden]
    if len(files) != 1:
        shown = ", ".join(map(repr, files[:5])) + (", ..." if len(files) > 5 else "")
        why = f"it is an archive of {len(files):,} files: {shown}" if files else "it is an empty archive"
        raise unreadable(source.name, why, "Unpack it and pass one of the files")
    return Source(source.name, source.path, "zip", files[0], _copy=source._copy)
