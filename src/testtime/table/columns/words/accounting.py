"""Numbers as accountants write them: negative ones in brackets, and a dash in the place of zero."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.columns.words.currencies import CURRENCIES, is_money
from testtime.table.columns.words.dress import Dress
from testtime.table.columns.words.reading import matches

__all__ = ["Dashes", "find_dashes", "zeros_of_currencies"]

_CURRENCY = rf"(?:[A-Z]{{0,3}}\p{{Sc}}|{'|'.join(sorted(word.replace('.', r'[.]') for word in CURRENCIES))})"
_DASH = r"-{1,2}(?:[.,]-{1,2})?"
_CURRENCY_FIRST = rf"^({_CURRENCY}\s*){_DASH}$"
_CURRENCY_LAST = rf"^{_DASH}(\s*{_CURRENCY})$"
_BARE = "^[-\u2014]$"
_GROUPED = r"[0-9],[0-9]{3}(?:\.[0-9]{2})?$|[0-9]\.[0-9]{3},[0-9]{2}$|[0-9]['’ ][0-9]{3}"
_CENTS = r"[.,][0-9]{2}$"


@dataclass(frozen=True)
class Dashes:
    """What a bare dash among numbers means.

    Attributes
    ----------
    words
        Which words are a dash.
    are_zero
        Whether it is 0: negative numbers stand in brackets and nothing else is 0. None if nothing tells.
    may_be_zero
        Whether it counts as missing, though the numbers look like those of accounts.
    rows
        Number of rows with a dash.
    """

    words: NDArray[np.bool_]
    are_zero: bool | None
    may_be_zero: bool
    rows: int

    def doubt(self, what: str) -> str:
        """Say how dashes were read; `what` begins the sentence. Empty if there is nothing to say."""
        if not self.rows:
            return ""
        if self.are_zero:
            why = "as in accounting, since negative numbers stand in brackets"
            return f"{what} holds '-' in {self.rows:,} rows: it is read as 0, {why}."
        if self.may_be_zero:
            why = "though it may stand for 0, as in accounting. Write 0 there if it does"
            return f"{what} holds '-' in {self.rows:,} rows, which count as missing, {why}."
        return ""


def zeros_of_currencies(text: pa.Array) -> pa.Array:
    """Write 0 for a dash beside a currency, which can be nothing else.

    >>> zeros_of_currencies(pa.array(["$ -", "-   €", "CHF -.-", "-", "$5"])).to_pylist()
    ['$ 0', '0   €', 'CHF 0', '-', '$5']
    """
    text = pc.replace_substring_regex(text, _CURRENCY_FIRST, r"\1" + "0")
    return pc.replace_substring_regex(text, _CURRENCY_LAST, r"0\1")


def find_dashes(
    text: pa.Array,
    dress: Dress,
    shown: NDArray[np.bool_],
    values: NDArray[np.float64],
    counts: NDArray[np.int64],
    at_fit: bool | None,
) -> Dashes:
    """Find the dashes among words and tell what they mean.

    Parameters
    ----------
    text, dress
        The words, and what stands around their digits.
    shown
        Which of them show a number.
    values, counts
        The number and the rows of each.
    at_fit
        Whether a dash was 0 when the column was fitted; None if nothing told.
    """
    words = matches(text, _BARE)
    rows = int(counts[words].sum())
    shown = shown & (counts > 0)
    zeros = bool((values[shown] == 0).any())
    brackets = bool(dress.bracketed[shown].any())
    are_zero = at_fit
    if at_fit is None and (brackets or rows):
        are_zero = brackets and not zeros
    may_be = bool(rows) and not are_zero and not zeros and (brackets or _of_money(dress, shown))
    return Dashes(words, are_zero, may_be, rows)


def _of_money(dress: Dress, shown: NDArray[np.bool_]) -> bool:
    """Tell whether numbers look like those of accounts: a currency, separated thousands, or cents everywhere."""
    if any(map(is_money, dress.units)):
        return True
    body = dress.body.filter(pa.array(shown))
    return bool(len(body) and (matches(body, _GROUPED).any() or matches(body, _CENTS).all()))
