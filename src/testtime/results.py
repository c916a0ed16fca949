"""What the library answers: frozen dataclasses that hold numbers only and carry their own diagnosis."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

__all__ = [
    "Alignment",
    "Claim",
    "ContextReduction",
    "OneStep",
    "Result",
    "ScaledStart",
    "Status",
    "Transition",
]


class Status(str, Enum):
    """How an adaptation ended; the value is advice a user can act on."""

    KEPT = "adapted weights kept"
    PLAIN = "plain in-context learning; no step was asked for"
    REVERTED_NO_GAIN = "reverted: no gain on guard rows; more rows or a smaller step may help"
    REVERTED_NON_FINITE = "reverted: the loss became non-finite; lower step_size"
    REVERTED_TOO_FEW = "not adapted: too few rows to train on and to guard; add rows or pass adapt=True"
    REVERTED_TIME = "reverted: the time limit ended before the guard had finished; raise time_limit"


def _plain(value: Any) -> Any:
    """Turn a value into what JSON can hold."""
    if isinstance(value, Result):
        return value.to_dict()
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, without importing NumPy
        return value.tolist()
    return value


@dataclass(frozen=True)
class Result:
    """Base of all results."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values, ready for ``json.dumps``."""
        return {field.name: _plain(getattr(self, field.name)) for field in fields(self)}


@dataclass(frozen=True)
class Claim(Result):
    """A statement of a paper (or ours) checked on a table of results.

    Attributes
    ----------
    statement
        The sentence that is asserted.
    holds
        Whether it holds with the margin.
    value, threshold
        The measured number and the number it is compared with, in the unit the statement names.
    """

    statement: str
    holds: bool
    value: float
    threshold: float


@dataclass(frozen=True)
class OneStep(Result):
    """The risk after one test-time training step, an exact quadratic in the step size.

    ``risk(step) = risk_before + slope * step + curvature * step**2 / 2``. All risks include the irreducible
    noise and are in units of y squared. For an array of settings every field is an array.

    Attributes
    ----------
    risk_before
        Risk of plain in-context learning, at step 0.
    slope, curvature
        First derivative of the risk at step 0, and its (constant) second derivative.
    best_step
        The step that minimises the risk; a gradient step on the SUM of squared errors. Negative when the
        gradient points the wrong way; 0 when there is nothing to train on.
    best_risk, gain
        Risk at the best step, and ``risk_before - best_risk`` (never negative).
    best_length
        The best step made dimensionless: 2 step E[u'u] for a fixed step, 2 step for a normalised one.
    limit_gain, half_train
        The gain for endless training rows, and the number of rows that reach half of it:
        ``gain = limit_gain * k / (k + half_train)``.
    """

    risk_before: Any
    slope: Any
    curvature: Any
    best_step: Any
    best_risk: Any
    gain: Any
    best_length: Any
    limit_gain: Any
    half_train: Any

    def risk(self, step: Any) -> Any:
        """Return the risk after a step of this size."""
        return self.risk_before + (self.slope + self.curvature / 2 * step) * step


@dataclass(frozen=True)
class Transition(Result):
    """Where the better start changes between the pretrained weights (warm) and zero weights (cold).

    Attributes
    ----------
    n_train
        The first number of training rows (real-valued) at which the better start changes; ``inf`` when warm
        wins for every number of rows, 0 when cold does.
    below, above
        Which start wins below the first crossing and beyond the last one: "warm" or "cold".
    crossings
        All crossings, ascending; two of them mean that the start which wins for few rows wins for many again.
    """

    n_train: float
    below: str
    above: str
    crossings: tuple[float, ...]


@dataclass(frozen=True)
class ScaledStart(Result):
    """The best start of the form c W*, W* being the pretraining optimum.

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
        reached = self.bias2 + (self.variance2 if context == "same" else 0.0)
        risk = self.bias1 + self.variance1 + self.noise_var
        return self.n_train * reached**2 / (self.n_train * (self.bias3 + self.variance3) + self.trace2 * risk)


@dataclass(frozen=True)
class ContextReduction(Result):
    """Context rows needed for a target risk.

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
