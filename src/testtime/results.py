"""What the library answers: frozen dataclasses that hold numbers only and carry their own diagnosis."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from testtime.errors import InputError, sentence
from testtime.plain import all_finite, plain

__all__ = [
    "UNDECIDED",
    "Adaptation",
    "Assumption",
    "Claim",
    "OneStep",
    "Part",
    "Plan",
    "Result",
    "Status",
    "Transition",
]


UNDECIDED = "undecided"  # in the place of a start where rounding hides which one is better


class Status(StrEnum):
    """How an adaptation ended; the value is advice a user can act on."""

    KEPT = "adapted models are served, mixed with the frozen one"
    PLAIN = "plain in-context learning; no step was asked for"
    REVERTED_NO_GAIN = "reverted: no gain on rows that were not trained on; more rows may help"
    REVERTED_NON_FINITE = "reverted: the loss became non-finite; lower step_size"
    REVERTED_TOO_FEW = "too few rows to train on and to guard; add rows"
    REVERTED_FEW_GROUPS = (
        "too few groups of rows to train on some and to guard with others; add rows of other groups"
    )
    REVERTED_TIME = "the time limit ended before the first steps; raise time_limit"
    SKIPPED = "nothing was trained: the forecast promised no gain worth its time"
    UNGUARDED = "adapted models are served without a guard, as asked"


@dataclass(frozen=True)
class Result:
    """Base of all results."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain Python values, ready for strict JSON: NaN is None, infinity "inf"."""
        return {field.name: plain(getattr(self, field.name)) for field in fields(self)}


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


_TRAINED = {
    "encoders": "the feature encoders (column and row stages)",
    "lora": "low-rank changes of every weight matrix",
    "norms": "norms and biases",
    "tail": "norms and biases of the in-context stage",
    "head": "the output head",
    "all": "all weights",
}


@dataclass(frozen=True)
class Part(Result):
    """One part of what may be served, and how it did on rows that it was not trained on.

    Attributes
    ----------
    name
        "frozen", or "adapted, 25 steps".
    loss
        Its mean loss when served alone.
    weight
        Its share of what is served.
    """

    name: str
    loss: float
    weight: float


@dataclass(frozen=True)
class Adaptation(Result):
    """What one fit did, and why.

    Losses are means over rows that were neither trained on nor part of the context when they were predicted (out of
    fold). For classes they are log losses in nats, for numbers continuous ranked probability scores in standard
    deviations of the target.

    Attributes
    ----------
    kept
        Whether adapted models have a share in what is served.
    status
        The reason, as advice.
    objective
        "accuracy" or "short".
    loss_before, loss_after
        Out-of-fold loss of the frozen model, averaged over its views, and of what is served; NaN where nothing was
        measured. `loss_after` is never above `loss_before`.
    gain, standard_error
        ``loss_before - loss_after``, and its standard error from the paired rows; rows of one group count as one.
    expected_gain
        The gain over the frozen model when all views and adapters are averaged, of which fewer can be out of fold.
    weight
        Share of the adapted models in what is served, from 0 to 1.
    parts
        What each part would have scored alone, and its weight.
    n_steps
        Steps of the adapters that are (or would have been) served; 0 for plain in-context learning.
    n_context
        Rows served as context.
    n_query
        Rows one adapter was trained on.
    n_guard
        Rows that were predicted out of fold.
    n_members, n_views
        Adapters that are served, and views of the frozen model that are averaged.
    n_trainable, adapter_bytes
        Size of one adapter in values, of all served adapters in bytes.
    adapt, step_size
        What was trained, and the optimiser's first rate (or, for one step, the length the line search chose).
    seconds
        Wall time of the fit.
    losses
        Training loss of the first adapter before each step.
    probes
        What the frozen model's loss was at other context lengths, as ``{"n_context": n, "loss": l}``.
    columns
        What became of each column of the table.
    notes
        Sentences about choices that were made.
    loss_name, unit
        What the losses are, and what they are measured in.
    rival_loss
        Out-of-fold loss of the frozen model with all rows as context, where fewer are served; else None.
    start_scale
        What training began with: 0 the frozen model (cold), 1 what other groups of the table have in common (warm).
    """

    kept: bool
    status: Status
    objective: str
    loss_before: float
    loss_after: float
    gain: float
    standard_error: float
    expected_gain: float
    weight: float
    parts: tuple[Part, ...]
    n_steps: int
    n_context: int
    n_query: int
    n_guard: int
    n_members: int
    n_views: int
    n_trainable: int
    adapter_bytes: int
    adapt: str
    step_size: float
    seconds: float
    losses: tuple[float, ...] = ()
    probes: tuple[dict[str, float], ...] = ()
    columns: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    loss_name: str = "log loss"
    unit: str = "nats"
    rival_loss: float | None = None
    start_scale: float = 0.0

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Adaptation:
        """Rebuild the record from :meth:`to_dict`."""
        known: dict[str, Any] = {f.name: values[f.name] for f in fields(cls) if f.name in values}
        for name in ("loss_before", "loss_after", "gain", "standard_error", "expected_gain", "step_size"):
            known[name] = math.nan if known[name] is None else float(known[name])
        for name in ("losses", "probes", "notes", "columns"):
            known[name] = tuple(known[name])
        known["parts"] = tuple(Part(**part) for part in known["parts"])
        known["status"] = Status[known["status"]]
        return cls(**known)

    def explain(self) -> str:
        """Say in sentences what was trained, what was measured, and what is served."""
        lines = []
        if self.n_steps == 0:
            lines.append(f"Nothing was trained: {self.status.value}.")
        else:
            steps = "one step" if self.n_steps == 1 else f"{self.n_steps} steps"
            lines.append(
                f"Trained {_TRAINED.get(self.adapt, self.adapt)} ({self.n_trainable:,} values per adapter) for {steps} "
                f"on {self.n_query:,} rows."
            )
            if self.n_guard:
                lines.append(self._what_was_measured())
            lines.append(f"Decision: {self.status.value}.")
        views = "one view" if self.n_views == 1 else f"{self.n_views} views"
        served = f"the frozen model in {views} of the table"
        if self.kept:
            adapters = "one adapter" if self.n_members == 1 else f"the mean of {self.n_members} adapters"
            served = f"{adapters} ({self.weight:.0%})" + (f" and {served}" if self.weight < 1 else "")
        lines.append(f"Predictions use {self.n_context:,} rows as context and {served}.")
        size = f"; the adapters take {self.adapter_bytes / 1000:,.0f} KB" if self.kept else ""
        lines.append(f"It took {self.seconds:.1f} s{size}.")
        lines.extend(self.notes)
        return " ".join(lines)

    def _what_was_measured(self) -> str:
        seen = f"On {self.n_guard:,} rows that each model had not seen, the {self.loss_name}, in {self.unit},"
        if not math.isfinite(self.loss_after):
            return f"{seen} of {self.loss_before:.4f} became non-finite."
        alone = ", ".join(f"{part.loss:.4f} {part.name}" for part in self.parts)
        rival = ""
        if self.rival_loss is not None:
            rival = f" With all rows as context, the frozen model had {self.rival_loss:.4f}."
        if not self.weight:
            return f"{seen} was {alone}, and no mixture was better than the frozen model.{rival}"
        return (
            f"{seen} fell from {self.loss_before:.4f} to {self.loss_after:.4f}: by {self.gain:.4f}, standard error "
            f"{self.standard_error:.4f} (alone: {alone}).{rival}"
        )


