"""Whether the linear part of a numeric target is taken out: where the frozen model then predicts other rows better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.mix import standard_error
from testtime.adapt.task import Numbers
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone
from testtime.backbones.scaling import TargetScaler
from testtime.table.encoding import EncodedRows
from testtime.table.linear import Reduced, cross_fitted, levels_in_doubt
from testtime.table.rows import DealtRows
from testtime.table.target import NumericTarget
from testtime.table.trial import Measure, Trial, Way

__all__ = ["Scale", "choose_linear"]

_FEWEST = 60  # rows; fewer say little about a loss
_MOST_CONTEXT, _MOST_GUARD = 1024, 512  # rows; whether it helps shows in a few hundred
_LEAST = 0.2  # share of the variance that the part must explain, in other rows, to be tried
_ERRORS = 2.0  # standard errors by which the loss must fall
_LEAST_BEFORE_TRAINING = 0.4  # share of the loss: adapters learn much of a linear part themselves
_SHARE_OF_LIMIT = 0.1  # of a time limit, for the regressions

Scale: TypeAlias = tuple[NumericTarget, EncodedRows]
"""A target on one of its curves, and the rows with it."""


def choose_linear(
    scales: Sequence[Scale],
    backbone: Backbone,
    device: torch.device,
    seed: np.random.SeedSequence,
    budget: Budget,
    work: Work = UNWATCHED,
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
    backbone, device
        Which model predicts, and where.
    seed
        Of folds and views.
    budget
        Where a tenth of what is left is not enough to try it, the target stays as it is.
    work
        Told what is done.
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
    if len(rows.y) < _FEWEST:
        return unchanged
    draw = int(seed.generate_state(1)[0])
    found = rows.together(target.task, np.random.default_rng(draw))
    limit, before = _SHARE_OF_LIMIT * budget.left(), budget.spent()
    apart = [one for scale in scales for one in _ways_apart(*scale, found.codes, draw)]
    apart = [one for one in apart if one.explained >= _LEAST]
    if not apart or budget.spent() - before > limit:
        return unchanged
    work.say("looking for a linear part of the target")
    trial = Trial.of(
        rows,
        found.codes,
        target.task,
        backbone,
        device,
        draw,
        most_context=_MOST_CONTEXT,
        most_guard=_MOST_GUARD,
    )
    unit = scales[-1][0].scaler
    ways: list[Way] = [lambda fold: (rows, _measure(target, np.zeros(len(fold.guard)), 1.0, unit))]
    ways += [partial(one.read, unit) for one in apart]
    measured = trial.run(ways, budget)
    if measured is None:
        return unchanged
    as_is, *after = measured
    units = None if found.codes is None else found.codes[trial.measured]
    taken: list[tuple[float, float, _Apart]] = []
    for one, own in zip(apart, after, strict=True):
        gains, closer = (as_is - own).T
        error = standard_error(gains, units)
        least = max(_ERRORS * error, _LEAST_BEFORE_TRAINING * as_is[:, 0].mean() if trains else 0.0)
        if gains.mean() > least and closer.mean() >= -standard_error(closer, units):
            taken.append((float(own[:, 0].mean()), error, one))
    if not taken:
        return unchanged
    loss, error, one = min(taken, key=lambda each: each[0])
    note = (
        f"A ridge regression on the columns explains {one.explained:.2%} of the variance of the target in other rows, "
        f"and the model predicts what it leaves: on other rows, the frozen model's CRPS is then {loss:.4f} instead of "
        f"{as_is[:, 0].mean():.4f} standard deviations (the difference has a standard error of {error:.4f})."
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
