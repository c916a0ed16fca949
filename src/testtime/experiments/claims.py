"""Claims with a margin."""

from __future__ import annotations

from typing import Any

from testtime.results import Claim

__all__ = ["at_least", "at_most"]


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
