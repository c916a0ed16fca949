"""Theory against simulation: the rows that hold both, and the claims that a formula a few percent off would break.

A risk says little about the formulas behind it: near the best step it hardly moves. So the three numbers that make
the parabola of a step are compared one by one: the risk before the step, its slope and its curvature. Margins come
from the simulation's own standard errors, which are themselves claimed to be small.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from testtime.experiments.claims import at_most
from testtime.experiments.linear.simulation import SimulatedRisk
from testtime.results import Claim, OneStep
from testtime.theory.linear import Setting, one_step

__all__ = [
    "POOLED",
    "agreement",
    "approach",
    "compared",
    "largest",
    "pooled",
    "transition_gap",
    "transitions_meet",
    "weight_agreement",
]

QUANTITIES = ("before", "slope", "curvature")
_WORST = 5.0  # standard errors, over a hundred or so points
POOLED = 4.0  # standard errors, over a handful of numbers
_ROUNDING = 1e-9  # share of a value; from zero weights the risk before the step is the same in every design


def compared(measured: SimulatedRisk, answer: OneStep) -> dict[str, float]:
    """Return what was simulated beside what theory says, for one point of a figure.

    ``risk`` and ``error`` are of the ``step`` that theory calls best, ``exact`` is the risk theory promises there; for
    each of "before", "slope" and "curvature" there is the mean, its standard error and the exact value.
    """
    risk, error = measured.risk(answer.best_step)
    row = {"risk": risk, "error": error, "exact": float(answer.best_risk), "step": float(answer.best_step)}
    exact = {"before": answer.risk_before, "slope": answer.slope, "curvature": answer.curvature}
    for name, (mean, spread) in measured.parts().items():
        value = float(exact[name])
        row |= {name: mean, f"{name}_error": spread + _ROUNDING * abs(value), f"{name}_exact": value}
    return row


def agreement(table: pd.DataFrame, *, precision: float = 0.01) -> list[Claim]:
    """Claim that simulation and theory agree, as closely as the simulation can tell, and that it can tell.

    Parameters
    ----------
    table
        Rows of kind "simulated" made by :func:`compared`, each with the ``cell`` it was simulated in: points of one
        cell share their rows, points of different cells are independent.
    precision
        Largest standard error that slope and curvature may have after pooling all cells, as a share of the value.
    """
    points = table[table["kind"] == "simulated"]
    claims = [
        at_most(
            f"simulated risks at the best step lie within {_WORST:g} standard errors of theory ({len(points)} points)",
            largest((points["risk"] - points["exact"]) / points["error"]),
            _WORST,
        )
    ]
    sigmas, error = pooled(points.assign(risk_error=points["error"], risk_exact=points["exact"]), "risk")
    text = "simulated risks at the best step, all cells together"
    claims += [
        at_most(f"{text}: within {POOLED:g} standard errors of theory", sigmas, POOLED),
        at_most(f"{text}: that standard error, as a share of the risk", error, precision / 2),
    ]
    for name in QUANTITIES:
        rows = points[points[f"{name}_exact"] != 0]
        distance = largest((rows[name] - rows[f"{name}_exact"]) / rows[f"{name}_error"])
        sigmas, error = pooled(rows, name)
        claims += [
            at_most(
                f"{name}: every simulated point within {_WORST:g} standard errors of theory", distance, _WORST
            ),
            at_most(
                f"{name}: all cells together within {POOLED:g} standard errors of theory", sigmas, POOLED
            ),
            at_most(
                f"{name}: that standard error, as a share of the value",
                error,
                precision / 2 if name == "before" else precision,
            ),
        ]
    least = points["before_exact"] - points["slope_exact"] ** 2 / (2 * points["curvature_exact"])
    trained = points["curvature_exact"] > 0
    claims.append(
        at_most(
            "the risk drawn is the least value of its parabola (largest distance)",
            largest((least - points["exact"])[trained]),
            1e-9,
        )
    )
    lowest = -points["slope_exact"] / points["curvature_exact"]
    claims.append(
        at_most(
            "the step it is drawn at is where its slope vanishes (largest distance, as a share)",
            largest((points["step"] / lowest - 1.0)[trained]),
            1e-9,
        )
    )
    return claims


def pooled(points: pd.DataFrame, name: str) -> tuple[float, float]:
    """Return how many standard errors all cells together lie from theory, and that error as a share of the value.

    >>> rows = pd.DataFrame({"cell": ["a", "b"], "x": [1.01, 0.99], "x_error": 0.02, "x_exact": 1.0})
    >>> sigmas, error = pooled(rows, "x")
    >>> round(sigmas, 6), round(error, 6)
    (0.0, 0.014142)
    """
    frame: Any = points
    random = points[f"{name}_error"] > 10 * _ROUNDING * points[f"{name}_exact"].abs()
    points = frame[random | points[f"{name}_error"].isna()]
    exact = points[f"{name}_exact"]
    parts = pd.DataFrame(
        {
            "cell": points["cell"],
            "share": points[name] / exact - 1.0,
            "error": points[f"{name}_error"] / exact.abs(),
        }
    )
    if parts[["share", "error"]].isna().any(axis=None) or parts.empty:
        return float("nan"), float("nan")
    cells = parts.groupby("cell")[["share", "error"]].mean()  # the error as if points of a cell were one
    weights = cells["error"] ** -2.0
    error = float(weights.sum() ** -0.5)
    return abs(float((cells["share"] * weights).sum() / weights.sum())) / error, error


def weight_agreement(table: pd.DataFrame, *, precision: float = 0.01) -> list[Claim]:
    """Claim that simulated pretraining finds the weights that theory calls optimal.

    `table` has rows of kind "simulated weight" with ``share``, the excess of the theory's weights over the simulated
    least squares, and its standard ``error``, one for each group of directions.
    """
    rows = table[table["kind"] == "simulated weight"]
    return [
        at_most(
            f"W*: within {POOLED:g} standard errors of simulated pretraining, in every group of directions",
            largest(rows["share"] / rows["error"]),
            POOLED,
        ),
        at_most("W*: that standard error, as a share of the weight", rows["error"].max(), precision),
    ]


def approach(table: pd.DataFrame, *, within: float = 0.005) -> list[Claim]:
    """Claim for each limit that the exact value is close to it in very large dimension.

    `table` has rows of kind "approach" with the ``name`` of the limit and the ``ratio`` of the exact value to it.

    >>> approach(pd.DataFrame({"kind": "approach", "name": "gain_limit", "ratio": [1.001, 0.999]}))[0].holds
    True
    """
    rows = table[table["kind"] == "approach"]
    return [
        at_most(
            f"{name}: exact and limit differ by at most {within:.1%} in very large dimension",
            largest(group["ratio"] - 1.0),
            within,
        )
        for name, group in rows.groupby("name")
    ]


def transition_gap(setting: Setting, n_train: float) -> float:
    """Return by how much the best risks from W* and from zero differ at `n_train` rows, as a share; 0 where they cross.

    >>> from testtime.theory.linear import start_transition
    >>> setting = Setting(60, 0, dim=60, task=1.0)
    >>> transition_gap(setting, start_transition(setting).n_train) < 1e-12
    True
    """
    if not np.isfinite(n_train):
        return 0.0
    risks = []
    for start in ("warm", "cold"):
        answer = one_step(setting.replace(n_train=1), start)
        risks.append(answer.risk_before - answer.limit_gain * n_train / (n_train + answer.half_train))
    return float(abs(risks[0] - risks[1]) / risks[0])


def transitions_meet(table: pd.DataFrame) -> Claim:
    """Claim that the risks from both starts are equal wherever a transition is drawn (column ``gap``)."""
    return at_most(
        "at every transition drawn the risks from W* and from zero are equal (largest difference, as a share)",
        largest(table["gap"].dropna()),
        1e-9,
    )


def largest(values: pd.Series) -> float:
    """Return the largest size; NaN if one is missing or there is none, which no claim accepts."""
    sizes = np.abs(values.to_numpy(dtype=float))
    return float(sizes.max()) if len(sizes) else float("nan")
