"""A header that is shorter or longer than its rows: a column without a name, or a comma that separates nothing?"""

from __future__ import annotations

import re

from testtime.errors import InputError, sentence
from testtime.table.readers.source import Source

__all__ = ["decimal_commas", "fit_header"]

_NUMBER = re.compile(r"[+-]?[0-9]*[.,]?[0-9]+([eE][+-]?[0-9]+)?")
_WHOLE, _DIGITS = re.compile(r"[+-]?[0-9]+"), re.compile(r"[0-9]+")
_WELL_FILLED, _SPARSE = 0.9, 0.5  # shares of the last column that hold a value
_FEWEST = 10  # rows; in fewer, numbers that happen to differ are no sign of names of rows


def fit_header(header: list[str], body: list[list[str]], source: Source) -> tuple[list[str], str]:
    """Give the header the width of its rows, an empty name for the column without one, and say what was done.

    A separator at the end of each line makes an empty column, or an empty name. R writes names of rows as a first
    column and no name for it; people write remarks behind the last column that has a name.

    Raises
    ------
    InputError
        If the first column could hold names of rows and the last could be one without a name, or values in single
        quotation marks are taken apart.
    """
    widths = {len(row) for row in body}
    if widths and min(widths) > len(header):
        _refuse_single_quotes(header, body, source)
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
    return True if _counted(first) or len(first) >= _FEWEST else None


def _counted(first: list[str]) -> bool:
    """Tell whether values are the numbers of the rows, from 0 or 1 on."""
    numbers = [int(one) for one in first]
    return numbers[0] in (0, 1) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))


def decimal_commas(header: list[str], body: list[list[str]]) -> bool:
    """Tell whether rows that are separated at commas are numbers with decimal commas, in the only column.

    Rows that are numbered from 0 or 1 on have names, which R writes without one for them.

    >>> decimal_commas(["price"], [["3", "9"], ["17", "50"], ["4"]])
    True
    >>> decimal_commas(["price"], [["1", "9"], ["2", "50"], ["3", "7"]])
    False
    """
    if len(header) != 1 or not any(len(row) == 2 for row in body):
        return False
    if not all(
        len(row) <= 2 and _WHOLE.fullmatch(row[0].strip()) and all(map(_DIGITS.fullmatch, row[1:]))
        for row in body
    ):
        return False
    return any(len(row) == 1 for row in body) or not _counted([row[0] for row in body])


def _refuse_single_quotes(header: list[str], body: list[list[str]], source: Source) -> None:
    """Raise if most rows have a value that a single quotation mark begins, and a later one that another ends."""
    found = [pair for row in body if (pair := _taken_apart([cell.strip() for cell in row]))]
    if 2 * len(found) <= len(body):
        return
    raise InputError(
        sentence(
            f"the header of {source.name!r} has {len(header):,} names and its rows {len(body[0]):,} values",
            expected="a name for every column",
            why=f"{found[0][0]!r} and {found[0][1]!r} are parts of one value in single quotation marks, which "
            "quote nothing in such files",
            remedy="Write the file with double quotation marks",
        )
    )


def _taken_apart(row: list[str]) -> tuple[str, str] | None:
    begins = [at for at, cell in enumerate(row) if cell.startswith("'") and (cell == "'" or cell[-1] != "'")]
    ends = [at for at, cell in enumerate(row) if cell.endswith("'") and (cell == "'" or cell[0] != "'")]
    return (row[begins[0]], row[ends[-1]]) if begins and ends and begins[0] < ends[-1] else None
