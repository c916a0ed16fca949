"""What became of each group."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

import pandas as pd

from testtime.plain import in_one_line
from testtime.results import Result

__all__ = ["AdaptedGroups", "GroupOutcome", "Outcome"]


class Outcome(Enum):
    """What became of one group; the value says it in words."""

    ADAPTED = "adapted"
    FROZEN = "frozen: fitted, and nothing was trained"
    UNCHANGED = "found in the store, made from the same rows and settings"
    SHARED = "too little to adapt to: served by the shared model"
    FAILED = "failed"

    @property
    def word(self) -> str:
        """The outcome in one word."""
        return self.name.lower()


@dataclass(frozen=True)
class GroupOutcome(Result):
    """What became of one group.

    Attributes
    ----------
    name
        The group's, and its adapter's in the store.
    outcome
        In one word.
    reason
        Why it failed, is served by the shared model, or was not trained on; else empty.
    n_rows
        Rows with a target.
    n_context
        Rows served as context.
    gain
        Share of the frozen model's loss that is gone, on rows the adapters had not seen; NaN where it was not measured.
    start_scale
        What training began with: 0 the frozen model, 1 what the other groups have in common.
    n_bytes
        Bytes of the saved adapter, its context among them.
    version, sha256
        Of the adapter in the store; 0 and empty if there is none.
    seconds
        Spent on the group.
    n_without_target
        Rows without a target, which were left out; 0 for a group that failed.
    """

    name: str
    outcome: Outcome
    reason: str = ""
    n_rows: int = 0
    n_context: int = 0
    gain: float = float("nan")
    start_scale: float = 0.0
    n_bytes: int = 0
    version: int = 0
    sha256: str = ""
    seconds: float = 0.0
    n_without_target: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, the outcome in one word, as :meth:`AdaptedGroups.frame` has it."""
        return super().to_dict() | {"outcome": self.outcome.word}


@dataclass(frozen=True)
class AdaptedGroups(Result):
    """All groups, in the order of their names.

    Attributes
    ----------
    store
        Where the adapters are.
    groups
        What became of each.
    n_without_group
        Rows that name no group, and were left out.
    seconds
        Of the whole run.
    why_not_shared
        Why this run has no shared model; empty if it has one.
    not_in_data
        Names that the store serves and that are no group of the data, as of one that is gone; nothing was done to them.
    """

    store: str
    groups: tuple[GroupOutcome, ...]
    n_without_group: int
    seconds: float
    why_not_shared: str = ""
    not_in_data: tuple[str, ...] = ()

    def __iter__(self) -> Iterator[GroupOutcome]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def n_without_target(self) -> int:
        """Rows of all groups that have no target, and were left out."""
        return sum(group.n_without_target for group in self.groups)

    @property
    def failed(self) -> tuple[GroupOutcome, ...]:
        """Groups that have no adapter because something went wrong."""
        return tuple(group for group in self.groups if group.outcome is Outcome.FAILED)

    def frame(self) -> pd.DataFrame:
        """Return one row for each group, indexed by its name."""
        names = [field.name for field in fields(GroupOutcome)]
        rows = [[getattr(group, name) for name in names] for group in self.groups]
        table = pd.DataFrame(rows, columns=pd.Index(names))
        table["outcome"] = [group.outcome.word for group in self.groups]
        return table.set_index("name")

    def explain(self) -> str:
        """Say in sentences what was done."""
        counts = Counter(group.outcome for group in self.groups)
        n = len(self.groups)
        parts = [f"{n:,} {'group' if n == 1 else 'groups'} in {self.seconds:,.1f} s"]
        parts += [f"{counts[outcome]:,} {outcome.value}" for outcome in Outcome if counts[outcome]]
        text = "; ".join(parts) + "."
        if self.n_without_group:
            text += f" {self.n_without_group:,} rows name no group and were left out."
        if self.n_without_target:
            text += f" {self.n_without_target:,} rows have no target and were dropped."
        if self.why_not_shared:
            text += f" {self.why_not_shared[0].upper()}{self.why_not_shared[1:]}"
        if self.not_in_data:
            text += f" {self._of_those_not_in_data()}"
        for group in self.failed[:3]:
            text += f" {in_one_line(group.name)}: {group.reason}"
        return text

    def _of_those_not_in_data(self) -> str:
        """Say what is served though the data has no such group, and how to end that."""
        n, first = len(self.not_in_data), self.not_in_data[0]
        shown = ", ".join(repr(in_one_line(name)) for name in self.not_in_data[:3]) + (
            ", ..." if n > 3 else ""
        )
        them = "it is still served; remove it" if n == 1 else "they are still served; remove one"
        words = ["testtime", "store", "remove", *(["--"] if first.startswith("-") else []), self.store, first]
        what = "adapter of the store is no group" if n == 1 else "adapters of the store are no groups"
        return f"{n:,} {what} of this data: {shown}; {them} with: {shlex.join(words)}."
