"""An exponent as an answer: a number that knows how sure it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from testtime.errors import InputError, sentence
from testtime.results import Result
from testtime.theory.checks import as_number

__all__ = ["Exponent", "decide", "infinite"]

_SIGMAS = 3.0


@dataclass(frozen=True, eq=False)
class Exponent(Result):
    r"""The first degree k with a non-zero profile entry, usable wherever an integer is.

    It compares, hashes and calculates like its value and can be an index or a ``range`` bound. Formatting
    without a format code gives the sentence, ``f"{exponent:d}"`` the number.

    Reference: Kuwataka and Suzuki (2026), exponents of a link.

    Attributes
    ----------
    name
        ``"information"`` or ``"generative"``.
    symbol
        ``"c"`` for coefficients in units of the label's standard deviation, ``"U"`` for the generative
        profile.
    value
        The first degree that is certainly non-zero: an integer, ``math.inf`` for a constant label. When no
        degree up to the highest one is, the value is one more than the highest and `decided` is false.
    decided
        Whether every smaller degree is certainly zero: by symmetry, or because it is rounding where a later entry is
        far beyond rounding. Of entries that grow out of the rounding, as those of sin(10 z), the smaller ones are open,
        also where He_3 is added to it.
    candidates
        Degrees the exponent can still be, in order; one entry when decided.
    profile, errors
        Entries for k = 1, 2, ... and their uncertainty (an error estimate for a link, a standard error for
        samples).
    tolerance
        An entry is non-zero when it exceeds this by three errors, and zero when it lies within three errors
        of zero and the errors are small against this.

    >>> exponent = decide("generative", "U", [3e-4, 0.2], [4e-4, 1e-3], tolerance=1e-4)
    >>> print(exponent)
    undecided between 1 and 2; U_1 = 3e-04 +- 4e-04
    >>> exponent == 2, exponent.decided, 4**exponent
    (True, False, 16)
    """

    name: str
    symbol: str
    value: float
    decided: bool
    candidates: tuple[float, ...]
    profile: tuple[float, ...]
    errors: tuple[float, ...]
    tolerance: float

    def __str__(self) -> str:
        if math.isinf(self.value):
            return "infinite; the label is constant and says nothing about z"
        n = len(self.profile)
        if self.decided:
            return f"{self.value} ({self._entry(int(self.value))})"
        doubtful = [k for k in self.candidates if k <= n and k != self.value]
        entries = "; ".join(self._entry(int(k)) for k in doubtful[:3])
        if self.value > n:
            zero = f"no {self.symbol}_k up to k = {n} is certainly non-zero"
            return f"at least {int(self.candidates[0])}; {zero}" + (f"; {entries}" if entries else "")
        *first, last = (str(int(k)) for k in self.candidates)
        return f"undecided between {', '.join(first)} and {last}; {entries}"

    def _entry(self, k: int) -> str:
        value, error = self.profile[k - 1], self.errors[k - 1]
        shown = f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.0e}"
        return f"{self.symbol}_{k} = {shown} +- {error:.0e}"

    def __format__(self, code: str) -> str:
        if math.isinf(self.value) and code.endswith("d"):  # which knows integers only
            code = code[:-1] + "g"
        return format(self.value, code) if code else str(self)

    def __int__(self) -> int:
        if math.isinf(self.value):
            raise InputError(
                sentence(
                    f"the {self.name} exponent is infinite",
                    expected="a finite one where an integer is needed",
                    why="a constant label says nothing about z",
                )
            )
        return int(self.value)

    __index__ = __trunc__ = __floor__ = __ceil__ = __int__

    def __round__(self, digits: int | None = None) -> Any:
        return int(self) if digits is None else round(self.value, digits)

    def __float__(self) -> float:
        return float(self.value)

    def __hash__(self) -> int:
        return hash(self.value)

    def __eq__(self, other: object) -> bool:
        return self.value == _plain(other)

    def __lt__(self, other: Any) -> bool:
        return self.value < _plain(other)

    def __le__(self, other: Any) -> bool:
        return self.value <= _plain(other)

    def __gt__(self, other: Any) -> bool:
        return self.value > _plain(other)

    def __ge__(self, other: Any) -> bool:
        return self.value >= _plain(other)

    def __add__(self, other: Any) -> Any:
        return self.value + _plain(other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return self.value - _plain(other)

    def __rsub__(self, other: Any) -> Any:
        return _plain(other) - self.value

    def __mul__(self, other: Any) -> Any:
        return self.value * _plain(other)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return self.value / _plain(other)

    def __rtruediv__(self, other: Any) -> Any:
        return _plain(other) / self.value

    def __floordiv__(self, other: Any) -> Any:
        return self.value // _plain(other)

    def __rfloordiv__(self, other: Any) -> Any:
        return _plain(other) // self.value

    def __mod__(self, other: Any) -> Any:
        return self.value % _plain(other)

    def __rmod__(self, other: Any) -> Any:
        return _plain(other) % self.value

    def __divmod__(self, other: Any) -> Any:
        return divmod(self.value, _plain(other))

    def __rdivmod__(self, other: Any) -> Any:
        return divmod(_plain(other), self.value)

    def __neg__(self) -> Any:
        return -self.value

    def __pos__(self) -> Any:
        return self.value

    def __abs__(self) -> Any:
        return abs(self.value)

    def __pow__(self, other: Any) -> Any:
        return self.value ** _plain(other)

    def __rpow__(self, other: Any) -> Any:
        return _plain(other) ** self.value


def _plain(other: Any) -> Any:
    return other.value if isinstance(other, Exponent) else other


def decide(
    name: str,
    symbol: str,
    profile: Sequence[float],
    errors: Sequence[float],
    tolerance: float,
    floor: float = 0.0,
    open_degrees: Collection[int] = (),
    zero_degrees: Collection[int] = (),
    clear: float = 0.0,
    clear_beyond: Callable[[], bool] = lambda: True,
    hidden: Callable[[], bool] = lambda: False,
) -> Exponent:
    """Find the first non-zero entry of a profile, and say when noise or tolerance leaves it open.

    Parameters
    ----------
    name, symbol
        As in :class:`Exponent`.
    profile, errors
        Entries for k = 1, 2, ... and their uncertainties.
    tolerance
        Size below which an entry is not called non-zero.
    floor
        Size of rounding that `errors` does not contain.
    open_degrees
        Degrees that something else shows to be non-zero; they are never called zero.
    zero_degrees
        Degrees that symmetry shows to be zero.
    clear
        Size from which the first entry beyond rounding shows that those before it are zero and not just small.
    clear_beyond
        Asked where no entry is beyond rounding: whether the first one of a higher degree shows that.
    hidden
        Asked where an entry is clear: whether a part of the link of much higher degree may have entries before it that
        are smaller than rounding.
    """
    tolerance = _as_tolerance(tolerance)
    doubtful: list[float] = []
    seen: float | None = None  # size of the first entry that is beyond rounding
    value: float = len(profile) + 1
    for k, (entry, error) in enumerate(zip(profile, errors, strict=True), start=1):
        size, slack = abs(entry), _SIGMAS * error
        beyond = size > slack + floor or k in open_degrees
        if beyond and seen is None:
            seen = size
            if size < clear:
                doubtful = _not_known(profile[: k - 1], errors, zero_degrees)
        if size - slack > max(tolerance, floor):
            value = k
            break
        if beyond or error > tolerance:
            doubtful.append(k)
    found = value <= len(profile)
    if (
        found
        and not doubtful
        and (unknown := _not_known(profile[: int(value) - 1], errors, zero_degrees))
        and hidden()
    ):
        doubtful = unknown
    if seen is None and not clear_beyond():
        doubtful = _not_known(profile, errors, zero_degrees)
    return Exponent(
        name,
        symbol,
        value,
        decided=found and not doubtful,
        candidates=(*doubtful, value),
        profile=tuple(float(entry) for entry in profile),
        errors=tuple(float(error) for error in errors),
        tolerance=float(tolerance),
    )


def _not_known(
    profile: Sequence[float], errors: Sequence[float], zero_degrees: Collection[int]
) -> list[float]:
    """Return the degrees that nothing shows to be zero; an entry without an error is exact."""
    entries = enumerate(zip(profile, errors, strict=False), start=1)
    return [k for k, (entry, error) in entries if k not in zero_degrees and (entry or error)]


def _as_tolerance(tolerance: Any) -> float:
    number = as_number(tolerance, "tolerance")
    if number < 0:
        raise InputError(sentence(f"tolerance={tolerance}", expected="a number of 0 or more"))
    return number


def infinite(name: str, symbol: str, degree: int, tolerance: float) -> Exponent:
    """Return the exponent of a constant label."""
    zeros = (0.0,) * degree
    return Exponent(name, symbol, math.inf, True, (math.inf,), zeros, zeros, _as_tolerance(tolerance))
