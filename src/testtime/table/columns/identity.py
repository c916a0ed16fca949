"""Columns that name rows instead of describing them: counters, keys, UUIDs, free text.

They are left out: a model that sees the position of a row in a sorted file has an answer that will not be there
for new rows, and a value that occurs once says nothing about any other row.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import re

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.columns.cells import WordCells

__all__ = ["is_index", "why_identity", "why_text"]

_FEWEST = 20  # in fewer rows, all values may differ by chance
_ALMOST_ALL = 0.9
_KEY = re.compile(
    r"^(unnamed: ?\d+(_level_\d+)?|index|level_0|row ?_?(names?|id|num(ber)?|nr|no)|rn|id|uuid|guid|pk|key|)$"
    r"|[_\W](id|uuid|guid|key|pk)$|^(id|uuid)[_\W]",
    re.IGNORECASE,
)
_CASED_KEY = re.compile(r"[a-z](ID|Id)$")  # "customerId", and not "humid"
_COUNTER = re.compile(
    r"^(nr|no|num|number|n|#|obs|case|record|sample|row|idx|seq|sequence|x|s\.?no\.?)$", re.IGNORECASE
)
_INDEX = re.compile(r"__index_level_\d+__")
_UUID = r"^\{?[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}\}?$|^[0-9a-fA-F]{40}$|^[0-9a-fA-F]{64}$"


def why_identity(values: NDArray[np.float64], name: str, index: NDArray[np.int64] | None) -> str:
    """Return why numbers name rows, or nothing if they do not.

    Parameters
    ----------
    values
        The column, NaN for missing.
    name
        Its name.
    index
        Position of each row in the table it was drawn from, if it was.
    """
    if len(values) < _FEWEST or np.isnan(values).any() or not (values == np.floor(values)).all():
        return ""
    for rows in (np.arange(len(values)), index):
        if (
            rows is not None
            and values[0] - rows[0] in (0, 1)
            and (values - rows == values[0] - rows[0]).all()
        ):
            return "it counts the rows"
    if not (_is_key(name) or _COUNTER.search(name.strip())) or len(np.unique(values)) < len(values):
        return ""
    if _is_key(name):
        return "its name is that of a key and no value occurs twice"
    return "its values only rise and its name is that of a counter" if (np.diff(values) > 0).all() else ""


def is_index(name: str) -> bool:
    """Tell whether a column is the index of a pandas frame, which Parquet files keep under names of their own."""
    return _INDEX.fullmatch(name) is not None


def why_text(cells: WordCells, name: str) -> tuple[str, str]:
    """Return the kind, "id" or "text", and why words are neither levels nor numbers; ("", "") if they are levels."""
    present = int(cells.counts.sum())
    if present < _FEWEST:
        return "", ""
    words = cells.words.filter(cells.counts > 0)
    distinct = len(words)
    if distinct == present and pc.all(pc.match_substring_regex(words, _UUID)).as_py():
        return "id", "it holds a UUID or hash per row"
    long = (
        pc.mean(pc.utf8_length(words)).as_py() >= 25 and pc.mean(pc.count_substring(words, " ")).as_py() >= 3
    )
    if long and distinct > 0.5 * present:
        return "text", f"it holds free text, {distinct:,} different in {present:,} rows"
    if distinct == present:
        return "id", "no value occurs twice"
    if distinct > _ALMOST_ALL * present:
        return "text" if long else "id", f"hardly any value occurs twice, {distinct:,} of {present:,} differ"
    return "", ""


def _is_key(name: str) -> bool:
    return bool(_KEY.search(name.strip()) or _CASED_KEY.search(name.strip()))
