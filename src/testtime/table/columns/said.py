"""What is said about the columns of a table: warnings, and what stands in the record of a column."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace

from testtime.table.columns.choose import Choice
from testtime.table.columns.encoded import ColumnRecord
from testtime.table.columns.frame import DataWarning
from testtime.table.columns.identity import is_of_text
from testtime.table.columns.kinds.between import Between
from testtime.table.columns.kinds.parts import Parts

__all__ = [
    "listed",
    "say_distances",
    "say_dressed",
    "say_instead",
    "say_left_out",
    "say_new_levels",
    "say_newly_missing",
    "say_parts",
    "warn_of",
]

_MOST_NOTES = 20


def say_distances(record: ColumnRecord, between: Sequence[Between]) -> ColumnRecord:
    """Say in a record what stands beside its column: the days since other dates, or the difference from others."""
    pairs = [pair for pair in between if pair.second == record.name]
    if not pairs:
        return record
    what = "days since" if pairs[0].of == "dates" else "the difference from"
    said = f"{what} {listed([pair.first for pair in pairs])} beside it"
    return replace(record, parsed=f"{record.parsed}; {said}" if record.parsed else said)


def say_parts(record: ColumnRecord, parts: Sequence[Parts]) -> ColumnRecord:
    """Say in a record that what is in the text of its column is seen by the model."""
    own = [one for one in parts if one.source == record.name]
    if not own:
        return record
    sizes = [(len(one.names), one.said) for one in own]
    said = " and ".join(f"{n_columns} column{'s' * (n_columns > 1)} of {what}" for n_columns, what in sizes)
    if not record.left_out:
        return replace(
            record, parsed=f"{record.parsed}; {said} beside it" if record.parsed else f"{said} beside it"
        )
    return replace(record, parsed=f"{said}; as a whole it is left out: {record.left_out}", left_out="")


def say_instead(record: ColumnRecord) -> ColumnRecord:
    """Say in a record that only the parts of its column are seen."""
    return replace(
        record, parsed=record.parsed.replace(" beside it", "; as a whole it is left out: they say as much")
    )


def say_left_out(records: Iterable[ColumnRecord]) -> list[str]:
    """Say which columns are left out, and why."""
    notes = []
    left_out = [record for record in records if record.left_out]
    constant = [record.name for record in left_out if record.kind == "constant"]
    if constant:
        notes.append(
            f"Columns with a single value or nothing but missing values are left out: {listed(constant)}."
        )
    reasons: dict[str, list[str]] = {}
    for record in left_out:
        if record.kind in ("id", "text") and not record.left_out.endswith("as asked"):
            reasons.setdefault(record.left_out, []).append(record.name)
    for reason, names in reasons.items():
        start = "Column" if len(names) == 1 else "Columns"
        verb = "is" if len(names) == 1 else "are"
        # As a category, text that hardly ever occurs twice makes answers worse; what is in it is tried.
        whole, advice = (" as a whole", "") if is_of_text(reason) else ("", " Declare a kind to keep it.")
        notes.append(f"{start} {listed(names)} {verb} left out{whole}: {reason}.{advice}")
    return notes


def say_dressed(choices: Iterable[Choice]) -> list[str]:
    """Say which numbers were written as no programming language would."""
    found = [f"{choice.record.name!r} ({choice.dressed})" for choice in choices if choice.dressed]
    if not found:
        return []
    shown = ", ".join(found[:5]) + (f" and {len(found) - 5:,} more" if len(found) > 5 else "")
    return [f"Read as numbers: {shown}."]


def say_new_levels(columns: Sequence[str], what: str) -> list[str]:
    """Say what becomes of categories that were not there at fit; `columns` are told with their rows.

    >>> say_new_levels([], "count as unknown"), say_new_levels(["'town' (3 rows)"], "count as unknown")
    ([], ["Categories that were not there at fit count as unknown: 'town' (3 rows)."])
    """
    if not columns:
        return []
    more = f" and {len(columns) - 5} more columns" if len(columns) > 5 else ""
    return [f"Categories that were not there at fit {what}: {', '.join(columns[:5])}{more}."]


def say_newly_missing(names: Sequence[str]) -> list[str]:
    """Say which columns hold nothing in some new rows and always held something at fit.

    Rows are not counted, so that pieces of a file say the same.
    """
    if not names:
        return []
    return [
        f"Missing in rows to predict, and never at fit: {listed(names)}. Such rows are answered with what stands there "
        "in the rows of the fit that are nearest otherwise."
    ]


def listed(names: Sequence[str]) -> str:
    """Name up to five columns, and how many more there are."""
    return ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def warn_of(notes: Sequence[str]) -> None:
    """Warn of the first notes, at the line that called what calls this."""
    for note in notes[:_MOST_NOTES]:
        warnings.warn(note, DataWarning, stacklevel=4)
    if len(notes) > _MOST_NOTES:
        warnings.warn(f"{len(notes) - _MOST_NOTES} more notes about columns.", DataWarning, stacklevel=4)
