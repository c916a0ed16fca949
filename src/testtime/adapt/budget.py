"""How much time is left, and whether the next piece of work fits into it."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

__all__ = ["Budget"]


class Budget:
    """Seconds on a clock, shared by everything that works for one caller, and a way to stop it all.

    Parameters
    ----------
    seconds
        From now on; None for no limit.
    clock
        Monotonic clock in seconds.

    >>> budget = Budget(10.0, clock=iter([0.0, 4.0, 4.0]).__next__)
    >>> budget.fits(5.0), budget.fits(7.0)
    (True, False)
    """

    def __init__(self, seconds: float | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.started = clock()
        self._end = math.inf if seconds is None else self.started + seconds
        self._stopped = threading.Event()

    @property
    def limited(self) -> bool:
        """Whether there is a limit."""
        return math.isfinite(self._end)

    def spent(self) -> float:
        """Seconds since the budget began."""
        return self.clock() - self.started

    def left(self) -> float:
        """Seconds that are left: infinity without a limit, 0 or less when it is over."""
        if self._stopped.is_set():
            return -math.inf
        return self._end - self.clock() if self.limited else math.inf

    def fits(self, seconds: float) -> bool:
        """Whether work of this length would end in time."""
        return self.left() >= seconds

    def until(self, seconds_before_end: float) -> Budget:
        """Return a budget on the same clock that ends this much earlier, and stops with this one."""
        part = Budget(None, self.clock)
        part._end = self._end - seconds_before_end
        part._stopped = self._stopped
        return part

    def stop(self) -> None:
        """End the budget now, for every thread that asks; used when the caller is interrupted."""
        self._stopped.set()
