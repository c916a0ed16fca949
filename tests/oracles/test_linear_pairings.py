"""Moments and small cases in exact rational arithmetic: all pairings, all monomials, no floating point."""

from fractions import Fraction
from math import prod

import pytest

from testtime.theory.linear import Setting, icl_risk, one_step
from testtime.theory.linear.wishart import narayana, wishart_moments


def pairings(slots):
    """All ways to join the slots in pairs."""
    if not slots:
        yield []
        return
    first, rest = slots[0], slots[1:]
    for at, partner in enumerate(rest):
        for others in pairings(rest[:at] + rest[at + 1 :]):
            yield [(first, partner), *others]


def loops(joints):
    """Number of connected components of a graph on the slots it names."""
    parent = {}

    def root(x):
        while parent.setdefault(x, x) != x:
            x = parent[x]
        return x

    for a, b in joints:
        parent[root(a)] = root(b)
    return len({root(x) for x in parent})


@pytest.mark.parametrize("order", [1, 2, 3, 4, 5])
def test_wishart_moments_are_sums_over_pairings(order):
    """tr (X'X)^j = sum X[a1,b1] X[a1,b2] X[a2,b2] ...: each pairing leaves loops of rows and columns."""
    slots = [(row, side) for row in range(order) for side in (0, 1)]
    column = {(row, side): (row + side) % order for row, side in slots}
    counts = {}
    for pairing in pairings(slots):
        rows = loops([(a[0], b[0]) for a, b in pairing])
        columns = loops([(column[a], column[b]) for a, b in pairing])
        counts[rows, columns] = counts.get((rows, columns), 0) + 1
    for k, d in ((0, 3), (1, 1), (3, 2), (5, 7), (40, 60)):
        assert wishart_moments(k, d, order)[order] == sum(
            count * k**rows * d**columns for (rows, columns), count in counts.items()
        )


def test_limit_of_wishart_moments():
    for ratio in (0.5, 2.0):
        for power in (1, 3, 6):
            errors = [
                wishart_moments(int(ratio * d), d, power)[power] / d ** (power + 1) / narayana(power, ratio)
                - 1
                for d in (200, 400)
            ]
            assert power == 1 or 1.9 < errors[0] / errors[1] < 2.1  # the error falls as 1/d


class Poly:
    """Polynomials in independent standard normal variables with rational coefficients."""

    def __init__(self, terms):
        self.terms = {key: c for key, c in terms.items() if c}

    @staticmethod
    def variable(at, count):
        return Poly({tuple(int(i == at) for i in range(count)): Fraction(1)})

    @staticmethod
    def of(value, count):
        return Poly({(0,) * count: Fraction(value)})

    def __add__(self, other):
        terms = dict(self.terms)
        for key, c in other.terms.items():
            terms[key] = terms.get(key, 0) + c
        return Poly(terms)

    def __mul__(self, other):
        terms = {}
        for a, x in self.terms.items():
            for b, y in other.terms.items():
                key = tuple(i + j for i, j in zip(a, b, strict=True))
                terms[key] = terms.get(key, 0) + x * y
        return Poly(terms)

    def times(self, value):
        return Poly({key: c * Fraction(value) for key, c in self.terms.items()})

    def mean(self):
        total = Fraction(0)
        for key, c in self.terms.items():
            if not any(power % 2 for power in key):
                total += c * prod(prod(range(1, power, 2)) for power in key)
        return total


CASES = [(2, Fraction(1, 2), Fraction(2, 5)), (1, Fraction(1, 3), Fraction(0))]


@pytest.mark.parametrize(("n", "weight", "deviation"), CASES)
@pytest.mark.parametrize("context", ["fresh", "same"])
def test_one_dimension_in_rationals(n, weight, deviation, context):
    """d = 1, two training rows: the three coefficients of the risk as exact rationals."""
    beta, eta, k = Fraction(3, 4), Fraction(1, 7), 2
    count = 2 * (n + k + n)
    z = [Poly.variable(at, count) for at in range(count)]

    def rows(first, number):
        xs = z[first : first + number]
        return [
            (x, x.times(beta) + e.times(deviation)) for x, e in zip(xs, z[first + number :], strict=False)
        ]

    def summary(pairs):
        return sum((x * y for x, y in pairs), Poly.of(0, count))

    u = summary(rows(0, n))
    v = u if context == "same" else summary(rows(2 * (n + k), n))
    gradient = sum((x * (y + (x * u).times(-weight)) for x, y in rows(2 * n, k)), Poly.of(0, count))
    base, push = Poly.of(beta, count) + v.times(-weight), (u * v * gradient).times(2)
    before = (base * base).mean() + deviation**2
    slope, bend = -2 * (base * push).mean(), (push * push).mean()
    setting = Setting(n, k, dim=1, task=float(beta**2), noise_var=float(deviation**2))
    answer = one_step(setting, float(weight), context)
    assert icl_risk(setting, float(weight)) == pytest.approx(float(before), rel=1e-14)
    assert answer.slope == pytest.approx(float(slope), rel=1e-13)
    assert answer.curvature / 2 == pytest.approx(float(bend), rel=1e-13)
    assert answer.risk(float(eta)) == pytest.approx(float(before + slope * eta + bend * eta**2), rel=1e-13)
