"""What training returns: a delta after some of its steps, and a record of the losses."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

__all__ = ["State", "Trained"]

State = dict[str, Tensor]
"""A delta: the trained tensors by name."""


@dataclass(frozen=True)
class Trained:
    """What came out of training.

    Attributes
    ----------
    snapshots
        The delta after so many steps, in memory of its own; empty when no step was taken.
    losses
        Training loss before each step.
    n_steps
        Steps taken; fewer than planned when time ran out or the loss became non-finite.
    finite
        Whether every loss and gradient was finite.
    n_trainable
        Number of trained values.
    seconds
        Wall time.
    out_of_time
        Whether the budget ended training early.
    step_length
        For one step: the chosen multiple of the base length (0: stay). None otherwise.
    """

    snapshots: dict[int, State]
    losses: tuple[float, ...]
    n_steps: int
    finite: bool
    n_trainable: int
    seconds: float = 0.0
    out_of_time: bool = False
    step_length: float | None = None

    @property
    def last(self) -> State:
        """The delta after the last step."""
        return self.snapshots[max(self.snapshots)]

    def then(self, later: Trained) -> Trained:
        """Return this training with `later`, which began at its last delta, as one."""
        # Not `n_steps`: a step whose episode asked nothing was done, and is not among those that were taken.
        done = max(self.snapshots)
        moved = {done + step: state for step, state in later.snapshots.items()}
        return replace(
            self,
            snapshots=self.snapshots | moved,
            losses=self.losses + later.losses,
            n_steps=self.n_steps + later.n_steps,
            finite=self.finite and later.finite,
            seconds=self.seconds + later.seconds,
            out_of_time=self.out_of_time or later.out_of_time,
        )
