"""A context of its own for every training row."""

from __future__ import annotations

from typing import Any

import numpy as np

from testtime.results import OneStep
from testtime.theory.checks import as_ratio
from testtime.theory.linear.answers import answers
from testtime.theory.linear.eigenbasis import Eigenbasis
from testtime.theory.linear.general import Coefficients, Step, fresh_fixed
from testtime.theory.linear.matrices import multiply, product_trace, transpose
from testtime.theory.linear.pretraining import matrix_risk, resolve_start
from testtime.theory.linear.setting import Setting
from testtime.theory.linear.step import assemble

__all__ = ["separate_contexts", "separate_contexts_gain_limit"]


@answers
def separate_contexts(setting: Setting, start: Any = "warm") -> OneStep:
    r"""One step in which every training row has an independent context of ``n_context`` rows; fresh
    evaluation.

    The slope is that of :func:`one_step`; the curvature coefficient :math:`k(k+1)c_1+kc_2` becomes

    .. math:: k(2c_1+c_2)+k(k-1)\,\mathrm{tr}(N^\top\Sigma^3NC),\qquad N=E\,ru^\top,\ C=E\,uu^\top.

    It uses :math:`kn` context rows and removes the noise of a single context from the gradient. Exact;
    derivation in docs/theory/linear.

    Reference: this project; derivation in docs/theory/linear.

    Parameters
    ----------
    setting, start
        As in :func:`one_step`; a single setting.

    >>> setting = Setting(n_context=100, n_train=100, dim=100, task=1.0)
    >>> round(separate_contexts(setting).gain / separate_contexts_gain_limit(1.0, 1.0), 2)
    0.93
    """
    eigenbasis = Eigenbasis.of(setting)
    weights, ones, n = (
        resolve_start(setting, start, eigenbasis),
        np.ones(setting.dim),
        float(setting.n_context),
    )
    step = Step(eigenbasis, weights, ones, ones, n, n, setting.noise_var)
    parts = fresh_fixed(step)
    shared = _mean_gradient_square(step)
    before = matrix_risk(setting, eigenbasis, weights, n)
    # k(2 c1 + c2) + k(k - 1) g = k(k + 1) g + k (2 c1 + c2 - 2 g)
    extra = 2.0 * parts.square + parts.noise - 2.0 * shared
    return assemble(before, Coefficients(parts.linear, shared, extra, parts.length), setting.n_train)


def _mean_gradient_square(step: Step) -> float:
    """tr(N'S^3 N C) with N = n (e a' - s W S) and C = n(n+1) a a' + n s S."""
    spectrum, task, n = step.eigenbasis.spectrum, step.eigenbasis.task, step.rows
    form, cube = task.form, spectrum**3
    bias, spread = step.start.bias(spectrum, n + 1.0), multiply(step.start.weight, spectrum)
    label = form(spectrum) + step.noise
    size, weighted = form(spectrum**2), form(cube)
    pull, back = transpose(bias), transpose(spread)
    # a'N'S^3 N a / n^2, with N a / n = e |a|^2 - s W S a
    along = size * size * form(pull, cube, bias)
    along = along - size * label * form(pull, cube, spread, spectrum) * 2.0
    along = along + label * label * form(spectrum, back, cube, spread, spectrum)
    # tr(N'S^3 N S) / n^2
    across = weighted * form(pull, cube, bias)
    across = across - label * form(pull, cube, spread, spectrum, spectrum) * 2.0
    across = across + label * label * product_trace((back, cube, spread, spectrum))
    return task.mean(along * (n**3 * (n + 1.0)) + label * across * n**3)


@answers
def separate_contexts_gain_limit(context_ratio: float, train_ratio: float, noise_ratio: float = 0.0) -> float:
    r"""Gain of :func:`separate_contexts` in the proportional limit, isotropic, in units of :math:`|\beta|^2`.

    .. math:: I=\frac{\gamma A^2}{\gamma A+L_0},\qquad
        A=\Big(\frac{1+v}{\alpha+1+v}\Big)^2,\ L_0=v+\frac{1+v}{\alpha+1+v}

    :math:`\alpha=n/d` is `context_ratio`, :math:`\gamma=k/d` `train_ratio`, :math:`v=\sigma^2/|\beta|^2`
    `noise_ratio`.

    Reference: this project; derivation in docs/theory/linear.

    >>> separate_contexts_gain_limit(1.0, 1.0)
    0.08333333333333333
    """
    alpha, gamma = as_ratio(context_ratio, "context_ratio"), as_ratio(train_ratio, "train_ratio")
    v = as_ratio(noise_ratio, "noise_ratio")
    share = (1.0 + v) / (alpha + 1.0 + v)
    return gamma * share**4 / (gamma * share**2 + v + share)
