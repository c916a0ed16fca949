"""What is done for one group, in whatever process: read it, fit, put the adapter into the store."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.util import hash_pandas_object

from testtime.adapt.parallel import at_most_cores
from testtime.backbones.registry import load_backbone
from testtime.errors import InputError, StoreError, nearest, sentence
from testtime.plain import plain
from testtime.scale.adapter_store import AdapterStore, Version
from testtime.scale.cells import cell_seed
from testtime.scale.groups.outcomes import GroupOutcome, Outcome
from testtime.scale.groups.sources import Piece

__all__ = ["SHARED", "Job", "adapt_one", "adapt_shared"]

SHARED = "(shared)"
"""Name of the model that stands in for groups too small to adapt to, and for groups nobody has seen."""


@dataclass(frozen=True)
class Job:
    """What is the same for all groups.

    Attributes
    ----------
    store
        Folder or URL of the adapters.
    target
        Column that is predicted.
    kind, params
        Class and arguments of the estimator.
    seed
        Root of all seeds.
    smallest
        Rows a group must have to be adapted to.
    cores
        Threads of one fit.
    shared
        Hash of the shared model, or a sentence that says why there is none.
    """

    store: str
    target: str
    kind: Literal["TTTClassifier", "TTTRegressor"]
    params: Mapping[str, Any]
    seed: int
    smallest: int
    cores: int | None = 1
    shared: str = ""

    def load_base(self) -> Any:
        """Return the pretrained model, which a process loads once."""
        return load_backbone(self.params["backbone"], "classifier" if self.classifies else "regressor")

    @property
    def classifies(self) -> bool:
        """Whether classes are predicted."""
        return self.kind == "TTTClassifier"

    def estimator(self, name: str, **changes: Any) -> Any:
        """Return an unfitted estimator; its seed follows from the group's name, not from its place among others."""
        import testtime

        seed = int(cell_seed(self.seed, name).generate_state(1)[0])
        return getattr(testtime, self.kind)(**{**self.params, "random_state": seed, "verbose": 0, **changes})

    def fingerprint(self, name: str, frame: pd.DataFrame) -> str:
        """Return 32 hex digits that change when anything changes that the adapter of a group follows from."""
        import testtime

        settings = {key: plain(value) for key, value in self.params.items() if key != "backbone"}
        said = {
            "version": testtime.__version__,
            "base": self.load_base().fingerprint,
            "kind": self.kind,
            "settings": settings,
            "seed": [self.seed, name],
            "smallest": self.smallest,
            "target": self.target,
            "columns": [[str(column), str(dtype)] for column, dtype in frame.dtypes.items()],
        }
        digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=repr).encode())
        hashes = hash_pandas_object(frame, index=False)  # type: ignore[operator]  # pandas types it as object
        digest.update(hashes.to_numpy(np.uint64).tobytes())
        return digest.hexdigest()[:32]


def adapt_one(job: Job, piece: Piece) -> GroupOutcome:
    """Adapt to one group; what goes wrong is said in the outcome and stops nothing else."""
    start = time.perf_counter()
    try:
        with at_most_cores(job.cores):
            outcome = _adapt(job, piece)
    except Exception as error:  # one group of thousands: whatever its rows provoke is reported under its name
        reason = " ".join(f"{error}".split()) or type(error).__name__
        outcome = GroupOutcome(piece.name, Outcome.FAILED, reason[:500])
    return replace(outcome, seconds=round(time.perf_counter() - start, 3))


def _adapt(job: Job, piece: Piece) -> GroupOutcome:
    frame, labels = _features_and_target(job, piece.read())
    made_from = job.fingerprint(piece.name, frame.assign(**{job.target: labels}))
    store = AdapterStore(job.store)
    served = _served(store, piece.name)
    rule = _too_small(job, labels)
    if rule:
        return _shared(job, store, piece.name, len(labels), served, made_from, rule)
    if served is not None and served.job == made_from:
        return _as_outcome(Outcome.UNCHANGED, served, len(labels))
    fitted = job.estimator(piece.name).fit(frame, labels)
    record = fitted.adaptation_
    version = store.add(piece.name, fitted, job=made_from)
    outcome = _as_outcome(Outcome.ADAPTED, version, len(labels))
    return replace(outcome, n_context=record.n_context, gain=record.gain / record.loss_before)


def adapt_shared(job: Job, rows: pd.DataFrame) -> Job:
    """Put the frozen model with a context of all groups into the store, and return the job that knows it."""
    try:
        frame, labels = _features_and_target(job, rows)
        made_from = job.fingerprint(SHARED, frame.assign(**{job.target: labels}))
        store = AdapterStore(job.store)
        served = _served(store, SHARED)
        if served is None or served.job != made_from:
            fitted = job.estimator(SHARED, n_steps=0, n_context="auto").fit(frame, labels)
            served = store.add(SHARED, fitted, job=made_from)
    except InputError as error:  # the groups may do without
        return replace(job, shared=f"there is no shared model: {error}")
    return replace(job, shared=served.sha256)


def _shared(
    job: Job, store: AdapterStore, name: str, n_rows: int, served: Version | None, made_from: str, rule: str
) -> GroupOutcome:
    """Let the shared model answer for a group."""
    if " " in job.shared:
        raise InputError(f"{rule} {job.shared}")
    if served is None or served.job != made_from or served.sha256 != job.shared:
        served = store.share(name, SHARED, job=made_from)
    return replace(_as_outcome(Outcome.SHARED, served, n_rows), reason=rule)


def _features_and_target(job: Job, rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    if job.target not in rows:
        got = f"there is no column {job.target!r}"
        raise InputError(sentence(got, remedy=nearest(job.target, rows.columns)))
    labels: pd.Series = rows[job.target]  # type: ignore[assignment]  # a frame where a name is repeated; see below
    if labels.ndim > 1:
        raise InputError(sentence(f"several columns are called {job.target!r}", remedy="Rename them"))
    there = np.flatnonzero(labels.notna())
    labels = labels.iloc[there]
    if isinstance(labels.dtype, pd.CategoricalDtype):
        labels = labels.astype(labels.dtype.categories.dtype)
    return rows.drop(columns=job.target).iloc[there], labels


def _too_small(job: Job, labels: pd.Series) -> str:
    """Say why a group is served by the shared model; "" if it is adapted to."""
    if len(labels) < job.smallest:
        return f"{len(labels):,} rows are fewer than {job.smallest:,}."
    if job.classifies and labels.nunique() < 2:
        return f"all {len(labels):,} rows have the class {str(labels.iloc[0])!r}."
    return ""


def _served(store: AdapterStore, name: str) -> Version | None:
    """Return what the store serves under a name, with what it was made from; None if nothing, or nothing readable."""
    try:
        served = store.versions(name)[-1]
        return served if store.stamp(served.sha256) or "://" in store.where else None
    except StoreError:
        return None


def _as_outcome(outcome: Outcome, version: Version, n_rows: int) -> GroupOutcome:
    return GroupOutcome(
        version.name,
        outcome,
        n_rows=n_rows,
        n_bytes=version.n_bytes,
        version=version.number,
        sha256=version.sha256,
    )
