"""The rows of sums that people leave at the end of a sheet: no observations, and larger than all of them."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from testtime.table.readers.draw import Drawn
from testtime.table.readers.formats import is_text

__all__ = ["rows_of_sums"]

_FEWEST = 10  # rows; in fewer, a word that occurs once says little
_TOTAL = re.compile(
    r"""
    (
        ((grand|sub|hoved|gesamt|general|overall|genel|eind|end|zwischen|teil)[ -]?)?
        (totals? | totale | totaal | totalt | totalsumm?a? | sums? | summe | summa | somme | suma | soma | toplam)
        ([ ](result | \(?(all|overall|gesamt|general|général|generale|geral|complessivo|końcowa|całkowita)\)?))?
      | (gesamt|end|zwischen|teil)-?ergebnis | gesamt | insgesamt | (résultat|resultado|risultato)[ ]total[e]?
      | razem | ogółem | łącznie | celkem | celkový[ ]součet | összesen | végösszeg | yhteensä | kokonaissumma | i[ ]alt
      | итого | всего | общий[ ]итог | 合計 | 総計 | 総合計 | 小計 | 合计 | 总计 | 小计 | 합계 | 총계 | 총합계
    )
    ([ ]((of|for|in)[ ])?(19|20)[0-9]{2} | [ ]?\([0-9]+\))?
    \s*:?
    """,
    re.IGNORECASE | re.VERBOSE,
)
"""What people and spreadsheets write beside sums."""
_MEAN = re.compile(
    "averages?|means?|durchschnitt|mittel(wert)?|moyennes?|promedio|media|média|gemiddelde?|średnia|среднее|平均値?|ø",
    re.IGNORECASE,
)


def rows_of_sums(drawn: Drawn) -> tuple[int, str]:
    """Return how many rows at the end of a file are sums, with the remarks below them, and the word if one says so.

    A remark is a row with nothing but words in one of several columns. A word that its column holds above is a level.
    A row without a word, or with one for a mean, holds sums or means if those of the rows above are what it says.

    >>> import numpy as np
    >>> from testtime.table.readers.draw import draw
    >>> goods = {"item": [f"item {i}" for i in range(12)], "price": ["1"] * 12}
    >>> sums = {"item": ["Total", "Source: SAP"], "price": ["12", None]}
    >>> table = pa.concat_tables([pa.table(goods), pa.table(sums)])
    >>> rows_of_sums(draw(iter([table]), None, np.random.default_rng(0)))
    (2, 'Total')
    """
    found, word = 0, ""
    last = drawn.last()
    if drawn.table is None or drawn.table.num_rows <= _FEWEST or last is None:
        return found, word
    names = [
        name for name in last.column_names if is_text(last[name].type) and name in drawn.table.column_names
    ]
    rows = last.to_pylist()
    for place in reversed(range(len(rows))):
        row, back = rows[place], len(rows) - place
        above = drawn.table.slice(0, int((drawn.at < drawn.rows - back).sum()))
        new = [
            row[name].strip()
            for name in names
            if row[name] is not None
            and all(one[name] != row[name] for one in rows[:place])
            and not pc.any(pc.equal(above[name], row[name])).as_py()
        ]
        sums = [one for one in new if _TOTAL.fullmatch(one)]
        means = [one for one in new if _MEAN.fullmatch(one)]
        if not sums and drawn.table.num_rows == drawn.rows:  # in a draw they cannot be computed
            cells = {
                name: row[name] for name in names if row[name] is not None and row[name].strip() not in means
            }
            empty = len(cells) < len(names) and not means
            if (means and _agree(cells, above, pc.mean)) or (empty and _agree(cells, above, pc.sum)):
                sums = means or [""]
        if sums:
            found, word = back, sums[0]
        elif not _is_remark(row):
            break
    return found, word


def _agree(cells: Mapping[str, str], above: pa.Table, of: Callable[[pa.Array], pa.Scalar]) -> bool:
    """Tell whether numbers, one for each of some columns, are all what `of` gives for the numbers above them."""
    return bool(cells) and all(
        any(_is_of(cell, above[name], of, decimal) for decimal in ".,") for name, cell in cells.items()
    )


def _is_of(cell: str, column: pa.ChunkedArray, of: Callable[[pa.Array], pa.Scalar], decimal: str) -> bool:
    """Tell whether a number is a sum, or a mean, up to how it is rounded."""
    thousands = "," if decimal == "." else "."
    try:
        given, *values = (
            pc.replace_substring(pc.replace_substring(text, thousands, ""), decimal, ".").cast(pa.float64())
            for text in (pa.array([cell], pa.large_string()), column)
        )
    except pa.ArrowInvalid:  # words
        return False
    there = values[0].drop_null()
    if len(there) < _FEWEST or len(pc.unique(there)) == 1:
        return False
    places = len(cell.partition(decimal)[2])
    return abs(of(there).as_py() - given[0].as_py()) <= 0.5 * 10.0**-places + 1e-9 * abs(given[0].as_py())


def _is_remark(row: Mapping[str, object]) -> bool:
    cells = [cell for cell in row.values() if cell is not None]
    return len(row) > 1 and len(cells) == 1 and re.search(r"[^\W\d_]", str(cells[0])) is not None
