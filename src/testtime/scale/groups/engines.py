"""Who does the work: this process, processes of this machine, or a Ray cluster; all give the same results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import joblib

from testtime.errors import InputError, nearest, sentence
from testtime.scale.groups.outcomes import GroupOutcome, Outcome
from testtime.scale.groups.sources import Piece
from testtime.scale.groups.work import Job, adapt_one

__all__ = ["DIED", "ENGINES", "Engine", "engine_called"]

DIED = "its worker process died twice, as it does when memory runs out."


Engine = Callable[[Job, Iterable[Piece], int], Iterator[GroupOutcome]]
"""``engine(job, pieces, n_jobs)`` yields outcomes as they come, and takes a piece when a worker is about to be free."""


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


def _serial(job: Job, pieces: Iterable[Piece], n_jobs: int) -> Iterator[GroupOutcome]:
    """One group after the other in this process."""
    for piece in pieces:
        yield adapt_one(job, piece)


def _joblib(job: Job, pieces: Iterable[Piece], n_jobs: int) -> Iterator[GroupOutcome]:
    """Processes of this machine; groups that were under way when a worker died are tried once more, alone."""
    waiting = iter(pieces)
    while True:
        under_way: dict[str, Piece] = {}
        calls = _calls(job, waiting, under_way)
        try:
            outcomes: Any = joblib.Parallel(n_jobs=n_jobs, return_as="generator_unordered")(calls)
            for outcome in outcomes:
                under_way.pop(outcome.name)
                yield outcome
            return
        except BrokenProcessPool:
            for piece in list(under_way.values()):
                yield _alone(job, piece)


def _calls(job: Job, pieces: Iterable[Piece], under_way: dict[str, Piece]) -> Iterator[object]:
    for piece in pieces:
        under_way[piece.name] = piece
        yield joblib.delayed(adapt_one)(job, piece)


def _alone(job: Job, piece: Piece) -> GroupOutcome:
    try:
        # Two workers, since with one joblib would work in this process, which is to survive.
        outcomes: Any = joblib.Parallel(n_jobs=2)([joblib.delayed(adapt_one)(job, piece)])
        return outcomes[0]
    except BrokenProcessPool:
        return GroupOutcome(piece.name, Outcome.FAILED, DIED)


def _ray(job: Job, pieces: Iterable[Piece], n_jobs: int) -> Iterator[GroupOutcome]:
    from testtime.scale.groups.cluster import on_cluster

    return on_cluster(job, pieces, n_jobs)


ENGINES: dict[str, Engine] = {
    "serial": _serial,
    "joblib": _joblib,
    "ray": _ray,
}
