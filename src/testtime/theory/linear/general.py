r"""Coefficients of one step for any covariance, weights, task and preconditioners.

The risk after one step is :math:`L(\eta)=L_0-4\eta kB_1+4\eta^2[k(k+1)c_1+kc_2]`. Given :math:`\tau` (see
:mod:`testtime.theory.linear.moments`) the summary u and the residual :math:`r=\beta-Wu` are jointly Gaussian, with
means :math:`\tau a` and :math:`\delta-(\tau-n)Wa` and covariances :math:`\tau V`, :math:`\tau WVW^\top`,
:math:`-\tau VW^\top`; :math:`B_1,c_1,c_2` are sums of their cumulants. All matrices are in the eigenbasis
of the input covariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.theory.linear.eigenbasis import Eigenbasis
from testtime.theory.linear.matrices import multiply, product_trace, transpose
from testtime.theory.linear.moments import tau_moment
from testtime.theory.linear.pretraining import Start
from testtime.theory.linear.quadratic_forms import FixedTask, RandomTask

__all__ = ["Coefficients", "Step", "fresh_fixed", "same_fixed", "same_normalized"]

Array = NDArray[np.float64]
Word = tuple[Array, ...]


@dataclass(frozen=True)
class Coefficients:
    """B1, c1 and c2 of the risk after one step, and the mean q = u'Qu that turns a step into a length."""

    linear: Any
    square: Any
    noise: Any
    length: Any


@dataclass(frozen=True)
class Step:
    """Everything one step depends on, in the eigenbasis."""

    eigenbasis: Eigenbasis
    start: Start
    left: Array
    right: Array
    rows: float  # n of the context that is trained on
    eval_rows: float  # n of the context the risk is evaluated on
    noise: float

    def metric(self) -> tuple[Array, Array, float]:
        """S P S (symmetrised, it only enters quadratic forms of r), S P'S P S, and tr(S P'S P)."""
        spectrum = self.eigenbasis.spectrum
        inner = multiply(transpose(self.left), multiply(spectrum, self.left))
        once = multiply(multiply(spectrum, self.left), spectrum)
        twice = multiply(multiply(spectrum, inner), spectrum)
        return once, twice, product_trace((spectrum, inner))


class _Law:
    """Words such as l'V M V r with V = s S - a a', expanded into forms of the task."""

    def __init__(self, task: FixedTask | RandomTask, spectrum: Array, noise: float) -> None:
        self.form, self.spectrum = task.form, (spectrum,)
        self.label = task.form(spectrum) + noise

    def chain(self, left: Word, between: Sequence[Word], right: Word) -> Any:
        """Return l' V M1 V ... V r, where l' = beta' left and r = right beta."""
        form, spectrum = self.form, self.spectrum
        if not between:
            return self.label * form(*left, *spectrum, *right) - form(*left, *spectrum) * form(
                *spectrum, *right
            )
        first, rest = between[0], between[1:]
        whole = self.chain(left + spectrum + first, rest, right)
        return self.label * whole - form(*left, *spectrum) * self.chain(spectrum + first, rest, right)

    def trace(self, *words: Word) -> Any:
        """Return tr(M1 V M2 V ...)."""
        spectrum = self.spectrum
        if len(words) == 1:
            only = words[0]
            return self.label * product_trace(only + spectrum) - self.form(*spectrum, *only, *spectrum)
        first, between, last = words[0], words[1:-1], words[-1]
        merged = self.trace(last + spectrum + first, *between)
        return self.label * merged - self.chain(spectrum + first, between, last + spectrum)


