"""Whether more stands beside the columns: where the frozen model then predicts other rows better."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.backbones.base import Encoded
from testtime.table.columns import TableColumns
from testtime.table.columns.kinds.base import Output
from testtime.table.columns.kinds.between import between_numbers
from testtime.table.columns.kinds.parts import CodeParts
from testtime.table.columns.kinds.season import find_seasons
from testtime.table.columns.said import listed
from testtime.table.encoding import EncodedRows, with_levels
from testtime.table.levels import LevelStatistics
from testtime.table.trial import FEWEST_ROWS, Gain, Judge, Trial

__all__ = ["choose_beside"]

_LEAST, _LEAST_LOSS = 0.05, 0.01
"""Part of the loss that it must fall by, and a loss from which on there is something to gain."""

_MOST_TEXTS = 4  # columns of text that are tried, since each takes time
_SHARE_OF_LIMIT = 0.1  # of a time limit, after which nothing more is tried


@dataclass(frozen=True)
class _Candidate:
    """What may stand beside the columns.

    Attributes
    ----------
    said
        What it is, in words.
    outputs
        Its columns, of all rows.
    take
        Puts it beside the columns of a table, behind all others.
    source
        A column of categories that may be left out once its parts are there; "" if there is none.
    """

    said: str
    outputs: list[Output]
    take: Callable[[TableColumns], TableColumns]
    source: str = ""


def choose_beside(
    frame: pd.DataFrame, columns: TableColumns, levels: LevelStatistics, rows: EncodedRows, judge: Judge
) -> tuple[TableColumns, LevelStatistics, EncodedRows, list[str]]:
    """Put beside the columns what a model does not see in them, where that pays.

    Tried are, one after the other,

    - what lies between columns of numbers that are nearly the same, of a price before and after or two readings of a
      meter: the difference is lost to a model that sees both on the scale of their own range. All pairs of
      :func:`testtime.table.columns.kinds.between.between_numbers` are one candidate;
    - the time of the year of dates (:mod:`testtime.table.columns.kinds.season`), also together;
    - what stands in each column of text (:mod:`testtime.table.columns.kinds.parts`), which as a whole is left out or
      hardly repeats.

    Each fold is predicted by the frozen model from the rows outside it, or before it where rows have a time, with and
    without. A candidate is taken if the loss is lower by two standard errors and by a twentieth. Categories of which
    there are parts are left out where that is not worse: most are those of one row, and a new one has a place among
    them by its name, which may mislead.

    Parameters
    ----------
    frame
        The rows as they are, ``(N, D)``.
    columns, levels, rows
        Columns, statistics of their levels, and the rows with them.
    judge
        The frozen model, with the seed that the statistics were made with. Once a tenth of what is left of its budget
        is spent, nothing more is tried.

    Returns
    -------
    columns, levels, rows, notes
        The same with what was taken, and a sentence for each candidate that was.
    """
    task, notes = judge.task, list[str]()
    found = list(_candidates(frame, columns, rows)) if len(rows.y) >= FEWEST_ROWS else []
    room = judge.backbone.limits.features
    found = [one for one in found if rows.x.shape[1] + len(one.outputs) <= room]
    if not found:
        return columns, levels, rows, notes
    judge.work.say("trying what may stand beside the columns")
    limit, began, unchanged = _SHARE_OF_LIMIT * judge.budget.left(), judge.budget.spent(), rows
    rows = replace(rows, found=judge.together(rows))
    trial = Trial.of(judge, rows, rows.found.codes if rows.found else None)
    measured = trial.run((lambda _: (rows, task.score),))
    if measured is None or measured[0].mean() < _LEAST_LOSS:
        return columns, levels, unchanged, notes
    before = measured[0]
    for one in found:
        paying = list[tuple[Gain, str, LevelStatistics, EncodedRows, NDArray[np.float64]]]()
        for drop in [one.source, ""] if one.source else [""]:
            told, added = with_levels(_with(rows, one.outputs, drop), task, judge.seed)
            if added.x.shape[1] > room or judge.budget.spent() - began > limit:
                continue
            measured = trial.run((lambda _, added=added: (added, task.score),))
            if measured is not None:
                gain = Gain.of(before, measured[0], trial.units)
                paying += [(gain, drop, told, added, measured[0])] if gain.is_clear(_LEAST) else []
        if paying:  # of equals the first, which leaves the category out
            gain, drop, levels, rows, before = min(paying, key=lambda way: way[0].after)
            columns = one.take(columns).without(drop) if drop else one.take(columns)
            where = f"Instead of {drop!r}" if drop else "Beside the columns"
            notes.append(f"{where} stands {one.said}; {gain.told(task.loss_name)}.")
    return columns, levels, rows if notes else unchanged, notes


def _candidates(frame: pd.DataFrame, columns: TableColumns, rows: EncodedRows) -> Iterator[_Candidate]:
    places = {name: at for at, name in enumerate(rows.encoded.names)}
    codes = {rows.encoded.names[key[0]] for key in rows.keys if len(key) == 1}  # they have no difference
    numbers = {name: rows.encoded.x[:, places[name]] for name in columns.numbers if name not in codes}
    if pairs := between_numbers(numbers):
        said = f"what lies between those that are nearly the same: {listed([pair.name for pair in pairs])}"
        yield _Candidate(
            said, [pair.output(numbers) for pair in pairs], lambda own: own.with_beside(between=pairs)
        )
    days = {name: rows.encoded.x[:, places[name]] for name in columns.dates}
    if seasons := find_seasons(days):
        outputs = [output for one in seasons for output in one.outputs(days[one.source])]
        said = f"the time of the year of {listed([one.source for one in seasons])}"
        yield _Candidate(said, outputs, lambda own: own.with_beside(seasons=seasons))
    found = columns.parts_in(frame)
    levels = {
        name for name, kind in zip(rows.encoded.names, rows.encoded.kinds, strict=True) if kind == "nominal"
    }
    tried = list(dict.fromkeys(parts.source for parts, _ in found))[:_MOST_TEXTS]
    for parts, outputs in (one for one in found if one[0].source in tried):
        said = f"what {parts.said} of {parts.source!r} say"
        source = parts.source if isinstance(parts, CodeParts) and parts.source in levels else ""
        yield _Candidate(said, outputs, lambda own, parts=parts: own.with_beside(parts=[parts]), source)


def _with(rows: EncodedRows, outputs: list[Output], drop: str) -> EncodedRows:
    """Return rows with more columns behind the others, and without one of those."""
    encoded = rows.encoded
    kept = [at for at, name in enumerate(encoded.names) if not drop or name != drop]
    now = {at: place for place, at in enumerate(kept)}
    beside = Encoded(
        np.column_stack([encoded.x[:, kept], *(output.values for output in outputs)]),
        (*(encoded.names[at] for at in kept), *(output.name for output in outputs)),
        (*(encoded.kinds[at] for at in kept), *(output.kind for output in outputs)),
        (*(encoded.n_levels[at] for at in kept), *(output.n_levels for output in outputs)),
    )
    return replace(rows, encoded=beside, keys=tuple(tuple(now[at] for at in key) for key in rows.keys))
