"""What is saved of the columns of a table, checked when it is loaded."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from testtime.table.columns.encoded import ColumnRecord
from testtime.table.columns.kinds.between import DatesBetween
from testtime.table.columns.kinds.boolean import BooleanColumn, PresenceColumn
from testtime.table.columns.kinds.date import DateColumn
from testtime.table.columns.kinds.level import LevelColumn
from testtime.table.columns.kinds.number import NumberColumn
from testtime.table.columns.kinds.unused import UnusedColumn

__all__ = ["State"]

_MOST = 1_000_000
_AnyColumn = Annotated[
    NumberColumn | BooleanColumn | PresenceColumn | DateColumn | LevelColumn | UnusedColumn,
    Field(discriminator="form"),
]


class State(BaseModel):
    """All that :class:`TableColumns` learned."""

    model_config = ConfigDict(extra="forbid")

    columns: list[_AnyColumn] = Field(min_length=1, max_length=_MOST)
    records: list[ColumnRecord] = Field(max_length=_MOST)
    notes: list[str] = Field(max_length=10 * _MOST)
    kinds: dict[str, str]
    between: list[DatesBetween] = Field(default=[], max_length=_MOST)

    @model_validator(mode="after")
    def _pairs_are_of_dates(self) -> State:
        dates = {column.name for column in self.columns if isinstance(column, DateColumn)}
        if unknown := {name for pair in self.between for name in (pair.first, pair.second)} - dates:
            raise ValueError(f"{min(unknown)!r} is no column of dates")
        return self
