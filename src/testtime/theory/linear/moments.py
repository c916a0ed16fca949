r"""Moments the exact formulas are made of.

The context summary :math:`u=X^\top y` is, in law, :math:`\tau a+\sqrt\tau z` with :math:`\tau\sim\chi^2_n`
independent of :math:`z\sim N(0,V)`, where :math:`a=\Sigma\beta`, :math:`s=\beta^\top\Sigma\beta+\sigma^2`
and :math:`V=s\Sigma-aa^\top`: condition on the labels, whose squared length is :math:`s\tau`. Every
polynomial in u therefore has moments made of :math:`E\,\tau^j=n(n+2)\cdots(n+2j-2)` and Gaussian cumulants.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["norm_nodes", "tau_moment"]

Array = NDArray[np.float64]


def tau_moment(n: Any, power: int, centred: int = 0) -> Any:
    r""":math:`E[\tau^i(\tau-n)^j]` for :math:`\tau\sim\chi^2_n`, without cancellation.

    .. math:: m_i=\prod_{l<i}(n+2l),\qquad E[\tau^i(\tau-n)]=2i\,m_i,\qquad
        E[\tau^i(\tau-n)^2]=(4i^2+4i+2n)\,m_i

    :math:`i` is `power` (>= 0), :math:`j` is `centred` (0, 1 or 2), :math:`n` any real number or array >= 0.

    >>> tau_moment(3.0, 2), tau_moment(3.0, 1, centred=2)
    (15.0, 42.0)
    """
    moment = 1.0
    for step in range(power):
        moment = moment * (n + 2 * step)
    if centred == 0:
        return moment
    return moment * (2 * power if centred == 1 else 4 * power**2 + 4 * power + 2 * n)


def norm_nodes(dim: Any, variance: Any) -> tuple[Array, Array]:
    r"""Two nodes and weights that average any cubic polynomial of :math:`|\beta|^2`, :math:`\beta\sim
    N(0,tI_d)`, exactly.

    The Gauss rule of the chi-square law: nodes :math:`t(d+2\pm\sqrt{2(d+2)})`, and weights that match the
    mean :math:`td`. :math:`d` is `dim` and :math:`t` is `variance`, which may be arrays; the rule is on a
    new first axis.

    >>> nodes, weights = norm_nodes(4, 1.0)
    >>> [round(float(weights @ nodes**j), 9) for j in range(4)]
    [1.0, 4.0, 24.0, 192.0]
    """
    spread = np.sqrt(2.0 * (np.asarray(dim, dtype=float) + 2.0))
    nodes = variance * np.stack([dim + 2.0 - spread, dim + 2.0 + spread])
    upper = (spread - 2.0) / (2.0 * spread)
    return nodes, np.stack([1.0 - upper, upper])
