"""What ``testtime adapt --by`` does: one adapter for each group, into a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from testtime import TTTClassifier, TTTRegressor
from testtime.cli.output import warn_of_file
from testtime.cli.target import AUTO, REGRESS, choose_task, one_spelling
from testtime.cli.training import numeric_target
from testtime.errors import InputError, nearest, sentence
from testtime.plain import in_one_line
from testtime.scale.cells import cell_seed
from testtime.scale.groups.adapt import adapt_source, check_columns
from testtime.scale.groups.labels import texts_among, whole_classes, without_label
from testtime.scale.groups.outcomes import AdaptedGroups
from testtime.scale.groups.sources import drawn_rows, source_of
from testtime.scale.groups.work import SHARED
from testtime.table.readers import read_table

__all__ = ["GroupRequest", "adapt_table_groups", "group_lines"]

_SHOWN = 20


@dataclass(frozen=True)
class GroupRequest:
    """What was asked on the command line; `arguments` are those of the estimator."""

    train: Path
    target: str
    by: Sequence[str]
    out: Path
    task: str
    kinds: Mapping[str, str]
    engine: str
    jobs: int | None
    smallest: int
    start: str
    together: bool | None
    arguments: Mapping[str, Any]
    shown: bool


def adapt_table_groups(request: GroupRequest) -> tuple[AdaptedGroups, str]:
    """Adapt to every group; return what became of each, and a sentence about the task.

    Raises
    ------
    InputError
        If the table or an option cannot be used.
    """
    if request.train.is_dir():
        return _adapt(request, str(request.train))
    frame, facts = read_table(request.train)
    warn_of_file(facts.path, facts.notes)
    if request.target in frame:
        column: Any = frame[request.target]
        numbers = numeric_target(column, frame.drop(columns=[request.target]))
        if numbers is not None:
            values = pd.Series(numbers.values, frame.index, name=request.target)
            known = values.dropna()
            spelled = column.loc[known.index]
            found = choose_task(request.task, known, spelled)[0]
            if found == REGRESS:
                frame[request.target] = values
            elif found != request.task:  # who asks for classes gets them as they are spelled
                frame[request.target] = one_spelling(spelled, known)[0].reindex(frame.index)
    return _adapt(request, frame)


def _adapt(request: GroupRequest, data: Any) -> tuple[AdaptedGroups, str]:
    source = source_of(data, request.by)
    check_columns(source, request.target, request.kinds)
    rows = drawn_rows(source, cell_seed(request.arguments["random_state"], SHARED))
    if request.target not in rows:
        got = f"{str(request.train)!r} has no column {request.target!r}"
        raise InputError(sentence(got, remedy=nearest(request.target, rows.columns)))
    labels: Any = _known(rows[request.target])
    if labels.empty:
        raise InputError(sentence(f"the target {request.target!r} is missing in all rows that were drawn"))
    every: Any = _known(data[request.target]) if isinstance(data, pd.DataFrame) else labels
    texts = (
        texts_among(every) if request.task == AUTO else ""
    )  # who asks for classes gets them as they are spelled
    task, said = choose_task(request.task, whole_classes(labels, texts))
    kind = TTTRegressor if task == REGRESS else TTTClassifier
    groups = adapt_source(
        source,
        target=request.target,
        store=request.out,
        estimator=kind(**request.arguments, column_kinds=dict(request.kinds) or None),
        engine=request.engine,
        n_jobs=request.jobs,
        smallest=request.smallest,
        start=request.start,
        together=request.together,
        verbose=int(request.shown),
        texts=texts,
    )
    return groups, said


def _known(labels: Any) -> Any:
    return labels[~without_label(labels)]


def group_lines(groups: AdaptedGroups) -> str:
    """Return a table of the first groups, those that failed before the others."""
    ordered = [*groups.failed, *(group for group in groups if group not in groups.failed)][:_SHOWN]
    wide = max([5, *(len(in_one_line(group.name)) for group in ordered)])
    lines = [f"{'group':<{wide}}  outcome       rows  context    gain       bytes  seconds"]
    for group in ordered:
        gain = f"{group.gain:>+7.1%}" if group.gain == group.gain else f"{'-':>7}"
        line = f"{in_one_line(group.name):<{wide}}  {group.outcome.word:<9}  {group.n_rows:>7,}"
        line += f"  {group.n_context:>7,} {gain}"
        lines.append(f"{line}  {group.n_bytes:>10,}  {group.seconds:>7.1f}  {group.reason}".rstrip())
    if len(groups) > len(ordered):
        lines.append(f"and {len(groups) - len(ordered):,} more groups")
    return "\n".join(lines)
