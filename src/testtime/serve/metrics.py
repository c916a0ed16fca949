"""What the server counts, for Prometheus and for its page."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from testtime.serve.drift import Watch
from testtime.serve.models import Loaded, Models

__all__ = ["Metrics", "Traffic"]

_KEPT_TIMES = 200
_BATCHES = (1, 2, 4, 8, 16, 32, 64)


@dataclass
class Traffic:
    """What one adapter was asked since the server started."""

    n_requests: int = 0
    n_rows: int = 0
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=_KEPT_TIMES))

    def quantile(self, level: float) -> float:
        """Return a quantile of the last requests' seconds; NaN before the first."""
        return float(np.quantile(list(self.seconds), level)) if self.seconds else float("nan")


class Metrics:
    """Counters of one server, in a registry of its own; thread-safe."""

    def __init__(self, models: Models) -> None:
        self.registry = CollectorRegistry()
        self.traffic: dict[str, Traffic] = {}
        self.watches: dict[str, tuple[str, Watch]] = {}
        self._drifting: set[str] = set()
        self._lock = threading.Lock()
        own: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("testtime_requests", "Requests answered.", ["model", "status"], **own)
        self.rows = Counter("testtime_rows", "Rows predicted.", ["model"], **own)
        self.seconds = Histogram("testtime_request_seconds", "Seconds to an answer.", **own)
        self.batches = Histogram("testtime_batch_requests", "Requests of a batch.", buckets=_BATCHES, **own)
        self._drift = Gauge("testtime_drift", "Distance of the column that moved most.", ["model"], **own)
        self._due = Gauge("testtime_readapt_due", "1 if adapting again is due.", ["model"], **own)
        for name, said, value in (
            ("testtime_adapters_loaded", "Adapters in memory.", lambda: len(models)),
            ("testtime_adapters_bytes", "Bytes of adapters in memory.", lambda: models.n_bytes),
            ("testtime_adapter_loads", "Adapters loaded since the start.", lambda: models.n_loads),
            ("testtime_adapter_evictions", "Adapters dropped to save memory.", lambda: models.n_evictions),
        ):
            Gauge(name, said, **own).set_function(value)

    def answered(self, name: str, n_rows: int, seconds: float) -> None:
        """Count a request with its prediction; `name` is one the store has."""
        self.requests.labels(name, "200").inc()
        self.rows.labels(name).inc(n_rows)
        with self._lock:
            traffic = self.traffic.setdefault(name, Traffic())
            traffic.n_requests += 1
            traffic.n_rows += n_rows
            traffic.seconds.append(seconds)

    def watch(self, name: str, loaded: Loaded) -> Watch:
        """Return what watches the rows that come in for a name; a new version begins a new one."""
        with self._lock:
            seen = self.watches.get(name)
            if seen is None or seen[0] != loaded.sha256:
                seen = loaded.sha256, Watch(loaded.reference, loaded.names)
                self.watches[name] = seen
            return seen[1]

    def publish_drift(self, names: Collection[str]) -> None:
        """Bring the gauges of drift up to date; what is said of an older version, or of a name that is gone, goes.

        `names` are those the store has.
        """
        with self._lock:
            for gone in self.watches.keys() - set(names):
                del self.watches[gone]
            watched = {name: watch for name, (_, watch) in self.watches.items() if watch.columns}
            for name in self._drifting - watched.keys():
                self._drift.remove(name)
                self._due.remove(name)
            self._drifting = set(watched)
        for name, watch in watched.items():
            self._drift.labels(name).set(watch.distance)
            self._due.labels(name).set(bool(watch.moved))
