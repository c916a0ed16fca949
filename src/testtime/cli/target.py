"""Whether ``testtime adapt`` predicts classes or numbers: as asked, or as the target's values suggest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from testtime.errors import InputError, nearest, sentence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CLASSIFY", "REGRESS", "choose_task"]

CLASSIFY, REGRESS = "classify", "regress"
_TASKS = ("auto", CLASSIFY, REGRESS)

_MOST_CLASSES = 10  # what the embedded classifier tells apart


def choose_task(asked: str, target: pd.Series) -> tuple[str, str]:
    """Return "classify" or "regress", and a sentence that says which and why.

    Text, truth values and dates are classes. Numbers are predicted as numbers if one of them is not whole, or if there
    are more different ones than the classifier has classes; a few whole numbers are usually codes.

    Parameters
    ----------
    asked
        "auto", "classify" or "regress".
    target
        The column, without missing values.

    Raises
    ------
    InputError
        If `asked` is another word, or numbers are asked for of a column without.
    """
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if asked not in _TASKS:
        expected = "one of " + ", ".join(_TASKS)
        raise InputError(sentence(f"--task {asked}", expected=expected, remedy=nearest(asked, _TASKS)))
    numeric = is_numeric_dtype(target.dtype) and not is_bool_dtype(target.dtype)
    name = f"the target {str(target.name)!r}"
    if asked == REGRESS and not numeric:
        raise InputError(
            sentence(
                f"{name} is no column of numbers (it holds {str(target.iloc[0])[:60]!r})",
                expected="numbers for --task regress",
                remedy="Correct the values, or pass --task classify",
            )
        )
    kind = "classes" if asked == CLASSIFY else "numbers"
    if asked != "auto":
        return asked, f"Task: {asked}, as asked; {name} is predicted as {kind}."
    distinct = target.nunique()
    if not numeric:
        return CLASSIFY, f"Task: {CLASSIFY}, because {name} holds no numbers; it has {distinct:,} classes."
    if not bool((target == target.round()).all()):
        why = f"{name} holds numbers that are not whole"
    elif distinct > _MOST_CLASSES:
        why = (
            f"{name} holds {distinct:,} different numbers, more than the {_MOST_CLASSES} classes there can be"
        )
    else:
        return CLASSIFY, (
            f"Task: {CLASSIFY}, because {name} holds only {distinct} different whole numbers, which are taken as "
            f"classes. Pass --task {REGRESS} to predict a number."
        )
    return REGRESS, f"Task: {REGRESS}, because {why}. Pass --task {CLASSIFY} to predict classes."
