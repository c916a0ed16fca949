"""The risk after one test-time training step: an exact quadratic in the step, and its minimum."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.results import OneStep
from testtime.theory.checks import as_count, as_matrix, as_number, check_word
from testtime.theory.linear import general, isotropic, normalized
from testtime.theory.linear.answers import answers
from testtime.theory.linear.eigenbasis import Eigenbasis, check_direction
from testtime.theory.linear.general import Coefficients, Step
from testtime.theory.linear.given_context import observed_coefficients, read_summary
from testtime.theory.linear.isotropic import ScalarStep
from testtime.theory.linear.moments import norm_nodes
from testtime.theory.linear.pretraining import Start, is_scalar_start, matrix_risk, resolve_start, scalar_risk
from testtime.theory.linear.quadratic_forms import FixedTask
from testtime.theory.linear.setting import Setting, check_broadcast, check_scale

__all__ = ["assemble", "one_step", "scalar_parts", "step_parts"]

Array = NDArray[np.float64]

_SMALLEST = 1e-290  # a coefficient below has lost digits, or its parts have, to underflow


@answers
def one_step(
    setting: Setting,
    start: Any = "warm",
    context: str = "fresh",
    step: str = "fixed",
    *,
    eval_context: Any = None,
    left: Any = None,
    right: Any = None,
    observed: Any = None,
) -> OneStep:
    r"""Exact population risk after one gradient step on the training rows, as a function of the step size.

    .. math:: W_\eta=W+2\eta\,P\,X_t^\top(y_t-X_tWu)\,u^\top Q,\qquad
        L(\eta)=L_0-4\eta\,kB_1+4\eta^2\,[k(k+1)c_1+kc_2]

    :math:`\eta` is the rate on the SUM of squared errors over the :math:`k` (``n_train``) training rows;
    for their mean it is :math:`k\eta`. :math:`B_1,c_1,c_2` do not depend on k, so the best risk is
    :math:`L_0-I_\infty k/(k+\kappa)` with :math:`I_\infty=B_1^2/c_1`, :math:`\kappa=1+c_2/c_1`. Exact for
    every n, k and d with Gaussian inputs.

    Reference: Gozeten et al. (2025), sections 4 and 5; derivation in docs/theory/linear.

    Parameters
    ----------
    setting
        A single setting, or an array of isotropic ones (every field of the result is then an array).
    start
        "warm" (the pretraining optimum), "cold" (zero), a number w for :math:`wI`, a diagonal, or a matrix.
    context
        "fresh": the updated weights predict from an independent context of the same task, as in the paper;
        "same": from the very context they were trained with.
    step
        "fixed": one :math:`\eta` for all contexts; "normalized": :math:`2\eta` is divided by :math:`u^\top
        Qu`.
    eval_context
        Rows of the fresh evaluation context; default ``n_context``.
    left, right
        Preconditioners :math:`P` and :math:`Q`: a number, a diagonal or a matrix; default the identity.
    observed
        A context that was seen: the pair ``(X, y)`` or the summary ``u = X'y``. The result is then
        conditional on it (the average runs over the training rows, and over the fresh context). Needs a
        task vector.

    Returns
    -------
    OneStep
        With ``risk_before, slope, curvature, best_step, best_risk, gain`` and ``risk(step)``.

    Raises
    ------
    InputError
        For unknown words, shapes that do not match, a normalised fresh step whose mean square is infinite, or
        inputs and labels of a scale that takes the coefficients out of the range of floating-point numbers.

    >>> answer = one_step(Setting(n_context=100, n_train=100, dim=100, task=1.0))
    >>> round(answer.risk_before, 4), round(answer.best_risk, 4), round(answer.best_length, 4)
    (0.5025, 0.4448, 0.0047)
    >>> round(one_step(Setting(100, 100, dim=100, task=1.0), context="same", step="normalized").best_risk, 4)
    0.2525
    """
    check_word(context, "context", ("fresh", "same"))
    check_word(step, "step", ("fixed", "normalized"))
    rows = None if eval_context is None else as_count(eval_context, "eval_context")
    if rows is not None and context == "same":
        raise InputError(
            sentence(
                f"eval_context={eval_context!r:.40} with context='same'",
                expected="eval_context only with context='fresh'",
                why="the same context has n_context rows",
                remedy="Leave eval_context out",
            )
        )
    check_scale(setting)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # looked at below
        before, coefficients = step_parts(setting, start, context, step, rows, left, right, observed)
    if observed is None and all(side is None or np.any(side) for side in (left, right)):
        _check_not_lost(setting, rows, coefficients)
    return assemble(before, coefficients, setting.n_train)


def _check_not_lost(setting: Setting, rows: Array | None, parts: Coefficients) -> None:
    """Refuse a noise coefficient that underflowed; with a context to read and one to write along, it is > 0."""
    read = setting.n_context if rows is None else rows
    steps = (np.asarray(setting.n_context) > 0) & (np.asarray(read) > 0) & (np.asarray(setting.n_train) > 0)
    if np.any(steps & (np.abs(parts.noise) < _SMALLEST)):
        raise _out_of_range()


def _out_of_range() -> InputError:
    return InputError(
        sentence(
            "the coefficients of the step leave the range of floating-point numbers",
            expected="inputs and labels with variances not too far from 1",
            why="they grow like the third power of the labels' variance and the fourth of the inputs'",
            remedy="Divide the inputs and the labels by their standard deviations; the relative gain is the same",
        )
    )


def step_parts(
    setting: Setting,
    start: Any,
    context: str,
    step: str,
    rows: Array | None = None,
    left: Any = None,
    right: Any = None,
    observed: Any = None,
) -> tuple[Any, Coefficients]:
    """Risk before the step and its coefficients, which do not depend on ``n_train``; as in :func:`one_step`."""
    if (
        left is None
        and right is None
        and observed is None
        and setting.isotropic
        and is_scalar_start(setting, start)
    ):
        if rows is not None:
            check_broadcast(setting, rows, "eval_context")
        return scalar_parts(setting, resolve_start(setting, start), context, step, rows)
    eigenbasis = Eigenbasis.of(setting)
    eval_rows = float(setting.n_context) if rows is None else as_number(rows, "eval_context")
    sides = [
        np.ones(setting.dim) if matrix is None else eigenbasis.inward(as_matrix(matrix, name, setting.dim))
        for matrix, name in ((left, "left"), (right, "right"))
    ]
    weights = resolve_start(setting, start, eigenbasis)
    for matrix, name in zip(sides, ("left", "right"), strict=True):
        check_direction(setting, matrix, name)
    plan = Step(
        eigenbasis, weights, sides[0], sides[1], float(setting.n_context), eval_rows, setting.noise_var
    )
    if observed is not None:
        return observed_coefficients(plan, read_summary(observed, setting, eigenbasis), context, step)
    before = matrix_risk(setting, eigenbasis, plan.start, eval_rows)
    return before, _coefficients(plan, context, step, right is not None)


def _coefficients(plan: Step, context: str, step: str, weighted: bool) -> Coefficients:
    """Choose the formula for one matrix setting."""
    if step == "fixed":
        return general.fresh_fixed(plan) if context == "fresh" else general.same_fixed(plan)
    if context == "same":
        return general.same_normalized(plan)
    if weighted:
        raise InputError(
            sentence(
                "a right preconditioner with step='normalized' and context='fresh'",
                expected="step='fixed', or no right preconditioner",
                why="no formula is known for the mean of its ratios",
                remedy="Use step='fixed'",
            )
        )
    task = plan.eigenbasis.task
    if not isinstance(task, FixedTask):
        raise InputError(
            sentence(
                "a random test task, an input_cov or task_cov that is not a number, step='normalized', "
                "context='fresh'",
                expected="a fixed task vector",
                why="the ratio is not a polynomial in the task",
                remedy="Pass task=..., and average over tasks if you need to",
            )
        )
    normalized.check_ratio_moments(plan.rows, len(task.beta), plan.noise)
    return normalized.fresh_normalized(plan, task)


def scalar_parts(
    setting: Setting, start: Start, context: str, step: str, rows: Array | None
) -> tuple[Any, Coefficients]:
    """Risk before the step and its coefficients for isotropic settings (one or an array), O(1) each."""
    n, d, noise = (np.asarray(v, dtype=float) for v in (setting.n_context, setting.dim, setting.noise_var))
    power = setting.input_cov  # inputs are divided by its root: the task and the weights are multiplied
    m = n if rows is None else rows
    if step == "normalized" and context == "fresh":
        normalized.check_ratio_moments(n, d, noise)
    if setting.task is not None:
        norms, weights = np.asarray(setting.task_norm, dtype=float)[None], np.ones(1)
    elif step == "normalized" and context == "fresh" and np.any(noise > 0):
        raise InputError(
            sentence(
                "a random test task with noise, step='normalized' and context='fresh'",
                expected="the squared norm of a fixed task",
                why="the ratio is not a polynomial in the task",
                remedy="Pass task=<squared norm>",
            )
        )
    else:
        norms, weights = norm_nodes(d, float(setting.test_task_covariance))
    scaled = [
        ScalarStep(
            n, m, d, power * norm, noise, power * start.weight,
            start.bias_scalar(power, n), start.bias_scalar(power, n + 1.0), start.bias_scalar(power, m + 1.0),
        )
        for norm in norms
    ]  # fmt: skip
    if step == "fixed":
        formula = isotropic.fresh_fixed if context == "fresh" else isotropic.same_fixed
    elif context == "same":
        formula = isotropic.same_normalized
    else:
        formula = (
            normalized.fresh_normalized_scalar if np.any(noise > 0) else normalized.fresh_normalized_clean
        )
    parts = [formula(one) for one in scaled]
    linear, square, extra, length = (
        sum(weight * getattr(part, name) for weight, part in zip(weights, parts, strict=True))
        for name in ("linear", "square", "noise", "length")
    )
    before = sum(
        weight * scalar_risk(setting, start, norm, m) for weight, norm in zip(weights, norms, strict=True)
    )
    scale = power if step == "normalized" else power**2  # back to the caller's input units
    length = length * power if step == "fixed" else length
    return before, Coefficients(linear * scale, square * scale**2, extra * scale**2, length)


def assemble(before: Any, parts: Coefficients, n_train: Any) -> OneStep:
    """Turn B1, c1, c2 into the answer, without dividing by zero when nothing can be learnt.

    Raises
    ------
    InputError
        When they, or the risk, overflowed.
    """
    k = np.asarray(n_train, dtype=float)
    values = (before, parts.linear, parts.square, parts.noise, parts.length, k)
    before, linear, square, noise, length, k = np.broadcast_arrays(
        *(np.asarray(v, dtype=float) for v in values)
    )
    with np.errstate(over="ignore", invalid="ignore"):
        whole = (k + 1.0) * square + noise
        curvature = 8.0 * k * whole
    if not np.all(np.isfinite(before) & (np.isfinite(linear + curvature) | (k == 0))):
        raise _out_of_range()
    with np.errstate(divide="ignore", invalid="ignore"):
        useful = (whole > 0) & (k > 0)
        best = np.where(useful, linear / (2.0 * whole), 0.0)
        limit = np.where(square > 0, linear / square * linear, 0.0)
        half = np.where(square > 0, 1.0 + noise / square, np.inf)
        gain = np.where(useful, k * linear / whole * linear, 0.0)
        # (L0 - I) + I kappa/(k + kappa) keeps its digits where the step removes nearly all of the risk
        kept = np.where(useful & (square > 0), (before - limit) + limit * (half / (k + half)), before - gain)
    fields = (
        before, -4.0 * k * linear, curvature, best, kept, gain, 2.0 * best * length, limit, half
    )  # fmt: skip
    return OneStep(*((float(value) if np.ndim(value) == 0 else value) for value in fields))