@dataclass(frozen=True)
class OneStep(Result):
    """The risk after one test-time training step, an exact quadratic in the step size.

    ``risk(step) = risk_before + slope * step + curvature * step**2 / 2``. All risks include the irreducible
    noise and are in units of y squared. For an array of settings every field is an array.

    Reference: Gozeten et al. (2025), sections 4 and 5.

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
        """Return the risk after a step of this size; an InputError refuses what is no finite number."""
        if not all_finite(step):
            got = f"step is {type(step).__name__} {step!r:.60}"
            raise InputError(sentence(got, expected="a finite number"))
        return self.risk_before + (self.slope + self.curvature / 2 * step) * step


@dataclass(frozen=True)
class Transition(Result):
    """Where the better start changes between the pretrained weights (warm) and zero weights (cold).

    Reference: Gozeten et al. (2025), Fig. 1b.

    Attributes
    ----------
    n_train
        The first number of training rows (real-valued) at which the better start changes; ``inf`` when warm
        wins for every number of rows, 0 when cold does, NaN when the two differ by less than rounding.
    below, above
        Which start wins below the first crossing and beyond the last one: "warm" or "cold", or "undecided".
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
    transition
        The number of training rows at which the better start changes.
    context_without
        Context rows with which the pretrained weights reach `risk_after` without any step; ``inf`` when
        none do.
    scaled_start, scaled_risk
        The best factor c of a start c W*, and the risk after its best step.
    assumptions
        What the numbers rest on.
    context_searched
        The longest context that was tried for `context_without`; ``inf`` where an equation was solved.
    """

    risk_now: float
    risk_after: float
    start: str
    best_step: float
    best_length: float
    warm_risk: float
    cold_risk: float
    transition: Transition
    context_without: float
    scaled_start: float
    scaled_risk: float
    assumptions: tuple[Assumption, ...]
    context_searched: float = float("inf")

    def explain(self) -> list[str]:
        """Return the plan as sentences."""
        weights = "the pretrained weights" if self.start == "warm" else "zero weights"
        less = f" ({(self.risk_now - self.risk_after) / self.risk_now:.1%} less)" if self.risk_now else ""
        step = f"One step of size {self.best_step:.4g} from {weights} brings it to {self.risk_after:.4g}"
        lines = [f"Risk now: {self.risk_now:.4g}.", f"{step}{less}."]
        change = self.transition
        if change.below == UNDECIDED:
            lines.append("Which start is better cannot be told: their risks differ by less than rounding.")
        elif not change.crossings:
            lines.append(f"A {change.below} start is better for every number of training rows.")
        elif len(change.crossings) == 1:
            lines.append(
                f"The better start changes from {change.below} to {change.above} "
                f"at {change.n_train:.1f} training rows."
            )
        else:
            other, (first, last) = "cold" if change.below == "warm" else "warm", change.crossings
            lines.append(f"A {other} start is better from {first:.1f} to {last:.1f} training rows only.")
        scaled, risk = self.scaled_start, self.scaled_risk
        lines.append(f"A start of {scaled:.3g} times the pretrained weights reaches {risk:.4g}.")
        needed = self.context_without
        if needed < math.inf:
            lines.append(f"Without a step the same risk needs {needed:,} context rows.")
        elif self.context_searched < math.inf:
            lines.append(
                f"Without a step, no context of up to {self.context_searched:,} rows reaches this risk."
            )
        else:
            lines.append("Without a step, no context length reaches this risk.")
        words = {True: "holds", False: "does not hold", None: "assumed"}
        return lines + [f"{words[one.holds]}: {one.statement}" for one in self.assumptions]
