"""What ``testtime adapt`` refuses although it could be used: columns that say nothing, classes of one row.

Each is usually a mistake in how the table was made (an export gone wrong, a typing error in a label), and a command,
unlike a fit inside a cross-validation, has someone reading who can decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from testtime.errors import InputError, sentence

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["refuse_doubtful"]

_TOO_WIDE = 500
_LENIENT = "or pass --lenient to go on without"


def refuse_doubtful(frame: pd.DataFrame, labels: pd.Series | None) -> None:
    """Refuse columns without information and, unless `labels` is None, classes with a single row.

    Raises
    ------
    InputError
        Naming the first columns, or the first class, and what to do.
    """
    if frame.shape[1] > _TOO_WIDE:
        return  # fit refuses the table as a whole, in a better sentence
    counts = {str(name): frame[name].nunique(dropna=True) for name in frame.columns}
    for number, what, expected in (
        (0, "hold nothing but missing values", "at least one value in every column"),
        (1, "hold the same value in every row", "columns that vary"),
    ):
        names = [name for name, distinct in counts.items() if distinct == number]
        if names and len(names) < len(counts):  # all of them is another sentence, which fit says
            shown = ", ".join(map(repr, names[:5])) + (" and others" if len(names) > 5 else "")
            noun, verb = (
                ("column", what.replace("hold", "holds", 1)) if len(names) == 1 else ("columns", what)
            )
            raise InputError(
                sentence(
                    f"the {noun} {shown} {verb}", expected=expected, remedy=f"Drop the {noun}, {_LENIENT}"
                )
            )
    if labels is None:
        return
    sizes = labels.value_counts()
    single = sizes.index[sizes == 1]
    # A target in which every other class is rare is not a class label; fit has the better sentence for it.
    if len(single) and len(sizes) <= max(10, len(labels) // 10):
        raise InputError(
            sentence(
                f"the class {str(single[0])!r} has a single row",
                expected="at least two rows of each class",
                why="one must be context while another is trained on or guards",
                remedy="Correct, merge or drop it, or pass --lenient to keep it in the context",
            )
        )
