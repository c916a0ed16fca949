"""Smaller answers of the theory: frozen dataclasses of numbers, next to those in :mod:`testtime.results`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from testtime.results import Result
from testtime.theory.checks import check_word

__all__ = ["Alignment", "BestFilter", "ContextReduction", "LineSearch", "ScaledStart", "SeveralSteps"]


@dataclass(frozen=True)
class ScaledStart(Result):
    """The best start of the form c W*, W* being the pretraining optimum.

    Reference: this project; derivation in docs/theory/linear.

    Attributes
    ----------
    scale
        The factor c; 1 is the warm start, 0 the cold one.
    risk, step
        Risk after the best step from there, and that step.
    warm_risk, cold_risk
        The same for c = 1 and c = 0.
    """

    scale: float
    risk: float
    step: float
    warm_risk: float
    cold_risk: float


@dataclass(frozen=True)
class Alignment(Result):
    """Squared bias and context variance of given weights on a task, in the metrics of the input covariance S.

    Reference: Gozeten et al. (2025), section 5.

    Attributes
    ----------
    bias1, bias2, bias3
        A_j: the squared bias in the metric S^j.
    variance1, variance2, variance3
        V_j: the variance that the context adds, in the same metrics.
    noise_var, trace2, n_train
        Noise variance, tr(S^2) (the dimension when S is the identity) and the training rows k.
    """

    bias1: Any
    bias2: Any
    bias3: Any
    variance1: Any
    variance2: Any
    variance3: Any
    noise_var: Any
    trace2: Any
    n_train: Any

    @property
    def A(self) -> Any:
        """Squared bias in the metric of the risk."""
        return self.bias1

    @property
    def B(self) -> Any:
        """Context variance; A + B + noise_var is the risk before the step, in the limit."""
        return self.variance1

    def gain_limit(self, context: str = "fresh") -> Any:
        """Gain of the best step in the proportional limit: k G^2 / (k (A_3 + V_3) + tr(S^2) (A_1 + V_1 +
        noise)).

        G is A_2 for a fresh evaluation context and A_2 + V_2 for the same one.
        """
        check_word(context, "context", ("fresh", "same"))
        reached = self.bias2 + (self.variance2 if context == "same" else 0.0)
        risk = self.bias1 + self.variance1 + self.noise_var
        return self.n_train * reached**2 / (self.n_train * (self.bias3 + self.variance3) + self.trace2 * risk)


@dataclass(frozen=True)
class ContextReduction(Result):
    """Context rows needed for a target risk.

    Reference: Gozeten et al. (2025), section 4, sample complexity.

    Attributes
    ----------
    without, with_step
        Rows without a step (pretrained weights) and after the best step; ``inf`` when no context is long
        enough.
    factor
        ``without / with_step``.
    """

    without: float
    with_step: float
    factor: float


@dataclass(frozen=True)
class SeveralSteps(Result):
    """Risks along a path of steps.

    Reference: Gozeten et al. (2025), Fig. 2c.

    Attributes
    ----------
    risks
        Risk before the first step and after each of them.
    best_count, best_risk
        The number of steps with the least risk, and that risk: where to stop.
    """

    risks: tuple[float, ...]
    best_count: int
    best_risk: float


@dataclass(frozen=True)
class BestFilter(Result):
    """The least risk that a number of steps can reach.

    Reference: this project; derivation in docs/theory/linear.

    Attributes
    ----------
    risk
        That risk.
    coefficients
        Coefficients of the filter H, lowest power first, for inputs of variance 1.
    lengths
        Step lengths that reach it, ascending; None when they would have to be complex.
    """

    risk: float
    coefficients: tuple[float, ...]
    lengths: tuple[float, ...] | None


@dataclass(frozen=True)
class LineSearch(Result):
    """What an exact line search on the training rows finds on average, and what it should find.

    Reference: this project; derivation in docs/theory/linear.

    Attributes
    ----------
    numerator, denominator
        Exact means of ``|g|^2`` and ``|Xg|^2``.
    ratio
        Their quotient: the length the line search finds, in the limit.
    best_length
        The length that minimises the population risk.
    excess
        Risk lost by taking `ratio` instead of `best_length`.
    """

    numerator: float
    denominator: float
    ratio: float
    best_length: float
    excess: float
