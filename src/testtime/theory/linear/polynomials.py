"""Polynomials with integer coefficients in named variables: enough algebra to expand a product once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

__all__ = ["Polynomial", "variables"]

_BITS = 5  # per exponent; degrees stay below 32


class Polynomial:
    """A polynomial; exponents are packed into one integer per monomial.

    >>> x, y = variables(("x", "y")).values()
    >>> sorted(((x + y) * (x - y)).monomials(2))
    [((0, 2), -1), ((2, 0), 1)]
    """

    __slots__ = ("_terms",)

    def __init__(self, terms: dict[int, int]) -> None:
        self._terms = {key: factor for key, factor in terms.items() if factor}

    def __add__(self, other: Polynomial) -> Polynomial:
        terms = dict(self._terms)
        for key, factor in other._terms.items():
            terms[key] = terms.get(key, 0) + factor
        return Polynomial(terms)

    def __sub__(self, other: Polynomial) -> Polynomial:
        return self + Polynomial({key: -factor for key, factor in other._terms.items()})

    def __mul__(self, other: Polynomial) -> Polynomial:
        terms: dict[int, int] = {}
        for left, x in self._terms.items():
            for right, y in other._terms.items():
                key = left + right
                terms[key] = terms.get(key, 0) + x * y
        return Polynomial(terms)

    def monomials(self, count: int) -> Iterator[tuple[tuple[int, ...], int]]:
        """Yield exponents of the first `count` variables, and the coefficient."""
        mask = (1 << _BITS) - 1
        for key, factor in self._terms.items():
            yield tuple((key >> (_BITS * at)) & mask for at in range(count)), factor


def variables(names: Sequence[str]) -> dict[str, Polynomial]:
    """Return one variable per name, in this order of exponents."""
    return {name: Polynomial({1 << (_BITS * at): 1}) for at, name in enumerate(names)}
