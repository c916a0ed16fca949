"""How commands read tables: from a file, a pipe or standard input, and with the kinds of columns the user knows."""

from __future__ import annotations

import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from testtime.errors import InputError, nearest, sentence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["asked_kinds", "column_lines", "kept_ids", "readable"]

_SHOWN = 40


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
            sentence("'-' is standard input, which is the keyboard", remedy="Name a file, or pipe one: cat FILE | ...")
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


def asked_kinds(
    columns: Sequence[str], target: str, options: dict[str, Sequence[str]]
) -> dict[str, str]:
    """Return the kinds that options ask for, by column name.

    Parameters
    ----------
    columns
        Names of the table's columns.
    options
        Kind by the name of the option, each with the columns that were given.

    Raises
    ------
    InputError
        If a column is not there, is the target, or is asked to be two things.
    """
    kinds: dict[str, str] = {}
    by: dict[str, str] = {}
    for option, names in options.items():
        for name in names:
            if name not in columns:
                raise InputError(
                    sentence(f"{option} {name}: there is no such column", remedy=nearest(name, columns))
                )
            if name == target:
                raise InputError(sentence(f"{option} {name} is the target", expected="another column"))
            if by.setdefault(name, option) != option:
                raise InputError(sentence(f"{name!r} is given to {by[name]} and to {option}", remedy="Choose one"))
            kinds[name] = _KINDS[option]
    return kinds


_KINDS = {
    "--numeric": "number",
    "--categorical": "nominal",
    "--date": "date",
    "--ignore": "ignored",
    "--id": "id",
}


def kept_ids(frame: pd.DataFrame, kinds: dict[str, str]) -> dict[str, str]:
    """Return kinds under which columns that look like names of rows are used all the same."""
    from pandas.api.types import is_numeric_dtype

    from testtime.table.columns import TableColumns

    found = TableColumns(kinds).fit(frame).records
    names = [record.name for record in found if record.kind == "id" and record.name not in kinds]
    return kinds | {name: "number" if is_numeric_dtype(frame[name].dtype) else "nominal" for name in names}


def column_lines(records: Sequence[dict]) -> str:
    """Return the table of columns: name, kind, missing, levels, and how it was read or why it is left out.

    >>> one = {"name": "size", "kind": "number", "missing": 2, "levels": 31, "parsed": "", "left_out": ""}
    >>> print(column_lines([one]))
    column  kind    missing  levels
    size    number        2      31
    """
    shown = records[:_SHOWN]
    names = [_short(str(one["name"])) for one in shown]
    wide = max(6, *map(len, names))
    lines = [f"{'column':<{wide}}  {'kind':<8}{'missing':>7}{'levels':>8}"]
    for name, one in zip(names, shown, strict=True):
        remark = f"left out: {one['left_out']}" if one["left_out"] else one["parsed"]
        line = f"{name:<{wide}}  {one['kind']:<8}{one['missing']:>7,}{one['levels']:>8,}  {remark}"
        lines.append(line.rstrip())
    if len(records) > len(shown):
        lines.append(f"and {len(records) - len(shown):,} more columns")
    return "\n".join(lines)


def _short(name: str, most: int = 32) -> str:
    return name if len(name) <= most else name[: most - 3] + "..."
