r"""How many rows the three-stage algorithm needs, as orders of magnitude.

Kuwataka and Suzuki (2026) bound the error of a single-index model with an r-dimensional hidden subspace,
adapted at test time, by the noise level plus three vanishing terms:

.. math:: E|f(x) - y| - \tau = \tilde O\big(N_4^{-1/2} + m^{-1/2} + r^{3/2} / N_3\big),

:math:`N_4` rows for the read-out, :math:`m` random features, :math:`N_3` rows for strong recovery. Before
that, weak recovery takes :math:`r^{\Theta(ge)}` rows with self-distillation and :math:`r^{\Theta(ie)}`
without, ie and ge being the information and generative exponents of the link. The input dimension d appears
nowhere.

Everything here drops logarithms and sets every unknown constant, in front and inside :math:`\Theta`, to
one. Use the functions to compare settings (how does the cost grow with r?), never to choose a number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf, isfinite, sqrt

from testtime.errors import InputError, sentence
from testtime.results import Result
from testtime.theory.checks import as_count, as_number
from testtime.theory.exponents.exponent import Exponent

__all__ = [
    "SegmentSizes",
    "excess_error",
    "readout_error",
    "recovery_error",
    "rows_with_distillation",
    "rows_without_distillation",
    "segment_sizes",
    "width_error",
]


@dataclass(frozen=True)
class SegmentSizes(Result):
    r"""Orders of magnitude of the four segments of the labelled rows, of the free queries, and of the width.

    Reference: Kuwataka and Suzuki (2026), main theorem.

    Attributes
    ----------
    teacher
        Rows in the context of the frozen model that answers fresh queries, :math:`N_1 = r^{ge+2}`.
    queries
        Those queries, which need no label, :math:`N_{new} = r^{ge+2}`.
    student
        Rows in the context of the student, :math:`N_2 = r^2`; zero rows are used by a student that needs no
        context.
    recovery
        Rows for strong recovery, one step each, :math:`N_3 = r^{3/2} / \epsilon`.
    readout
        Rows for the read-out, :math:`N_4 = \epsilon^{-2}`.
    width
        Random features of the read-out, :math:`m = \epsilon^{-2}`.
    """

    teacher: int
    queries: int
    student: int
    recovery: int
    readout: int
    width: int

    @property
    def total(self) -> int:
        """Labelled rows in all four segments."""
        return self.teacher + self.student + self.recovery + self.readout


def rows_with_distillation(rank: int, generative_exponent: float | Exponent) -> float:
    r"""Rows for weak recovery by self-distillation, :math:`r^{ge}` (order of magnitude).

    Reference: Kuwataka and Suzuki (2026), stage I.

    Parameters
    ----------
    rank
        Dimension r of the hidden subspace.
    generative_exponent
        From :func:`testtime.theory.hermite.generative_exponent`; infinite for a constant link.

    >>> rows_with_distillation(16, 1), rows_with_distillation(16, 2)
    (16.0, 256.0)
    """
    return _power(rank, generative_exponent, "generative_exponent")


def rows_without_distillation(rank: int, information_exponent: float | Exponent) -> float:
    r"""Rows for weak recovery from the raw labels, :math:`r^{ie}` (order of magnitude).

    Reference: Kuwataka and Suzuki (2026), stage I.

    Parameters
    ----------
    rank
        Dimension r of the hidden subspace.
    information_exponent
        From :func:`testtime.theory.hermite.information_exponent`; infinite for a constant link.

    >>> rows_without_distillation(16, 3)
    4096.0
    """
    return _power(rank, information_exponent, "information_exponent")


def readout_error(n_rows: int) -> float:
    r"""Error of the read-out fitted on `n_rows` rows, :math:`N_4^{-1/2}` (order of magnitude).

    Reference: Kuwataka and Suzuki (2026), stage III.

    >>> readout_error(400)
    0.05
    """
    return 1.0 / sqrt(_positive(n_rows, "n_rows"))


def width_error(n_features: int) -> float:
    r"""Error of a read-out with `n_features` random features, :math:`m^{-1/2}` (order of magnitude).

    Reference: Kuwataka and Suzuki (2026), stage III.

    >>> width_error(100)
    0.1
    """
    return 1.0 / sqrt(_positive(n_features, "n_features"))


def recovery_error(rank: int, n_rows: int) -> float:
    r"""Error left by strong recovery on `n_rows` rows, :math:`r^{3/2}/N_3` (order of magnitude).

    Reference: Kuwataka and Suzuki (2026), stage II.

    >>> recovery_error(4, 128)
    0.0625
    """
    return _rank(rank) ** 1.5 / _positive(n_rows, "n_rows")


def excess_error(rank: int, n_recovery: int, n_readout: int, n_features: int) -> float:
    r"""Sum of the three terms, :math:`E|f(x) - y| - \tau` in order of magnitude.

    Reference: Kuwataka and Suzuki (2026), main theorem.

    Parameters
    ----------
    rank
        Dimension r of the hidden subspace.
    n_recovery, n_readout
        Rows :math:`N_3` for strong recovery and :math:`N_4` for the read-out.
    n_features
        Width m of the read-out.

    >>> excess_error(4, n_recovery=80, n_readout=400, n_features=100)
    0.25
    """
    return recovery_error(rank, n_recovery) + readout_error(n_readout) + width_error(n_features)


def segment_sizes(rank: int, generative_exponent: float | Exponent, error: float) -> SegmentSizes:
    r"""Split of the labelled rows for which every term of the bound is about `error` (orders of magnitude).

    Reference: Kuwataka and Suzuki (2026), main theorem.

    Parameters
    ----------
    rank
        Dimension r of the hidden subspace.
    generative_exponent
        Generative exponent of the link; has to be finite.
    error
        Target :math:`\epsilon` for each term, in units of y over the scale of the link.

    >>> segment_sizes(rank=4, generative_exponent=1, error=0.1)
    SegmentSizes(teacher=64, queries=64, student=16, recovery=80, readout=100, width=100)
    """
    weak = rows_with_distillation(rank, generative_exponent)
    if not isfinite(weak) and not isfinite(float(generative_exponent)):
        raise InputError(
            sentence(
                f"generative_exponent={float(generative_exponent)} with rank={rank}",
                expected="a finite number of rows",
                why="a constant link says nothing about its direction",
            )
        )
    epsilon, r = _positive(error, "error"), int(_rank(rank))
    try:
        square, free = _round_up(epsilon**-2), _round_up(weak * r**2)
        return SegmentSizes(free, free, r**2, _round_up(r**1.5 / epsilon), square, square)
    except OverflowError as overflow:
        got = f"rank={r:.3g}, error={epsilon:.3g} and a generative exponent of {float(generative_exponent):g}"
        raise InputError(sentence(got, expected="numbers of rows below 1e308")) from overflow


def _round_up(value: float) -> int:
    return ceil(round(value, 9))  # 0.1**-2 is 99.99999999999999


def _power(rank: int, exponent: float | Exponent, name: str) -> float:
    endless = isinstance(exponent, float) and exponent == inf
    degree = float(exponent) if endless or isinstance(exponent, Exponent) else as_number(exponent, name)
    if not degree >= 1:
        raise InputError(
            sentence(f"{name}={degree:g}", expected="at least 1", why="it is a polynomial degree")
        )
    r = _rank(rank)
    try:
        return inf if degree == inf else r**degree
    except OverflowError:
        return inf


def _rank(rank: int) -> float:
    return as_number(as_count(rank, "rank", minimum=1), "rank")


def _positive(value: float, name: str) -> float:
    number = as_number(value, name)
    if not number > 0:
        raise InputError(sentence(f"{name}={value}", expected="a finite number above 0"))
    return number
