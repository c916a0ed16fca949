"""Whether columns of numbers are read as codes: where the frozen model then predicts other rows better."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from testtime.table.codes import code_columns
from testtime.table.encoding import EncodedRows, with_levels
from testtime.table.levels import LevelStatistics, signals_of
from testtime.table.trial import FEWEST_ROWS, Judge, Trial

__all__ = ["choose_codes"]


def choose_codes(
    levels: LevelStatistics,
    rows: EncodedRows,
    judge: Judge,
    *,
    numbers: Collection[str],
) -> tuple[LevelStatistics, EncodedRows, str]:
    """Read columns of numbers as codes where that pays.

    Columns whose numbers look like codes (:func:`testtime.table.codes.code_columns`) are tried, all or none: each fold
    is predicted by the frozen model from the rows outside it, or before it where rows have a time, with and without
    what their numbers say about the target. They are taken if the loss is lower by two standard errors.

    Parameters
    ----------
    levels, rows
        Statistics of nominal columns, and the rows with them.
    judge
        The frozen model, with the seed that the statistics were made with.
    numbers
        Names of the columns that may be codes.

    Returns
    -------
    levels, rows, note
        The same with the codes, and a sentence; unchanged and "" where none is read.
    """
    unchanged, task = (levels, rows, ""), judge.task
    signals, names = signals_of(rows.y, task.n_classes), rows.encoded.names
    asked = [k for k, name in enumerate(names) if name in numbers]
    found = code_columns(rows.encoded, signals, rows.groups, asked) if len(rows.y) >= FEWEST_ROWS else ()
    if not found:
        return unchanged
    together = judge.together(rows)
    if together.codes is not None:  # copies agree, whatever their numbers are
        found = code_columns(rows.encoded, signals, together.codes, found)
    n_columns = rows.x.shape[1] + len(found) * (signals.shape[1] + 1)
    if not found or n_columns > judge.backbone.limits.features:
        return unchanged
    judge.work.say("telling numbers from codes")
    coded = replace(rows, keys=tuple((k,) for k in found), found=together)
    # As many rows are context as can be served: the more there are, the more of them the model matches by itself.
    gain = Trial.of(judge, coded, together.codes).gain(rows, coded)
    if gain is None or not gain.is_clear():
        return unchanged
    listed = ", ".join(repr(names[k]) for k in found)
    note = (
        f"The numbers of {listed} look like codes: beside them stands what rows of the same number say; "
        f"{gain.told(task.loss_name)}."
    )
    return *with_levels(coded, task, judge.seed), note
