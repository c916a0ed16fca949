"""A setting turned into advice: how long a step, from where, and what it is worth in context rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from testtime.errors import InputError, sentence
from testtime.results import Assumption, Plan
from testtime.theory.checks import as_count, as_finite, as_number
from testtime.theory.linear.eigenbasis import Eigenbasis
from testtime.theory.linear.limits import start_transition_limit
from testtime.theory.linear.sample_complexity import smallest_context
from testtime.theory.linear.setting import Setting, require_single
from testtime.theory.linear.step import one_step
from testtime.theory.linear.transition import best_scaled_start, start_transition

__all__ = ["plan", "unit_setting"]

_MOST_ROWS = 10_000_000  # longest context that is tried, over the dimension: it takes O(d) to try one
_FAR = 10**15  # longest context that is told where an equation is solved for it


def unit_setting(
    n_context: int,
    n_train: int,
    dim: int,
    noise_var: float = 0.0,
    alignment: float | np.ndarray | None = None,
    spread: float = 0.8,
) -> Setting:
    r"""A setting with labels of signal variance 1 and a chosen alignment of task and pretraining.

    Without `alignment` all is isotropic: :math:`\Sigma=I`, tasks of squared norm 1, and pretraining tasks
    :math:`N(0,I/d)`. With it, the pretraining tasks have covariance diag(l)/d with l evenly spaced from
    1 - `spread` to 1 + `spread`, and the test task has

    .. math:: \beta_j^2=[1+\rho\,(l_j-1)]/d

    so that :math:`\rho=1` puts its weight where pretraining expected it, 0 is flat and -1 has the reversed
    spectrum. In all three :math:`|\beta|^2=1`.

    Reference: this project.

    Parameters
    ----------
    n_context, n_train, dim
        :math:`n,k,d`.
    noise_var
        :math:`\sigma^2`, as a multiple of the signal variance.
    alignment
        :math:`\rho` in [-1, 1]; or a ``(d, d)`` matrix, the covariance of the pretraining tasks (scaled to
        trace 1; the test task is then drawn from N(0, I/d)).
    spread
        How uneven the pretraining tasks are, at least 0 and below 1; used with an alignment number.

    >>> setting = unit_setting(40, 128, 60, 0.1, alignment=-1.0)
    >>> round(float(setting.task @ setting.task), 12), round(float(setting.task[0] ** 2 * 60), 12)
    (1.0, 1.8)
    """
    d = int(as_number(as_count(dim, "dim", minimum=1), "dim"))
    if alignment is None:
        return Setting(n_context, n_train, dim=d, task_cov=1.0 / d, task=1.0, noise_var=noise_var)
    given = as_finite(alignment, "alignment")
    if given.ndim:
        trace = float(np.trace(given)) if given.ndim == 2 else float(given.sum())
        scaled = given / trace if trace > 0 else given
        return Setting(n_context, n_train, dim=d, task_cov=scaled, test_task_cov=1.0 / d, noise_var=noise_var)
    if abs(given) > 1:
        raise InputError(
            sentence(
                f"alignment={float(given):g}",
                expected="a number from -1 to 1, or a matrix",
                why="1 is the spectrum of pretraining, 0 a flat one and -1 the reversed one",
                remedy="Leave it out for isotropic tasks",
            )
        )
    spread = as_number(spread, "spread")
    if not 0 <= spread < 1:
        raise InputError(
            sentence(
                f"spread={spread:g}",
                expected="a number of at least 0 and below 1",
                why="the task variances run from 1 - spread to 1 + spread",
                remedy="Pass spread=0.8, say",
            )
        )
    spectrum = np.linspace(1.0 - spread, 1.0 + spread, d) if d > 1 else np.ones(1)
    task = np.sqrt((1.0 + float(given) * (spectrum - 1.0)) / d)
    return Setting(n_context, n_train, dim=d, task_cov=spectrum / d, task=task, noise_var=noise_var)


def plan(setting: Setting, context: str = "fresh", step: str = "fixed") -> Plan:
    """Say what a test-time step does in this setting, and what the answer rests on.

    Reference: this project.

    Parameters
    ----------
    setting
        A single setting, of :func:`unit_setting` or your own.
    context, step
        As in :func:`~testtime.theory.linear.one_step`.

    Returns
    -------
    Plan
        Numbers, the assumptions with whether they hold, and ``explain()``.

    Raises
    ------
    InputError
        For an array of settings, and what :func:`~testtime.theory.linear.one_step` refuses.

    >>> answer = plan(unit_setting(40, 128, 60, 0.1))
    >>> answer.start, round(answer.risk_now, 3), round(answer.risk_after, 3)
    ('cold', 0.726, 0.53)
    >>> answer.explain()[2]
    'The better start changes from warm to cold at 84.2 training rows.'
    """
    require_single(setting, why="advice is given for one setting at a time")
    warm, cold = (one_step(setting, start, context, step) for start in ("warm", "cold"))
    start = "cold" if cold.best_risk < warm.best_risk else "warm"
    chosen = cold if start == "cold" else warm
    without, searched = _context_without(setting, chosen.best_risk)
    flip = start_transition(setting, context, step)
    scaled = best_scaled_start(setting, context, step)
    return Plan(
        risk_now=warm.risk_before,
        risk_after=chosen.best_risk,
        start=start,
        best_step=chosen.best_step,
        best_length=chosen.best_length,
        warm_risk=warm.best_risk,
        cold_risk=cold.best_risk,
        transition=flip,
        context_without=without,
        scaled_start=scaled.scale,
        scaled_risk=scaled.risk,
        assumptions=_assumptions(setting, context, step, flip.n_train),
        context_searched=searched,
    )


def _context_without(setting: Setting, risk: float) -> tuple[float, float]:
    """Context rows with which plain in-context learning reaches a risk, inf when none do, and the longest tried."""
    largest = _FAR if setting.isotropic else max(_MOST_ROWS // setting.dim, 1)
    try:
        found = smallest_context(setting.replace(n_train=0), risk, "warm", largest=largest)
    except InputError:  # reachable, but only beyond
        return float("inf"), largest
    return found, float("inf") if setting.isotropic else largest


def _assumptions(setting: Setting, context: str, step: str, flip: float) -> tuple[Assumption, ...]:
    n, k, d = setting.n_context, setting.n_train, setting.dim
    signal, expected = _signal(setting)
    reach = 3.0 * np.sqrt(d)
    reading = (
        "the updated weights are used on other contexts of the same task"
        if context == "fresh"
        else "the updated weights are used on the very context they were trained with"
    )
    rule = "one step size serves every context" if step == "fixed" else "the step is divided by |u|^2"
    found = [
        Assumption("inputs and label noise are Gaussian, and labels are linear in the inputs", None),
        Assumption(
            "the model is one layer of linear attention, pretrained to its optimum for this n and noise", None
        ),
        Assumption(f"{reading}; {rule}", None),
        Assumption(f"there are rows to train on and context rows to read (k={k}, n={n})", k > 0 and n > 0),
        Assumption(
            f"the test task has the signal variance of pretraining ({signal:.3g} against {expected:.3g})",
            abs(signal - expected) <= 0.1 * expected,
        ),
        Assumption(f"n={n} is above 3 sqrt(d) = {reach:.3g}, where limiting laws begin to hold", n >= reach),
    ]
    if np.isfinite(flip) and flip > 0 and n > 0:
        limit = start_transition_limit(setting, context).n_train
        close = np.isfinite(limit) and abs(flip - limit) <= 0.1 * limit
        found.append(
            Assumption(
                f"the limiting law would do: the start changes at k={limit:.4g}, exactly at k={flip:.4g}",
                bool(close),
            )
        )
    return tuple(found)


def _signal(setting: Setting) -> tuple[float, float]:
    """Signal variance of the test task, and the one pretraining expected."""
    if setting.isotropic:  # no vectors: a dimension may be larger than memory
        norm = setting.task_norm if setting.task is not None else setting.dim * setting.test_task_covariance
        return setting.input_cov * norm, setting.input_cov * setting.task_cov * setting.dim
    eigenbasis = Eigenbasis.of(setting)
    label: Any = eigenbasis.task.mean(eigenbasis.task.form(eigenbasis.spectrum))
    prior = eigenbasis.task_cov if eigenbasis.task_cov.ndim == 1 else np.diagonal(eigenbasis.task_cov)
    return label, float(eigenbasis.spectrum @ prior)
