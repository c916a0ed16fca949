"""The pretraining optimum, the risk of plain in-context learning, and the starting weights of a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.errors import InputError, nearest, sentence
from testtime.theory.checks import as_count, as_finite, as_matrix
from testtime.theory.linear.answers import answers
from testtime.theory.linear.eigenbasis import Eigenbasis, check_direction
from testtime.theory.linear.matrices import multiply, plus_identity, product_trace, transpose
from testtime.theory.linear.quadratic_forms import FixedTask
from testtime.theory.linear.setting import Setting, check_broadcast

__all__ = ["Start", "icl_risk", "icl_risk_curve", "pretrained_weight", "resolve_start"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Start:
    r"""Weights :math:`W` and the shrinkage :math:`I-(n+1)W\Sigma` they leave, the latter kept without
    cancellation.

    Both are scalars (or arrays of scalars) in the isotropic case, else diagonals or matrices in the
    eigenbasis.
    """

    weight: Any
    shrinkage: Any
    rows: Any  # the n of the shrinkage

    def bias_scalar(self, spectrum: Any, rows: Any) -> Any:
        """1 - m w Sigma for a scalar weight, any m."""
        return self.shrinkage + (self.rows + 1.0 - rows) * self.weight * spectrum

    def bias(self, spectrum: Array, rows: float) -> Array:
        """I - m W Sigma for a matrix weight, any m."""
        rest = (self.rows + 1.0 - rows) * multiply(self.weight, spectrum)
        return _add(self.shrinkage, rest)

    def scaled(self, factor: Any) -> Start:
        """Return the start with `factor` times the weights."""
        if np.ndim(self.weight) == 2:
            shrinkage = plus_identity(self.shrinkage, factor) - factor * np.eye(len(self.weight))
        else:
            shrinkage = (1.0 - factor) + factor * self.shrinkage
        return Start(factor * self.weight, shrinkage, self.rows)


def _add(left: Array, right: Array) -> Array:
    if left.ndim == right.ndim:
        return left + right
    return (np.diag(left) if left.ndim == 1 else left) + (np.diag(right) if right.ndim == 1 else right)


def _warm_scalar(setting: Setting) -> Start:
    n, d, noise = (np.asarray(v, dtype=float) for v in (setting.n_context, setting.dim, setting.noise_var))
    power, prior = setting.input_cov, setting.task_cov
    label = d * power * prior + noise  # the mean squared label in pretraining
    scale = (n + 1.0) * power * prior + label
    _check_prior(label)
    return Start(prior / scale, label / scale, n)


def _check_prior(label: Any) -> None:
    if np.any(np.asarray(label) == 0):
        raise InputError(
            sentence(
                "task_cov is zero and noise_var is zero",
                expected="pretraining labels that vary",
                why="any weights are optimal when all labels are 0",
                remedy="Pass a task_cov with a positive trace",
            )
        )


def _warm_matrix(setting: Setting, eigenbasis: Eigenbasis) -> Start:
    spectrum, prior = eigenbasis.spectrum, eigenbasis.task_cov
    label = product_trace((spectrum, prior)) + setting.noise_var
    _check_prior(label)
    rows = setting.n_context + 1.0
    if prior.ndim == 1:
        scale = rows * spectrum * prior + label
        return Start(prior / scale, label / scale, setting.n_context)
    root = np.sqrt(spectrum)
    values, vectors = np.linalg.eigh(root[:, None] * prior * root)
    values = np.maximum(values, 0.0)  # rounding can push zero eigenvalues of a singular prior below zero
    scale = rows * values + label
    left = vectors / root[:, None]
    return Start(
        left * (values / scale) @ left.T, left * (label / scale) @ (vectors.T * root), setting.n_context
    )


def resolve_start(setting: Setting, start: Any, eigenbasis: Eigenbasis | None = None) -> Start:
    """Turn "warm", "cold", a number, a diagonal or a matrix into a :class:`Start`.

    Without `eigenbasis` the scalar (isotropic) form is returned.
    """
    if isinstance(start, str):
        if start not in ("warm", "cold"):
            raise InputError(
                sentence(
                    f"start={start!r}",
                    expected="'warm', 'cold' or the weights themselves",
                    remedy=nearest(start, ["warm", "cold"]),
                )
            )
        if start == "warm":
            return _warm_scalar(setting) if eigenbasis is None else _warm_matrix(setting, eigenbasis)
        if eigenbasis is None:
            return Start(0.0, 1.0, np.asarray(setting.n_context, dtype=float))
        return Start(np.zeros(setting.dim), np.ones(setting.dim), setting.n_context)
    if eigenbasis is None:
        weight = as_finite(start, "start")
        check_broadcast(setting, weight, "start")
        rows = np.asarray(setting.n_context, dtype=float)
        return Start(weight, 1.0 - (rows + 1.0) * weight * setting.input_cov, rows)
    weight = eigenbasis.inward(as_matrix(start, "start", setting.dim))
    check_direction(setting, weight, "start")
    shrinkage = plus_identity(multiply(weight, eigenbasis.spectrum), -(setting.n_context + 1.0))
    return Start(weight, shrinkage, setting.n_context)


def is_scalar_start(setting: Setting, start: Any) -> bool:
    """Whether the weights are a multiple of the identity, so that an isotropic setting stays isotropic."""
    if isinstance(start, str):
        return True
    axes = as_finite(start, "start").ndim
    return axes == 0 or bool(setting.shape and axes <= len(setting.shape))


@answers
def pretrained_weight(setting: Setting) -> Any:
    r"""Weights that minimise the average risk of in-context learning over the pretraining tasks.

    .. math:: W^*=\Sigma_\beta\,[(n+1)\,\Sigma\Sigma_\beta+(\mathrm{tr}(\Sigma\Sigma_\beta)+\sigma^2)\,I]^{-1}

    with :math:`n` ``n_context``, :math:`\Sigma` ``input_cov``, :math:`\Sigma_\beta` ``task_cov`` and
    :math:`\sigma^2` ``noise_var``. It is symmetric. Exact for every n and d.

    Reference: Gozeten et al. (2025), section 3; derivation in docs/theory/linear.

    Returns
    -------
    float or array
        :math:`w` with :math:`W^*=wI` when both covariances are numbers (an array for an array of settings),
        the diagonal ``(d,)`` when both are diagonal, else the matrix ``(d, d)``.

    >>> pretrained_weight(Setting(n_context=10, n_train=0, dim=5))
    0.0625
    """
    if np.ndim(setting.input_cov) == 0 and np.ndim(setting.task_cov) == 0:
        return _plain(_warm_scalar(setting).weight)
    eigenbasis = Eigenbasis.of(setting)
    return eigenbasis.outward(_warm_matrix(setting, eigenbasis).weight)


@answers
def icl_risk(setting: Setting, weight: Any = "warm") -> Any:
    r"""Population risk of plain in-context learning, the irreducible noise included.

    .. math:: L_0=\sigma^2+\delta^\top\Sigma\delta
        +n\,[a^\top W^\top\Sigma Wa+s\,\mathrm{tr}(W^\top\Sigma W\Sigma)]

    with :math:`a=\Sigma\beta`, :math:`s=\beta^\top\Sigma\beta+\sigma^2`, :math:`\delta=(I-nW\Sigma)\beta`;
    :math:`n` is ``n_context``, :math:`\Sigma` ``input_cov``, :math:`\sigma^2` ``noise_var`` (units of y
    squared). For a random test task it is averaged over :math:`\beta`. Exact for every n and d.

    Reference: Gozeten et al. (2025), section 3; derivation in docs/theory/linear.

    Parameters
    ----------
    setting
        A single setting, or an array of isotropic ones.
    weight
        "warm" (:func:`pretrained_weight`), "cold" (zero), a number w for wI, a diagonal, or a matrix.

    >>> icl_risk(Setting(n_context=10, n_train=0, dim=5, task=5.0), weight=1 / 16)
    1.875
    """
    weight = "warm" if weight is None else weight
    if setting.isotropic and is_scalar_start(setting, weight):
        start = resolve_start(setting, weight)
        norm = setting.task_norm if setting.task is not None else setting.dim * setting.test_task_covariance
        return _plain(scalar_risk(setting, start, norm, np.asarray(setting.n_context, dtype=float)))
    eigenbasis = Eigenbasis.of(setting)
    return matrix_risk(
        setting, eigenbasis, resolve_start(setting, weight, eigenbasis), float(setting.n_context)
    )


@answers
def icl_risk_curve(setting: Setting, lengths: Any) -> Array:
    """Risk of in-context learning with pretrained weights for many context lengths, O(d) each.

    Whitening the inputs leaves this risk unchanged and makes W* diagonal for every length at once.

    Reference: Gozeten et al. (2025), Fig. 1a; derivation in docs/theory/linear.

    Parameters
    ----------
    setting
        A single setting with any covariances; its ``n_context`` is not used.
    lengths
        Context lengths, ``(m,)``; the weights are those pretrained for each.

    >>> [round(float(risk), 3) for risk in icl_risk_curve(Setting(0, 0, dim=9, task=1.0), [0, 10, 90])]
    [1.0, 0.5, 0.1]
    """
    eigenbasis = Eigenbasis.of(setting)
    root, noise = np.sqrt(eigenbasis.spectrum), setting.noise_var
    prior = multiply(multiply(root, eigenbasis.task_cov), root)
    values, vectors = (prior, None) if prior.ndim == 1 else np.linalg.eigh(prior)
    values = np.maximum(values, 0.0)
    if isinstance(eigenbasis.task, FixedTask):
        turned = root * eigenbasis.task.beta
        power = (turned if vectors is None else vectors.T @ turned) ** 2
    else:
        turned = multiply(multiply(root, eigenbasis.task.covariance), root)
        turned = turned if vectors is None else vectors.T @ multiply(turned, vectors)
        power = turned if turned.ndim == 1 else np.diagonal(turned)
    label = float(values.sum()) + noise
    _check_prior(label)
    rows = as_count(lengths, "lengths").reshape(-1, 1)
    scale = (rows + 1.0) * values + label
    weights, bias = values / scale, (values + label) / scale
    spread = (weights**2) @ power + (power.sum() + noise) * np.sum(weights**2, axis=1)
    return noise + bias**2 @ power + rows[:, 0] * spread


def scalar_risk(setting: Setting, start: Start, norm: Any, rows: Any) -> Any:
    """Isotropic risk at scalar weights for a task of squared norm `norm`; linear in `norm`."""
    power, noise = setting.input_cov, np.asarray(setting.noise_var, dtype=float)
    signal = power * np.asarray(norm, dtype=float)
    weight = power * start.weight
    shape = np.broadcast_shapes(np.shape(signal), setting.shape)
    risk = noise + signal * start.bias_scalar(power, rows) ** 2
    return np.broadcast_to(risk + rows * weight**2 * (signal + setting.dim * (signal + noise)), shape)


def matrix_risk(setting: Setting, eigenbasis: Eigenbasis, start: Start, rows: float) -> float:
    """Risk at diagonal or full weights, in the eigenbasis; the mean over tasks when the task is random."""
    spectrum, task = eigenbasis.spectrum, eigenbasis.task
    bias, spread = start.bias(spectrum, rows), multiply(start.weight, spectrum)
    label = task.form(spectrum) + setting.noise_var
    variance = task.form(transpose(spread), spectrum, spread)
    variance = variance + label * product_trace((transpose(start.weight), spectrum, spread))
    return task.mean(task.form(transpose(bias), spectrum, bias) + variance * rows + setting.noise_var)


def _plain(value: Any) -> Any:
    """Return a Python float for a single number."""
    return float(value) if np.ndim(value) == 0 else np.asarray(value)
