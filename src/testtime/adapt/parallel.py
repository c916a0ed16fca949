"""Independent pieces of work side by side in threads, with the same results as one after the other.

A piece runs on one thread of its own, and torch uses one thread within it, whatever the caller's settings are: sums are
then taken in the same order on every machine, and the caller's grad mode, inference mode and autocast do not matter,
since all three belong to a thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

import torch

from testtime.adapt.budget import Budget

__all__ = ["alone", "at_most_cores", "available_cores", "side_by_side"]

_Done = TypeVar("_Done")
_allowed: ContextVar[int | None] = ContextVar("testtime_cores", default=None)


@contextmanager
def at_most_cores(n_cores: int | None) -> Iterator[None]:
    """Let what is called within use so many cores, where others do the same beside it; None changes nothing."""
    token = _allowed.set(n_cores or _allowed.get())
    try:
        yield
    finally:
        _allowed.reset(token)


def available_cores() -> int:
    """Number of cores the caller may use."""
    allowed = _allowed.get()
    if allowed is not None:
        return allowed
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(
    pieces: Sequence[Callable[[], _Done]], *, workers: int | None = None, budget: Budget | None = None
) -> list[_Done]:
    """Run the pieces and return what they return, in their order.

    Parameters
    ----------
    pieces
        Functions without arguments that share nothing they write.
    workers
        Threads; None takes one for each core.
    budget
        Stopped when a piece raises or the caller is interrupted, so that the others end soon.

    Raises
    ------
    BaseException
        What the first failing piece raised, after the others have ended.
    """
    if not pieces:
        return []
    workers = min(len(pieces), workers or available_cores())
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(
        workers, thread_name_prefix="testtime", initializer=torch.set_num_threads, initargs=(1,)
    )
    futures = [pool.submit(copy_context().run, piece) for piece in pieces]
    try:
        wait(futures, return_when=FIRST_EXCEPTION)
        return [future.result() for future in futures]
    except BaseException:
        if budget is not None:
            budget.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        torch.set_num_threads(before)  # the setting is the process's on some builds


def alone(piece: Callable[[], _Done], *, budget: Budget | None = None) -> _Done:
    """Run one piece as :func:`side_by_side` runs several, for what must not depend on the caller's settings."""
    return side_by_side([piece], workers=1, budget=budget)[0]
