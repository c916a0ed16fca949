"""The Ray engine: a pool of actors, each of which loads the base model once and adapts to one group at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from typing import Any

from testtime.errors import InputError, MissingExtra, sentence
from testtime.scale.groups.engines import DIED
from testtime.scale.groups.outcomes import GroupOutcome, Outcome
from testtime.scale.groups.sources import Piece
from testtime.scale.groups.work import Job, adapt_one

__all__ = ["Worker", "on_cluster"]

_TRIES = 2


class Worker:
    """What an actor is."""

    def __init__(self, job: Job) -> None:
        self.job = job
        job.load_base()

    def adapt(self, piece: Piece) -> GroupOutcome:
        """Adapt to one group."""
        return adapt_one(self.job, piece)


def on_cluster(job: Job, pieces: Iterable[Piece], n_jobs: int) -> Iterator[GroupOutcome]:
    """Yield outcomes from the cluster that is running; a group whose actor died is tried once more on a new one.

    Raises
    ------
    MissingExtra
        Without ray.
    InputError
        If no cluster is running.
    """
    ray = _connected()
    remote = ray.remote(Worker).options(num_cpus=1, num_gpus=_gpus(ray, job, n_jobs))
    waiting, tried = iter(pieces), dict[str, int]()
    n_actors = max(1, min(n_jobs, int(ray.cluster_resources().get("CPU", 1))))
    idle = [remote.remote(job) for _ in range(n_actors)]
    under_way: dict[Any, tuple[Any, Piece]] = {}
    try:
        while True:
            while idle and (piece := next(waiting, None)) is not None:
                actor = idle.pop()
                under_way[actor.adapt.remote(piece)] = (actor, piece)
            if not under_way:
                return
            [done], _ = ray.wait(list(under_way), num_returns=1)
            actor, piece = under_way.pop(done)
            try:
                yield ray.get(done)
                idle.append(actor)
            except ray.exceptions.RayActorError:
                tried[piece.name] = tried.get(piece.name, 0) + 1
                actor = remote.remote(job)
                if tried[piece.name] < _TRIES:
                    under_way[actor.adapt.remote(piece)] = (actor, piece)
                else:
                    idle.append(actor)
                    yield GroupOutcome(piece.name, Outcome.FAILED, DIED)
    finally:
        for actor in [*idle, *(actor for actor, _ in under_way.values())]:
            ray.kill(actor)


def _connected() -> Any:
    """Return ray, connected to the cluster of this machine or of ``RAY_ADDRESS``."""
    try:
        import ray
    except ImportError as error:
        raise MissingExtra(
            sentence("engine='ray' needs ray", remedy="Install it with: pip install 'testtime[ray]'")
        ) from error
    if not ray.is_initialized():
        try:
            ray.init(address="auto", log_to_driver=False, logging_level=logging.ERROR)
        except ConnectionError as error:
            raise InputError(
                sentence(
                    "engine='ray', and no Ray cluster is running here",
                    remedy="Start one with: ray start --head, or set RAY_ADDRESS",
                )
            ) from error
    return ray


def _gpus(ray: Any, job: Job, n_jobs: int) -> float:
    """Share of a GPU for each actor; 0 on a CPU."""
    if not str(job.params.get("device", "cpu")).startswith("cuda"):
        return 0.0
    return min(1.0, ray.cluster_resources().get("GPU", 0.0) / n_jobs)
