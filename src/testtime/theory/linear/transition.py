"""Where to start: warm against cold, where the answer changes, and the best scale between."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.results import OneStep, Transition
from testtime.theory.checks import as_number
from testtime.theory.linear.answers import answers
from testtime.theory.linear.crossing import cross
from testtime.theory.linear.pretraining import pretrained_weight
from testtime.theory.linear.results import ScaledStart
from testtime.theory.linear.setting import Setting, require_single
from testtime.theory.linear.step import one_step

__all__ = ["best_scaled_start", "start_transition"]

Array = NDArray[np.float64]


@answers
def start_transition(
    setting: Setting,
    context: str = "fresh",
    step: str = "fixed",
    *,
    eval_context: Any = None,
    left: Any = None,
    right: Any = None,
) -> Transition:
    r"""The number of training rows at which the better start changes between warm and cold, each at its
    best step.

    Each best risk is :math:`L_0-I_\infty k/(k+\kappa)`, so with :math:`D=L_{0,c}-L_{0,w}` the crossings solve

    .. math:: (D-I_c+I_w)k^2+[D(\kappa_w+\kappa_c)-I_c\kappa_w+I_w\kappa_c]k+D\kappa_w\kappa_c=0,

    in the noise-free isotropic case :math:`k^*=(d+1)D/(I_c-I_w-D)`. The sign of :math:`D` says which start
    wins for few rows, the sign of the leading coefficient which wins for many. Exact for every n and d;
    ``setting.n_train`` is not used.

    Reference: Gozeten et al. (2025), Fig. 1b; derivation in docs/theory/linear.

    Parameters
    ----------
    setting, context, step, eval_context, left, right
        As in :func:`one_step`.

    Returns
    -------
    Transition
        ``n_train`` is the real-valued first k where the better start changes: ``inf`` when warm wins for
        every k, 0 when cold does. ``crossings`` holds all of them (two when warm wins on both sides of an
        interval, or inside one). Where the two curves differ by less than rounding, at extreme noise, it is NaN and
        ``below`` and ``above`` are "undecided".

    >>> round(start_transition(Setting(n_context=100, n_train=0, dim=100, task=1.0)).n_train, 1)
    148.4
    """
    require_single(setting, why="the number of crossings differs between settings")
    probe = setting.replace(n_train=1)
    how = {"context": context, "step": step, "eval_context": eval_context, "left": left, "right": right}
    warm, cold = one_step(probe, "warm", **how), one_step(probe, "cold", **how)
    return cross(warm, cold)


@answers
def best_scaled_start(
    setting: Setting,
    context: str = "fresh",
    step: str = "fixed",
    *,
    eval_context: Any = None,
    largest: float = 2.0,
) -> ScaledStart:
    r"""The start :math:`cW^*` whose risk at the best step is least; it beats warm (c = 1) and cold (c = 0).

    :math:`L_0,B_1` and :math:`c_1,c_2` of :func:`one_step` are quadratic in c, so three evaluations give
    the best risk for every c; its minimum over [0, `largest`] is at a root of a
    polynomial of degree 5. With ``n_train=0`` it is plain in-context learning with rescaled weights.

    Reference: this project; derivation in docs/theory/linear.

    Raises
    ------
    InputError
        For a negative `largest`, an array of settings, and what :func:`one_step` refuses.

    >>> found = best_scaled_start(Setting(n_context=100, n_train=100, dim=100, task=1.0))
    >>> round(found.scale, 3), round(found.risk, 3), round(found.warm_risk, 4), round(found.cold_risk, 4)
    (0.558, 0.386, 0.4448, 0.5263)
    """
    weight: Any = pretrained_weight(setting)
    require_single(setting)
    largest = as_number(largest, "largest")
    if largest < 0:
        raise InputError(
            sentence(f"largest={largest:g}", expected="a number >= 0", remedy="Leave it out for 2.0, say")
        )

    def at(scale: float) -> OneStep:
        start = {0.0: "cold", 1.0: "warm"}.get(scale, scale * weight)
        return one_step(setting, start, context, step, eval_context=eval_context)

    points = np.array([0.0, 0.5, 1.0])
    known = [at(float(scale)) for scale in points]
    size_slope, size_curvature = _size(known, "slope"), _size(known, "curvature")
    before, slope, curvature = (
        Polynomial.fit(points, [getattr(one, name) / size for one in known], 2, domain=[-1, 1])
        for name, size in (("risk_before", 1.0), ("slope", size_slope), ("curvature", size_curvature))
    )
    change = before.deriv()
    if known[0].curvature:  # the derivative of before - slope^2 / (2 curvature), times curvature^2
        pull = slope * (2 * slope.deriv() * curvature - slope * curvature.deriv())
        change = change * curvature**2 - pull * (size_slope / size_curvature * size_slope / 2)
    zeros = change.roots()
    inside = [float(z.real) for z in zeros if abs(z.imag) < 1e-6 and 0 < z.real < largest]
    candidates = [(known[2], 1.0)] if largest >= 1 else []
    candidates += [(known[0], 0.0)]  # warm and cold first, so that they win ties
    candidates += [(at(scale), scale) for scale in (*inside, largest)]
    winner, scale = min(candidates, key=lambda candidate: candidate[0].best_risk)
    return ScaledStart(scale, winner.best_risk, winner.best_step, known[2].best_risk, known[0].best_risk)


def _size(answers: list[OneStep], name: str) -> float:
    """Largest magnitude of a field, 1 when all are zero."""
    return max(abs(getattr(one, name)) for one in answers) or 1.0
