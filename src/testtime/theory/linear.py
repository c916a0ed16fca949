"""Test-time training of a one-layer linear transformer: all names a user calls, in one place.

Setting and conventions: :class:`Setting`. Every risk includes the irreducible noise; a step is a rate on
the SUM of squared errors. Functions named ``*_limit`` hold for n, k and d growing together, all others for
every finite n, k and d.
"""

from __future__ import annotations

from testtime.results import OneStep, ScaledStart, Transition
from testtime.theory.one_step import one_step
from testtime.theory.pretraining import icl_risk, pretrained_weight
from testtime.theory.setting import Setting
from testtime.theory.transition import best_scaled_start, start_transition

__all__ = [
    "OneStep",
    "ScaledStart",
    "Setting",
    "Transition",
    "best_scaled_start",
    "icl_risk",
    "one_step",
    "pretrained_weight",
    "start_transition",
]
