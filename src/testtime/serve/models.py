"""Adapters in memory: loaded when they are asked for, keyed by their hash, the least used ones dropped first."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from testtime.backbones.registry import load_saved_backbone
from testtime.errors import StoreError
from testtime.estimators.saved import load, read_meta
from testtime.scale.adapter_store import AdapterStore
from testtime.store import open_adapter
from testtime.table.adapted import AdaptedTable

__all__ = ["Loaded", "Models"]

_SHOWN = 5
_LOCKED_OUT = "its files change while they are read."


@dataclass(frozen=True)
class Loaded:
    """An adapter that is ready to predict.

    Attributes
    ----------
    sha256
        Its hash.
    table
        The adapted table; its context was read.
    classes, costs
        Labels, and what missing each costs; None for a number, and for equal costs.
    reference
        Its context without level statistics, ``(n, D)``, with the names of the columns in `names`.
    n_bytes
        Memory it takes, the base model not counted.
    known
        Names of the columns of the training table, the target among them.
    """

    sha256: str
    table: AdaptedTable
    classes: NDArray[Any] | None
    costs: Sequence[float] | None
    reference: NDArray[np.float64]
    names: tuple[str, ...]
    n_bytes: int
    known: frozenset[str] = frozenset()

    @property
    def required(self) -> tuple[str, ...]:
        """Names of the columns that rows must have."""
        return self.table.encoding.columns.required

    def encode(self, frame: pd.DataFrame, notes: list[str]) -> NDArray[np.float64]:
        """Return rows as the model sees them, ``(q, D + S)``: the `D` columns of the reference, then statistics.

        `notes` gets what is to be said about them.

        Raises
        ------
        InputError
            When a column is missing, or holds what cannot be used.
        """
        extra = [name for name in map(str, frame.columns) if name.strip() not in self.known]
        if extra:
            more = f" and {len(extra) - _SHOWN} more" if len(extra) > _SHOWN else ""
            shown = ", ".join(repr(name[:60]) for name in extra[:_SHOWN]) + more
            notes.append(f"Columns that are not in the training table are ignored: {shown}.")
        return self.table.encoding.transform(frame, notes=notes)


@dataclass
class _Slot:
    """A place for one adapter; whoever comes while it is loaded waits for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    loaded: Loaded | None = None
    stamp: tuple[object, ...] = ()


class Models:
    """The adapters of a store, bounded in bytes; thread-safe.

    Parameters
    ----------
    store
        Where they are.
    cache_bytes
        Memory for them. One adapter is always held, however large.
    refresh
        Seconds for which the current version of a name is believed.
    device
        Where to predict; None takes what each was fitted on.
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        store: AdapterStore,
        *,
        cache_bytes: int,
        refresh: float = 0.0,
        device: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self.n_loads = self.n_evictions = self.n_bytes = 0
        self._most, self._refresh, self._device, self._clock = cache_bytes, refresh, device, clock
        self._slots: OrderedDict[str, _Slot] = OrderedDict()
        self._heads: dict[str, tuple[float, int, str]] = {}
        self._bases: dict[tuple[str, str, str], Any] = {}
        self._lock, self._base_lock = threading.Lock(), threading.Lock()

    def __len__(self) -> int:
        """Number of adapters in memory."""
        with self._lock:
            return sum(slot.loaded is not None for slot in self._slots.values())

    def get(self, name: str) -> tuple[int, Loaded]:
        """Return the number of a name's current version, and the adapter; loads it if that is needed.

        Raises
        ------
        UnknownName
            If there is no such adapter.
        StoreError
            If it is damaged.
        """
        number, sha256 = self._current(name)
        with self._lock:
            slot = self._slots.setdefault(sha256, _Slot())
            self._slots.move_to_end(sha256)
        with slot.lock:
            stamp = self.store.stamp(sha256)
            loaded = slot.loaded  # once: another adapter that is loaded may put this one out at any moment
            if loaded is None or slot.stamp != stamp:  # somebody touched its files: what they hold is checked
                self._drop(slot)
                loaded = self._load(sha256)
                if self.store.stamp(sha256) != stamp:
                    raise StoreError(_LOCKED_OUT)
                self._keep(slot, loaded, stamp)
            return number, loaded

    def _current(self, name: str) -> tuple[int, str]:
        now = self._clock()
        seen = self._heads.get(name)
        if seen is None or now - seen[0] >= self._refresh:
            seen = (now, *self.store.current(name))
            if self._refresh:
                self._heads[name] = seen
        return seen[1:]

    def _keep(self, slot: _Slot, loaded: Loaded, stamp: tuple[object, ...]) -> None:
        with self._lock:
            slot.loaded, slot.stamp = loaded, stamp
            beside = self._slots.get(loaded.sha256)
            if beside is not None and beside is not slot and beside.loaded is not None:
                # Loaded twice, since this slot had been evicted meanwhile.
                self.n_bytes -= beside.loaded.n_bytes
            self._slots[loaded.sha256] = slot
            self._slots.move_to_end(loaded.sha256)
            self.n_loads += 1
            self.n_bytes += loaded.n_bytes
            for sha256 in [key for key in self._slots if key != loaded.sha256]:
                if self.n_bytes <= self._most:
                    break
                old = self._slots[sha256].loaded
                if old is not None:  # else it is being loaded
                    self._slots.pop(sha256).loaded = None
                    self.n_bytes -= old.n_bytes
                    self.n_evictions += 1

    def _drop(self, slot: _Slot) -> None:
        with self._lock:
            if slot.loaded is not None:
                if self._slots.get(slot.loaded.sha256) is slot:
                    self.n_bytes -= slot.loaded.n_bytes
                slot.loaded = None

    def _load(self, sha256: str) -> Loaded:
        with self.store.folder_of(sha256) as folder:
            with open_adapter(folder) as saved:
                meta, fingerprint = read_meta(saved, str(folder)), saved.base_fingerprint
                training = saved.document("training") or {}
            task = "classifier" if meta.estimator == "TTTClassifier" else "regressor"
            base = self._base(meta.table.backbone, task, fingerprint)
            estimator: Any = load(folder, device=self._device, backbone=base)
        table: AdaptedTable = estimator._table
        classes = getattr(estimator, "classes_", None)
        costs = training.get("costs")
        nothing = pd.DataFrame({name: pd.Series(dtype=object) for name in table.encoding.columns.required})
        names = table.encoding.columns.transform(nothing).names
        return Loaded(
            sha256,
            table,
            classes,
            None if costs is None or classes is None else [costs[str(label)] for label in classes.tolist()],
            table.x[: table.record.n_context, : len(names)],
            names,
            table.read_context(),
            frozenset(
                [
                    *(str(column["name"]) for column in estimator.adaptation_.columns),
                    *table.encoding.columns.required,
                    *filter(None, [training.get("target")]),
                    *training.get("beside", ()),
                ]
            ),
        )

    def _base(self, name: str, task: str, fingerprint: str) -> Any:
        """Return a pretrained model that all of its adapters share."""
        with self._base_lock:
            if (name, task, fingerprint) not in self._bases:
                self._bases[name, task, fingerprint] = load_saved_backbone(name, task, fingerprint)
            return self._bases[name, task, fingerprint]
