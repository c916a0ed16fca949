"""Which kind a column is, found from its cells or asked for."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.errors import InputError, nearest, sentence
from testtime.table.columns.cells import Cells, WordCells, as_words
from testtime.table.columns.encoded import ColumnRecord
from testtime.table.columns.identity import is_index, like_a_counter, why_identity, why_text
from testtime.table.columns.kinds.base import Fitted, Habits, Learned, is_constant
from testtime.table.columns.kinds.boolean import BooleanColumn, PresenceColumn
from testtime.table.columns.kinds.date import DateColumn
from testtime.table.columns.kinds.level import LevelColumn
from testtime.table.columns.kinds.number import NumberColumn
from testtime.table.columns.kinds.unused import UnusedColumn
from testtime.table.columns.words.numbering import Twins, find_twins
from testtime.table.columns.words.quantities import unread_quantities
from testtime.table.columns.words.reading import RejectColumn
from testtime.table.columns.words.unread_dates import unread_dates

__all__ = ["ASKABLE", "Choice", "check_kind", "choose"]

ASKABLE = ("number", "boolean", "date", "ordinal", "nominal", "text", "id", "ignored")
_LEFT_OUT = {"text": "it is free text, as asked", "id": "it names rows, as asked", "ignored": "as asked"}
_FITS: dict[str, Callable[..., Learned]] = {
    "boolean": BooleanColumn.fit,
    "number": NumberColumn.fit,
    "date": DateColumn.fit,
}


@dataclass(frozen=True)
class Choice:
    """A fitted column with its record; `spare` is what it would be if it were not left out."""

    column: Fitted
    record: ColumnRecord
    notes: tuple[str, ...] = ()
    dressed: str = ""
    spare: Choice | None = None


def check_kind(name: str, kind: str) -> None:
    """Refuse a kind that cannot be asked for.

    Raises
    ------
    InputError
        If `kind` is none of :data:`ASKABLE`.
    """
    if kind not in ASKABLE:
        raise InputError(
            sentence(
                f"the kind of column {name!r} is {kind!r}",
                expected=f"one of {', '.join(ASKABLE)}",
                remedy=nearest(kind, ASKABLE),
            )
        )


def choose(
    cells: Cells,
    name: str,
    habits: Habits,
    asked: str | None,
    index: NDArray[np.int64] | None,
    once: NDArray[np.int64] | None = None,
) -> Choice:
    """Find the kind of a column, or take the one that is asked for.

    Parameters
    ----------
    cells, name
        The column.
    habits
        How the other columns are written.
    asked
        The kind that is asked for, or None.
    index
        Position of each row in the table it was drawn from, if it was.
    once
        Rows without their copies, where many rows of the table are copies: an identifier occurs once among these.

    Raises
    ------
    InputError
        If no cell can be read as what is asked for, or a number is infinite.
    """
    words, levels = _examples(cells)
    record = ColumnRecord(name, "", int(cells.missing.sum()), levels, "", "", words)
    if asked in _LEFT_OUT:
        return _unused(record, asked, _LEFT_OUT[asked])
    if levels == 0:
        return _unused(record, "constant", "nothing but missing values")
    if asked is not None:
        return _asked(cells, record, habits, asked)
    if levels == 1:
        if record.missing:
            return _chosen(PresenceColumn.fit(cells, name, words[0]), record)
        return _unused(record, "constant", f"a single value, {words[0]!r}")
    found = _found(cells, record, habits, index)
    if once is not None and not found.record.left_out:
        alone = _found(cells.take(once), record, habits, None if index is None else index[once]).record
        if alone.kind in ("id", "text"):
            why = f"{alone.left_out}, but for copies of whole rows"
            found = replace(_unused(record, alone.kind, why), spare=found)
    if is_index(name) and not found.record.left_out:
        return replace(_unused(record, "id", "it is the index of a pandas frame"), spare=found)
    return found


def _asked(cells: Cells, record: ColumnRecord, habits: Habits, asked: str) -> Choice:
    if asked in ("nominal", "ordinal"):
        return _chosen(LevelColumn.fit(cells, record.name, ordered=asked == "ordinal"), record)
    try:
        return _chosen(_FITS[asked](cells, record.name, habits, asked=True), record)
    except RejectColumn as why:
        raise InputError(
            sentence(
                f"column {record.name!r} holds {record.examples[0]!r}",
                expected=f"{asked}s, as asked" if asked != "boolean" else "true and false, as asked",
                why=str(why),
                remedy="Ask for another kind, or correct the values",
            )
        ) from why


def _found(cells: Cells, record: ColumnRecord, habits: Habits, index: NDArray[np.int64] | None) -> Choice:
    name, nearly = record.name, ""
    for fit in _FITS.values():
        try:
            learned = fit(cells, name, habits)
        except RejectColumn as why:
            nearly = nearly or why.nearly
            continue
        return _useful(learned, cells, record, habits, index)
    choice = _chosen(LevelColumn.fit(cells, name), record)
    if not isinstance(cells, WordCells) or cells.order:
        return choice
    unread = _unread(cells, nearly)
    kind, why = why_text(cells, name)
    if why:
        # What is in such text is tried later, with the target.
        left = f"Column {name!r} is left out as a whole, though {unread}. Its parts may stand beside the other columns"
        notes = (f"{left}.",) if unread and kind == "id" else ()
        return replace(_unused(record, kind, why), spare=choice, notes=notes)
    note = f"Column {name!r} is taken as categories: {unread}."
    return replace(choice, notes=(*choice.notes, note)) if unread else choice


def _unread(cells: WordCells, nearly: str) -> str:
    """Say what words look like that are taken for categories, and what to do; empty if there is nothing to say."""
    if nearly:
        return nearly
    dates = unread_dates(cells)
    return (
        f"{dates}. Write them as 2020-12-31, or declare it as nominal" if dates else unread_quantities(cells)
    )


def _useful(
    learned: Learned, cells: Cells, record: ColumnRecord, habits: Habits, index: NDArray[np.int64] | None
) -> Choice:
    """Leave out numbers without information, constant but for rounding or names of rows; versions are levels."""
    choice = _chosen(learned, record)
    if not isinstance(learned.column, NumberColumn):
        return choice
    if isinstance(cells, WordCells) and (twins := find_twins(cells)):
        if twins.counted and not why_text(cells, record.name)[0]:
            return _versions(cells, record, twins)
        choice = replace(choice, dressed=choice.dressed or f"{twins.long!r} is {twins.short}")
    values = learned.column.transform(cells, habits, [])[0].values
    if is_constant(values[~np.isnan(values)]) and not _too_close_together(cells, values, record):
        if np.isnan(values).any() and not np.isnan(values).all():
            return _chosen(PresenceColumn.fit(cells, record.name, record.examples[0]), record)
        return _unused(record, "constant", f"a single value, {record.examples[0]!r}")
    if _too_close_together(cells, values, record):
        levels = _chosen(LevelColumn.fit(cells, record.name), record)
        kind, why = why_text(as_words(cells), record.name)
        return replace(_unused(record, kind, why), spare=levels) if why else levels
    why = why_identity(values, record.name, index)
    if why:
        return replace(_unused(record, "id", why), spare=choice)
    if way := like_a_counter(values):
        note = (
            f"Column {record.name!r} {way} from row to row, as numbers of rows do; declare it as id if it only names "
            "them."
        )
        return replace(choice, notes=(*choice.notes, note))
    return choice


def _versions(cells: WordCells, record: ColumnRecord, twins: Twins) -> Choice:
    choice = _chosen(LevelColumn.fit(cells, record.name), record)
    note = (
        f"Column {record.name!r} is taken as categories: it holds {twins.short!r} and {twins.long!r}, which are one "
        "number, and seems to count behind the points, as versions and sections do. Declare it as number if it holds "
        "quantities."
    )
    return replace(choice, notes=(*choice.notes, note))


def _too_close_together(cells: Cells, values: NDArray[np.float64], record: ColumnRecord) -> bool:
    """Tell whether different whole numbers, as keys are, become one float64 or nearly so."""
    if not isinstance(cells, WordCells) or record.levels < 2 or not is_constant(values[~np.isnan(values)]):
        return False
    words = cells.words.filter(cells.counts > 0)
    return bool(pc.all(pc.match_substring_regex(words, "^[+-]?[0-9]{16,}$")).as_py())


def _chosen(learned: Learned, record: ColumnRecord) -> Choice:
    column = learned.column
    kind = "ordinal" if isinstance(column, LevelColumn) and column.ordered else column.kind
    told = replace(record, kind=kind, parsed=learned.parsed, missing=learned.n_missing)
    return Choice(column, told, learned.notes, learned.dressed)


def _unused(record: ColumnRecord, kind: str, why: str) -> Choice:
    return Choice(UnusedColumn(name=record.name), replace(record, kind=kind, left_out=why))


def _examples(cells: Cells) -> tuple[tuple[str, ...], int]:
    """Return the first values as text, and the number of different ones."""
    if isinstance(cells, WordCells):
        there = np.flatnonzero(cells.counts > 0)
        return tuple(word[:80] for word in cells.words.take(there[:3]).to_pylist()), len(there)
    present = np.flatnonzero(~cells.missing)
    first = np.sort(np.unique(cells.values[present[:1000]], return_index=True)[1])[:3]
    words = as_words(cells.take(present[first])).words.to_pylist()
    return tuple(words), len(np.unique(cells.values[present]))
