"""How the benchmarks take a time."""

from __future__ import annotations

import time
from collections.abc import Callable


def best_seconds(
    call: Callable[[], object], repeats: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    """Return the shortest of several timings, in seconds of `clock`."""
    seconds = []
    for _ in range(repeats):
        start = clock()
        call()
        seconds.append(clock() - start)
    return min(seconds)
