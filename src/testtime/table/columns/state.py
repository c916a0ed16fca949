"""What is saved of the columns of a table, checked when it is loaded."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from testtime.table.columns.encoded import ColumnRecord
from testtime.table.columns.kinds.between import Between
from testtime.table.columns.kinds.boolean import BooleanColumn, PresenceColumn
from testtime.table.columns.kinds.date import DateColumn
from testtime.table.columns.kinds.level import LevelColumn
from testtime.table.columns.kinds.number import NumberColumn
from testtime.table.columns.kinds.parts import AnyParts
from testtime.table.columns.kinds.season import Season
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
    between: list[Between] = Field(default=[], max_length=_MOST)
    seasons: list[Season] = Field(default=[], max_length=_MOST)
    parts: list[AnyParts] = Field(default=[], max_length=_MOST)

    @model_validator(mode="after")
    def _pairs_are_of_one_kind(self) -> State:
        for pair in self.between:
            kind = DateColumn if pair.of == "dates" else NumberColumn
            known = {column.name for column in self.columns if isinstance(column, kind)}
            if unknown := {pair.first, pair.second} - known:
                raise ValueError(f"{min(unknown)!r} is no column of {pair.of}")
        return self

    @model_validator(mode="after")
    def _what_stands_beside_has_a_source(self) -> State:
        dates = {column.name for column in self.columns if isinstance(column, DateColumn)}
        if unknown := {season.source for season in self.seasons} - dates:
            raise ValueError(f"{min(unknown)!r} is no column of dates")
        if unknown := {parts.source for parts in self.parts} - {column.name for column in self.columns}:
            raise ValueError(f"there is no column {min(unknown)!r} that has parts")
        return self
