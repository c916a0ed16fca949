"""Whether the linear part of a numeric target is taken out: where the frozen model then predicts other rows better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from testtime.adapt.mix import standard_error
from testtime.adapt.task import Numbers
from testtime.backbones.scaling import TargetScaler
from testtime.table.encoding import EncodedRows
from testtime.table.linear import Reduced, cross_fitted, levels_in_doubt
from testtime.table.rows import DealtRows
from testtime.table.target import NumericTarget
from testtime.table.trial import FEWEST_ROWS, Gain, Judge, Measure, Trial, Way

__all__ = ["Scale", "choose_linear"]

_MOST_CONTEXT, _MOST_GUARD = 1024, 512  # rows; whether it helps shows in a few hundred
_LEAST = 0.2  # share of the variance that the part must explain, in other rows, to be tried
_LEAST_BEFORE_TRAINING = 0.4  # share of the loss: adapters learn much of a linear part themselves
_SHARE_OF_LIMIT = 0.1  # of a time limit, for the regressions

Scale: TypeAlias = tuple[NumericTarget, EncodedRows]
"""A target on one of its curves, and the rows with it."""


def choose_linear(
    scales: Sequence[Scale],
    judge: Judge,
    *,
    trains: bool = True,
) -> tuple[NumericTarget, EncodedRows, str]:
    """Take the linear part out of a target where that pays.

    Each fold is predicted by the frozen model from the rows outside it, or before it where rows have a time: as it is,
    and by a ridge regression on the rows outside and what the model says about that regression's errors. Where columns
    have many levels or rare ones, which the model may know better, there are two regressions: without and with terms of
    theirs. The best part is taken out if the CRPS is lower by two standard errors, and the squared error of the mean
    not higher by one. Where adapters are trained after that, which learn much of a linear part themselves, the CRPS
    must fall by two fifths.

    Parameters
    ----------
    scales
        The target on the curve that was chosen; then, if that is another one, as it is, since what is linear in the
        columns may be bent on a curve.
    judge
        The frozen model.
    trains
        Whether adapters are trained.

    Returns
    -------
    target, rows, note
        The target with its linear part, the rows with what it leaves, whose statistics of levels are still of the
        target as it was, and a sentence. The first of `scales` and "" where nothing is taken out.
    """
    target, rows = scales[0]
    unchanged = target, rows, ""
    if len(rows.y) < FEWEST_ROWS:
        return unchanged
    found, budget = judge.together(rows), judge.budget
    limit, before = _SHARE_OF_LIMIT * budget.left(), budget.spent()
    apart = [one for scale in scales for one in _ways_apart(*scale, found.codes, judge.draw)]
    apart = [one for one in apart if one.explained >= _LEAST]
    if not apart or budget.spent() - before > limit:
        return unchanged
    judge.work.say("looking for a linear part of the target")
    trial = Trial.of(judge, rows, found.codes, most_context=_MOST_CONTEXT, most_guard=_MOST_GUARD)
    unit = scales[-1][0].scaler
    ways: list[Way] = [lambda fold: (rows, _measure(target, np.zeros(len(fold.guard)), 1.0, unit))]
    ways += [partial(one.read, unit) for one in apart]
    measured = trial.run(ways)
    if measured is None:
        return unchanged
    as_is, *after = measured
    taken: list[tuple[Gain, _Apart]] = []
    for one, own in zip(apart, after, strict=True):
        gain, closer = Gain.of(as_is[:, 0], own[:, 0], trial.units), as_is[:, 1] - own[:, 1]
        clear = gain.is_clear(_LEAST_BEFORE_TRAINING if trains else 0.0)
        if clear and closer.mean() >= -standard_error(closer, trial.units):
            taken.append((gain, one))
    if not taken:
        return unchanged
    gain, one = min(taken, key=lambda each: each[0].after)
    note = (
        f"A ridge regression on the columns explains {one.explained:.2%} of the variance of the target in other rows, "
        f"and the model predicts what it leaves: {gain.told('CRPS, in standard deviations,')}."
    )
    return one.target, replace(one.left, found=found), note


@dataclass(frozen=True)
class _Apart:
    """A target on one of its curves without its linear part: the target with the part, and rows with what it leaves."""

    target: NumericTarget
    left: EncodedRows
    reduced: Reduced

    @classmethod
    def of(
        cls,
        target: NumericTarget,
        rows: EncodedRows,
        together: NDArray[np.int64] | None,
        draw: int,
        *,
        every_level: bool,
    ) -> _Apart:
        """Take a target apart."""
        part, said = cross_fitted(rows.encoded, rows.y, together, draw, every_level=every_level)
        part = replace(part, bounds=target.narrowed(part.bounds, rows.y))
        reduced = Reduced(rows.y, part.left, together, draw, every_level)
        left = replace(rows, y=(rows.y - said) / part.left, reduced=reduced)
        return cls(replace(target, linear=part), left, reduced)

    @property
    def explained(self) -> float:
        """Share of the target's variance that the linear part explains in rows it was not fitted on."""
        whole, left = self.reduced.y, self.reduced.left * self.left.y
        return 1.0 - float(np.mean(left**2) / whole.var())

    def read(self, unit: TargetScaler, fold: DealtRows) -> tuple[EncodedRows, Measure]:
        """Rows with what linear parts leave, where none has seen the targets of the fold."""
        left, said = self.reduced.known_by(self.left.encoded, fold.pool)
        rows = replace(self.left, y=left, reduced=None)
        return rows, _measure(self.target, said[fold.guard], self.reduced.left, unit)


def _ways_apart(
    target: NumericTarget, rows: EncodedRows, together: NDArray[np.int64] | None, draw: int
) -> list[_Apart]:
    """Take a target apart without terms of many or rare levels, and with them if there are any."""
    ways = (False, True) if levels_in_doubt(rows.encoded, together) else (False,)
    return [_Apart.of(target, rows, together, draw, every_level=one) for one in ways]


def _measure(target: NumericTarget, said: NDArray[np.float64], left: float, unit: TargetScaler) -> Measure:
    """CRPS and squared error of the mean, ``(g, 2)``, in standard deviations of the target as it is.

    `said` is what the linear part says of the rows, ``(g,)``, and `left` the unit of what it leaves.
    """

    def measure(answers: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        quantiles = unit.transform(target.straight(left * answers + said[:, None]))
        true = unit.transform(target.straight(left * y + said))
        return np.column_stack([Numbers().score(quantiles, true), np.square(quantiles.mean(1) - true)])

    return measure
