r"""Where two risk curves :math:`L_0-I_\infty k/(k+\kappa)` cross, as functions of the training rows k."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from testtime.results import UNDECIDED, Transition

__all__ = ["Curve", "cross"]

_TIE = 1e-13  # relative difference of two risks that is taken for rounding


class Curve(Protocol):
    """What a crossing needs to know of each start; :class:`~testtime.results.OneStep` has it."""

    @property
    def risk_before(self) -> float:
        """Risk without training rows."""
        ...

    @property
    def limit_gain(self) -> float:
        """Gain for endless training rows."""
        ...

    @property
    def half_train(self) -> float:
        """Rows that reach half of it."""
        ...


def cross(warm: Curve, cold: Curve) -> Transition:
    r"""Find every k where the better curve changes.

    .. math:: (D-I_c+I_w)k^2+[D(\kappa_w+\kappa_c)-I_c\kappa_w+I_w\kappa_c]k+D\kappa_w\kappa_c=0,\qquad
        D=L_{0,c}-L_{0,w}

    :math:`L_0` is ``risk_before``, :math:`I` ``limit_gain`` and :math:`\kappa` ``half_train``; the indices
    name the curves. Curves that differ by less than rounding leave it undecided.
    """
    lead, scale = cold.risk_before - warm.risk_before, max(cold.risk_before, warm.risk_before)
    polynomial = _polynomial(warm, cold, scale)
    if not any(polynomial) and _values(warm) != _values(cold):
        return Transition(float("nan"), UNDECIDED, UNDECIDED, ())
    roots = _positive_roots(*polynomial)
    crossings = tuple(k for k in roots if _changes_sign(warm, cold, k))
    few = ("warm" if lead > 0 else "cold") if abs(lead) > _TIE * scale else _gains_first(warm, cold)
    other = "cold" if few == "warm" else "warm"
    many = few if len(crossings) % 2 == 0 else other
    first = crossings[0] if crossings else (float("inf") if few == "warm" else 0.0)
    return Transition(first, few, many, crossings)


def _values(curve: Curve) -> tuple[float, float, float]:
    return curve.risk_before, curve.limit_gain, curve.half_train


def _polynomial(warm: Curve, cold: Curve, scale: float) -> tuple[float, float, float]:
    """Coefficients of the crossing equation, highest power first; rounding-sized ones are zero."""
    lead = cold.risk_before - warm.risk_before
    half_w, half_c = (curve.half_train if np.isfinite(curve.half_train) else 1.0 for curve in (warm, cold))
    gain_w, gain_c = warm.limit_gain, cold.limit_gain
    high = lead - gain_c + gain_w
    middle = lead * (half_w + half_c) - gain_c * half_w + gain_w * half_c
    rounding = _TIE * scale
    return (
        high if abs(high) > rounding else 0.0,
        middle if abs(middle) > rounding * (half_w + half_c) else 0.0,
        lead * half_w * half_c if abs(lead) > rounding else 0.0,
    )


def _positive_roots(a: float, b: float, c: float) -> list[float]:
    """Positive roots of a k^2 + b k + c, ascending, from the form that does not cancel."""
    if a == 0.0:
        roots = [] if b == 0.0 else [-c / b]
    else:
        inside = b * b - 4 * a * c
        if inside < 0:
            return []
        q = -(b + np.copysign(np.sqrt(inside), b)) / 2
        roots = [q / a] + ([c / q] if q else [])
    return sorted({float(root) for root in roots if root > 0 and np.isfinite(root)})


def _risk(curve: Curve, k: float) -> float:
    return curve.risk_before - (curve.limit_gain * k / (k + curve.half_train) if curve.limit_gain else 0.0)


def _changes_sign(warm: Curve, cold: Curve, k: float) -> bool:
    """Whether the curves cross at k and do not only touch."""
    below, above = (_risk(cold, t) - _risk(warm, t) for t in (k * (1 - 1e-3), k * (1 + 1e-3)))
    return below * above < 0


def _gains_first(warm: Curve, cold: Curve) -> str:
    """Which start gains more from the first row, when both begin with the same risk."""
    return "cold" if cold.limit_gain / cold.half_train > warm.limit_gain / warm.half_train else "warm"
