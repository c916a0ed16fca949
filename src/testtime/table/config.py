"""What a fit is asked to do: checked arguments, in which None stands for "auto"."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from testtime.backbones.base import Limits
from testtime.errors import InputError, sentence

__all__ = ["ACCURACY", "MEMBERS", "MEMBERS_OF_ONE_STEP", "OBJECTIVES", "SHORT", "FitConfig"]

_CPU = torch.device("cpu")

ACCURACY, SHORT = "accuracy", "short"
OBJECTIVES = (ACCURACY, SHORT)
"""Serve all rows as context, up to the model's limit; or as few as the loss allows."""

MEMBERS, MEMBERS_OF_ONE_STEP = 8, 4
"""Adapters where the user names no number. After one step adapters hardly differ, so one for each fold is enough."""


@dataclass(frozen=True)
class FitConfig:
    """Arguments of a fit.

    Attributes
    ----------
    objective
        One of :data:`OBJECTIVES`.
    n_context
        Rows served as context; None lets the objective decide.
    n_steps
        Gradient steps; None lets the recipe decide, 0 is plain in-context learning.
    step_size
        First rate of the optimiser; None takes the recipe's.
    adapt
        What is trained; None takes the recipe's.
    planned
        Whether a forecast may decide that nothing is trained.
    rank
        Of low-rank changes.
    guard
        False serves the adapted models whatever they do.
    n_members
        Adapters.
    device, predict_dtype
        Where to compute, and the precision of predictions; None takes the model's. Training is in float32.
    time_limit
        Seconds for the fit; None for no limit.
    """

    objective: str = ACCURACY
    n_context: int | None = None
    n_steps: int | None = None
    step_size: float | None = None
    adapt: str | None = None
    planned: bool = False
    rank: int = 8
    guard: bool = True
    n_members: int = MEMBERS
    device: torch.device = _CPU
    predict_dtype: torch.dtype | None = None
    time_limit: float | None = None

    @property
    def serves_all(self) -> bool:
        """Whether all rows are served, rather than a number of them."""
        return self.objective == ACCURACY and self.n_context is None

    def dtype_on(self, limits: Limits) -> torch.dtype:
        """Return the precision of predictions: as asked, else what the model takes on this device.

        Raises
        ------
        InputError
            For a precision the model cannot compute in.
        """
        if self.predict_dtype is None:
            return limits.dtypes[0] if self.device.type == "cpu" else torch.float32
        if self.predict_dtype not in limits.dtypes:
            names = [str(dtype).removeprefix("torch.") for dtype in limits.dtypes]
            got = f"precision={str(self.predict_dtype).removeprefix('torch.')!r}"
            raise InputError(sentence(got, expected=" or ".join(names), why="the model computes in no other"))
        return self.predict_dtype
