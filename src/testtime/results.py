"""What the library answers: frozen dataclasses that hold numbers only and carry their own diagnosis."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

__all__ = ["Claim", "Result", "Status"]


class Status(str, Enum):
    """How an adaptation ended; the value is advice a user can act on."""

    KEPT = "adapted weights kept"
    PLAIN = "plain in-context learning; no step was asked for"
    REVERTED_NO_GAIN = "reverted: no gain on guard rows; more rows or a smaller step may help"
    REVERTED_NON_FINITE = "reverted: the loss became non-finite; lower step_size"
    REVERTED_TOO_FEW = "not adapted: too few rows to train on and to guard; add rows or pass adapt=True"
    REVERTED_TIME = "reverted: the time limit ended before the guard had finished; raise time_limit"


def _plain(value: Any) -> Any:
    """Turn a value into what JSON can hold."""
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, without importing NumPy
        return value.tolist()
    return value


@dataclass(frozen=True)
class Result:
    """Base of all results."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values, ready for ``json.dumps``."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True)
class Claim(Result):
    """A statement of a paper (or ours) checked on a table of results.

    Attributes
    ----------
    statement
        The sentence that is asserted.
    holds
        Whether it holds with the margin.
    value, threshold
        The measured number and the number it is compared with, in the unit the statement names.
    """

    statement: str
    holds: bool
    value: float
    threshold: float
