r"""Moments :math:`E\,\mathrm{tr}(S^j)/d` of a white Wishart matrix :math:`S=X^\top X`, exact and in the
limit.

Gaussian integration by parts turns a moment of degree j + 1 into moments of degree j. With power sums
:math:`p_j=\mathrm{tr}\,S^j`, :math:`p_0=d`, a k x d standard normal X and any product :math:`p_\lambda`,

.. math:: E[p_{j+1}p_\lambda]=(k+j)E[p_jp_\lambda]+\sum_{i=0}^{j-1}E[p_{i+1}p_{j-1-i}p_\lambda]
    +\sum_{m\in\lambda}2m\,E[p_{j+m}p_{\lambda\setminus m}].
"""

from __future__ import annotations

from functools import lru_cache
from math import comb

__all__ = ["narayana", "wishart_moments"]


def wishart_moments(rows: int, dim: int, order: int) -> list[int]:
    r"""Exact integers :math:`E\,\mathrm{tr}(S^j)` for j = 0 to `order`, S having `rows` degrees of freedom.

    >>> wishart_moments(3, 2, 2)  # tr S^2: k d (k + d + 1)
    [2, 6, 36]
    """
    return [_moment(rows, dim, (power,)) for power in range(order + 1)]


@lru_cache(maxsize=65536)
def _moment(rows: int, dim: int, powers: tuple[int, ...]) -> int:
    """E of a product of power sums, `powers` sorted descending."""
    trivial = powers.count(0)
    if trivial:
        return dim**trivial * _moment(rows, dim, tuple(p for p in powers if p))
    if not powers:
        return 1
    low, rest = powers[0] - 1, powers[1:]
    total = (rows + low) * _moment(rows, dim, _sorted(low, *rest))
    for i in range(low):
        total += _moment(rows, dim, _sorted(i + 1, low - 1 - i, *rest))
    for at, power in enumerate(rest):
        total += 2 * power * _moment(rows, dim, _sorted(low + power, *rest[:at], *rest[at + 1 :]))
    return total


def _sorted(*powers: int) -> tuple[int, ...]:
    return tuple(sorted(powers, reverse=True))


def narayana(power: int, ratio: float) -> float:
    r"""Limit of :math:`E\,\mathrm{tr}(S^j)/d^{j+1}` for :math:`k/d\to\gamma`: the moments of the
    Marchenko-Pastur law.

    .. math:: N_j(\gamma)=\sum_{r=1}^{j}\frac1j\binom jr\binom j{r-1}\gamma^r,\qquad N_0=1

    :math:`j` is `power` and :math:`\gamma` `ratio`.

    >>> narayana(2, 1.0)
    2.0
    """
    if power == 0:
        return 1.0
    return float(sum(comb(power, r) * comb(power, r - 1) * ratio**r for r in range(1, power + 1)) / power)