class _Residual:
    """Moments of r'Dr and of linear forms of r given tau, for one symmetric D."""

    def __init__(self, step: Step, law: _Law, metric: Array) -> None:
        spectrum, weight, n = step.eigenbasis.spectrum, step.start.weight, step.rows
        self.rows, form = n, law.form
        self.bias, self.spread = step.start.bias(spectrum, n), multiply(weight, spectrum)
        self.cross = multiply(transpose(weight), metric)  # W'D
        self.inner = multiply(self.cross, weight)  # W'DW
        self.fixed = form(transpose(self.bias), metric, self.bias)
        self.mixed = form(transpose(self.bias), metric, self.spread) * -2.0
        self.drift = form(transpose(self.spread), metric, self.spread)
        self.variance = law.trace((self.inner,))

    def mean(self, power: int) -> Any:
        """E[tau^power r'Dr]."""
        moment = tau_moment
        return (
            self.fixed * moment(self.rows, power)
            + self.mixed * moment(self.rows, power, 1)
            + self.drift * moment(self.rows, power, 2)
            + self.variance * moment(self.rows, power + 1)
        )

    def crossed(self, law: _Law, power: int, left: Word, between: Sequence[Word]) -> Any:
        """E[tau^power l'V M1 V ... V W'D E[r | tau]]."""
        fixed = law.chain(left, between, (self.cross, self.bias))
        drift = law.chain(left, between, (self.cross, self.spread))
        return fixed * tau_moment(self.rows, power) - drift * tau_moment(self.rows, power, 1)


def fresh_fixed(step: Step) -> Coefficients:
    r"""A constant step, evaluated on an independent context of ``step.eval_rows`` rows.

    With :math:`N=E\,ru^\top=n(e\,a^\top-sW\Sigma)`, :math:`e=(I-(n+1)W\Sigma)\beta` and :math:`C=E\,vv^\top`,

    .. math:: B_1=\mathrm{tr}(\Sigma P\Sigma\,N Q N_v^\top),\quad
        c_1=E[u^\top QCQ^\top u\;r^\top\Sigma M\Sigma r],\quad
        c_2=\mathrm{tr}(\Sigma M)\,E[u^\top QCQ^\top u\,(r^\top\Sigma r+\sigma^2)],\quad M=P^\top\Sigma P
    """
    eigenbasis, right = step.eigenbasis, step.right
    task, spectrum, n, m = eigenbasis.task, eigenbasis.spectrum, step.rows, step.eval_rows
    law = _Law(task, spectrum, step.noise)
    once, twice, trace = step.metric()
    flow = (right, spectrum)  # l = Q a, the direction in which E vv' reads u
    core, label = multiply(multiply(right, spectrum), transpose(right)), law.label
    linear = _fresh_linear(step, law, once)
    high, low = m * (m + 1), label * m  # E vv' = high a a' + low S

    def split(toward: Any, rest: Any) -> Any:
        return toward * high + low * rest

    into = tuple(transpose(matrix) for matrix in reversed(flow))
    size_trace = split(law.chain(into, (), flow), law.trace((core,)))
    along = law.form(*into, spectrum)
    size_mean = split(along * along, law.form(spectrum, core, spectrum))
    length = size_trace * n + size_mean * tau_moment(n, 2)

    def product(metric: Array) -> Any:
        """E[u'Au r'Dr]."""
        rest = _Residual(step, law, metric)
        square = split(law.chain(into, [(rest.inner,)], flow), law.trace((core,), (rest.inner,)))
        cross = split(along * rest.crossed(law, 2, into, ()), rest.crossed(law, 2, (spectrum, core), ()))
        gaussian = square * (2.0 * tau_moment(n, 2)) - cross * 4.0
        return size_trace * rest.mean(1) + size_mean * rest.mean(2) + gaussian

    return Coefficients(
        task.mean(linear),
        task.mean(product(twice)),
        trace * task.mean(product(spectrum) + length * step.noise),
        task.mean(_quadratic_mean(law, right, n)),
    )


def _fresh_linear(step: Step, law: _Law, once: Array) -> Any:
    """B1 = tr(S P S N Q N')."""
    spectrum, start, right = step.eigenbasis.spectrum, step.start, step.right
    here, there = start.bias(spectrum, step.rows + 1), start.bias(spectrum, step.eval_rows + 1)
    spread, back, form = multiply(start.weight, spectrum), transpose(start.weight), law.form
    value = form(spectrum, right, spectrum) * form(transpose(there), once, here)
    value = value - law.label * form(transpose(there), once, spread, right, spectrum)
    value = value - law.label * form(spectrum, right, spectrum, back, once, here)
    value = value + law.label * law.label * product_trace((once, spread, right, spectrum, back))
    return value * (step.rows * step.eval_rows)


