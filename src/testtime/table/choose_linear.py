"""Whether the linear part of a numeric target is taken out: where the frozen model then predicts other rows better."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from testtime.adapt.mix import standard_error
from testtime.adapt.task import Numbers
from testtime.backbones.scaling import TargetScaler
from testtime.table.encoding import EncodedRows
from testtime.table.linear import LinearPart, Reduced, cross_fitted, has_logarithms, levels_in_doubt
from testtime.table.repeats import Groups
from testtime.table.rows import DealtRows
from testtime.table.target import NumericTarget
from testtime.table.target_curve import CURVES, Curve
from testtime.table.trial import FEWEST_ROWS, Gain, Judge, Measure, Trial, Way

__all__ = ["Modelled", "Scale", "choose_linear", "measure_of"]

_MOST_CONTEXT, _MOST_GUARD = 1024, 512  # rows; whether it helps shows in a few hundred
_LEAST = 0.2  # share of the variance that the part must explain, in other rows, to be tried
_LEAST_BEFORE_TRAINING = 0.4  # share of the loss: adapters learn much of a linear part themselves
_LEAST_IN_DOUBT = 0.05  # from which it may be worth another training
_SHARE_OF_LIMIT = 0.1  # of a time limit, for the regressions
_LEVELS = np.arange(1, 20) / 20  # of quantiles of what a regression leaves

Scale: TypeAlias = tuple[NumericTarget, EncodedRows]
"""A target on one of its curves, and the rows with it."""


@dataclass(frozen=True)
class Modelled:
    """How a target is modelled.

    Attributes
    ----------
    target, rows
        The target, with its linear part if that is taken out, and the rows with what it leaves, whose statistics of
        levels are still of the target as it was.
    note
        A sentence about the linear part; "" where none is taken out.
    """

    target: NumericTarget
    rows: EncodedRows
    note: str = ""


def choose_linear(
    scales: Sequence[Scale],
    judge: Judge,
    *,
    trains: bool = True,
) -> tuple[Modelled, Modelled | None]:
    """Take the linear part out of a target where that pays.

    Each fold is predicted by the frozen model from the rows outside it, or before it where rows have a time: as it is,
    and by a ridge regression on the rows outside and what the model says about that regression's errors. Where columns
    have many levels or rare ones, which the model may know better, there are two regressions: without and with terms of
    theirs. The best part is taken out if the CRPS is lower by two standard errors, and the squared error of the mean
    not higher by one. Where adapters are trained after that, which learn much of a linear part themselves, the CRPS
    must fall by two fifths; a part by which it falls by a twentieth is in doubt until they are trained.

    On which curve the model does best says little about where a target is a sum: a product is one on a logarithm, and
    of logarithms. So the regressions are made on all curves, and with logarithms of numbers among the terms. The most
    promising of these is tried beside those on the chosen scales; it must be better than they are, by the same errors.

    Parameters
    ----------
    scales
        The target on the curve that was chosen; then, if that is another one, as it is. What is linear in the columns
        may be bent on a curve.
    judge
        The frozen model.
    trains
        Whether adapters are trained.

    Returns
    -------
    taken, in_doubt
        How the target is modelled: as the first of `scales` where nothing is taken out. Then with the part that is in
        doubt, or None.
    """
    target, rows = scales[0]
    unchanged = Modelled(target, rows), None
    if len(rows.y) < FEWEST_ROWS:
        return unchanged
    found, budget = judge.together(rows), judge.budget
    limit, before = _SHARE_OF_LIMIT * budget.left(), budget.spent()
    apart = [one for scale in scales for one in _ways_apart(*scale, found.codes, judge.draw)]
    if budget.spent() - before > limit:
        return unchanged
    chosen, others = [known.curve for known, _ in scales], list[_Apart]()
    for n_done, scale in enumerate(_every_scale(scales), len(scales)):
        if (budget.spent() - before) * (n_done + 1) > limit * n_done:
            break
        there = _ways_apart(*scale, found.codes, judge.draw, logarithms=True)
        others += [one for one in there if scale[0].curve not in chosen or one.part.has_logarithms]
    apart, others = ([one for one in ways if one.explained >= _LEAST] for ways in (apart, others))
    n_own, unit = len(apart), scales[-1][0].scaler
    apart += _promising(apart, others, unit, found.codes)
    if not apart:
        return unchanged
    judge.work.say("looking for a linear part of the target")
    trial = Trial.of(judge, rows, found.codes, most_context=_MOST_CONTEXT, most_guard=_MOST_GUARD)
    ways: list[Way] = [lambda fold: (rows, measure_of(target, np.zeros(len(fold.guard)), 1.0, unit))]
    ways += [partial(one.read, unit) for one in apart]
    measured = trial.run(ways)
    if measured is None:
        return unchanged
    bends = [one.bend for one in apart]

    def taken(share: float) -> Modelled | None:
        best = _best(measured, bends, n_own, trial.units, share)
        if not best:
            return None
        gain = Gain.of(measured[0][:, 0], measured[best][:, 0], trial.units)
        return apart[best - 1].taken(gain, chosen, found)

    sure = taken(_LEAST_BEFORE_TRAINING if trains else 0.0)
    return (sure, None) if sure else (unchanged[0], taken(_LEAST_IN_DOUBT))


@dataclass(frozen=True)
class _Apart:
    """A target on one of its curves without its linear part: the target with the part, and rows with what it leaves."""

    target: NumericTarget
    left: EncodedRows
    reduced: Reduced
    part: LinearPart
    said: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        target: NumericTarget,
        rows: EncodedRows,
        together: NDArray[np.int64] | None,
        draw: int,
        *,
        every_level: bool,
        logarithms: bool,
    ) -> _Apart:
        """Take a target apart."""
        own = {"every_level": every_level, "logarithms": logarithms}
        part, said = cross_fitted(rows.encoded, rows.y, together, draw, **own)
        part = replace(part, bounds=target.narrowed(part.bounds, rows.y))
        reduced = Reduced(rows.y, part.left, together, draw, **own)
        left = replace(rows, y=(rows.y - said) / part.left, reduced=reduced)
        return cls(replace(target, linear=part), left, reduced, part, said)

    @property
    def explained(self) -> float:
        """Share of the target's variance that the linear part explains in rows it was not fitted on."""
        whole, left = self.reduced.y, self.reduced.left * self.left.y
        return 1.0 - float(np.mean(left**2) / whole.var())

    @property
    def bend(self) -> int:
        """Which curve the target is on: 0 is the simplest."""
        return CURVES.index(type(self.target.curve))

    def alone(self, unit: TargetScaler) -> NDArray[np.float64]:
        """CRPS, ``(N,)``, of the linear part and what it leaves, which is taken to be alike in all rows."""
        quantiles = np.broadcast_to(np.quantile(self.left.y, _LEVELS), (len(self.said), len(_LEVELS)))
        return measure_of(self.target, self.said, self.reduced.left, unit)(quantiles, self.left.y)[:, 0]

    def taken(self, gain: Gain, chosen: Sequence[Curve], found: Groups) -> Modelled:
        """Model the target so; `chosen` are curves that go without saying, `found` the rows that belong together."""
        curve = self.target.curve
        named = "" if curve in chosen else f", taken {curve.name},"
        note = (
            f"A ridge regression on the columns explains {self.explained:.2%} of the variance of the target{named} in "
            f"other rows, and the model predicts what it leaves: {gain.told('CRPS, in standard deviations,')}."
        )
        return Modelled(self.target, replace(self.left, found=found), note)

    def read(self, unit: TargetScaler, fold: DealtRows) -> tuple[EncodedRows, Measure]:
        """Rows with what linear parts leave, where none has seen the targets of the fold."""
        left, said = self.reduced.known_by(self.left.encoded, fold.pool)
        rows = replace(self.left, y=left, reduced=None)
        return rows, measure_of(self.target, said[fold.guard], self.reduced.left, unit)


