"""Which curve a skewed target is modelled on: the one under which the frozen model predicts other rows best."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from testtime.adapt.budget import Budget
from testtime.adapt.episodes import deal_folds
from testtime.adapt.learner import FROZEN, Learner
from testtime.adapt.mix import standard_error
from testtime.adapt.task import Numbers
from testtime.adapt.work import UNWATCHED, Work
from testtime.backbones.base import Backbone
from testtime.table.config import FitConfig
from testtime.table.encoding import EncodedRows, with_statistics
from testtime.table.outside import answer_rows
from testtime.table.target import NumericTarget
from testtime.table.target_curve import CURVES, is_skewed

__all__ = ["choose_curve"]

_N_FOLDS = 3
_MOST_CONTEXT, _MOST_GUARD = 1024, 512  # rows; which curve is better shows in a few hundred
_FEWEST = 60  # rows; in fewer, a standard error is a guess itself
_SHARE_OF_LIMIT = 0.1


def choose_curve(
    target: NumericTarget,
    rows: EncodedRows,
    backbone: Backbone,
    config: FitConfig,
    seed: np.random.SeedSequence,
    budget: Budget,
    work: Work = UNWATCHED,
) -> tuple[NumericTarget, NDArray[np.float64], str]:
    """Choose a curve for the target of `rows`.

    Each fold is predicted by the frozen model from the rows outside it, on every curve; the quantiles are bent back
    and scored in the unit of the target. Another curve than the identity is taken if its CRPS is lower by more than the
    standard error of the difference, and the squared error of the mean not higher by one: on a logarithm, a few far
    quantiles can decide the mean.

    Parameters
    ----------
    target, rows
        The target as it is, and the rows with it.
    seed
        Of folds and views.
    budget
        A tenth of what is left may be used; without that much, the target stays as it is.

    Returns
    -------
    target, y, note
        The target on its curve, the standardised values ``(N,)``, and a sentence; "" if nothing was changed.
    """
    unchanged = target, rows.y, ""
    n_units = len(rows.y) if rows.groups is None else len(np.unique(rows.groups))
    if not is_skewed(rows.y) or len(rows.y) < _FEWEST or n_units < _N_FOLDS:
        return unchanged
    given = target.straight(rows.y)
    curves = [curve for curve in (kind.fit(given) for kind in CURVES) if curve is not None]
    work.say("choosing the scale of the target")
    deal_seed, fold_seed = seed.spawn(2)
    folds = deal_folds(
        np.random.default_rng(deal_seed).permutation(len(given)),
        None,
        rows.groups,
        _N_FOLDS,
        np.random.default_rng(deal_seed),
    )
    learner = backbone.learner(Numbers(), config.device, torch.float32)
    limit = _SHARE_OF_LIMIT * budget.left()
    losses: list[NDArray[np.float64]] = []
    for number, curve in enumerate(curves):
        before = budget.spent()
        bent, y = target.bent(curve, rows.y)
        losses.append(
            np.concatenate(
                [_fold_losses(target, rows, bent, y, held, backbone, learner, fold_seed) for held in folds]
            )
        )
        if number == 0 and (budget.spent() - before) * (len(curves) - 1) > limit:
            return unchanged
    crps = [own[:, 0] for own in losses]
    gains = [(losses[0] - own).T for own in losses]
    better = [
        k
        for k, (gain, closer) in enumerate(gains)
        if gain.mean() > standard_error(gain) and closer.mean() >= -standard_error(closer)
    ]
    if not better:
        return unchanged
    lowest = min(better, key=lambda k: crps[k].mean())
    # The simplest that is as good but for noise: a logarithm goes on beyond the rows of fit, ranks end there.
    best = next(
        k for k in better if (crps[k] - crps[lowest]).mean() <= standard_error(crps[k] - crps[lowest])
    )
    bent, y = target.bent(curves[best], rows.y)
    note = (
        f"The target is skewed and was modelled {curves[best].name}: on other rows, the frozen model's CRPS was then "
        f"{crps[best].mean():.4f} instead of {crps[0].mean():.4f} standard deviations (the difference has a "
        f"standard error of {standard_error(gains[best][0]):.4f}). Losses of the fit are in standard deviations of the "
        "target as it was modelled, not of the target as it is."
    )
    return bent, y, note


def _fold_losses(
    target: NumericTarget,
    rows: EncodedRows,
    bent: NumericTarget,
    y: NDArray[np.float64],
    held: NDArray[np.int64],
    backbone: Backbone,
    learner: Learner,
    seed: np.random.SeedSequence,
) -> NDArray[np.float64]:
    """CRPS and squared error of the mean, in standard deviations of the target as it is, of a fold, ``(g, 2)``."""
    guard = held
    if len(held) > _MOST_GUARD:  # any of them: the first rows of a sorted table are of one kind
        guard = np.random.default_rng(seed).permutation(held)[:_MOST_GUARD]
    outside = np.setdiff1d(np.arange(len(y)), held)
    context = np.random.default_rng(seed).permutation(outside)[:_MOST_CONTEXT]
    x = replace(rows, y=y).without(held, Numbers(), seed)
    described = with_statistics(rows.encoded, x[context])
    view = backbone.views(described, y[context], Numbers(), 1, seed)[0]
    answers = answer_rows(learner, FROZEN, view, (x[context], y[context]), x[guard])
    straight = target.scaler.transform(bent.straight(answers))
    true = rows.y[guard]
    return np.column_stack([Numbers().score(straight, true), np.square(straight.mean(1) - true)])
