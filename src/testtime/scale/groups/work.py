"""What is done for one group, in whatever process: read it, fit, put the adapter into the store."""

from __future__ import annotations

import hashlib
import json
import math
import numbers
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from pandas.util import hash_pandas_object

from testtime.adapt.parallel import at_most_cores
from testtime.backbones.registry import load_backbone
from testtime.errors import InputError, StoreError, nearest, sentence
from testtime.estimators.saved import save
from testtime.estimators.together import fit_start, fit_together
from testtime.plain import plain
from testtime.scale.adapter_store import AdapterStore, Version
from testtime.scale.cells import cell_seed
from testtime.scale.groups.labels import Texts, whole_classes, without_label
from testtime.scale.groups.outcomes import GroupOutcome, Outcome
from testtime.scale.groups.sources import Piece
from testtime.table.columns import DataWarning, TableColumns, as_frame
from testtime.table.columns.file_habits import FileHabits
from testtime.table.starts import SharedStart
from testtime.table.tail_episodes import TailRecipe

__all__ = ["SHARED", "Batch", "Job", "adapt_batch", "adapt_shared", "with_file", "with_start"]

SHARED = "(shared)"
"""Name of the model that stands in for groups with too little to adapt to; for unknown groups one asks for it."""

_VARIES = "(a column that varies)"

Batch = tuple[Piece, ...]
"""Groups that one worker takes at once: one, or several that are adapted together."""


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
    tails, start
        How groups are adapted together, and what they may begin with; None fits each by itself, and begins cold.
    cores
        Threads of one fit.
    texts
        What a class such as the text ``1.0`` is; whole floats are integers always.
    shared
        Hash of the shared model, or a sentence that says why there is none.
    file
        How cells of text are written in all groups, for those of a group that do not tell.
    by
        Columns that name the groups.
    """

    store: str
    target: str
    kind: Literal["TTTClassifier", "TTTRegressor"]
    params: Mapping[str, Any]
    seed: int
    smallest: int
    tails: TailRecipe | None = None
    start: SharedStart | None = None
    cores: int | None = 1
    texts: Texts = ""
    shared: str = ""
    file: FileHabits | None = None
    by: tuple[str, ...] = ()

    def load_base(self) -> Any:
        """Return the pretrained model, which a process loads once."""
        return load_backbone(self.params["backbone"], "classifier" if self.classifies else "regressor")

    @property
    def why_not_shared(self) -> str:
        """Why there is no shared model; "" if there is one."""
        return self.shared if " " in self.shared else ""

    @property
    def classifies(self) -> bool:
        """Whether classes are predicted."""
        return self.kind == "TTTClassifier"

    def estimator(self, name: str, **changes: Any) -> Any:
        """Return an unfitted estimator; its seed follows from the group's name, not from its place among others."""
        import testtime

        seed = int(cell_seed(self.seed, name).generate_state(1)[0])
        estimator = getattr(testtime, self.kind)(
            **{**self.params, "random_state": seed, "verbose": 0, **changes}
        )
        estimator._file = self.file
        return estimator

    def fingerprint(self, name: str, frame: pd.DataFrame) -> str:
        """Return 32 hex digits that change when anything changes that the adapter of a group follows from."""
        import testtime

        settings = {
            key: plain(value) for key, value in self.params.items() if key not in ("backbone", "verbose")
        }
        said = {
            "version": testtime.__version__,
            "base": self.load_base().fingerprint,
            "kind": self.kind,
            "settings": settings,
            "tails": None if self.tails is None else asdict(self.tails),
            "start": None if self.start is None else self.start.sha256,
            "seed": [self.seed, name],
            "smallest": self.smallest,
            "target": self.target,
            "columns": [[str(column), str(dtype)] for column, dtype in frame.dtypes.items()],
            "file": None if self.file is None else self.file.decided,
        }
        digest = hashlib.sha256(json.dumps(said, sort_keys=True, default=repr).encode())
        try:
            hashes = hash_pandas_object(frame, index=False)  # type: ignore[operator]  # pandas types it as object
        except TypeError:  # cells that cannot be hashed, which the fit will refuse by name
            hashes = hash_pandas_object(frame.map(repr), index=False)  # type: ignore[operator]
        digest.update(hashes.to_numpy(np.uint64).tobytes())
        return digest.hexdigest()[:32]


