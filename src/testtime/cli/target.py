"""Whether ``testtime adapt`` predicts classes or numbers: as asked, or as the target's values suggest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from testtime.errors import InputError, nearest, sentence
from testtime.estimators.tasks import check_classes, is_numeric, why_numbers
from testtime.table.columns.words.reading import shown_counts

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["AUTO", "CLASSIFY", "REGRESS", "choose_task", "class_costs", "one_spelling"]

AUTO, CLASSIFY, REGRESS = "auto", "classify", "regress"
_TASKS = (AUTO, CLASSIFY, REGRESS)
_BALANCED = "balanced"


def choose_task(asked: str, target: pd.Series, spelled: pd.Series | None = None) -> tuple[str, str]:
    """Return "classify" or "regress", and a sentence that says which and why.

    The rule is that of :mod:`testtime.estimators.tasks`.

    Parameters
    ----------
    asked
        "auto", "classify" or "regress".
    target
        The column, without missing values.
    spelled
        The same rows as the file has them, where `target` are numbers that were read from them.

    Raises
    ------
    InputError
        If `asked` is another word, numbers are asked for of a column without, or nothing is asked for and many
        different values are rather dates or quantities than classes.
    """
    if asked not in _TASKS:
        expected = "one of " + ", ".join(_TASKS)
        raise InputError(sentence(f"--task {asked}", expected=expected, remedy=nearest(asked, _TASKS)))
    numeric = is_numeric(target)
    name = f"the target {str(target.name)!r}"
    if asked == REGRESS and not numeric:
        raise InputError(
            sentence(
                f"{name} is no column of numbers (it holds {_no_number(target)[:60]!r})",
                expected="numbers for --task regress",
                remedy="Correct the values, or pass --task classify",
            )
        )
    kind = "classes" if asked == CLASSIFY else "numbers"
    if asked != AUTO:
        return asked, f"Task: {asked}, as asked; {name} is predicted as {kind}."
    distinct = target.nunique() if spelled is None else _n_different(target, spelled)
    if not numeric:
        check_classes(target, name, distinct, f"--task {CLASSIFY}")
        why = f"{name} holds {_other_words(target) or 'no numbers'}"
        return CLASSIFY, f"Task: {CLASSIFY}, because {why}; it has {distinct:,} classes."
    why = why_numbers(target, distinct)
    if not why:
        return CLASSIFY, (
            f"Task: {CLASSIFY}, because {name} holds only {distinct} different whole numbers, which are taken as "
            f"classes. Pass --task {REGRESS} to predict a number."
        )
    return REGRESS, f"Task: {REGRESS}, because {name} {why}. Pass --task {CLASSIFY} to predict classes."


def one_spelling(spelled: pd.Series, numbers: pd.Series) -> tuple[pd.Series, str]:
    """Return labels with one spelling for each number, and a sentence if some had several.

    Files that were put together hold ``1`` and ``1.0``; of the spellings of a number the most frequent one is kept.
    """
    import pandas as pd

    if spelled.nunique() == _n_different(numbers, spelled):
        return spelled, ""
    words = spelled.astype(str)
    kept = {number: own.mode().iloc[0] for number, own in words.groupby(numbers.to_numpy())}
    labels = pd.Series([kept[number] for number in numbers], spelled.index, name=spelled.name)
    return labels, f"Spellings of one number in the target {str(spelled.name)!r} are one class."


def _n_different(numbers: pd.Series, spelled: pd.Series) -> int:
    """Count different numbers; where float64 cannot tell whole numbers apart, as keys are, their spellings."""
    return (spelled if bool((numbers.abs() > 2.0**53).any()) else numbers).nunique()


def _no_number(values: pd.Series) -> str:
    """The first value that no program reads as a number, else the first."""
    words = [str(value) for value in values.head(10_000)]
    return next((word for word in words if not _is_number(word)), words[0])


def _other_words(values: pd.Series) -> str:
    """Say what keeps values from being numbers that are for the most part; "" where they are not."""
    counts = values.astype(str).value_counts()
    words = {str(word): int(count) for word, count in counts.items() if not _is_number(str(word))}
    if len(values) == 0 or sum(words.values()) > 0.5 * len(values):
        return ""
    if not words:
        alone = all(isinstance(value, str) for value in values)
        return "numbers that are stored as text" if alone else "numbers, of which some are stored as text"
    return f"words between its numbers: {shown_counts(words)}"


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


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
            raise InputError(
                sentence("--threshold and --cost say the same thing twice", remedy="Pass one of them")
            )
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
