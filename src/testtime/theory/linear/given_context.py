"""One step conditional on a context that was seen: nothing is averaged over the training context."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.theory.checks import as_finite
from testtime.theory.linear.eigenbasis import Eigenbasis
from testtime.theory.linear.general import Coefficients, Step
from testtime.theory.linear.matrices import apply, transpose
from testtime.theory.linear.pretraining import matrix_risk
from testtime.theory.linear.quadratic_forms import FixedTask
from testtime.theory.linear.setting import Setting

__all__ = ["observed_coefficients", "read_summary"]

Array = NDArray[np.float64]


def read_summary(observed: Any, setting: Setting, eigenbasis: Eigenbasis) -> Array:
    """Return u = X'y in the eigenbasis, from the pair (X, y) or from u itself."""
    if isinstance(observed, tuple):
        if len(observed) != 2:
            raise InputError(
                sentence(
                    f"observed has {len(observed)} parts",
                    expected="(X, y) or u",
                    remedy="Pass observed=(X, y)",
                )
            )
        inputs, labels = as_finite(observed[0], "observed X"), as_finite(observed[1], "observed y")
        if inputs.shape != (setting.n_context, setting.dim) or labels.shape != (setting.n_context,):
            raise InputError(
                sentence(
                    f"observed X has shape {inputs.shape} and y {labels.shape}",
                    expected=f"({setting.n_context}, {setting.dim}) and ({setting.n_context},)",
                    why="n_context and dim say so",
                    remedy="Pass the rows the setting counts",
                )
            )
        _check_direction_known(setting)
        return eigenbasis.vector(labels @ inputs)
    summary = as_finite(observed, "observed u")
    if summary.shape != (setting.dim,):
        raise InputError(
            sentence(
                f"observed u has shape {summary.shape}",
                expected=f"({setting.dim},)",
                why="u = X'y has one entry per input dimension",
                remedy="Pass observed=(X, y) or observed=X.T @ y",
            )
        )
    _check_direction_known(setting)
    return eigenbasis.vector(summary)


def _check_direction_known(setting: Setting) -> None:
    if setting.task is not None and not np.ndim(setting.task) and setting.dim > 1:
        raise InputError(
            sentence(
                f"an observed context with task={setting.task:g}, a squared norm",
                expected="the task vector",
                why="the risk given a context depends on the task that made it",
                remedy="Pass Setting(..., task=beta)",
            )
        )


def observed_coefficients(step: Step, summary: Array, context: str, rule: str) -> tuple[float, Coefficients]:
    r"""Risk before the step and its coefficients for a given u.

    `same`: :math:`B_1=q\,r^\top\Sigma P\Sigma r`, :math:`c_1=q^2r^\top\Sigma M\Sigma r`,
    :math:`c_2=q^2\mathrm{tr}(\Sigma M)(\sigma^2+r^\top\Sigma r)`; `fresh`: :math:`q` becomes :math:`u^\top
    Qv` and is averaged over v, so that :math:`B_1=u^\top QN_v^\top\Sigma P\Sigma r` and :math:`q^2` becomes
    :math:`u^\top QCQ^\top u`.
    """
    eigenbasis, task = step.eigenbasis, step.eigenbasis.task
    if not isinstance(task, FixedTask):
        raise InputError(
            sentence(
                "an observed context without a task",
                expected="the task vector",
                why="the risk given a context depends on the task that made it",
                remedy="Pass Setting(..., task=beta)",
            )
        )
    spectrum, beta, m = eigenbasis.spectrum, task.beta, step.eval_rows
    a = spectrum * beta
    label = float(beta @ a) + step.noise
    residual = beta - apply(step.start.weight, summary)
    once, twice, trace = step.metric()
    risk = float(residual @ (spectrum * residual)) + step.noise
    size = float(summary @ apply(step.right, summary))
    pushed = apply(once, residual)
    if context == "same":
        before, linear, square = risk, size * float(residual @ pushed), size**2
    else:
        setting = Setting(int(m), 0, dim=len(beta), noise_var=step.noise)
        before = matrix_risk(setting, eigenbasis, step.start, m)
        read = apply(transpose(step.right), summary)  # Q'u
        toward = apply(step.start.bias(spectrum, m + 1.0), beta)
        back = apply(transpose(step.start.weight), pushed)
        linear = m * (float(read @ a) * float(toward @ pushed) - label * float(read @ (spectrum * back)))
        square = m * (m + 1.0) * float(read @ a) ** 2 + m * label * float(read @ (spectrum * read))
    along, noise = square * float(residual @ apply(twice, residual)), square * trace * risk
    if rule == "normalized":
        if not size:
            return before, Coefficients(0.0, 0.0, 0.0, 1.0)
        return before, Coefficients(linear / size, along / size**2, noise / size**2, 1.0)
    return before, Coefficients(linear, along, noise, size)