def adapt_batch(job: Job, batch: Batch) -> list[GroupOutcome]:
    """Adapt to one group or several; what goes wrong with one is said in its outcome and stops no other."""
    start = time.perf_counter()
    with at_most_cores(job.cores):
        found = [_caught(piece.name, _begun, job, piece) for piece in batch]
        begun = [one for one in found if isinstance(one, _Begun)]
        fits = _fitted(job, begun)
        done = [_caught(one.name, _kept, job, one, fit) for one, fit in zip(begun, fits, strict=True)]
    seconds = round((time.perf_counter() - start) / len(batch), 3)
    outcomes = [*(one for one in found if isinstance(one, GroupOutcome)), *done]
    return [replace(outcome, seconds=seconds) for outcome in outcomes]


@dataclass(frozen=True)
class _Begun:
    """A group that is to be adapted to: its rows, and what they and the settings hash to."""

    name: str
    frame: pd.DataFrame
    labels: pd.Series
    made_from: str
    n_without_target: int = 0


def _caught(name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function for one group of thousands: whatever its rows provoke is reported under its name."""
    try:
        return function(*arguments)
    except Exception as error:
        reason = " ".join(f"{error}".split()) or type(error).__name__
        return GroupOutcome(name, Outcome.FAILED, reason[:500])


def _begun(job: Job, piece: Piece) -> _Begun | GroupOutcome:
    """Read a group and look whether there is anything to do."""
    rows = piece.read()
    frame, labels = _features_and_target(job, rows)
    without = len(rows) - len(labels)
    found = _looked_at(job, piece.name, frame, labels)
    return replace(found, n_without_target=without)


def _looked_at(job: Job, name: str, frame: pd.DataFrame, labels: pd.Series) -> _Begun | GroupOutcome:
    made_from = job.fingerprint(name, frame.assign(**{job.target: labels}))
    store = AdapterStore(job.store)
    served = _served(store, name)
    if served is not None and _rolled_back(store, served, made_from):
        outcome = _as_outcome(Outcome.UNCHANGED, served, len(labels))
        return replace(outcome, reason=f"Rolled back to version {served.restores}, and left there.")
    rule = _why_shared(job, frame, labels)
    if rule:
        return _shared(job, store, name, len(labels), served, made_from, rule)
    if served is not None and served.job == made_from:
        return _as_outcome(Outcome.UNCHANGED, served, len(labels))
    return _Begun(name, frame, labels, made_from)


def _fitted(job: Job, begun: Sequence[_Begun]) -> list[Any]:
    """Return what adapts to each group: a fitted estimator, or what went wrong."""
    estimators = [job.estimator(one.name) for one in begun]
    if job.tails is None:
        return [_or_error(own, one) for own, one in zip(estimators, begun, strict=True)]
    starts = None if job.start is None else [job.start.of(one.name) for one in begun]
    errors = fit_together(estimators, [(one.frame, one.labels) for one in begun], job.tails, starts)
    return [own if error is None else error for own, error in zip(estimators, errors, strict=True)]


def _or_error(estimator: Any, one: _Begun) -> Any:
    try:
        return estimator.fit(one.frame, one.labels)
    except Exception as error:
        return error


def _kept(job: Job, one: _Begun, fitted: Any) -> GroupOutcome:
    """Put an adapter into the store."""
    if isinstance(fitted, Exception):
        raise fitted
    record = fitted.adaptation_
    version = _added(job, one.name, fitted, one.made_from)
    kind, reason = (
        (Outcome.ADAPTED, "") if record.n_steps > 0 else (Outcome.FROZEN, f"{record.status.value}.")
    )
    outcome = _as_outcome(kind, version, len(one.labels))
    gain = record.gain / record.loss_before
    return replace(
        outcome,
        reason=reason,
        n_context=record.n_context,
        gain=gain,
        start_scale=record.start_scale,
        n_without_target=one.n_without_target,
    )


def _added(job: Job, name: str, fitted: Any, made_from: str) -> Version:
    """Put a fitted estimator into the store, with the names of the columns that are not its own."""
    training = {"target": job.target, "beside": list(job.by)}
    with tempfile.TemporaryDirectory(prefix="testtime-") as folder:
        saved = save(fitted, Path(folder) / "adapter", documents={"training": training})
        return AdapterStore(job.store).add(name, saved, job=made_from)


def with_start(job: Job, pieces: Sequence[Piece]) -> Job:
    """Return the job that knows what some of its groups have in common; groups that fail have no part in it."""
    tables = {}
    with at_most_cores(job.cores):
        for piece in pieces:
            try:
                frame, labels = _features_and_target(job, piece.read())
                if _why_shared(job, frame, labels):
                    continue
            except InputError:  # it is said when the group itself is adapted to
                continue
            tables[piece.name] = frame, labels
        estimators = {name: job.estimator(name) for name in tables}
        start = fit_start(estimators, tables, job.tails or TailRecipe(), job.seed)
    return replace(job, start=start)


def with_file(job: Job, rows: pd.DataFrame) -> Job:
    """Return the job that knows how cells are written, from rows of all groups."""
    try:
        frame, _ = _features_and_target(job, rows)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DataWarning)  # the fits say them
            columns = TableColumns(job.params["column_kinds"]).fit(as_frame(frame))
            return replace(job, file=columns.habits_of([as_frame(frame)]))
    except InputError:  # the fit of each group will say it
        return job


def adapt_shared(job: Job, rows: pd.DataFrame) -> Job:
    """Put the frozen model with a context of all groups into the store, and return the job that knows it."""
    try:
        frame, labels = _features_and_target(job, rows)
        made_from = job.fingerprint(SHARED, frame.assign(**{job.target: labels}))
        store = AdapterStore(job.store)
        served = _served(store, SHARED)
        if served is None or served.job != made_from:
            fitted = job.estimator(SHARED, n_steps=0, n_context="auto", objective="accuracy").fit(
                frame, labels
            )
            served = _added(job, SHARED, fitted, made_from)
    except InputError as error:  # the groups may do without
        return replace(job, shared=f"there is no shared model: {error}")
    return replace(job, shared=served.sha256)


def _shared(
    job: Job, store: AdapterStore, name: str, n_rows: int, served: Version | None, made_from: str, rule: str
) -> GroupOutcome:
    """Let the shared model answer for a group."""
    if job.why_not_shared:
        raise InputError(f"{rule} {job.why_not_shared}")
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
    there = np.flatnonzero(~without_label(labels))
    labels = labels.iloc[there]
    if isinstance(labels.dtype, pd.CategoricalDtype):
        labels = labels.astype(labels.dtype.categories.dtype)
    if job.classifies:
        labels = whole_classes(labels, job.texts)
    return rows.drop(columns=job.target).iloc[there], labels


def _why_shared(job: Job, frame: pd.DataFrame, labels: pd.Series) -> str:
    """Say why a group is served by the shared model; "" if it is adapted to.

    Raises
    ------
    InputError
        When a column cannot be read.
    """
    if len(labels) < job.smallest:
        return f"{len(labels):,} rows are fewer than {job.smallest:,}."
    return _one_target(job, labels) or _no_column(job, frame)


def _one_target(job: Job, labels: pd.Series) -> str:
    """Say that all rows have one target; "" if they have several, or what the fit refuses by name."""
    try:
        if labels.nunique() > 1:
            return ""
    except TypeError:  # labels that cannot be hashed
        return ""
    first, n_rows = labels.iloc[0], f"all {len(labels):,} rows"
    if job.classifies:
        return f"{n_rows} have the class {str(first)!r}."
    number = isinstance(first, (numbers.Real, Decimal, np.bool_)) and math.isfinite(first)
    return f"{n_rows} have the target {float(first):.15g}." if number else ""


def _no_column(job: Job, frame: pd.DataFrame) -> str:
    """Say that no column holds two different values, as the fit reads them; "" if one does."""
    kinds, frame = job.params["column_kinds"], as_frame(frame)
    if TableColumns(kinds).exceeds(0, frame):  # for nearly every group the first column tells
        return ""
    columns = TableColumns(kinds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataWarning)  # the fit says them
        # Beside a column that varies what has one value is left out, where alone it would be refused.
        columns.fit(frame.assign(**{_VARIES: np.arange(len(frame)) % 2}), job.file)
    asked = {"id", "text", "ignored"}
    used = [
        record.name
        for record in columns.records
        if record.name != _VARIES
        and record.kind != "constant"
        and not (record.kind in asked and record.name in columns.kinds)
    ]
    return "" if used else f"none of the {len(frame.columns)} columns holds two different values."


def _served(store: AdapterStore, name: str) -> Version | None:
    """Return what the store serves under a name, with what it was made from; None if nothing, or nothing whole.

    Behind a URL it is taken on trust: reading all of a store again would take longer than to adapt.
    """
    try:
        served = store.versions(name)[-1]
        return served if "://" in store.where or store.is_whole(served.sha256) else None
    except StoreError:
        return None


def _rolled_back(store: AdapterStore, served: Version, made_from: str) -> bool:
    """Tell whether somebody preferred what is served to what was made from the same rows and settings."""
    if served.restores is None or served.job == made_from:
        return False
    return any(version.job == made_from for version in store.versions(served.name))


def _as_outcome(outcome: Outcome, version: Version, n_rows: int) -> GroupOutcome:
    return GroupOutcome(
        version.name,
        outcome,
        n_rows=n_rows,
        n_bytes=version.n_bytes,
        version=version.number,
        sha256=version.sha256,
    )
