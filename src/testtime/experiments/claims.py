"""Claims with a margin, and the one that every figure with a theory and a simulation makes: they agree."""

from __future__ import annotations

from typing import Any

import pandas as pd

from testtime.results import Claim

__all__ = ["agreement", "at_least", "at_most"]


def at_least(statement: str, value: Any, threshold: float) -> Claim:
    """Claim that `value` reaches `threshold`; NaN does not.

    >>> at_least("the gain is at least 10%", 0.12, 0.1).holds
    True
    """
    value, threshold = float(value), float(threshold)
    return Claim(statement, value >= threshold, value, threshold)


def at_most(statement: str, value: Any, threshold: float) -> Claim:
    """Claim that `value` does not exceed `threshold`; NaN does.

    >>> at_most("the error is at most 1%", float("nan"), 0.01).holds
    False
    """
    value, threshold = float(value), float(threshold)
    return Claim(statement, value <= threshold, value, threshold)


def agreement(table: pd.DataFrame, *, errors: float = 5.0, share: float = 0.05) -> list[Claim]:
    """Claim that every simulated risk agrees with the exact one.

    Two claims, because either alone is easy: many standard errors apart is wrong however small the
    difference, and a wide error bar agrees with anything.

    Parameters
    ----------
    table
        Rows of ``kind`` "simulated" with ``risk``, ``error`` (the standard error) and ``exact``.
    errors
        Largest distance allowed, in standard errors.
    share
        Largest distance allowed, as a share of the exact risk.

    >>> rows = pd.DataFrame([{"kind": "simulated", "risk": 1.01, "error": 0.01, "exact": 1.0}])
    >>> [claim.holds for claim in agreement(rows)]
    [True, True]
    """
    points = table[table["kind"] == "simulated"]
    distance = (points["risk"] - points["exact"]).abs()
    subject = f"all {len(points)} simulated risks lie within"
    return [
        at_most(
            f"{subject} {errors:g} standard errors of the exact theory",
            (distance / points["error"]).max(),
            errors,
        ),
        at_most(f"{subject} {share:.0%} of the exact theory", (distance / points["exact"]).max(), share),
    ]
