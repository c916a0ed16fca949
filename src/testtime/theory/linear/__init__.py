"""Test-time training of a one-layer linear transformer: all names a user calls, in one eigenbasis.

Setting and conventions: :class:`Setting`. Every risk includes the irreducible noise; a step is a rate on
the SUM of squared errors. Functions named ``*_limit`` hold for n, k and d growing together, all others for
every finite n, k and d.
"""

from __future__ import annotations

from testtime.results import (
    OneStep,
    Transition,
)
from testtime.theory.linear.bias_variance import (
    alignment,
)
from testtime.theory.linear.context_per_row import (
    separate_contexts,
    separate_contexts_gain_limit,
)
from testtime.theory.linear.filter_limits import (
    best_filter_limit,
    converged_risk,
    mini_batch_risk,
    one_pass_limit,
    ridge_risk_limit,
    several_steps_fresh_limit,
    several_steps_limit,
)
from testtime.theory.linear.filters import (
    best_filter,
    best_first_length,
    decayed,
    several_steps,
)
from testtime.theory.linear.limits import (
    gain_limit,
    icl_risk_limit,
    one_step_limit,
    smallest_context_limit,
    start_transition_limit,
    step_ratio_limit,
    transition_limit,
)
from testtime.theory.linear.lora import (
    best_left,
    best_left_risk,
    lora_step,
    random_lora_step,
    residual_covariance,
)
from testtime.theory.linear.pretraining import (
    icl_risk,
    icl_risk_curve,
    pretrained_weight,
)
from testtime.theory.linear.rank_one import (
    rank_one_update,
)
from testtime.theory.linear.results import (
    Alignment,
    BestFilter,
    ContextReduction,
    LineSearch,
    ScaledStart,
    SeveralSteps,
)
from testtime.theory.linear.reused_rows import (
    leave_one_out,
    leave_one_out_limit,
)
from testtime.theory.linear.sample_complexity import (
    context_reduction,
    smallest_context,
)
from testtime.theory.linear.setting import (
    Setting,
)
from testtime.theory.linear.step import (
    one_step,
)
from testtime.theory.linear.step_length import (
    fresh_length_factor,
    line_search,
    line_search_bias_limit,
    line_search_means,
    practical_length,
)
from testtime.theory.linear.transition import (
    best_scaled_start,
    start_transition,
)

__all__ = [
    "Alignment",
    "BestFilter",
    "ContextReduction",
    "LineSearch",
    "OneStep",
    "ScaledStart",
    "Setting",
    "SeveralSteps",
    "Transition",
    "alignment",
    "best_filter",
    "best_filter_limit",
    "best_first_length",
    "best_left",
    "best_left_risk",
    "best_scaled_start",
    "context_reduction",
    "converged_risk",
    "decayed",
    "fresh_length_factor",
    "gain_limit",
    "icl_risk",
    "icl_risk_curve",
    "icl_risk_limit",
    "leave_one_out",
    "leave_one_out_limit",
    "line_search",
    "line_search_bias_limit",
    "line_search_means",
    "lora_step",
    "mini_batch_risk",
    "one_pass_limit",
    "one_step",
    "one_step_limit",
    "practical_length",
    "pretrained_weight",
    "random_lora_step",
    "rank_one_update",
    "residual_covariance",
    "ridge_risk_limit",
    "separate_contexts",
    "separate_contexts_gain_limit",
    "several_steps",
    "several_steps_fresh_limit",
    "several_steps_limit",
    "smallest_context",
    "smallest_context_limit",
    "start_transition",
    "start_transition_limit",
    "step_ratio_limit",
    "transition_limit",
]
