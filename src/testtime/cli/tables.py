"""How commands read tables from a file, a pipe or standard input; columns that look like names of rows."""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from testtime.errors import InputError, sentence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["kept_ids", "readable"]


@contextmanager
def readable(table: Path) -> Iterator[Path]:
    """Yield a file that can be read more than once: the table itself, or a copy of ``-`` or of a pipe, read to its end.

    Raises
    ------
    InputError
        If ``-`` is asked for and standard input is a terminal.
    """
    piped = table.exists() and not (stat.S_ISREG(table.stat().st_mode) or table.is_dir())
    if str(table) != "-" and not piped:
        yield table
        return
    if str(table) == "-" and sys.stdin.isatty():
        raise InputError(
            sentence(
                "'-' is standard input, which is the keyboard",
                remedy="Name a file, or pipe one: cat FILE | ...",
            )
        )
    with tempfile.TemporaryDirectory(prefix="testtime-") as folder:
        copy = Path(folder) / ("stdin" if str(table) == "-" else table.name)
        with open(copy, "wb") as written:
            if str(table) == "-":
                shutil.copyfileobj(sys.stdin.buffer, written)
            else:
                with open(table, "rb") as stream:
                    shutil.copyfileobj(stream, written)
        yield copy


def kept_ids(frame: pd.DataFrame, kinds: dict[str, str]) -> dict[str, str]:
    """Return kinds under which columns that look like names of rows are used all the same."""
    from pandas.api.types import is_numeric_dtype

    from testtime.table.columns import TableColumns

    found = TableColumns(kinds).fit(frame).records
    names = [record.name for record in found if record.kind == "id" and record.name not in kinds]
    return kinds | {name: "number" if is_numeric_dtype(frame[name].dtype) else "nominal" for name in names}
