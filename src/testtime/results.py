"""What the library answers: frozen dataclasses that hold numbers only and carry their own diagnosis."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import Any

__all__ = ["Assumption", "Claim", "OneStep", "Plan", "Result", "Status", "Transition"]


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
class Assumption(Result):
    """What an answer rests on.

    Attributes
    ----------
    statement
        The assumption, a sentence.
    holds
        True or False where the setting tells, None where only the user can know.
    """

    statement: str
    holds: bool | None


@dataclass(frozen=True)
class Plan(Result):
    """What one test-time step does in a setting; risks include the irreducible noise.

    Attributes
    ----------
    risk_now, risk_after
        Risk of the pretrained weights without a step, and after the best step from the better start.
    start, best_step, best_length
        That start ("warm" or "cold"), its best step (on the sum of squared errors) and dimensionless length.
    warm_risk, cold_risk
        Risk after the best step from each start.
    flip_n_train, start_below, start_above
        Training rows at which the better start changes (``inf``: warm always, 0: cold always), and the
        winners around.
    context_without
        Context rows with which the pretrained weights reach `risk_after` without any step; ``inf`` when
        none do.
    scaled_start, scaled_risk
        The best factor c of a start c W*, and the risk after its best step.
    assumptions
        What the numbers rest on.
    """

    risk_now: float
    risk_after: float
    start: str
    best_step: float
    best_length: float
    warm_risk: float
    cold_risk: float
    flip_n_train: float
    start_below: str
    start_above: str
    context_without: float
    scaled_start: float
    scaled_risk: float
    assumptions: tuple[Assumption, ...]

    def explain(self) -> list[str]:
        """Return the plan as sentences."""
        weights = "the pretrained weights" if self.start == "warm" else "zero weights"
        saved = self.risk_now - self.risk_after
        lines = [
            f"Risk now: {self.risk_now:.4g}.",
            f"One step of size {self.best_step:.4g} from {weights} brings it to {self.risk_after:.4g}"
            + (f" ({saved / self.risk_now:.1%} less)." if self.risk_now else "."),
        ]
        if self.flip_n_train == float("inf"):
            lines.append("The pretrained weights are the better start for every number of training rows.")
        elif self.flip_n_train == 0:
            lines.append("Zero weights are the better start for every number of training rows.")
        else:
            other = "cold" if self.start_below == "warm" else "warm"
            lines.append(
                f"The better start changes from {self.start_below} to "
                f"{other} at {self.flip_n_train:.1f} training rows."
            )
        scaled = f"{self.scaled_start:.3g} times the pretrained weights"
        lines.append(f"A start of {scaled} reaches {self.scaled_risk:.4g}.")
        needed = self.context_without
        lines.append(
            "No context length reaches this risk without a step."
            if needed == float("inf")
            else f"Without a step the same risk needs {needed:,} context rows."
        )
        words = {True: "holds", False: "does not hold", None: "assumed"}
        return lines + [f"{words[one.holds]}: {one.statement}" for one in self.assumptions]
