"""Where the columns of a model stand in a frame of new rows."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from testtime.errors import without_columns
from testtime.table.columns.kinds.base import Fitted

__all__ = ["places_of"]


def places_of(frame: pd.DataFrame, used: Sequence[Fitted], fitted: Sequence[Fitted]) -> list[int]:
    """Return where in a frame each of the `used` ones of the fitted columns stands: by name, or by position.

    Raises
    ------
    InputError
        When a column is absent.
    """
    at = {str(name): place for place, name in enumerate(frame.columns)}
    exact = {column.name for column in used if column.name in at}
    for name in [column.name for column in used if column.name not in at]:
        # Readers of files trim names, frames need not.
        alike = [there for there in at if there.strip() == name.strip() and there not in exact]
        if len(alike) == 1:
            at[name] = at[alike[0]]
    absent = [column.name for column in used if column.name not in at]
    if not absent:
        return [at[column.name] for column in used]
    mine = [column.name for column in fitted]
    numbered = [str(place) for place in range(len(mine))]
    names = list(map(str, frame.columns))
    if len(names) == len(mine) and (mine == numbered or names == numbered):
        return [mine.index(column.name) for column in used]  # names on one side only: by position
    expected = f"the {len(used)} columns that the model was fitted on"
    raise without_columns("the table", absent, at, expected)
