r"""Quadratic forms :math:`\beta^\top M\beta` of a test task that is fixed (numbers) or random (averaged at
the end).

A formula written with ``form(...)`` serves both: for a fixed task a form is a float, for :math:`\beta\sim
N(0,T)` it is a polynomial whose products are averaged with

.. math:: E[q_1q_2]=t_1t_2+2t_{12},\qquad E[q_1q_2q_3]=t_1t_2t_3+2(t_1t_{23}+t_2t_{13}+t_3t_{12})+8t_{123}

where :math:`t_i=\mathrm{tr}(M_iT)`, :math:`t_{ij}=\mathrm{tr}(M_iTM_jT)` and so on, for symmetric
:math:`M_i`.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testtime.theory.linear.matrices import apply, multiply, product_trace, transpose

__all__ = ["FixedTask", "RandomTask"]

Array = NDArray[np.float64]


class FixedTask:
    """Forms of a fixed task vector, shape ``(d,)``."""

    def __init__(self, beta: Array) -> None:
        self.beta = beta

    def form(self, *word: Array) -> Any:
        """Return beta' M1 M2 ... beta."""
        vector = self.beta
        for matrix in reversed(word):
            vector = apply(matrix, vector)
        return float(self.beta @ vector)

    def mean(self, value: Any) -> float:
        """Return the value itself: nothing is random."""
        return float(value)


class RandomTask:
    """Forms of a Gaussian task with covariance `cov` (``(d,)`` or ``(d, d)``), up to products of three."""

    def __init__(self, cov: Array) -> None:
        self.covariance = cov
        self._weighted: list[Array] = []  # M T for each form
        self._pairs: dict[tuple[int, int], Array] = {}
        self._known: dict[tuple[int, ...], _Polynomial] = {}
        self._alive: list[tuple[Array, ...]] = []  # keeps the ids below unique

    def form(self, *word: Array) -> Any:
        """Return the polynomial that is the single form beta' M1 M2 ... beta."""
        key = tuple(id(matrix) for matrix in word)
        if key not in self._known:
            matrix = reduce(multiply, word)
            symmetric = matrix if matrix.ndim == 1 else (matrix + transpose(matrix)) / 2
            self._weighted.append(multiply(symmetric, self.covariance))
            self._alive.append(word)
            self._known[key] = _Polynomial({(len(self._weighted) - 1,): 1.0})
        return self._known[key]

    def mean(self, value: Any) -> float:
        """Average a polynomial of forms over the task."""
        if not isinstance(value, _Polynomial):
            return float(value)
        return float(sum(factor * self._monomial(forms) for forms, factor in value.terms.items()))

    def _trace(self, *forms: int) -> float:
        if len(forms) == 3:
            key = (forms[0], forms[1])
            if key not in self._pairs:
                self._pairs[key] = multiply(self._weighted[key[0]], self._weighted[key[1]])
            return product_trace((self._pairs[key], self._weighted[forms[2]]))
        return product_trace(tuple(self._weighted[form] for form in forms))

    def _monomial(self, forms: tuple[int, ...]) -> float:
        singles = [self._trace(form) for form in forms]
        if len(forms) < 2:
            return float(np.prod(singles))
        if len(forms) == 2:
            return singles[0] * singles[1] + 2 * self._trace(*forms)
        one, two, three = forms
        pairs = singles[0] * self._trace(two, three) + singles[1] * self._trace(one, three)
        pairs += singles[2] * self._trace(one, two)
        return singles[0] * singles[1] * singles[2] + 2 * pairs + 8 * self._trace(one, two, three)


class _Polynomial:
    """A polynomial in numbered quadratic forms: ``{sorted form numbers: coefficient}``."""

    __slots__ = ("terms",)

    def __init__(self, terms: dict[tuple[int, ...], float]) -> None:
        self.terms = terms

    def __add__(self, other: Any) -> _Polynomial:
        terms = dict(self.terms)
        for forms, factor in (other.terms if isinstance(other, _Polynomial) else {(): float(other)}).items():
            terms[forms] = terms.get(forms, 0.0) + factor
        return _Polynomial(terms)

    def __mul__(self, other: Any) -> _Polynomial:
        if not isinstance(other, _Polynomial):
            return _Polynomial({forms: factor * float(other) for forms, factor in self.terms.items()})
        terms: dict[tuple[int, ...], float] = {}
        for left, x in self.terms.items():
            for right, y in other.terms.items():
                forms = tuple(sorted(left + right))
                terms[forms] = terms.get(forms, 0.0) + x * y
        return _Polynomial(terms)

    def __sub__(self, other: Any) -> _Polynomial:
        return self + other * -1.0

    def __neg__(self) -> _Polynomial:
        return self * -1.0

    def __rsub__(self, other: Any) -> _Polynomial:
        return self * -1.0 + other

    __radd__ = __add__
    __rmul__ = __mul__
