"""The Ray engine: a pool of actors, which share the base model of their machine."""

from __future__ import annotations

import logging
import math
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from numpy.typing import NDArray

from testtime.backbones.modules import base_arrays, use_arrays
from testtime.errors import BackboneError, InputError, MissingExtra, sentence
from testtime.scale.groups.engines import DIED
from testtime.scale.groups.outcomes import GroupOutcome, Outcome
from testtime.scale.groups.work import Batch, Job, adapt_batch

__all__ = ["Worker", "on_cluster"]

_TRIES = 2


class Worker:
    """What an actor is.

    Parameters
    ----------
    job
        What is the same for all groups.
    fingerprint, arrays
        Of the base model. The arrays lie in the memory that all processes of a machine share, and are used from there.
    """

    def __init__(self, job: Job, fingerprint: str, arrays: Mapping[str, NDArray]) -> None:
        self.job = job
        base = job.load_base()
        if base.fingerprint != fingerprint:
            got = f"the base model of a worker has the fingerprint {base.fingerprint[:12]}"
            raise BackboneError(sentence(got, expected=fingerprint[:12], why="its machine has other weights"))
        use_arrays(base, arrays)

    def adapt(self, batch: Batch) -> list[GroupOutcome]:
        """Adapt to the groups of a batch."""
        return adapt_batch(self.job, batch)


def on_cluster(job: Job, batches: Iterable[Batch], n_jobs: int) -> Iterator[GroupOutcome]:
    """Yield outcomes from the cluster that is running.

    Groups whose actor died are tried once more, each alone on a new one.

    Raises
    ------
    MissingExtra
        Without ray.
    InputError
        If no cluster is running.
    """
    ray = _connected()
    there = ray.cluster_resources()
    n_actors = max(1, min(n_jobs, int(there.get("CPU", 1))))
    remote = ray.remote(Worker).options(num_cpus=1, num_gpus=_gpus(there.get("GPU", 0.0), job, n_actors))
    base = job.load_base()
    arguments = job, base.fingerprint, ray.put(base_arrays(base))
    waiting, again = iter(batches), deque[Batch]()
    tried = Counter[str]()
    idle = [remote.remote(*arguments) for _ in range(n_actors)]
    under_way: dict[Any, tuple[Any, Batch]] = {}
    try:
        while True:
            while idle and (batch := again.popleft() if again else next(waiting, None)) is not None:
                actor = idle.pop()
                under_way[actor.adapt.remote(batch)] = (actor, batch)
            if not under_way:
                return
            [done], _ = ray.wait(list(under_way), num_returns=1)
            actor, batch = under_way.pop(done)
            try:
                outcomes = ray.get(done)
                idle.append(actor)
            except ray.exceptions.RayActorError:
                idle.append(remote.remote(*arguments))
                tried.update(piece.name for piece in batch)
                again.extend((piece,) for piece in batch if tried[piece.name] < _TRIES)
                outcomes = [
                    GroupOutcome(piece.name, Outcome.FAILED, DIED)
                    for piece in batch
                    if tried[piece.name] >= _TRIES
                ]
            yield from outcomes
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


def _gpus(n_gpus: float, job: Job, n_actors: int) -> float:
    """Share of a GPU for each actor, in the ten-thousandths that Ray counts in; 0 on a CPU."""
    if not str(job.params.get("device", "cpu")).startswith(("cuda", "auto")):
        return 0.0
    return min(1.0, math.floor(1e4 * n_gpus / n_actors) / 1e4)
