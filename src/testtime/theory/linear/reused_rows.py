r"""Leave-one-out test-time training: the same m rows are context and training rows.

Row i is predicted from the context of the others, :math:`u_{-i}=u-x_iy_i`, and one step is taken on the sum
of squares:

.. math:: \Delta W=2\eta\sum_ix_ie_iu_{-i}^\top,\qquad e_i=y_i-wx_i^\top u_{-i}

The mean slope and curvature contain one or two distinguished rows and the sum :math:`u_0` over all others.
In coordinates along the task, along the rest of :math:`u_0`, and across both, they are polynomials in
independent variables with known moments. The polynomials are expanded once, with integer coefficients, and
are then evaluated for any m, d, w and noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import comb, prod
from typing import Any

import numpy as np

from testtime.errors import InputError, sentence
from testtime.results import OneStep
from testtime.theory.checks import check_word
from testtime.theory.linear.answers import answers
from testtime.theory.linear.isotropic import ScalarStep, fresh_fixed
from testtime.theory.linear.polynomials import Polynomial, variables
from testtime.theory.linear.pretraining import is_scalar_start, resolve_start, scalar_risk
from testtime.theory.linear.setting import Setting
from testtime.theory.linear.wishart import narayana

__all__ = ["leave_one_out", "leave_one_out_limit"]

# For distinguished rows i and j: coordinates along the task (p) and along the rest of u0 (q), squared lengths
# across both (h), their inner product across (c), and noise (z). u0 is T times the task plus V across it; the
# task has length b.
_NAMES = ("pi", "qi", "zi", "hi", "pj", "qj", "zj", "hj", "c", "T", "V", "b", "w")


@answers
def leave_one_out(setting: Setting, start: Any = "warm", context: str = "same") -> OneStep:
    r"""Exact risk after one leave-one-out step, as a function of the step; isotropic.

    .. math:: L(\eta)=L_0-4\eta b+4\eta^2c,\qquad b=E\Big[r^\top\sum_ix_ie_i\,u_{-i}^\top v\Big],\quad
        c=E\Big|\sum_ix_ie_i\,u_{-i}^\top v\Big|^2

    where v is the whole context (``context="same"``) or an independent one of as many rows ("fresh") and
    :math:`r=\beta-wv`. ``setting.n_context`` is m; ``n_train`` is not used. ``limit_gain`` and
    ``half_train`` of the answer are NaN: the gain is not a hyperbola in m.

    Reference: this project; derivation in docs/theory/linear.

    Parameters
    ----------
    setting
        A single isotropic setting with a fixed task.
    start
        "warm" (pretrained for m rows), "cold" or a number.
    context
        "same" or "fresh".

    Raises
    ------
    InputError
        For fewer than 2 rows, a random task, or covariances or weights that are not numbers.

    >>> setting = Setting(n_context=400, n_train=0, dim=200, task=1.0)
    >>> [round(leave_one_out(setting, context=context).best_risk, 4) for context in ("same", "fresh")]
    [0.1616, 0.2912]
    """
    check_word(context, "context", ("same", "fresh"))
    case = _case(setting, start)
    m, d, b2, power = case.rows, case.dim, float(case.norm), setting.input_cov
    weights = resolve_start(setting, start)
    before = float(scalar_risk(setting, weights, setting.task_norm, m))
    if context == "same":
        linear = m * case.mean(_slope_same(), 1)
        square = m * case.mean(_square_same(), 1) + m * (m - 1) * case.mean(_product_same(), 2)
    else:
        shrinkages = [weights.bias_scalar(power, rows) for rows in (m - 1, m, m + 1)]
        noise = float(case.noise)
        parts = fresh_fixed(
            ScalarStep(m - 1.0, float(m), float(d), b2, noise, float(case.weight), *shrinkages)
        )
        linear = m * float(parts.linear)
        # E|x|^2 e^2 given the others is (d + 2)|r|^2 + d sigma^2
        square = m * float(parts.noise + 2.0 * parts.square)
        along, inner = (case.mean(part, 2) for part in _products_fresh())
        square += m * (m - 1) * m * ((m + 1) * b2 * along + (b2 + noise) * inner)
    linear, square = linear * power**2, square * power**4  # back to the caller's input units
    length = power * (m * (float(case.noise) + (d - 1) * (b2 + float(case.noise))) + b2 * m * (m + 2))
    best, gain = linear / (2.0 * square), linear / square * linear
    values = (before, -4.0 * linear, 8.0 * square, best, before - gain, gain, 2.0 * best * length)
    return OneStep(*(float(value) for value in (*values, np.nan, np.nan)))


@dataclass(frozen=True)
class _Case:
    """An isotropic case with inputs of variance 1, in exact numbers."""

    rows: int
    dim: int
    weight: Fraction
    noise: Fraction
    norm: Fraction

    def mean(self, polynomial: Polynomial, distinguished: int) -> float:
        """Average a polynomial over the distinguished rows and the sum over the others."""
        others = self.rows - distinguished
        total: dict[tuple[int, int, int], int] = {}  # by powers of w, of the noise and of |beta|^2
        for powers, factor in polynomial.monomials(len(_NAMES)):
            pi, qi, zi, hi, pj, qj, zj, hj, c, along, across, norm, weight = powers
            if any(power % 2 for power in (pi, qi, zi, pj, qj, zj, c, across)):
                continue
            value = factor * _normal(pi) * _normal(qi) * _normal(zi) * _normal(pj) * _normal(qj) * _normal(zj)
            value *= _cross_moment(self.dim, hi, hj, c // 2)
            for split in range(0, along + 1, 2):  # T = tau + sqrt(tau sigma^2) g / |beta|
                half, signal = split // 2, across // 2
                part = value * comb(along, split) * _normal(split) * _rising(self.dim - 1, signal)
                part *= _rising(others, along - half + signal)
                for label in range(signal + 1):  # s^signal, s = |beta|^2 + sigma^2
                    key = (weight, (zi + zj) // 2 + half + label, norm // 2 - half + signal - label)
                    total[key] = total.get(key, 0) + part * comb(signal, label)
        terms = (self.weight**w * self.noise**v * self.norm**b * x for (w, v, b), x in total.items() if x)
        return float(sum(terms, Fraction(0)))


def _rising(start: int, count: int) -> int:
    """start (start + 2) ... with `count` factors."""
    return prod(range(start, start + 2 * count, 2))


def _normal(power: int) -> int:
    """E z^power of a standard normal, power even."""
    return _rising(1, power // 2)


def _cross_moment(dim: int, hi: int, hj: int, half: int) -> int:
    """E[h_i^hi h_j^hj c^(2 half)] of two standard normals in dim - 2 dimensions, a polynomial in dim."""
    across = dim - 2
    return _rising(1, half) * _rising(across, half + hi) * _rising(across + 2 * half, hj)


def _case(setting: Setting, start: Any) -> _Case:
    simple = setting.isotropic and not setting.shape and is_scalar_start(setting, start)
    if not simple or setting.task is None:
        raise InputError(
            sentence(
                "leave-one-out with a random task, an array of settings, or covariances or weights that "
                "are not numbers",
                expected="a single isotropic setting with task=<squared norm>",
                why="only that case has a formula",
                remedy="Pass scalar covariances and task=1.0, say",
            )
        )
    if setting.n_context < 2:
        raise InputError(
            sentence(
                f"n_context={setting.n_context}",
                expected="at least 2 rows",
                why="each row is predicted from the others",
                remedy="Pass a longer context",
            )
        )
    power = Fraction(setting.input_cov)
    return _Case(
        setting.n_context,
        setting.dim,
        power * Fraction(float(resolve_start(setting, start).weight)),
        Fraction(setting.noise_var),
        power * Fraction(setting.task_norm),
    )


class _Rows:
    """The inner products of the distinguished rows with each other, with u0 and with the task."""

    def __init__(self) -> None:
        x = variables(_NAMES)
        self.b, self.w = x["b"], x["w"]
        self.along, across = x["b"] * x["T"], x["V"]  # coordinates of u0
        self.yi, self.yj = x["b"] * x["pi"] + x["zi"], x["b"] * x["pj"] + x["zj"]
        self.ui, self.uj = (x["p" + r] * self.along + x["q" + r] * across for r in "ij")  # x'u0
        self.size_i, self.size_j = (
            x["p" + r] * x["p" + r] + x["q" + r] * x["q" + r] + x["h" + r] for r in "ij"
        )
        self.both = x["pi"] * x["pj"] + x["qi"] * x["qj"] + x["c"]
        self.length = self.along * self.along + across * across  # |u0|^2
        self.pi, self.pj = x["pi"], x["pj"]


@lru_cache(maxsize=1)
def _slope_same() -> Polynomial:
    """(beta - w u)'x_i e_i u_{-i}'u with u0 the sum over the other m - 1 rows."""
    r = _Rows()
    error = r.yi - r.w * r.ui
    toward = r.b * r.pi - r.w * (r.ui + r.size_i * r.yi)
    return toward * error * (r.length + r.ui * r.yi)


@lru_cache(maxsize=1)
def _square_same() -> Polynomial:
    """|x_i|^2 e_i^2 (u_{-i}'u)^2."""
    r = _Rows()
    error, inner = r.yi - r.w * r.ui, r.length + r.ui * r.yi
    return r.size_i * (error * error) * (inner * inner)


@lru_cache(maxsize=1)
def _product_same() -> Polynomial:
    """x_i'x_j e_i e_j (u_{-i}'u)(u_{-j}'u) with u0 the sum over the other m - 2 rows."""
    r = _Rows()
    error_i = r.yi - r.w * (r.ui + r.both * r.yj)
    error_j = r.yj - r.w * (r.uj + r.both * r.yi)
    shared = r.length + r.ui * r.yi + r.uj * r.yj + r.both * r.yi * r.yj
    inner_i = shared + r.uj * r.yj + r.size_j * r.yj * r.yj
    inner_j = shared + r.ui * r.yi + r.size_i * r.yi * r.yi
    return (r.both * error_i * error_j) * (inner_i * inner_j)


@lru_cache(maxsize=1)
def _products_fresh() -> tuple[Polynomial, Polynomial]:
    """x_i'x_j e_i e_j times (task direction)'u_{-i} (task direction)'u_{-j}, and times u_{-i}'u_{-j}."""
    r = _Rows()
    error_i = r.yi - r.w * (r.ui + r.both * r.yj)
    error_j = r.yj - r.w * (r.uj + r.both * r.yi)
    along = (r.along + r.pj * r.yj) * (r.along + r.pi * r.yi)
    inner = r.length + r.ui * r.yi + r.uj * r.yj + r.both * r.yi * r.yj
    errors = r.both * error_i * error_j
    return errors * along, errors * inner


@answers
def leave_one_out_limit(setting: Setting, start: Any = "warm", context: str = "same") -> float:
    r"""Gain of the best leave-one-out step in the proportional limit, isotropic.

    With :math:`\alpha=m/d`, :math:`\omega=wd`, :math:`p=1+\omega`, :math:`v=\sigma^2/|\beta|^2` and the
    Marchenko-Pastur moments :math:`s_j` of ratio :math:`\alpha`,

    .. math:: g=p^2s_2-2p\omega s_3+\omega^2s_4+v(p^2s_1-2p\omega s_2+\omega^2s_3)

    the gain is :math:`(\alpha A)^2/g` on fresh contexts, with :math:`A=(1-mw)^2`, and
    :math:`\{ps_1-\omega s_2-\omega[p(s_2+vs_1)-\omega(s_3+vs_2)]\}^2/g` on the same one, times
    :math:`|\beta|^2`. 2% off at d = 400.

    Reference: this project; derivation in docs/theory/linear.

    >>> setting = Setting(n_context=8000, n_train=0, dim=4000, task=1.0)
    >>> round(leave_one_out_limit(setting) / leave_one_out(setting).gain, 3)
    1.001
    """
    check_word(context, "context", ("same", "fresh"))
    case = _case(setting, start)
    norm, weight = float(case.norm), float(case.weight)
    ratio, reach, v = case.rows / case.dim, weight * case.dim, float(case.noise) / norm
    p = 1.0 + reach
    s1, s2, s3, s4 = (narayana(power, ratio) for power in (1, 2, 3, 4))
    bend = p**2 * s2 - 2 * p * reach * s3 + reach**2 * s4
    bend += v * (p**2 * s1 - 2 * p * reach * s2 + reach**2 * s3)
    if context == "fresh":
        slope = ratio * (1 - case.rows * weight) ** 2
    else:
        slope = p * s1 - reach * s2 - reach * (p * (s2 + v * s1) - reach * (s3 + v * s2))
    return norm * slope**2 / bend
