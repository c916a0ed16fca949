r"""Limits for n, k and d growing together: :math:`\alpha=n/d`, :math:`\gamma=k/d`, risks in units of
:math:`|\beta|^2`.

They are what papers print. Their relative error is O(1/d), which is not small at d below a hundred: at d =
30 the exact transition lies 43% above its limit. They also need n well above :math:`\sqrt d`. Use the exact
functions to decide anything.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from testtime.errors import InputError, sentence
from testtime.results import OneStep, Transition
from testtime.theory.checks import as_number, as_ratio, check_word
from testtime.theory.linear.answers import answers
from testtime.theory.linear.bias_variance import alignment
from testtime.theory.linear.crossing import cross
from testtime.theory.linear.eigenbasis import Eigenbasis
from testtime.theory.linear.general import Coefficients
from testtime.theory.linear.setting import Setting, check_scale, require_single
from testtime.theory.linear.step import assemble

__all__ = [
    "gain_limit",
    "icl_risk_limit",
    "one_step_limit",
    "smallest_context_limit",
    "start_transition_limit",
    "step_ratio_limit",
    "transition_limit",
]


@answers
def icl_risk_limit(context_ratio: Any, noise_ratio: Any = 0.0) -> Any:
    r"""Risk of in-context learning with pretrained weights, isotropic.

    .. math:: L_0=v+(1+v)/q,\qquad q=\alpha+1+v

    :math:`\alpha=n/d` is `context_ratio`, :math:`v=\sigma^2/|\beta|^2` `noise_ratio`.

    Reference: Gozeten et al. (2025), section 4.

    >>> icl_risk_limit(1.0)
    0.5
    """
    alpha, v = as_ratio(context_ratio, "context_ratio"), as_ratio(noise_ratio, "noise_ratio")
    return v + (1 + v) / (alpha + 1 + v)


@answers
def gain_limit(
    context_ratio: Any, train_ratio: Any, noise_ratio: Any = 0.0, start: str = "warm", context: str = "fresh"
) -> Any:
    r"""Gain of the best step, isotropic, pretraining and test tasks of the same norm.

    .. math:: I=\frac{\gamma(1+v)^4}{q^3h}\ (\text{fresh}),\quad \frac{\gamma(1+v)^2}{qh}\ (\text{same}),\quad
        \frac{\gamma}{\gamma+1+v}\ (\text{cold}),\qquad q=\alpha+1+v,\ h=(1+\gamma)(1+v)+vq

    :math:`\alpha` is `context_ratio`, :math:`\gamma=k/d` `train_ratio`, :math:`v` `noise_ratio`. Without
    noise the fresh gain is :math:`\frac{k}{k+d}\frac{d^3}{(n+d)^3}`.

    Reference: Gozeten et al. (2025), section 4.

    >>> gain_limit(1.0, 1.0)
    0.0625
    """
    alpha, gamma, v = (
        as_ratio(value, name)
        for value, name in (
            (context_ratio, "context_ratio"),
            (train_ratio, "train_ratio"),
            (noise_ratio, "noise_ratio"),
        )
    )
    check_word(context, "context", ("fresh", "same"))
    check_word(start, "start", ("warm", "cold"))
    if start == "cold":
        return gamma / (gamma + 1 + v)
    q = alpha + 1 + v
    h = (1 + gamma) * (1 + v) + v * q
    return gamma * (1 + v) ** 2 / (q * h) * (1.0 if context == "same" else ((1 + v) / q) ** 2)


@answers
def transition_limit(context_ratio: float, noise_ratio: float = 0.0) -> float:
    r"""Ratio :math:`\gamma^*=k/d` where cold overtakes warm on fresh contexts, isotropic; ``inf`` when it
    never does, NaN where the starts differ by less than rounding.

    .. math:: \gamma^*=(1+\alpha)^2/(2+\alpha)\qquad(\sigma^2=0)

    With noise it is the root of the crossing equation. :math:`\alpha` is `context_ratio`, :math:`v`
    `noise_ratio`.

    Reference: Gozeten et al. (2025), Fig. 1b.

    >>> round(transition_limit(1.0), 4), round(transition_limit(1.0, 0.5), 3)
    (1.3333, 1.479)
    """
    alpha, v = (
        as_number(as_ratio(value, name), name)
        for value, name in ((context_ratio, "context_ratio"), (noise_ratio, "noise_ratio"))
    )
    if v == 0:
        return (1 + alpha) ** 2 / (2 + alpha)
    q = alpha + 1 + v
    excess = (1 + v) / q
    warm = assemble(excess + v, Coefficients(excess * (1 + v) / q, excess, v, 1.0), 1.0)
    cold = assemble(1 + v, Coefficients(1.0, 1.0, v, 1.0), 1.0)
    return cross(warm, cold).n_train


@answers
def step_ratio_limit(context_ratio: Any, noise_ratio: Any = 0.0) -> Any:
    r"""How much longer the step tuned on its own context is than the step that is best for fresh contexts,
    isotropic.

    .. math:: t=\kappa(A+B)/A=\alpha/(1+v),\qquad\kappa=\alpha/(\alpha+1+v)

    On fresh contexts it gains :math:`t(2-t)` times the best gain: nothing at t = 2, and it harms beyond.

    Reference: this project; derivation in docs/theory/linear.

    >>> step_ratio_limit(2.0)
    2.0
    """
    alpha, v = as_ratio(context_ratio, "context_ratio"), as_ratio(noise_ratio, "noise_ratio")
    return alpha / (1 + v)


@answers
def smallest_context_limit(target_ratio: float, train_ratio: float, context: str = "fresh") -> float:
    r"""Smallest :math:`n/d` that reaches a risk of `target_ratio` times :math:`|\beta|^2`; isotropic,
    noise-free.

    With :math:`\alpha_0=1/t-1` (what plain in-context learning needs) and :math:`\gamma` `train_ratio`: 0,
    that is n = o(d), when :math:`\gamma\ge\alpha_0`. Else, for the same context,
    :math:`(\alpha_0-\gamma)/(1+\gamma)`; for fresh contexts :math:`1/z-1` with
    :math:`z-\frac{\gamma}{1+\gamma}z^3=t`.

    Reference: Gozeten et al. (2025), section 4, sample complexity.

    >>> round(smallest_context_limit(0.5, 0.5), 4), round(smallest_context_limit(0.5, 0.5, "same"), 4)
    (0.7925, 0.3333)
    """
    t, gamma = (
        as_number(as_ratio(value, name), name)
        for value, name in ((target_ratio, "target_ratio"), (train_ratio, "train_ratio"))
    )
    if not t > 0:
        raise InputError(
            sentence(
                f"target_ratio={t:g}", expected="a number > 0", remedy="No finite context reaches risk 0"
            )
        )
    check_word(context, "context", ("fresh", "same"))
    needed = 1 / t - 1
    if gamma >= needed:
        return 0.0
    if context == "same":
        return (needed - gamma) / (1 + gamma)
    g = gamma / (1 + gamma)
    if g == 0:
        return needed
    z = 2 / np.sqrt(3 * g) * np.cos(np.arccos(-1.5 * t * np.sqrt(3 * g)) / 3 - 2 * np.pi / 3)
    return float(1 / z - 1)


@answers
def one_step_limit(setting: Setting, start: Any = "warm", context: str = "fresh") -> OneStep:
    r"""The answer of :func:`one_step` in the proportional limit, any covariance and weights.

    .. math:: I=\frac{kG^2}{k(A_3+V_3)+\mathrm{tr}(\Sigma^2)(A_1+V_1+\sigma^2)},\qquad
        G=A_2\ (\text{fresh}),\ A_2+V_2\ (\text{same})

    with :math:`A_j,V_j` of :func:`alignment`. Needs :math:`n|\Sigma\beta|^2\gg
    s\sqrt{\mathrm{tr}\Sigma^2}`. The finite-size error of the gain is 5% to 30% at d = 50 to 200 and falls
    as 1/d.

    Reference: Gozeten et al. (2025), section 5.

    >>> setting = Setting(n_context=1000, n_train=1000, dim=1000, task=1.0)
    >>> round(one_step_limit(setting).gain, 4)
    0.0626
    """
    check_word(context, "context", ("fresh", "same"))
    check_scale(setting)
    fit = alignment(setting, start)
    n, noise = np.asarray(setting.n_context, dtype=float), np.asarray(setting.noise_var, dtype=float)
    strong, wide = _summary_size(setting, n, noise)
    risk, bend = fit.A + fit.B + noise, fit.bias3 + fit.variance3
    if context == "same":
        size = strong + wide
        linear, square = size * (fit.bias2 + fit.variance2), size**2 * bend
        extra = size**2 * fit.trace2 * risk
    else:
        linear, square, extra = strong * fit.bias2, strong**2 * bend, strong**2 * fit.trace2 * risk
    # the finite-size (k + 1) of `assemble` is k here
    return assemble(risk, Coefficients(linear, square, extra - square, strong + wide), setting.n_train)


def _summary_size(setting: Setting, n: Any, noise: Any) -> tuple[Any, Any]:
    """E|u|^2 to leading order: the part along the task, n^2 |a|^2, and the rest, n s tr S."""
    if setting.isotropic:
        norm = setting.task_norm if setting.task is not None else setting.dim * setting.test_task_covariance
        power = setting.input_cov
        return n**2 * power**2 * norm, n * (power * norm + noise) * power * setting.dim
    eigenbasis = Eigenbasis.of(setting)
    spectrum, task = eigenbasis.spectrum, eigenbasis.task
    label = task.mean(task.form(spectrum)) + float(noise)
    return n**2 * task.mean(task.form(spectrum**2)), n * label * float(spectrum.sum())


@answers
def start_transition_limit(setting: Setting, context: str = "fresh") -> Transition:
    r"""The answer of :func:`start_transition` in the proportional limit, in rows.

    For :math:`\Sigma=I` without noise :math:`k^*/d=(A+B)(|\beta|^2-A-B)/[B(2A+B)]`. A single setting.

    Reference: Gozeten et al. (2025), Fig. 1b; derivation in docs/theory/linear.

    >>> round(start_transition_limit(Setting(n_context=100, n_train=0, dim=100, task=1.0)).n_train)
    134
    """
    require_single(setting, why="the number of crossings differs between settings")
    probe = setting.replace(n_train=1)
    return cross(one_step_limit(probe, "warm", context), one_step_limit(probe, "cold", context))
