"""What ``evaluate`` prints and the model card holds, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from .step_summaries import adapted_table, steps_table
from .summaries import (
    Record,
    methods_of,
    of_blocks,
    paired_table,
    per_table,
    rank_table,
    sizes_of,
    summary_table,
)
from .tasks import Task

PLAIN = ("model", "before", "baselines")
"""Blocks that are compared on the same training rows."""


def report(task: Task, records: Sequence[Record]) -> str:
    """All tables of a task's records."""
    plain = of_blocks(records, *PLAIN)
    parts = [summary_table(plain), ranks(task, plain), differences(task, plain)]
    parts += [per_table(plain, n, task.measures[0]) for n in sizes_of(plain)]
    return "\n\n".join(
        part for part in [*parts, adapted_part(task, records), steps_part(task, records)] if part
    )


def ranks(task: Task, plain: Sequence[Record]) -> str:
    """Mean ranks of each variant of the model among the baselines; nothing without baselines."""
    others = [name for name in methods_of(plain) if name in task.baselines]
    if not others:
        return ""
    variants = [name for name in methods_of(plain) if name not in task.baselines]
    return "\n\n".join(rank_table(plain, task.measures[0], [own, *others]) for own in variants)


def differences(task: Task, plain: Sequence[Record]) -> str:
    """Paired differences of each variant of the model to every other method, in the two main measures."""
    variants = [name for name in methods_of(plain) if name not in task.baselines]
    return "\n\n".join(paired_table(plain, own, measure) for measure in task.measures[:2] for own in variants)


def adapted_part(task: Task, records: Sequence[Record]) -> str:
    """The adapted estimator, if it was measured."""
    return adapted_table(records, task.measures[:2]) if of_blocks(records, "adapted") else ""


def steps_part(task: Task, records: Sequence[Record]) -> str:
    """Numbers of steps, if they were measured."""
    return steps_table(records, (task.measures[0], task.loss)) if of_blocks(records, "steps") else ""
