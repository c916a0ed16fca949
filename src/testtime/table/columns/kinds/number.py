"""Columns of numbers."""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from testtime.errors import InputError, sentence
from testtime.table.columns.cells import Cells, NumberCells, TimeCells, WordCells
from testtime.table.columns.kinds import number_said as said
from testtime.table.columns.kinds.base import (
    Habits,
    Learned,
    Lossy,
    Output,
    missing_matters,
    never_infinite,
)
from testtime.table.columns.sentinels import said_of_numbers
from testtime.table.columns.words.bounds import without_signs
from testtime.table.columns.words.currencies import are_one_currency, is_money
from testtime.table.columns.words.dates import are_compact, are_months
from testtime.table.columns.words.footnotes import without_marks
from testtime.table.columns.words.lengths import are_of_time
from testtime.table.columns.words.manner import Manner
from testtime.table.columns.words.numbers import read_numbers
from testtime.table.columns.words.reading import SAMPLE, RejectColumn, blank_words, likely, matches
from testtime.table.columns.words.truth import truth_of

__all__ = ["NumberColumn"]

_SHARES = ("%", "‰")  # 12 % may have been .12 at fit, as a spreadsheet stores it
_SEVERAL = 3  # numbers; the middle of fewer may be anything
_FAR = 30.0  # times smaller than at fit: hardly per cent
_RARE = 0.01


