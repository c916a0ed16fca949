"""Test-time training of a one-layer linear transformer: all names a user calls, in one place.

Setting and conventions: :class:`Setting`. Every risk includes the irreducible noise; a step is a rate on
the SUM of squared errors. Functions named ``*_limit`` hold for n, k and d growing together, all others for
every finite n, k and d.
"""

from __future__ import annotations

from testtime.results import Alignment, ContextReduction, OneStep, ScaledStart, Transition
from testtime.theory.alignment import alignment
from testtime.theory.limits import (
    gain_limit,
    icl_risk_limit,
    one_step_limit,
    smallest_context_limit,
    start_transition_limit,
    step_ratio_limit,
    transition_limit,
)
from testtime.theory.one_step import one_step
from testtime.theory.pretraining import icl_risk, pretrained_weight
from testtime.theory.sample_complexity import context_reduction, smallest_context
from testtime.theory.setting import Setting
from testtime.theory.transition import best_scaled_start, start_transition

__all__ = [
    "Alignment",
    "ContextReduction",
    "OneStep",
    "ScaledStart",
    "Setting",
    "Transition",
    "alignment",
    "best_scaled_start",
    "context_reduction",
    "gain_limit",
    "icl_risk",
    "icl_risk_limit",
    "one_step",
    "one_step_limit",
    "pretrained_weight",
    "smallest_context",
    "smallest_context_limit",
    "start_transition",
    "start_transition_limit",
    "step_ratio_limit",
    "transition_limit",
]
