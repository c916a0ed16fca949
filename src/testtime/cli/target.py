"""What ``testtime adapt`` predicts: the target column, classes or numbers, and what a wrong class costs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from testtime.errors import InputError, nearest, sentence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CLASSIFY", "REGRESS", "TargetColumn", "choose_task", "class_costs", "take_target"]

CLASSIFY, REGRESS = "classify", "regress"
_TASKS = ("auto", CLASSIFY, REGRESS)
_MOST_CLASSES = 10  # what the embedded classifier tells apart
_BALANCED = "balanced"


@dataclass(frozen=True)
class TargetColumn:
    """The target and the rows that have one.

    Attributes
    ----------
    task
        "classify" or "regress".
    values
        Labels as they stand in the file, or numbers.
    rows
        Positions of these rows in the file.
    notes
        Which task and why; what was left out.
    """

    task: str
    values: pd.Series
    rows: Sequence[int]
    notes: tuple[str, ...]


def take_target(frame: pd.DataFrame, name: str, asked: str, file: str) -> TargetColumn:
    """Choose the task and leave out rows without a target.

    Raises
    ------
    InputError
        If there is no such column or no other, no row has a target, or it cannot be what is asked for.
    """
    import numpy as np

    if name not in frame:
        raise InputError(sentence(f"{file!r} has no column {name!r}", remedy=nearest(name, frame.columns)))
    if frame.shape[1] == 1:
        raise InputError(sentence(f"{file!r} has no column besides {name!r}", remedy="Add features"))
    cells = frame[name]
    there = cells.notna().to_numpy()
    if not there.any():
        raise InputError(
            sentence(f"the target {name!r} is missing in all {len(cells):,} rows", remedy="Choose another column")
        )
    numbers = _as_numbers(cells[there])
    task, chosen = choose_task(asked, cells[there], numbers)
    notes = [chosen]
    if task == REGRESS and numbers is not None:
        there[there] = numbers.notna().to_numpy()
        values = numbers.dropna()
    else:
        values = cells[there]
    if not there.all():
        lost = int((~there).sum())
        rows = "1 row has" if lost == 1 else f"{lost:,} of {len(cells):,} rows have"
        notes.append(f"{rows} no value in the target {name!r} and {'is' if lost == 1 else 'are'} left out.")
    return TargetColumn(task, values.reset_index(drop=True), np.flatnonzero(there), tuple(notes))


def _as_numbers(cells: pd.Series) -> pd.Series | None:
    """The cells as numbers, NaN for the few that are none; None if they are no numbers."""
    import pandas as pd
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(cells.dtype) and not is_bool_dtype(cells.dtype):
        return cells
    if is_bool_dtype(cells.dtype) or cells.nunique() < 2:
        return None
    from testtime.table.columns import TableColumns

    columns = TableColumns()
    alone = cells.rename("target").to_frame()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            encoded = columns.fit_transform(alone)
        except InputError:
            return None
    found = columns.records[0].kind == "number" or encoded.kinds == ("number",) and columns.records[0].kind == "id"
    return pd.Series(encoded.x[:, 0], index=cells.index, name=cells.name) if found else None


def choose_task(asked: str, target: pd.Series, numbers: pd.Series | None) -> tuple[str, str]:
    """Return "classify" or "regress", and a sentence that says which and why.

    Text, truth values and dates are classes. Numbers are predicted as numbers if one of them is not whole, or if there
    are more different ones than the classifier has classes; a few whole numbers are usually codes.

    Parameters
    ----------
    asked
        "auto", "classify" or "regress".
    target
        The column, without missing values.
    numbers
        The same as numbers, None if it holds none.

    Raises
    ------
    InputError
        If `asked` is another word, or numbers are asked for of a column without.
    """
    if asked not in _TASKS:
        expected = "one of " + ", ".join(_TASKS)
        raise InputError(sentence(f"--task {asked}", expected=expected, remedy=nearest(asked, _TASKS)))
    name = f"the target {str(target.name)!r}"
    if asked == REGRESS and numbers is None:
        raise InputError(
            sentence(
                f"{name} is no column of numbers (it holds {str(target.iloc[0])[:60]!r})",
                expected="numbers for --task regress",
                remedy="Correct the values, or pass --task classify",
            )
        )
    if asked != "auto":
        kind = "classes" if asked == CLASSIFY else "numbers"
        return asked, f"Task: {asked}, as asked; {name} is predicted as {kind}."
    distinct = target.nunique()
    if numbers is None:
        classes = "1 class" if distinct == 1 else f"{distinct:,} classes"
        return CLASSIFY, f"Task: {CLASSIFY}, because {name} holds no numbers; it has {classes}."
    present = numbers.dropna()
    if not bool((present == present.round()).all()):
        why = f"{name} holds numbers that are not whole"
    elif distinct > _MOST_CLASSES:
        why = f"{name} holds {distinct:,} different numbers, more than the {_MOST_CLASSES} classes there can be"
    else:
        count = "one number" if distinct == 1 else f"only {distinct} different whole numbers"
        return CLASSIFY, (
            f"Task: {CLASSIFY}, because {name} holds {count}, which are taken as classes. Pass --task {REGRESS} to "
            "predict a number."
        )
    return REGRESS, f"Task: {REGRESS}, because {why}. Pass --task {CLASSIFY} to predict classes."


def class_costs(
    given: Sequence[str], threshold: float | None, labels: pd.Series
) -> tuple[dict[str, float] | None, str]:
    """Return what missing a row of each class costs, and a sentence; None where the most probable class is predicted.

    The class with the largest product of probability and cost is predicted. For two classes that is a threshold: 5 to 1
    predicts the dearer class from a probability of 1/6. Nothing is tuned on rows, so no score is flattered.

    Parameters
    ----------
    given
        ``LABEL=COST`` each, other classes cost 1; or "balanced", which makes a class as dear as it is rare.
    threshold
        For two classes, the probability of the rarer one from which it is predicted.

    Raises
    ------
    InputError
        For labels that are not there, costs that are no positive numbers, or a threshold for other than two classes.
    """
    counts = {str(label): int(count) for label, count in labels.value_counts().items()}
    if threshold is not None:
        if given:
            raise InputError(sentence("--threshold and --cost say the same thing twice", remedy="Pass one of them"))
        if not 0 < threshold < 1:
            raise InputError(sentence(f"--threshold {threshold:g}", expected="a probability between 0 and 1"))
        if len(counts) != 2:
            raise InputError(
                sentence(
                    f"--threshold {threshold:g} and {len(counts)} classes",
                    expected="two classes",
                    remedy="Pass --cost LABEL=NUMBER for each class instead",
                )
            )
        common, rare = counts  # value_counts puts the most frequent first
        costs = {common: threshold, rare: 1 - threshold}
        return costs, f"{rare!r} is predicted from a probability of {threshold:g}."
    if not given:
        return None, ""
    if list(given) == [_BALANCED]:
        costs = {label: len(labels) / (len(counts) * count) for label, count in counts.items()}
    else:
        costs = dict.fromkeys(counts, 1.0)
        for text in given:
            label, _, number = text.rpartition("=")
            if label not in costs:
                raise InputError(
                    sentence(
                        f"--cost {text}",
                        expected=f"LABEL=NUMBER or {_BALANCED}",
                        remedy=nearest(label or text, costs),
                    )
                )
            costs[label] = _positive(text, number)
    shown = ", ".join(f"{label!r} {cost:.3g}" for label, cost in list(costs.items())[:10])
    return costs, f"What is predicted is the class with the largest product of probability and cost: {shown}."


def _positive(option: str, number: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise InputError(sentence(f"--cost {option}", expected="a positive number after ="))
    return value