def _every_scale(scales: Sequence[Scale]) -> Iterator[Scale]:
    """The target on all curves that fit it, the simplest first; on those in `scales` where logarithms may help."""
    target, rows = scales[-1]
    for kind in CURVES:
        known = [scale for scale in scales if type(scale[0].curve) is kind]
        if known:
            yield from known if has_logarithms(rows.encoded) else ()
            continue
        curve = kind.fit(target.straight(rows.y))
        if curve is not None:
            with np.errstate(divide="ignore", invalid="ignore"):
                bent, y = target.bent(curve, rows.y)
            if np.isfinite(y).all():  # not where numbers are so large that their logarithms are all the same
                yield bent, replace(rows, y=y, found=None)


def _promising(
    own: list[_Apart], others: list[_Apart], unit: TargetScaler, together: NDArray[np.int64] | None
) -> list[_Apart]:
    """The one of other ways than those on the chosen scales, ``own``, that may be better than these, if there is one.

    Shares of variances on several curves cannot be compared. What can is what the trial measures, the CRPS in the unit
    of the target, with quantiles of all that a regression leaves of other rows in place of the model's answers. Of
    several that are as good but for noise it is the simplest: ranks know the targets that they are judged on.
    """
    if not others:
        return []
    losses = [one.alone(unit) for one in others]
    lowest = min(losses, key=np.mean)
    best = next(
        k
        for k, loss in enumerate(losses)
        if (loss - lowest).mean() <= standard_error(loss - lowest, together)
    )
    if own:
        known = [one.alone(unit) for one in own]
        least = min(range(len(own)), key=lambda k: known[k].mean())
        gain = Gain.of(known[least], losses[best], together)
        if not _is_better(gain, simpler=others[best].bend < own[least].bend):
            return []
    return [others[best]]


