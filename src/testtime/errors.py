"""One family of exceptions and one way to build their sentence.

Every message says four things, in this order: what was got, what was expected, why it is expected, and what to do.
:func:`sentence` joins them, so that no caller has to remember the grammar.

>>> raise InputError(sentence("n_context=0", expected="an integer of at least 1", remedy="Pass n_context=16 or more"))
Traceback (most recent call last):
...
testtime.errors.InputError: n_context=0; expected an integer of at least 1. Pass n_context=16 or more.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches

__all__ = [
    "BackboneError",
    "InputError",
    "MissingExtra",
    "StoreError",
    "TestTimeError",
    "nearest",
    "sentence",
    "without_columns",
]


_LINES = re.compile(r"\s*[\r\n]\s*")


class TestTimeError(Exception):
    """Base class of everything the library raises on purpose; the command line turns it into one line."""

    __test__ = False  # the name starts with "Test", and pytest would collect it


class InputError(TestTimeError, ValueError):
    """The caller's data or arguments cannot be used as they are."""


class BackboneError(TestTimeError, RuntimeError):
    """A foundation model could not be loaded, or answered with something that is not a prediction."""


class StoreError(TestTimeError, OSError):
    """Bytes on disk are missing, damaged, or belong to something else."""

    def __str__(self) -> str:  # OSError shows "[Errno None] None" for one-argument subclasses with attributes
        return str(self.args[0]) if self.args else self.__class__.__name__


class MissingExtra(TestTimeError, ImportError):
    """An optional dependency is not installed."""


def sentence(got: str, *, expected: str = "", why: str = "", remedy: str = "") -> str:
    """Build one message: what was got, what was expected, why, and what to do.

    Parameters
    ----------
    got
        What was found, with the offending value in it.
    expected, why, remedy
        The remaining parts; an empty one is left out.

    >>> sentence("column 'prise' is not in the table", remedy="Did you mean 'price'?")
    "column 'prise' is not in the table. Did you mean 'price'?"
    """
    text = got.rstrip(". ")
    if expected:
        text += f"; expected {expected.rstrip('. ')}"
    if why:
        text += f" ({why.rstrip('. ')})"
    text += "."
    if remedy:
        text += " " + remedy.strip()
        if text[-1] not in ".?!":
            text += "."
    return _LINES.sub(" ", text)  # the repr of an array has several


def nearest(name: str, candidates: Iterable[object]) -> str:
    """Return " Did you mean 'x'?" for the candidate closest to `name`, or the first few candidates.

    >>> nearest("prise", ["price", "area"])
    "Did you mean 'price'?"
    """
    names = [str(candidate) for candidate in candidates]
    close = get_close_matches(str(name), names, n=1, cutoff=0.6)
    if not close:  # a difference in case alone can be far in edit distance
        close = [candidate for candidate in names if candidate.lower() == str(name).lower()]
    if close:
        return f"Did you mean {close[0]!r}?"
    shown = ", ".join(repr(candidate) for candidate in names[:8])
    return f"There are: {shown}{', ...' if len(names) > 8 else ''}."


def without_columns(table: str, absent: Sequence[str], there: Iterable[object], expected: str) -> InputError:
    """Return the error of a table that lacks columns; the first of those that are `absent` is named.

    >>> str(without_columns("the table", ["prise", "size"], ["price"], "two columns"))
    "the table has no column 'prise' and 1 more; expected two columns. Did you mean 'price'?"
    """
    others = f" and {len(absent) - 1} more" if len(absent) > 1 else ""
    got = f"{table} has no column {absent[0]!r}{others}"
    return InputError(sentence(got, expected=expected, remedy=nearest(absent[0], there)))
