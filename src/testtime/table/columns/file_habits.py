"""How a file is written, from its pieces one by one, so that all of them are read in one way."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

from testtime.table.columns.cells import Cells, WordCells
from testtime.table.columns.kinds.base import Fitted, Habits
from testtime.table.columns.kinds.date import DateColumn
from testtime.table.columns.kinds.number import NumberColumn
from testtime.table.columns.words.dates import shown_orders
from testtime.table.columns.words.numbers import decimal_signs, may_turn, read_numbers, sign_shown
from testtime.table.columns.words.orders import Shown
from testtime.table.columns.words.reading import SAMPLE

__all__ = ["FileHabits", "is_open"]


class FileHabits(Habits):
    """Habits of a file that is read in pieces: counts of what its columns show, and none of its cells.

    What a column shows of its own dates and decimal signs is counted in all rows, and what columns show each other in a
    sample of each piece, as it is where a table is one piece.
    """

    def __init__(self, pieces: Iterable[list[tuple[Fitted, Cells]]]) -> None:
        super().__init__()
        self._dates: dict[str, Shown] = {}
        self._signs: dict[str, tuple[int, ...]] = {}
        self._sampled: dict[str, tuple[int, ...]] = {}
        self._at_fit: dict[str, bool | None] = {}
        self._lead = 0
        for piece in pieces:
            for column, cells in piece:
                if isinstance(cells, WordCells):
                    self._add(column, cells)

    def _add(self, column: Fitted, cells: WordCells) -> None:
        name = column.name
        self._lead += shown_orders(cells.sample(SAMPLE)).lead
        self._sampled[name] = _sum(self._sampled.get(name), decimal_signs(cells))
        if isinstance(column, DateColumn):
            shown = shown_orders(cells)
            self._dates[name] = self._dates[name] + shown if name in self._dates else shown
        if isinstance(column, NumberColumn):
            signs = read_numbers(cells, comma=None, table_comma=None, manner=column.bounds_read).signs
            self._signs[name] = _sum(self._signs.get(name), signs)
            self._at_fit[name] = column.comma

    @cached_property
    def comma(self) -> bool | None:
        """Whether numbers have decimal commas; None if none tells."""
        told = {sign_shown(signs) for signs in self._sampled.values()} - {None}
        return None if not told else True in told

    @cached_property
    def turned(self) -> bool:
        """Whether numbers are surely written in another way than at fit."""
        shown = [(sign_shown(self._sampled[name], sure=True), then) for name, then in self._at_fit.items()]
        return any(now is not None and now != then for now, then in shown)

    @cached_property
    def day_first(self) -> bool | None:
        """Whether dates have the day first; None if none tells."""
        return None if self._lead == 0 else self._lead > 0

    @property
    def decided(self) -> dict[str, Any]:
        """What follows from the counts, as plain values: the same file with more rows may well have the same."""
        orders = {name: shown.orders(None, None, None) for name, shown in self._dates.items()}
        return {
            "comma": self.comma,
            "day first": self.day_first,
            "commas": {name: self.sign(name) for name in sorted(self._signs)},
            "dates": {name: [orders[name].day_first, orders[name].year_first] for name in sorted(orders)},
        }

    def dates(self, name: str) -> Shown | None:
        """What all dates of a column show; None if it holds no words."""
        return self._dates.get(name)

    def sign(self, name: str) -> bool | None:
        """Whether all numbers of a column show decimal commas; None if none tells."""
        return sign_shown(self._signs.get(name, (0, 0)))


def is_open(piece: list[tuple[Fitted, Cells]]) -> bool:
    """Tell whether cells of a piece may be read in another way when the rest of the file is known.

    A piece is not open if no cell has two readings, or if it shows the one that its column had at fit.
    """
    for column, cells in piece:
        if not isinstance(cells, WordCells):
            continue
        if isinstance(column, DateColumn) and shown_orders(cells).is_open(
            column.day_first, column.year_first
        ):
            return True
        if isinstance(column, NumberColumn) and may_turn(cells, column.comma):
            return True
    return False


def _sum(left: tuple[int, ...] | None, right: tuple[int, ...]) -> tuple[int, ...]:
    return right if left is None else tuple(one + other for one, other in zip(left, right, strict=True))
