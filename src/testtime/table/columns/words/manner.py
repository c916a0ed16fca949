"""How a column of numbers was written: what is known of it from fit, and what a reading of it found."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from testtime.table.columns.words.accounting import Dashes
from testtime.table.columns.words.bounds import BoundsRead
from testtime.table.columns.words.footnotes import MarksRead
from testtime.table.columns.words.reading import Reading

__all__ = ["Manner", "NumberReading"]


@dataclass(frozen=True)
class Manner:
    """How a column was written when it was fitted, beyond its decimal sign; by default nothing is known.

    Attributes
    ----------
    short_minutes
        Whether ``24:37`` was minutes and seconds; None lets the column tell.
    clock
        Whether ``3 PM`` was a time of day; None lets the column tell.
    accounting
        Whether a dash was 0; None lets the column tell.
    factors
        The factors that stood beside numbers.
    units
        The units that did.
    bounds
        Which bounds, such as ``<0.5`` and ``10+``, are read as numbers.
    marks
        Which marks of footnotes, as in ``12[a]`` and ``12*``, are taken off numbers.
    """

    short_minutes: bool | None = None
    clock: bool | None = None
    accounting: bool | None = None
    factors: Mapping[str, float] = field(default_factory=dict)
    units: Collection[str] = ()
    bounds: BoundsRead = ""
    marks: MarksRead = ""


@dataclass(frozen=True)
class NumberReading(Reading):
    """Numbers, and what had to be decided to read them.

    Attributes
    ----------
    comma
        Whether the decimal sign is a comma; None if no value tells.
    ambiguous
        A value that may well be meant in the other way, with nothing in its column to decide; empty if there is none.
    either
        A value that can be read in two ways, likely or not, with nothing in its column to decide; empty if there is
        none.
    unit
        What stood beside the numbers: "kg", "$", "%"; empty if nothing.
    example
        A word that no programming language would read, or a code with zeros in front, and its value; ("", 0.0) if
        there is none.
    scales
        The factors that stood beside the numbers, such as "k"; "" among them if a number had none.
    too_large
        Rows whose number no float64 can hold; they are missing.
    short_minutes
        Whether ``24:37`` is minutes and seconds.
    clock
        Whether ``3 PM`` and ``14h`` are times of day and no numbers with a unit.
    signs
        Rows that show a decimal comma and a decimal point, where nothing was known of the column.
    units
        All that stood beside the numbers and is no factor: a currency and "kg" can.
    factors
        What each of the factors stands for.
    dashes
        What a bare dash means; None if no word had to be looked at.
    by_range
        Whether only the number cells beside the text tell what its decimal sign is.
    apart
        A number with a mark that may be a sign, as in "61.00 CR", and one without, if the mark stands beside a part of
        the numbers; those with the mark are not read.
    bound
        A bound such as ``<0.5`` and the number it was read as; ("", 0.0) if there is none.
    n_bounds
        Rows with a bound.
    noted
        A number with the mark of a footnote, and what it was read as; ("", 0.0) if there is none.
    n_noted
        Rows with such a mark.
    """

    comma: bool | None = None
    ambiguous: str = ""
    either: str = ""
    unit: str = ""
    example: tuple[str, float] = ("", 0.0)
    too_large: int = 0
    short_minutes: bool = False
    clock: bool = False
    signs: tuple[int, int] = (0, 0)
    scales: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    factors: dict[str, float] = field(default_factory=dict)
    dashes: Dashes | None = None
    by_range: bool = False
    apart: tuple[str, ...] = ()
    bound: tuple[str, float] = ("", 0.0)
    n_bounds: int = 0
    noted: tuple[str, float] = ("", 0.0)
    n_noted: int = 0

    @property
    def scale(self) -> str:
        """The factors of which one stood beside every number, empty if there are none."""
        return "" if "" in self.scales else " or ".join(map(repr, self.scales))

    def doubts(self, what: str) -> list[str]:
        """Say what may be meant in another way than it was read; `what` begins the sentences."""
        said = [self.doubt(what)] if self.ambiguous else []
        if len(self.scales) == len("".join(self.scales)) == 1:
            word, value = self.example
            said.append(
                f"{what} holds {word!r}, and {self.scale} in every value: it is taken as a factor ({value:.15g}), "
                "though it may be a unit. Write it beside new values too, or beside none at all."
            )
        dashes = self.dashes.doubt(what) if self.dashes else ""
        return [*said, dashes] if dashes else said

    def doubt(self, what: str) -> str:
        """Say how an ambiguous value was read; `what` begins the sentence."""
        sign = "," if "," in self.ambiguous else "."
        why = "as a separator of thousands, since nothing in the table says otherwise"
        if sign == "," and self.comma:
            why = "as a decimal sign, as in other columns"
        elif sign == "." and self.comma:
            why = "as a separator of thousands, since other columns have decimal commas"
        elif sign == ".":
            why = "as a decimal sign, though it may separate thousands: three digits follow it wherever it stands"
        return f"{what} holds {self.ambiguous!r}: the {sign!r} is taken {why}."
