"""Who does the work: this process, processes of this machine, or a Ray cluster; all give the same results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import joblib

from testtime.errors import InputError, nearest, sentence
from testtime.scale.groups.outcomes import GroupOutcome, Outcome
from testtime.scale.groups.sources import Piece
from testtime.scale.groups.work import Batch, Job, adapt_batch

__all__ = ["DIED", "ENGINES", "Engine", "engine_called"]

DIED = "its worker process died twice, as it does when memory runs out."


Engine = Callable[[Job, Iterable[Batch], int], Iterator[GroupOutcome]]
"""``engine(job, batches, n_jobs)`` yields outcomes as they come, and takes a batch when a worker is nearly free."""


def engine_called(name: str) -> Engine:
    """Return an engine.

    Raises
    ------
    InputError
        For a name that is not known.
    """
    if name not in ENGINES:
        expected = "one of " + ", ".join(map(repr, ENGINES))
        raise InputError(sentence(f"engine={name!r}", expected=expected, remedy=nearest(name, ENGINES)))
    return ENGINES[name]


def _serial(job: Job, batches: Iterable[Batch], n_jobs: int) -> Iterator[GroupOutcome]:
    """One batch after the other in this process."""
    for batch in batches:
        yield from adapt_batch(job, batch)


def _joblib(job: Job, batches: Iterable[Batch], n_jobs: int) -> Iterator[GroupOutcome]:
    """Processes of this machine; groups that were under way when a worker died are tried once more, each alone."""
    waiting = iter(batches)
    while True:
        under_way: dict[str, Piece] = {}
        calls = _calls(job, waiting, under_way)
        try:
            found: Any = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(calls)
            for outcomes in found:
                for outcome in outcomes:
                    under_way.pop(outcome.name)
                    yield outcome
            return
        except BrokenProcessPool:
            for piece in list(under_way.values()):
                yield _alone(job, piece)


def _calls(job: Job, batches: Iterable[Batch], under_way: dict[str, Piece]) -> Iterator[object]:
    for batch in batches:
        under_way.update((piece.name, piece) for piece in batch)
        yield joblib.delayed(adapt_batch)(job, batch)


def _alone(job: Job, piece: Piece) -> GroupOutcome:
    try:
        # Two workers, since with one joblib would work in this process, which is to survive.
        found: Any = joblib.Parallel(n_jobs=2)([joblib.delayed(adapt_batch)(job, (piece,))])
        return found[0][0]
    except BrokenProcessPool:
        return GroupOutcome(piece.name, Outcome.FAILED, DIED)


def _ray(job: Job, batches: Iterable[Batch], n_jobs: int) -> Iterator[GroupOutcome]:
    from testtime.scale.groups.cluster import on_cluster

    return on_cluster(job, batches, n_jobs)


ENGINES: dict[str, Engine] = {
    "serial": _serial,
    "joblib": _joblib,
    "ray": _ray,
}
