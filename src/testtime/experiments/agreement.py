"""The claim every figure with a theory and a simulation makes: they agree."""

from __future__ import annotations

import pandas as pd

from testtime.results import Claim

__all__ = ["agreement"]


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
    in_errors = float((distance / points["error"]).max())
    in_share = float((distance / points["exact"]).max())
    count = len(points)
    return [
        Claim(
            f"all {count} simulated risks lie within {errors:g} standard errors of the exact theory",
            in_errors <= errors,
            in_errors,
            errors,
        ),
        Claim(
            f"all {count} simulated risks lie within {share:.0%} of the exact theory",
            in_share <= share,
            in_share,
            share,
        ),
    ]
