"""Columns that name rows instead of describing them: counters, keys, UUIDs, free text.

They are left out: a model that sees the position of a row in a sorted file has an answer that will not be there
for new rows, and a value that occurs once says nothing about any other row.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.table.columns.cells import WordCells

__all__ = ["are_hashes", "is_index", "is_of_text", "like_a_counter", "why_identity", "why_text"]

_FEWEST = 20  # in fewer rows, all values may differ by chance
_ALMOST_ALL = 0.9
_NUMBERED_FROM = 100  # a column that goes up by 1 from a smaller number may be an age or a size
_YEARS = (1500, 2200)
_KEY = re.compile(
    r"^(unnamed: ?\d+(_level_\d+)?|index|level_0|row ?_?(names?|id|num(ber)?|nr|no)|rn|id|uuid|guid|pk|key|)$"
    r"|[_\W](id|uuid|guid|key|pk)$|^(id|uuid)[_\W]"
    r"|^(id|doc|seq|ser|acc)[ _-]?(no|nr|num)\.?$"
    r"|(customer|client|order|invoice|account|member(ship)?|patient|case|contract|ticket|transaction|employee|serial|policy"
    r"|reference|receipt|booking|document|voucher|study|subject|person|user|student|pupil|household|respondent)"
    r"[ _-]?(id|no|nr|num|number|\#)\.?$"
    r"|(kunden?|auftrags?|beleg|rechnungs?|vertrags?|artikel|patienten?|mitglieds?|personal|bestell|vorgangs?|fall|konto|akten)"
    r"[ _-]?(nr|nummer)\.?$"
    r"|(n°|nº|no|num|n[uú]m[eé]ro)[ ._]*(de?[ _])?(l?a?[ _])?"
    r"(client[ei]?|commande|facture|contrat|dossier|pedido|factura|contrato|ordine|fattura)$",
    re.IGNORECASE,
)
_CASED_KEY = re.compile(r"[a-z](ID|Id)$")  # "customerId", and not "humid"
_COUNTER = re.compile(
    r"^(nr|no|num|number|n|n°|nº|\#|obs|case|record|sample|row|idx|seq|sequence|x|s\.?no\.?|lfd)$"
    r"|[ _-](no|nr|num|number|nummer|n[uú]mero|num[eé]ro)\.?$|[a-zäöüß.](nr|nummer)\.?$",
    re.IGNORECASE,
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
        if rows is not None and (values - rows == values[0] - rows[0]).all():
            begin = values[0] - rows[0]
            if begin in (0, 1):
                return "it counts the rows"
            if begin >= _NUMBERED_FROM and not _are_years(values):
                return f"it counts the rows, from {int(begin):,} on"
    if not (_is_key(name) or _COUNTER.search(name.strip())) or len(np.unique(values)) < len(values):
        return ""
    if _is_key(name):
        return "its name is that of a key and no value occurs twice"
    return "its values only rise and its name is that of a counter" if (np.diff(values) > 0).all() else ""


def like_a_counter(values: NDArray[np.float64]) -> str:
    """Return how whole numbers go from row to row, as those that count rows do: they rise, or fall, in each.

    >>> like_a_counter(np.arange(0.0, 300.0, 10)), like_a_counter(np.arange(1960.0, 2000.0))
    ('rises', '')
    """
    if (
        len(values) < _FEWEST or not (values == np.floor(values)).all() or _are_years(values)
    ):  # NaN is no floor
        return ""
    steps = np.diff(values)
    return "rises" if (steps > 0).all() else "falls" if (steps < 0).all() else ""


def _are_years(values: NDArray[np.float64]) -> bool:
    return bool(values.min() >= _YEARS[0] and values.max() <= _YEARS[1])


def is_index(name: str) -> bool:
    """Tell whether a column is the index of a pandas frame, which Parquet files keep under names of their own."""
    return _INDEX.fullmatch(name) is not None


def are_hashes(words: pa.Array) -> bool:
    """Tell whether all words are UUIDs or hashes, of which no part means anything."""
    return bool(pc.all(pc.match_substring_regex(words, _UUID)).as_py())


def why_text(cells: WordCells, name: str) -> tuple[str, str]:
    """Return the kind, "id" or "text", and why words are neither levels nor numbers; ("", "") if they are levels."""
    present = int(cells.counts.sum())
    if present < _FEWEST:
        return "", ""
    words = cells.words.filter(cells.counts > 0)
    distinct = len(words)
    if distinct == present and are_hashes(words):
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


def is_of_text(reason: str) -> bool:
    """Tell whether a column was left out for what :func:`why_text` says; then no other kind makes it useful."""
    return reason.startswith(("it holds", "no value occurs twice", "hardly any value occurs twice"))


def _is_key(name: str) -> bool:
    return bool(_KEY.search(name.strip()) or _CASED_KEY.search(name.strip()))
