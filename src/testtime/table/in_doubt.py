"""Whether a linear part that was in doubt before training is taken out after all.

Adapters learn much of a linear part themselves, on some tables more than a regression tells them and on others less;
before they are trained nothing says which. So they are trained twice, without it and with it, and what is better on
rows that it has not seen is served.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from testtime.adapt.budget import Budget
from testtime.backbones.scaling import TargetScaler
from testtime.results import Status
from testtime.table.choose_linear import measure_of
from testtime.table.fit import Chosen
from testtime.table.reading import Reading
from testtime.table.target import NumericTarget

__all__ = ["settle_doubt"]

_Fit: TypeAlias = Callable[[Reading], Chosen]


def settle_doubt(read: Reading, fit: _Fit, budget: Budget) -> tuple[Reading, Chosen]:
    """Fit a table as it was read and, where that is in doubt, as it may be read as well.

    Parameters
    ----------
    read
        The table as it was read.
    fit
        Trains adapters on a table as it is read, the same way each time it is called.
    budget
        Where less of it is left than the first fit took, there is no second one.

    Returns
    -------
    read, chosen
        How the table is read, and what was chosen with that; the notes of `chosen` say how it was decided.
    """
    began = budget.spent()
    chosen = fit(read)
    doubt = read.in_doubt
    if doubt is None or chosen.status is Status.UNGUARDED:  # without a guard nothing is measured
        return read, chosen
    loss = _loss(read, chosen, doubt.scaler)
    if np.isnan(loss):  # the frozen model is served, and it is better with the part
        other = doubt.read()
        return other, fit(other)
    if budget.spent() - began > budget.left():
        chosen.notes.append(
            "A linear part of the target would make the frozen model better; the time limit left no time to train "
            "adapters with it."
        )
        return read, chosen
    other = doubt.read()
    again = fit(other)
    loss_again = _loss(other, again, doubt.scaler)
    better = loss_again < loss  # not where the second training came to nothing
    (again if better else chosen).notes.append(
        f"Adapters were trained without a linear part of the target and with one: the CRPS on other rows, in standard "
        f"deviations, was {loss:.4f} and {loss_again:.4f}."
    )
    return (other, again) if better else (read, chosen)


def _loss(read: Reading, chosen: Chosen, scaler: TargetScaler) -> float:
    """CRPS on rows that nothing served has seen, in the unit of `scaler`; NaN where no mixture was fitted."""
    outside, target, reduced = chosen.outside, read.target, read.rows.reduced
    if outside is None or not isinstance(target, NumericTarget):
        return float("nan")
    left, said = 1.0, np.zeros(len(outside.y))
    if reduced is not None:  # what the regressions of the folds say, which have not seen these rows either
        left, said = reduced.left, reduced.y[outside.rows] - reduced.left * outside.y
    return float(measure_of(target, said, left, scaler)(outside.answers, outside.y)[:, 0].mean())
