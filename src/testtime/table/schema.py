"""What the record of a saved table may hold: every field with its type and bounds, checked before anything is built."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from testtime.store import Record

__all__ = ["MemberMeta", "TableMeta"]

_Name = Annotated[str, Field(max_length=10_000)]
_Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
_MOST_MEMBERS = 1_000
_MOST_COLUMNS = 100_000


class MemberMeta(Record):
    """One model whose answers are mixed."""

    view: Annotated[int, Field(ge=0, lt=_MOST_MEMBERS)]
    weight: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
    adapted: bool
    same_as: Annotated[int, Field(ge=0, lt=_MOST_MEMBERS)] | None = (
        None  # an earlier member, whose delta is its own
    )


_StatusName = Literal[
    "KEPT",
    "PLAIN",
    "REVERTED_NO_GAIN",
    "REVERTED_NON_FINITE",
    "REVERTED_TOO_FEW",
    "REVERTED_FEW_GROUPS",
    "REVERTED_TIME",
    "SKIPPED",
    "UNGUARDED",
]
_Loss = float | Literal["inf", "-inf"] | None  # results write NaN as null and infinity as text
_Words = Annotated[list[Annotated[str, Field(max_length=100_000)]], Field(max_length=10_000)]


class PartMeta(Record):
    """One part of the mixture, as :class:`testtime.results.Part`."""

    name: _Name
    loss: _Loss
    weight: float


class RecordMeta(Record):
    """The record of a fit, as :class:`testtime.results.Adaptation`."""

    kept: bool
    status: _StatusName
    objective: Literal["accuracy", "short"]
    loss_before: _Loss
    loss_after: _Loss
    gain: _Loss
    standard_error: _Loss
    expected_gain: _Loss
    weight: Annotated[float, Field(ge=0, le=1 + 1e-9)]
    parts: Annotated[list[PartMeta], Field(max_length=100)]
    n_steps: _Count
    n_context: Annotated[int, Field(ge=1, le=1_000_000)]
    n_query: _Count
    n_guard: _Count
    n_members: Annotated[int, Field(ge=0, le=_MOST_MEMBERS)]
    n_views: Annotated[int, Field(ge=1, le=_MOST_MEMBERS)]
    n_trainable: _Count
    adapter_bytes: Annotated[int, Field(ge=0)]
    adapt: _Name
    step_size: _Loss
    seconds: Annotated[float, Field(ge=0)]
    losses: Annotated[list[_Loss], Field(max_length=1_000_000)]
    probes: Annotated[list[dict[str, _Loss]], Field(max_length=1_000)]
    columns: Annotated[list[dict[str, Any]], Field(max_length=_MOST_COLUMNS)]
    notes: _Words
    loss_name: _Name
    unit: _Name
    rival_loss: _Loss
    start_scale: Annotated[float, Field(ge=0, le=10)] = 0.0


class TableMeta(Record):
    """The plain values of an adapted table."""

    backbone: _Name
    licence: _Name
    columns: dict[str, Any]
    names: Annotated[list[_Name], Field(min_length=1, max_length=_MOST_COLUMNS)]
    kinds: list[Literal["number", "ordinal", "nominal"]]
    n_levels: list[_Count]
    view_seed: Annotated[str, Field(pattern=r"^[0-9]{1,20}$")]
    n_reference: Annotated[int, Field(ge=1, le=1_000_000)]
    n_views: Annotated[int, Field(ge=1, le=_MOST_MEMBERS)]
    members: Annotated[list[MemberMeta], Field(min_length=1, max_length=_MOST_MEMBERS)]
    adapt: Literal["encoders", "lora", "norms", "tail", "head", "all"]
    rank: Annotated[int, Field(ge=1, le=100_000)]
    record: RecordMeta

    @model_validator(mode="after")
    def _consistent(self) -> TableMeta:
        if not len(self.names) == len(self.kinds) == len(self.n_levels):
            raise ValueError("names, kinds and levels of columns differ in number")
        if any(member.view >= self.n_views for member in self.members):
            raise ValueError("a member has a view that is not there")
        if abs(sum(member.weight for member in self.members) - 1.0) > 1e-6:
            raise ValueError("the weights of the members do not sum to one")
        return self