def _best(
    measured: Sequence[NDArray[np.float64]],
    bends: Sequence[int],
    n_own: int,
    units: NDArray[np.int64] | None,
    share: float,
) -> int:
    """Which way to take: 0, as it is; one of the next ``n_own``; or another one, if better than those.

    One on a simpler curve than those may be better by chance.
    """

    def lowest(ways: Sequence[int], default: int) -> int:
        return min(ways, key=lambda k: measured[k][:, 0].mean(), default=default)

    def gain(before: int, after: int) -> Gain:
        return Gain.of(measured[before][:, 0], measured[after][:, 0], units)

    def no_farther(before: int, after: int) -> bool:
        closer = measured[before][:, 1] - measured[after][:, 1]
        return bool(closer.mean() >= -standard_error(closer, units))

    paying = [k for k in range(1, len(measured)) if gain(0, k).is_clear(share) and no_farther(0, k)]
    best = lowest([k for k in paying if k <= n_own], 0)
    others = [k for k in paying if k > n_own]
    if best:
        others = [
            k
            for k in others
            if _is_better(gain(best, k), simpler=bends[k - 1] < bends[best - 1]) and no_farther(best, k)
        ]
    return lowest(others, best)


def _is_better(gain: Gain, *, simpler: bool) -> bool:
    """Whether a way is better than one on a chosen scale: clearly, or at all where its curve is simpler.

    Ranks know the targets that they are judged on, and end there; a logarithm goes on beyond them.
    """
    return gain.after < gain.before if simpler else gain.is_clear()


def _ways_apart(
    target: NumericTarget,
    rows: EncodedRows,
    together: NDArray[np.int64] | None,
    draw: int,
    *,
    logarithms: bool = False,
) -> list[_Apart]:
    """Take a target apart without terms of many or rare levels, and with them if there are any."""
    ways = (False, True) if levels_in_doubt(rows.encoded, together) else (False,)
    return [_Apart.of(target, rows, together, draw, every_level=one, logarithms=logarithms) for one in ways]


def measure_of(target: NumericTarget, said: NDArray[np.float64], left: float, unit: TargetScaler) -> Measure:
    """Return how CRPS and squared error of the mean are measured, ``(g, 2)``, in deviations of the target as it is.

    `said` is what the linear part says of the rows, ``(g,)``, and `left` the unit of what it leaves.
    """

    def measure(answers: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
        quantiles = unit.transform(target.straight(left * answers + said[:, None]))
        true = unit.transform(target.straight(left * y + said))
        return np.column_stack([Numbers().score(quantiles, true), np.square(quantiles.mean(1) - true)])

    return measure
