"""What is wrong with an adapter of a store."""

from __future__ import annotations

from dataclasses import dataclass

from testtime.results import Result

__all__ = ["Damage"]


@dataclass(frozen=True)
class Damage(Result):
    """A version that cannot be loaded.

    Attributes
    ----------
    name, number
        Whose, and which version.
    reason
        What is wrong with it, as a sentence.
    served
        Whether it is the version that is served; an older one may be removed.
    """

    name: str
    number: int
    reason: str
    served: bool = True
