"""What comes out of the columns of a table: numbers for the model, and a record of each column for people."""

from __future__ import annotations

from dataclasses import dataclass

from testtime.backbones.base import Encoded
from testtime.results import Result

__all__ = ["KINDS", "ColumnRecord", "Encoded"]

KINDS = ("number", "boolean", "date", "ordinal", "nominal", "text", "id", "constant", "ignored")
"""What a column can be. The last four are left out."""


@dataclass(frozen=True)
class ColumnRecord(Result):
    """How one column of the training table was read.

    Attributes
    ----------
    name
        Its name.
    kind
        One of :data:`KINDS`.
    missing
        Number of cells without a usable value.
    levels
        Number of different values, whatever the kind.
    parsed
        How its cells were read, in words; empty if they were taken as they are.
    left_out
        Why the model does not see it; empty if it does.
    examples
        Up to three of its values as they stand in the table.
    """

    name: str
    kind: str
    missing: int
    levels: int
    parsed: str
    left_out: str
    examples: tuple[str, ...]
