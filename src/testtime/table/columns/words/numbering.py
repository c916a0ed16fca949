"""Numbers that count in two steps, as versions and sections do: after ``1.9`` comes ``1.10``, which is not ``1.1``.

Measurements have one number of decimals, or none of them ends in a zero.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from testtime.table.columns.cells import WordCells

__all__ = ["Twins", "find_twins"]

_STEPS = r"^[0-9]+(?:\.(?:[0-9]|[1-9][0-9]))*$"
_SECOND = r"^[0-9]+\.(?P<second>[0-9]{1,2})$"
_TENS = r"^[0-9]+\.[1-9]0$"
_FEWEST_ONES, _FEWEST_TENS = 5, 3  # different counts below ten, and from ten on


@dataclass(frozen=True)
class Twins:
    """Two words for one number.

    Attributes
    ----------
    short, long
        The words, such as "1.1" and "1.10".
    counted
        Whether the digits behind the points of the column are likely to be counts.
    """

    short: str
    long: str
    counted: bool


def find_twins(cells: WordCells) -> Twins | None:
    """Find two words with one or two decimals that differ by a zero at the end; None if there are none.

    Decimals are likely to be counts where no word is a number of another form, such as ``1.05`` and ``-1``; where most
    from 1 to 9 occur, and half from 10 to the largest; where these are several; and where the largest is below 45 if
    there is a 9. Of measurements one in ten has hundredths that begin with a zero, and they go up to 90 if tenths do.

    >>> find_twins(WordCells(pa.array([f"{i}.{j}" for i in (1, 2) for j in range(13)], pa.large_string())))
    Twins(short='1.1', long='1.10', counted=True)
    >>> find_twins(WordCells(pa.array(["1.5", "1.50", "2.25", "0.99", "1.05"], pa.large_string())))
    Twins(short='1.5', long='1.50', counted=False)
    """
    words = cells.words.filter(pa.array(cells.counts > 0))
    tens = words.filter(pc.match_substring_regex(words, _TENS))
    short = pc.utf8_slice_codeunits(tens, 0, -1) if len(tens) else tens
    both = pc.is_in(short, value_set=words)
    tens, short = tens.filter(both), short.filter(both)
    if not len(tens):
        return None
    form = pc.match_substring_regex(words.filter(pc.match_substring_regex(words, "[0-9]")), _STEPS)
    seconds = pc.struct_field(pc.extract_regex(words, pattern=_SECOND).drop_null(), "second")
    counts = {int(second) for second in seconds.to_pylist()}
    small, large = counts & set(range(1, 10)), {count for count in counts if count >= 10}
    dense = len(small) >= _FEWEST_ONES and 2 * len(large) >= max(large) - 9
    several = len(large) >= _FEWEST_TENS or (len(tens) > 1 and max(large) > 10)
    near = 2 * max(large) < 10 * max(small)
    return Twins(short[0].as_py(), tens[0].as_py(), bool(pc.all(form).as_py()) and dense and several and near)