def _quadratic_mean(law: _Law, right: Array, n: float) -> Any:
    """E u'Qu."""
    return law.trace((right,)) * n + law.form(law.spectrum[0], right, law.spectrum[0]) * tau_moment(n, 2)


def same_fixed(step: Step) -> Coefficients:
    r"""A constant step, evaluated on the very context it was trained with.

    .. math:: B_1=E[q\,r^\top\Sigma P\Sigma r],\quad c_1=E[q^2r^\top\Sigma M\Sigma r],\quad
        c_2=\mathrm{tr}(\Sigma M)\,E[q^2(r^\top\Sigma r+\sigma^2)],\quad q=u^\top Qu
    """
    eigenbasis, n = step.eigenbasis, step.rows
    task, spectrum, right = eigenbasis.task, eigenbasis.spectrum, _symmetric(step.right)
    law = _Law(task, spectrum, step.noise)
    once, twice, trace = step.metric()
    spread, along = law.trace((right,)), law.form(spectrum, right, spectrum)
    variance, mixed = law.trace((right,), (right,)), law.chain((spectrum, right), (), (right, spectrum))

    def moment(power: int) -> float:
        return tau_moment(n, power)

    def first(metric: Array) -> Any:
        """E[q r'Dr]."""
        rest = _Residual(step, law, metric)
        gaussian = law.trace((right,), (rest.inner,)) * (2 * moment(2))
        gaussian = gaussian - rest.crossed(law, 2, (spectrum, right), ()) * 4.0
        return spread * rest.mean(1) + along * rest.mean(2) + gaussian

    def second(metric: Array) -> Any:
        """E[q^2 r'Dr]."""
        rest = _Residual(step, law, metric)
        inner, left = (rest.inner,), (spectrum, right)
        value = (
            spread * spread * rest.mean(2)
            + spread * along * rest.mean(3) * 2.0
            + along * along * rest.mean(4)
        )
        value = value + variance * rest.mean(2) * 2.0 + mixed * rest.mean(3) * 4.0
        value = value + law.trace((right,), inner) * (spread * moment(3) + along * moment(4)) * 4.0
        value = (
            value - (spread * rest.crossed(law, 3, left, ()) + along * rest.crossed(law, 4, left, ())) * 8.0
        )
        value = value + law.trace((right,), (right,), inner) * (8 * moment(3))
        value = value + law.chain(left, [inner], (right, spectrum)) * (8 * moment(4))
        return value - rest.crossed(law, 3, left, [(right,)]) * 16.0

    squared = spread * spread * moment(2) + spread * along * (2 * moment(3)) + along * along * moment(4)
    squared = squared + variance * (2 * moment(2)) + mixed * (4 * moment(3))
    return Coefficients(
        task.mean(first(_symmetric(once))),
        task.mean(second(twice)),
        trace * task.mean(second(spectrum) + squared * step.noise),
        task.mean(spread * n + along * moment(2)),
    )


def same_normalized(step: Step) -> Coefficients:
    r"""A step divided by :math:`u^\top Qu`, evaluated on its own context.

    .. math:: B_1=\mathrm{tr}(\Sigma P\Sigma R),\quad c_1=\mathrm{tr}(\Sigma M\Sigma R),\quad
        c_2=\mathrm{tr}(\Sigma M)\,L_0,\quad R=E\,rr^\top
    """
    task, spectrum = step.eigenbasis.task, step.eigenbasis.spectrum
    law = _Law(task, spectrum, step.noise)
    once, twice, trace = step.metric()

    def second_moment(metric: Array) -> float:
        return task.mean(_Residual(step, law, metric).mean(0))

    if not step.rows:  # without a context there is nothing to write along
        return Coefficients(0.0, 0.0, 0.0, 1.0)
    linear, square, excess = (second_moment(_symmetric(once)), second_moment(twice), second_moment(spectrum))
    return Coefficients(linear, square, trace * (excess + step.noise), 1.0)


def _symmetric(matrix: Array) -> Array:
    return matrix if matrix.ndim == 1 else (matrix + matrix.T) / 2
