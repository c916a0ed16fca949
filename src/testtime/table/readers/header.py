"""A header that is one name shorter or longer than its rows: which column is it that has no name?"""

from __future__ import annotations

import re

from testtime.errors import InputError, sentence
from testtime.table.readers.source import Source

__all__ = ["fit_header"]

_NUMBER = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+([eE][+-]?[0-9]+)?")
_WELL_FILLED, _SPARSE = 0.9, 0.5  # shares of the last column that hold a value
_FEWEST = 10  # rows; in fewer, numbers that happen to differ are no sign of names of rows


def fit_header(header: list[str], body: list[list[str]], source: Source) -> tuple[list[str], str]:
    """Give the header the width of its rows, an empty name for the column without one, and say what was done.

    A separator at the end of each line makes an empty column, or an empty name. R writes names of rows as a first
    column and no name for it; people write remarks behind the last column that has a name.

    Raises
    ------
    InputError
        If the first column could hold names of rows and the last could be one without a name.
    """
    widths = {len(row) for row in body}
    if widths == {len(header) - 1} and not header[-1].strip():
        return header[:-1], ""
    if widths != {len(header) + 1}:
        return header, ""
    last = [row[-1].strip() for row in body]
    if not any(last):
        return [*header, ""], ""
    named = _names_of_rows([row[0].strip() for row in body], last)
    if named is None:
        raise InputError(
            sentence(
                f"the header of {source.name!r} has {len(header):,} names and its rows {len(header) + 1:,} values",
                expected="a name for every column",
                why="the first column could hold names of rows, or the last could lack its name",
                remedy="Write all names into the header",
            )
        )
    if named:
        return ["", *header], (
            "the header has a name less than the rows have values; the first column is taken for names of rows, "
            f"and {header[0].strip()!r} for the name of the second"
        )
    return [*header, ""], (
        "the header has a name less than the rows have values; the last column is the one without a name, "
        f"and is called 'Unnamed: {len(header)}'"
    )


def _names_of_rows(first: list[str], last: list[str]) -> bool | None:
    """Say whether the first column names the rows; None if that cannot be told from a last column without a name."""
    filled = sum(map(bool, last)) / len(last)
    if filled < _SPARSE or not all(first) or len(set(first)) < len(first):
        return False
    if filled < _WELL_FILLED:
        return None
    if not all(map(_NUMBER.fullmatch, first)):
        return True
    if not all(map(str.isdecimal, first)):
        return None
    numbers = [int(one) for one in first]
    counted = numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return True if counted or len(numbers) >= _FEWEST else None
