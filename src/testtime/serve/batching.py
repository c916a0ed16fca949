"""Requests for one adapter that wait for the model are predicted together.

Nobody waits for company: while a batch is predicted the next one gathers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor

import numpy as np
from numpy.typing import NDArray

from testtime.adapt.parallel import at_most_cores
from testtime.serve.models import Loaded
from testtime.serve.refusals import Refused

__all__ = ["Batcher"]

_Waiting = tuple[NDArray[np.float64], "asyncio.Future[NDArray[np.float64]]"]


class Batcher:
    """One line of waiting requests for each adapter; use it within one event loop.

    Parameters
    ----------
    pool
        Where predictions are computed.
    most_rows
        Rows of one batch, unless a single request has more.
    most_waiting
        Requests that may wait, in all lines.
    on_batch
        Told the number of requests of each batch.
    """

    def __init__(
        self, pool: Executor, *, most_rows: int, most_waiting: int, on_batch: Callable[[int], object]
    ) -> None:
        self._pool, self._most_rows, self._most_waiting = pool, most_rows, most_waiting
        self._on_batch = on_batch
        self._lines: dict[str, deque[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.n_waiting = 0

    async def predict(self, loaded: Loaded, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the answers for encoded rows.

        Raises
        ------
        Refused
            With status 503 if too many requests wait.
        """
        if self.n_waiting >= self._most_waiting:
            reason = f"{self.n_waiting:,} requests wait already. Try again in a second."
            raise Refused(503, reason, {"Retry-After": "1"})
        future = asyncio.get_running_loop().create_future()
        self.n_waiting += 1
        line = self._lines.get(loaded.sha256)
        if line is None:
            self._lines[loaded.sha256] = deque([(x, future)])
            task = asyncio.create_task(self._serve(loaded))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            line.append((x, future))
        return await future

    async def _serve(self, loaded: Loaded) -> None:
        """Predict until nobody waits for this adapter."""
        line, loop = self._lines[loaded.sha256], asyncio.get_running_loop()
        while line:
            batch = self._next(line)
            if not batch:
                continue
            self._on_batch(len(batch))
            try:
                rows = np.concatenate([x for x, _ in batch])
                answers = await loop.run_in_executor(self._pool, _predict, loaded, rows)
            except Exception as error:
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            ends = np.cumsum([len(x) for x, _ in batch])[:-1]
            for (_, future), own in zip(batch, np.split(answers, ends), strict=True):
                if not future.done():
                    future.set_result(own)
        del self._lines[loaded.sha256]

    def _next(self, line: deque[_Waiting]) -> list[_Waiting]:
        """Take requests from a line; those that were given up meanwhile are left out."""
        batch: list[_Waiting] = []
        n_rows = 0
        while line and (not batch or n_rows + len(line[0][0]) <= self._most_rows):
            x, future = line.popleft()
            self.n_waiting -= 1
            if not future.done():
                batch.append((x, future))
                n_rows += len(x)
        return batch


def _predict(loaded: Loaded, x: NDArray[np.float64]) -> NDArray[np.float64]:
    with at_most_cores(1):  # other batches have the other cores
        return loaded.table.predict_encoded(x)
