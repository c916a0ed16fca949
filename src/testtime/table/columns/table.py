"""A table with mixed columns as numbers, the same way at fit and at prediction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
import pandas as pd
from pydantic import ValidationError

from testtime.errors import InputError, nearest, sentence
from testtime.table.columns.cells import Cells, read_cells
from testtime.table.columns.choose import check_kind, choose
from testtime.table.columns.encoded import ColumnRecord, Encoded
from testtime.table.columns.file_habits import FileHabits, is_open
from testtime.table.columns.kept import ignored, one_indicator_per_pattern, something
from testtime.table.columns.kinds.base import Fitted, Habits, Output
from testtime.table.columns.kinds.between import Between, between_dates
from testtime.table.columns.kinds.date import DateColumn
from testtime.table.columns.kinds.level import LevelColumn
from testtime.table.columns.kinds.number import NumberColumn
from testtime.table.columns.kinds.parts import CodeParts, Parts
from testtime.table.columns.kinds.season import Season
from testtime.table.columns.kinds.unused import UnusedColumn
from testtime.table.columns.places import places_of
from testtime.table.columns.said import (
    say_distances,
    say_dressed,
    say_instead,
    say_left_out,
    say_new_levels,
    say_newly_missing,
    say_parts,
    warn_of,
)
from testtime.table.columns.state import State
from testtime.table.columns.texts import may_have_parts, parts_of
from testtime.table.repeats import MANY_COPIES

__all__ = ["TableColumns"]


class TableColumns:
    """The columns of a table: what each is, how its cells are read, and what the model sees of it.

    Parameters
    ----------
    kinds
        Kinds of columns by name where the user knows better: "number", "boolean", "date", "ordinal", "nominal", or
        "text", "id", "ignored" to leave one out. The other kinds are found from the cells, never from the target.

    Attributes
    ----------
    records
        One :class:`ColumnRecord` per column of the training table.
    notes
        Sentences about the training table; :meth:`fit` warns them as :class:`DataWarning`.
    required
        Names of the columns that new rows must have.

    >>> import pandas as pd
    >>> columns = TableColumns().fit(pd.DataFrame({"price": ["12", "-", "7.5"], "town": ["Oslo", "Rome", "Oslo"]}))
    >>> columns.transform(pd.DataFrame({"town": ["Rome", "Bonn"], "price": [3, None]})).x.tolist()
    [[3.0, 1.0], [nan, -0.5]]
    """

    records: tuple[ColumnRecord, ...]
    notes: tuple[str, ...]

    def __init__(self, kinds: Mapping[str, str] | None = None) -> None:
        self.kinds = {str(name): kind for name, kind in (kinds or {}).items()}
        self.records, self.notes = (), ()
        self._columns: list[Fitted] = []
        self._between: list[Between] = []
        self._seasons: list[Season] = []
        self._parts: list[Parts] = []

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that new rows must have: those the model sees."""
        return tuple(column.name for column in self._used)

    @property
    def _used(self) -> list[Fitted]:
        """The columns that the model sees, as a whole or parts of them."""
        sources = {parts.source for parts in self._parts}
        return [one for one in self._columns if not isinstance(one, UnusedColumn) or one.name in sources]

    @property
    def undeclared_numbers(self) -> tuple[str, ...]:
        """Names of the columns that hold numbers for all that is known: nobody declared a kind."""
        return tuple(
            column.name
            for column in self._columns
            if isinstance(column, NumberColumn) and column.name not in self.kinds
        )

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names of the columns that hold numbers, declared or found."""
        return tuple(column.name for column in self._columns if isinstance(column, NumberColumn))

    @property
    def dates(self) -> tuple[str, ...]:
        """Names of the columns of dates."""
        return tuple(column.name for column in self._columns if isinstance(column, DateColumn))

    @property
    def declared_numbers(self) -> tuple[str, ...]:
        """Names of the columns that were declared to hold numbers, and of what says where they are missing."""
        declared = [
            column
            for column in self._columns
            if isinstance(column, NumberColumn) and column.name in self.kinds
        ]
        return tuple(name for column in declared for name in (column.name, column.indicator_name))

    @property
    def of_words(self) -> tuple[str, ...]:
        """Names of what the model sees of the words of columns of text."""
        return tuple(
            name for parts in self._parts if not isinstance(parts, CodeParts) for name in parts.names
        )

    def fit(self, frame: pd.DataFrame, file: FileHabits | None = None) -> TableColumns:
        """Learn the columns of a frame ``(N, D)`` of :func:`as_frame`.

        Parameters
        ----------
        frame
            Rows, ``(N, D)``.
        file
            How the file is written of which these rows are a part, as :meth:`habits_of` found; None if they are all.

        Raises
        ------
        InputError
            For infinite values, cells that hold lists or complex numbers, unknown overrides, or when no column
            carries information.
        """
        names = [str(name) for name in frame.columns]
        for name, kind in self.kinds.items():
            check_kind(name, kind)
            if name not in names:
                raise InputError(
                    sentence(f"there is no column {name!r} to be {kind!r}", remedy=nearest(name, names))
                )
        unread = {name for name, kind in self.kinds.items() if kind == "ignored"}
        cells = {
            name: None if name in unread else read_cells(frame.iloc[:, at], name)
            for at, name in enumerate(names)
        }
        own = Habits([column for column in cells.values() if column is not None])
        habits = own if file is None else file
        index, once = _row_numbers(frame), _once(frame.loc[:, [_holds_any(cells[name]) for name in names]])
        choices = [
            ignored(name)
            if column is None
            else choose(column, name, habits, self.kinds.get(name), index, once)
            for name, column in cells.items()
        ]
        choices, kept = something(choices)
        self.records = tuple(choice.record for choice in choices)
        self._columns = one_indicator_per_pattern([choice.column for choice in choices], cells)
        self._between = self._between_dates(cells, habits)
        self.records = tuple(say_distances(record, self._between) for record in self.records)
        self.notes = (
            *say_left_out(self.records),
            *kept,
            *say_dressed(choices),
            *(note for choice in choices for note in choice.notes),
        )
        warn_of(self.notes)
        return self

    def _between_dates(self, cells: Mapping[str, Cells | None], habits: Habits) -> list[Between]:
        """Return the pairs of dates that lie near each other; a single column of dates is not read again."""
        dates = [
            (one, read)
            for one in self._columns
            if isinstance(one, DateColumn) and (read := cells[one.name]) is not None
        ]
        if len(dates) < 2:
            return []
        return between_dates({one.name: one.transform(read, habits, [])[0].values for one, read in dates})

    def parts_in(self, frame: pd.DataFrame) -> list[tuple[Parts, list[Output]]]:
        """Find what is in columns of text whose kind nobody declared, in the frame of :meth:`fit`.

        Text is what is left out as such, what is rarely repeated, and lists.

        Returns
        -------
        parts, outputs
            How to find it in other rows, and the columns for the model, by column of text.
        """
        found = []
        index = _row_numbers(frame)
        for at, (column, record) in enumerate(zip(self._columns, self.records, strict=True)):
            if column.name not in self.kinds and may_have_parts(column, record):
                cells = read_cells(frame.iloc[:, at], column.name)
                found += [
                    (parts, parts.outputs(cells)) for parts in parts_of(cells, record, len(frame), index)
                ]
        return found

    def with_beside(
        self,
        *,
        between: Sequence[Between] = (),
        seasons: Sequence[Season] = (),
        parts: Sequence[Parts] = (),
    ) -> TableColumns:
        """Return the columns with more beside them, behind all others: distances, times of the year, parts."""
        added = copy(self)
        added._between = [*self._between, *between]
        added._seasons = [*self._seasons, *seasons]
        added._parts = [*self._parts, *parts]
        added.records = tuple(say_parts(say_distances(record, between), parts) for record in self.records)
        return added

    def without(self, name: str) -> TableColumns:
        """Return the columns without one as a whole, of which there are parts."""
        left = copy(self)
        left._columns = [UnusedColumn(name=name) if one.name == name else one for one in self._columns]
        left.records = tuple(say_instead(one) if one.name == name else one for one in self.records)
        return left

    def exceeds(self, most: int, frame: pd.DataFrame) -> bool:
        """Tell whether more than `most` columns of a frame hold information, reading no more of it than that takes.

        Columns whose kind was given do not count here, since whether they can be read so is checked by :meth:`fit`.

        Raises
        ------
        InputError
            As :meth:`fit`.
        """
        if len(frame.columns) <= most:
            return False
        index, found = _row_numbers(frame), 0
        for at, name in enumerate(map(str, frame.columns)):
            if name not in self.kinds:
                cells = read_cells(frame.iloc[:, at], name)
                choice = choose(cells, name, Habits([cells]), None, index)
                found += not isinstance(choice.column, UnusedColumn)
            if found > most:
                return True
        return False

    def leaves_open(self, piece: pd.DataFrame) -> bool:
        """Tell whether dates or numbers of a piece of a file may be read in another way once the file is known.

        Raises
        ------
        InputError
            When a column is absent.
        """
        return is_open(self._cells(piece))

    def habits_of(self, pieces: Iterable[pd.DataFrame]) -> FileHabits:
        """Find out how a file is written, for :meth:`transform` of each of its pieces; none of them is kept.

        Raises
        ------
        InputError
            When a column is absent.
        """
        return FileHabits(self._cells(piece) for piece in pieces)

    def transform(
        self, frame: pd.DataFrame, file: FileHabits | None = None, notes: list[str] | None = None
    ) -> Encoded:
        """Encode rows; columns are matched by name, and those that were left out at fit need not be there.

        Parameters
        ----------
        frame
            Rows, ``(q, D)``.
        file
            How the file is written of which these rows are a piece, from :meth:`habits_of`; None if they are all.
        notes
            Gets what is to be said about the rows; without it, that is warned of.

        Raises
        ------
        InputError
            When a column is absent, or holds something else than at fit.
        """
        read = self._cells(frame)
        numbers = [(own, one.comma) for one, own in read if isinstance(one, NumberColumn)]
        habits = Habits([own for _, own in read], numbers) if file is None else file
        outputs: list[Output] = []
        told: list[str] = []
        unseen, unranked = list[str](), list[str]()
        paired: dict[str, np.ndarray] = {}
        missing: list[str] = []
        complete = {record.name for record in self.records if not record.missing}
        for column, values in read:
            new = (unranked if column.ordered else unseen) if isinstance(column, LevelColumn) else told
            found = column.transform(values, habits, new)
            if isinstance(column, (DateColumn, NumberColumn)):
                paired[column.name] = found[0].values
            if column.name in complete and values.missing.any():
                missing.append(column.name)
            outputs += found
        outputs += [pair.output(paired) for pair in self._between]
        outputs += [output for one in self._seasons for output in one.outputs(paired[one.source])]
        texts = {column.name: cells for column, cells in read}
        outputs += [output for parts in self._parts for output in parts.outputs(texts[parts.source])]
        told += say_new_levels(unseen, "stand where their names would be among the others")
        told += say_new_levels(unranked, "count as unknown")
        told += say_newly_missing(missing)
        if notes is None:
            warn_of(told)
        else:
            notes += told
        x = np.empty((len(frame), len(outputs)))
        for at, output in enumerate(outputs):
            x[:, at] = output.values
        return Encoded(
            x,
            tuple(output.name for output in outputs),
            tuple(output.kind for output in outputs),
            tuple(output.n_levels for output in outputs),
        )

    def fit_transform(self, frame: pd.DataFrame) -> Encoded:
        """Learn the columns of a frame and encode it, without warning about its cells a second time."""
        return self.fit(frame).transform(frame, notes=[])

    def to_state(self) -> dict[str, Any]:
        """Return all that was learned as plain values, for the store."""
        state = State.model_validate(
            {
                "columns": self._columns,
                "records": list(self.records),
                "notes": list(self.notes),
                "kinds": self.kinds,
                "between": self._between,
                "seasons": self._seasons,
                "parts": self._parts,
            }
        )
        return state.model_dump(mode="json")

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TableColumns:
        """Rebuild from :meth:`to_state`.

        Raises
        ------
        InputError
            If the state is not one that :meth:`to_state` can have given.
        """
        try:
            checked = State.model_validate(state)
        except ValidationError as error:
            first = error.errors()[0]
            where = " of ".join(str(part) for part in reversed(first["loc"]))
            raise InputError(
                sentence(
                    f"the saved columns are not valid: {where}: {first['msg']}", remedy="Save the model again"
                )
            ) from error
        columns = cls(checked.kinds)
        columns._columns = list(checked.columns)
        columns._between = list(checked.between)
        columns._seasons, columns._parts = list(checked.seasons), list(checked.parts)
        columns.notes = tuple(checked.notes)
        columns.records = tuple(checked.records)
        return columns

    def _cells(self, frame: pd.DataFrame) -> list[tuple[Fitted, Cells]]:
        """Return the columns that are used, with their cells."""
        used = self._used
        places = zip(used, places_of(frame, used, self._columns), strict=True)
        return [(column, read_cells(frame.iloc[:, place], column.name)) for column, place in places]


def _row_numbers(frame: pd.DataFrame) -> np.ndarray | None:
    """Return the row numbers a frame brings from the table it was drawn from, if its index is one."""
    index = frame.index
    return index.to_numpy(np.int64) if index.dtype.kind in "iu" and index.is_unique else None


def _holds_any(cells: Cells | None) -> bool:
    """Whether a column holds a value; pandas cannot compare empty cells of every type, as of lists."""
    return cells is not None and not cells.missing.all()


def _once(frame: pd.DataFrame) -> np.ndarray | None:
    """Return the rows that equal no earlier one, if many do; else None."""
    first = ~frame.duplicated().to_numpy()
    return np.flatnonzero(first) if first.mean() < 1 - MANY_COPIES else None
