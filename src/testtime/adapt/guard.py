"""The never-worse decision: a pure function of paired losses.

The frozen and the adapted model predict the same guard rows from the same context. Row by row their losses are
strongly correlated, so the mean *difference* is known far better than either mean: on 1,000 rows of which 5% change
their prediction, an accuracy difference of 0.4 points is invisible, while the log-loss difference is not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from testtime.errors import InputError, sentence
from testtime.results import Result, Status

__all__ = ["Verdict", "decide"]


@dataclass(frozen=True)
class Verdict(Result):
    """What the guard saw and what it decided.

    Attributes
    ----------
    status
        :attr:`Status.KEPT` or the reason for going back to the frozen model.
    loss_before, loss_after
        Mean loss of the frozen and of the adapted model on the guard rows, in nats for log loss.
    difference
        ``loss_after - loss_before``; negative is better.
    standard_error
        Standard error of `difference` from the paired rows.
    margin
        What the improvement must exceed: ``n_errors * standard_error``.
    n_rows
        Number of guard rows.
    """

    status: Status
    loss_before: float
    loss_after: float
    difference: float
    standard_error: float
    margin: float
    n_rows: int

    @property
    def kept(self) -> bool:
        """Whether the adapted weights are kept."""
        return self.status is Status.KEPT


def decide(frozen: ArrayLike, adapted: ArrayLike, n_errors: float = 1.0) -> Verdict:
    r"""Keep the adapted model only if its paired improvement exceeds a margin.

    .. math:: \text{keep} \iff \bar\Delta < 0 \ \text{and}\ -\bar\Delta > z\,\mathrm{se}(\bar\Delta),
              \quad \Delta_i = \ell^{\text{adapted}}_i - \ell^{\text{frozen}}_i

    with :math:`z` = `n_errors`. A non-finite adapted loss reverts; so does an empty guard. The kept loss is therefore
    never above the frozen one on these rows.

    Parameters
    ----------
    frozen, adapted
        Losses of the same rows in the same order, ``(n,)``.
    n_errors
        Standard errors the improvement must exceed, at least 0.

    Raises
    ------
    InputError
        When the shapes differ, or `n_errors` is negative.

    >>> decide([1.0, 1.0, 1.0, 1.0], [0.5, 0.6, 0.4, 0.5]).status.name
    'KEPT'
    >>> decide([1.0, 1.0], [0.1, 1.8]).status.name  # better on average, but not by more than its error
    'REVERTED_NO_GAIN'
    """
    before = np.asarray(frozen, dtype=np.float64)
    after = np.asarray(adapted, dtype=np.float64)
    if before.shape != after.shape or before.ndim != 1:
        raise InputError(
            sentence(
                f"losses of shapes {before.shape} and {after.shape}", expected="two vectors of equal length"
            )
        )
    if n_errors < 0:
        raise InputError(sentence(f"n_errors={n_errors}", expected="a number of at least 0"))
    n_rows = len(before)
    loss_before = float(before.mean()) if n_rows else math.nan
    if n_rows == 0:
        return Verdict(Status.REVERTED_TOO_FEW, loss_before, math.nan, math.nan, math.inf, math.inf, 0)
    if not np.isfinite(after).all():
        return Verdict(
            Status.REVERTED_NON_FINITE, loss_before, math.nan, math.nan, math.inf, math.inf, n_rows
        )
    delta = after - before
    difference = float(delta.mean())
    # One row says nothing about the spread, so no improvement on it is enough.
    error = float(delta.std(ddof=1) / math.sqrt(n_rows)) if n_rows > 1 else math.inf
    margin = n_errors * error if n_rows > 1 else math.inf
    loss_after = float(after.mean())
    kept = loss_after < loss_before and -difference > margin
    status = Status.KEPT if kept else Status.REVERTED_NO_GAIN
    return Verdict(status, loss_before, loss_after, difference, error, margin, n_rows)
