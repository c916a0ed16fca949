r"""How well pretrained weights fit a task: squared bias, context variance, and what a step gains."""

from __future__ import annotations

from typing import Any

import numpy as np

from testtime.theory.linear.answers import answers
from testtime.theory.linear.eigenbasis import Eigenbasis
from testtime.theory.linear.matrices import multiply, product_trace, transpose
from testtime.theory.linear.pretraining import is_scalar_start, resolve_start
from testtime.theory.linear.results import Alignment
from testtime.theory.linear.setting import Setting

__all__ = ["alignment"]


@answers
def alignment(setting: Setting, start: Any = "warm") -> Alignment:
    r"""Squared bias and context variance of the weights on the test task, in the three metrics a step sees.

    .. math:: A_j=\delta^\top\Sigma^j\delta,\qquad V_j=n\,s\,\mathrm{tr}(W^\top\Sigma^jW\Sigma),\qquad
        \delta=(I-nW\Sigma)\beta,\quad s=\beta^\top\Sigma\beta+\sigma^2

    for j = 1, 2, 3. With :math:`\Sigma=I` all three are the :math:`A=|(I-nW)\beta|^2` and
    :math:`B=n(|\beta|^2+\sigma^2)\|W\|_F^2` of Gozeten et al. (2025), and the gain of the best step tends
    to :math:`kA^2/[k(A+B)+d(A+B+\sigma^2)]`; for other covariances see
    :meth:`~testtime.results.Alignment.gain_limit`. :math:`A_j,V_j` are exact, the gain is a limit. For a
    random test task they are averaged over it.

    Reference: Gozeten et al. (2025), section 5.

    Parameters
    ----------
    setting
        A single setting, or an array of isotropic ones.
    start
        The weights W, as in :func:`one_step`.

    >>> fit = alignment(Setting(n_context=100, n_train=100, dim=100, task=1.0))
    >>> round(fit.A, 4), round(fit.B, 4), round(fit.gain_limit(), 4)
    (0.2525, 0.2475, 0.0638)
    """
    n, noise = np.asarray(setting.n_context, dtype=float), np.asarray(setting.noise_var, dtype=float)
    if setting.isotropic and is_scalar_start(setting, start):
        weights, power = resolve_start(setting, start), setting.input_cov
        norm = setting.task_norm if setting.task is not None else setting.dim * setting.test_task_covariance
        bias = weights.bias_scalar(power, n) ** 2 * norm
        label = power * np.asarray(norm) + noise
        spread = n * label * weights.weight**2 * power * setting.dim
        biases = [_plain(bias * power**j) for j in (1, 2, 3)]
        variances = [_plain(spread * power**j) for j in (1, 2, 3)]
        trace: Any = _plain(np.asarray(setting.dim, dtype=float) * power**2)
    else:
        eigenbasis = Eigenbasis.of(setting)
        weights, spectrum, task = (
            resolve_start(setting, start, eigenbasis),
            eigenbasis.spectrum,
            eigenbasis.task,
        )
        delta = weights.bias(spectrum, float(n))
        reading = multiply(weights.weight, spectrum)
        metrics = [spectrum**j for j in (1, 2, 3)]
        biases = [task.mean(task.form(transpose(delta), metric, delta)) for metric in metrics]
        label = task.mean(task.form(spectrum)) + float(noise)
        back = transpose(weights.weight)
        variances = [float(n) * label * product_trace((back, metric, reading)) for metric in metrics]
        trace = float(np.sum(spectrum**2))
    return Alignment(
        biases[0], biases[1], biases[2], variances[0], variances[1], variances[2],
        _plain(noise), trace, setting.n_train,
    )  # fmt: skip


def _plain(value: Any) -> Any:
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