class NumberColumn(Lossy):
    """Numbers: as they are, or read from words the way the column was written at fit.

    `scale` names the factors, such as "'k'", of which one stood beside every number of fit.
    `factors` and `units` are all that stood beside numbers.
    `accounting` tells whether a dash was 0; None if nothing told.
    `typical` is the median size of per cent, and `small` the share of them up to 1; 0 for anything else.
    `clock` says that hours alone, as in ``3 PM``, are times of day.
    `marks` says that there were marks of footnotes, as in ``12[a]``, which are taken off.
    `bounds` says that there were bounds such as ``<0.5`` and ``10+``, which are read as the numbers that they hold.
    `binary` says that there were no other numbers than 0 and 1, which may come as true and false later.
    `grouped` is a number of fit whose point was taken as a decimal sign, in doubt, where it may separate thousands.
    """

    kind: ClassVar[str] = "number"
    form: Literal["number"] = "number"
    comma: bool | None = None
    unit: str = Field(default="", max_length=40)
    short_minutes: bool = False
    clock: bool = False
    bounds: bool = False
    binary: bool = True  # in models that were saved before this was looked at, any truth value was a number
    marks: bool = False
    grouped: str = Field(default="", max_length=100)
    scale: str = Field(default="", max_length=200)
    factors: dict[str, float] = Field(default={}, max_length=100)
    units: list[str] = Field(default=[], max_length=10)
    typical: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    small: float = Field(default=0.0, ge=0, le=1)
    accounting: bool | None = False  # in models that were saved before a dash was looked at, it was missing

    @classmethod
    def fit(cls, cells: Cells, name: str, habits: Habits, *, asked: bool = False) -> Learned:
        """Learn the column.

        Raises
        ------
        RejectColumn
            If hardly any cell is a number; with `asked`, only if none is.
        InputError
            If a number is infinite.
        """
        if isinstance(cells, TimeCells) or (isinstance(cells, WordCells) and cells.order and not asked):
            raise RejectColumn("it has another type")
        if not asked and are_compact(cells):
            raise RejectColumn("it holds days")
        if isinstance(cells, NumberCells):
            values = never_infinite(cells.values, name)
            notes = [said.TOO_LARGE.format(n=cells.too_large, name=name)] if cells.too_large else []
            notes += said_of_numbers(values, name)
            column = cls(
                name=name, accounting=None, binary=_is_binary(values), indicator=missing_matters(values)
            )
            return Learned(column, "", tuple(notes), int(np.isnan(values).sum()))
        if not asked and are_months(cells):
            raise RejectColumn("it holds months")
        manner = Manner(bounds="all" if asked else "told", marks="all" if asked else "told")
        sample = read_numbers(cells.sample(SAMPLE), comma=None, table_comma=None, manner=manner)
        if not asked and not likely(sample):
            raise RejectColumn("it holds words that are no numbers", said.nearly_numbers(sample, cells))
        given = {"table_comma": habits.comma, "manner": manner, "shown": habits.sign(name)}
        reading = read_numbers(cells, comma=None, **given)
        if not (reading.enough or (asked and reading.n_read)):
            raise RejectColumn("it holds words that are no numbers", said.nearly_numbers(reading, cells))
        values = never_infinite(reading.values, name)
        sizes, shares = np.empty(0), []
        if reading.unit in _SHARES:
            marked = cells.spread(
                np.where(matches(cells.words, f"[{''.join(_SHARES)}]"), 1.0, np.nan), np.nan
            )
            sizes = _sizes(values * marked)
            shares = said.shares_beside(values[np.isnan(marked)], sizes, name, reading.unit)
        column = cls(
            name=name,
            comma=reading.comma,
            unit=reading.unit,
            short_minutes=reading.short_minutes,
            clock=reading.clock,
            scale=reading.scale,
            factors=reading.factors,
            units=list(reading.units),
            typical=float(np.median(sizes)) if len(sizes) else 0.0,
            small=float((sizes <= 1).mean()) if len(sizes) else 0.0,
            accounting=reading.dashes.are_zero if reading.dashes else None,
            bounds=reading.n_bounds > 0,
            binary=_is_binary(values),
            marks=reading.n_noted > 0,
            grouped=reading.ambiguous[:100] if "." in reading.ambiguous and not reading.comma else "",
            blanks=blank_words(reading),
            indicator=missing_matters(values),
        )
        return Learned(
            column,
            said.parsed(reading),
            (*said.notes_of(reading, name), *shares),
            int(np.isnan(values).sum()),
            said.dressed(reading),
        )

    def transform(self, cells: Cells, habits: Habits, told: list[str]) -> list[Output]:
        """Read new cells as at fit."""
        if isinstance(cells, TimeCells) and not np.isnat(cells.values).all():
            example = cells.values[~np.isnat(cells.values)][0]
            raise InputError(
                sentence(
                    f"column {self.name!r} holds the date {str(example)[:10]}", expected="numbers, as at fit"
                )
            )
        if isinstance(cells, WordCells):
            values = self._read(cells, habits, told)
        elif isinstance(cells, TimeCells):
            values = np.full(len(cells.values), np.nan)
        else:
            values = cells.values
            if cells.truth and not self.binary and not np.isnan(values).all():
                raise self._no_truth("true" if (values == 1).any() else "false")
            self._check_shares(values, told)
            self._tell_size(values, told)
            told += [said.TOO_LARGE.format(n=cells.too_large, name=self.name)] if cells.too_large else []
        return [Output(never_infinite(values, self.name), self.name), *self.with_indicator(values)]

    @property
    def bounds_read(self) -> Manner:
        """Which bounds of new rows are numbers: a sign before one can be nothing else, a plus behind it can.

        Nor can the mark of a footnote be. What counted as missing at fit, as ``<1`` among codes, still does.
        """
        refused = pa.array(self.blanks, pa.large_string())
        no_bounds = not self.bounds and without_signs(refused, "all")[1].any()
        no_marks = not self.marks and without_marks(refused, "all")[1].any()
        return Manner(
            bounds="all" if self.bounds else "" if no_bounds else "before", marks="" if no_marks else "all"
        )

    def _read(self, cells: WordCells, habits: Habits, told: list[str]) -> np.ndarray:
        # What the column showed at fit comes before what other columns show, unless those have changed since.
        comma = None if habits.turned else self.comma
        table_comma = habits.comma if comma is None else None
        units = self.units or [unit for unit in [self.unit] if unit]
        # Where hours were numbers with a unit at fit, no other word makes times of them.
        clock = self.clock or (False if self.unit else None)
        read = self.bounds_read
        manner = Manner(
            self.short_minutes, clock, self.accounting, self.factors, units, read.bounds, read.marks
        )
        shown = habits.sign(self.name)
        given = {"comma": comma, "table_comma": table_comma, "manner": manner, "shown": shown}
        reading = read_numbers(cells, known=frozenset(self.blanks), **given)
        truth = np.where(_spelled_out(cells.words), truth_of(cells.words), np.nan)
        if reading.stray and not np.isnan(truth).all():
            # A truth value where numbers were, as in a file that another program wrote; "T" or "no" may mean else.
            alone = WordCells(cells.words, typed=cells.typed)
            numbers = np.where(np.isnan(truth), read_numbers(alone, **given).values, truth)
            if not np.isnan(numbers).any():
                if not self.binary:
                    raise self._no_truth(next(iter(reading.stray)))
                return cells.spread(numbers, np.nan)
        self.accept(reading, "numbers", told)
        strange = reading.unit and not any(_same_unit(reading.unit, one) for one in units)
        if strange and (self.unit or reading.unit in _SHARES):
            raise InputError(
                sentence(
                    f"column {self.name!r} holds numbers in {reading.unit!r}",
                    expected=f"{self.unit!r}, as at fit"
                    if self.unit
                    else "numbers without a unit, as at fit",
                    remedy="Convert them",
                )
            )
        if not reading.unit:
            self._check_shares(reading.values, told)
        measured = reading.unit or next(filter(None, reading.scales), "")
        of_time = are_of_time(reading.factors)
        plain = not (self.factors or self.unit or (self.clock and of_time)) and reading.example[0]
        if plain and of_time:
            told.append(
                f"Column {self.name!r} holds lengths of time in several units, which are read as seconds, and had none "
                f"at fit: {said.example(reading)}."
            )
        elif plain and measured:
            told.append(
                f"Column {self.name!r} holds numbers in {measured!r}, and had none with a unit at fit: "
                f"{said.example(reading)}."
            )
        if reading.n_bounds and not self.bounds:
            told.append(said.bounds(reading, self.name, ", and had none at fit"))
        if reading.n_noted and not self.marks:
            told.append(said.marks(reading, self.name, ", and had none at fit"))
        if reading.dashes and self.accounting is None:
            told.extend(filter(None, [reading.dashes.doubt(f"Column {self.name!r}")]))
        if reading.ambiguous:
            told.extend([reading.doubt(f"Column {self.name!r}")])
        elif "" in reading.scales or not any(reading.scales):
            bare = cells.spread(np.where(matches(cells.words, r"\pL"), np.nan, 0.0), np.nan)
            self._tell_size(reading.values + bare, told)
        if reading.too_large:
            told.append(said.TOO_LARGE.format(n=reading.too_large, name=self.name))
        return reading.values

    def _no_truth(self, word: str) -> InputError:
        return InputError(
            sentence(
                f"column {self.name!r} holds {word}",
                expected="numbers",
                why="it held others than 0 and 1 at fit",
                remedy="Give the number, or leave it empty if it is not known",
            )
        )

    def _tell_size(self, values: np.ndarray, told: list[str]) -> None:
        """Say that numbers without a factor may be some thousand times too small or large beside those of fit.

        They are too small if each had a factor at fit, and too large if points separated thousands there.
        """
        present = values[~np.isnan(values) & (values != 0)]
        if self.scale and len(present):
            told.append(
                f"Column {self.name!r} holds {present[0]:.15g} without the {self.scale} that stood beside every value "
                "at fit, where it was taken as a factor. Write it beside these values too if it belongs there."
            )
        large = present[np.abs(present) >= 1000]
        if self.grouped and len(large) and (large == np.round(large)).all():
            told.append(
                f"Column {self.name!r} holds {large[0]:.15g}; at fit it held nothing from 1,000 on, and the '.' of "
                f"numbers such as {self.grouped!r} was taken as a decimal sign. If it separates thousands there, fit "
                "again with all numbers written in one way."
            )

    def _check_shares(self, values: np.ndarray, told: list[str]) -> None:
        """Refuse what may be shares where per cent were, or say so: a spreadsheet stores 29 % as 0.29.

        Raises
        ------
        InputError
            If several of the values, which have no unit, are far smaller than those of fit, or if none is beyond 1 and
            that would be a rare chance at fit.
        """
        sizes = _sizes(values)
        if self.unit not in _SHARES or not len(sizes):
            return
        middle = float(np.median(sizes))
        far = len(sizes) >= _SEVERAL and middle < self.typical / _FAR
        # A few small ones are what they were at fit; where sizes are closer to those of fit than a hundredfold is, too.
        near = self.small ** len(sizes) >= _RARE or middle >= self.typical / said.NEAR > 0
        shown = values[np.nanargmin(np.abs(np.abs(values) - (sizes.max() if sizes.max() <= 1 else middle)))]
        got = f"column {self.name!r} holds {shown:.15g} without a unit"
        why = f"it may be a share or a number of {self.unit}"
        if self.typical:
            why += f", and half of the values of fit are beyond {self.typical:.3g}"
        if far or (sizes.max() <= 1 and not near):
            remedy = f"Write it with its unit, such as 29 {self.unit}"
            raise InputError(sentence(got, expected=f"{self.unit!r}, as at fit", why=why, remedy=remedy))
        if middle < self.typical / said.NEAR:
            told.append(f"C{got[1:]}, which is taken as {self.unit}, as at fit: {why}.")


def _is_binary(values: np.ndarray) -> bool:
    return bool(np.isin(values[~np.isnan(values)], (0, 1)).all())


def _same_unit(one: str, other: str) -> bool:
    """Tell whether two units are the same, or the same currency in two spellings."""
    return one == other or (is_money(one) and is_money(other) and are_one_currency(one, other))


def _sizes(values: np.ndarray) -> np.ndarray:
    """Return the sizes of the numbers that are there, not zero, and not endless."""
    sizes = np.abs(values)
    return sizes[(sizes > 0) & np.isfinite(sizes)]


def _spelled_out(words: pa.Array) -> np.ndarray:
    """Which words are true and false in full."""
    found = pc.is_in(pc.utf8_lower(words), value_set=pa.array(["true", "false"], words.type))
    return found.to_numpy(zero_copy_only=False).astype(bool)
