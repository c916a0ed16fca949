"""``adapt_groups``: one adapter for each group of a table."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from testtime.adapt.parallel import available_cores
from testtime.errors import InputError, nearest, sentence
from testtime.estimators.settings import check_settings
from testtime.estimators.tasks import check_classes, is_numeric, why_numbers
from testtime.estimators.together import check_shared
from testtime.scale.adapter_store import AdapterStore
from testtime.scale.cells import cell_seed
from testtime.scale.groups.engines import engine_called
from testtime.scale.groups.labels import Texts, whole_classes, without_label
from testtime.scale.groups.outcomes import AdaptedGroups, GroupOutcome, Outcome
from testtime.scale.groups.sources import Source, batches, drawn_pieces, drawn_rows, source_of
from testtime.scale.groups.work import SHARED, Job, adapt_shared, with_file, with_start
from testtime.table.tail_episodes import TailRecipe

if TYPE_CHECKING:
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

__all__ = ["SMALLEST", "adapt_groups", "adapt_source", "check_columns"]

SMALLEST = 64
"""Rows below which a group is served by the shared model: a fit deals rows into four folds, and needs some in each."""

TOGETHER = 8
"""Groups that are adapted in one pass; the same for all engines, so that sums are taken in the same order."""

_CHOSEN = "chosen"
_STARTS = ("cold", _CHOSEN)
_STARTED_ON = 32  # groups that a shared start is trained on

_HOW_IT_IS_TRAINED = (
    "objective",
    "n_context",
    "n_steps",
    "step_size",
    "adapt",
    "rank",
    "guard",
    "n_members",
)

LIGHT = {"n_members": 4, "n_steps": 5}
"""How a group is fitted where the arguments of the estimator leave it to the library."""


def adapt_groups(
    data: Any,
    *,
    target: str,
    by: str | Sequence[str],
    store: str | os.PathLike[str],
    estimator: TTTClassifier | TTTRegressor | None = None,
    engine: str = "serial",
    n_jobs: int | None = None,
    smallest: int = SMALLEST,
    together: bool | None = None,
    start: str = "cold",
    verbose: int = 0,
) -> AdaptedGroups:
    """Adapt the same pretrained model to each group of a table, and keep the adapters in a store.

    A second call does only what is missing: groups that are new, failed, or whose rows or settings changed. A group
    that fails is reported and stops no other. Groups with fewer than `smallest` rows, one class, one value of the
    target, or no column that varies are served by a shared model: the frozen one, with a context drawn from all groups.
    Classes that are whole floats are integers, so that they are the same in groups in which a target is missing.

    Parameters
    ----------
    data
        A frame, or the path or URL of a Parquet folder that is partitioned by the columns `by` (``shop=7/...``), of
        which every worker reads one group at a time.
    target
        Column to predict; rows without it, or with a word such as ``NA`` in it, are left out.
    by
        Column, or columns, that name the group of a row. They are no features.
    store
        Folder or URL of the adapters, see :class:`testtime.AdapterStore`. Workers write to it themselves, so on a
        cluster it must be a place that all machines reach.
    estimator
        An unfitted estimator whose arguments are used for every group; None is ``TTTRegressor()`` where the target
        holds numbers that are not whole, or more than ten different ones, and ``TTTClassifier()`` else. Its
        ``random_state`` must be an integer: the seed of a group follows from it and the group's name.
    engine
        "serial", "joblib" (processes of this machine) or "ray" (the cluster that is running; see docs/groups.md).
        Adapters are the same to the last bit on machines of one kind.
    n_jobs
        Groups at the same time; None takes a core for each, of this machine or of the cluster.
    smallest
        Rows a group must have to be adapted to.
    together
        Whether groups are adapted some at a time, in one pass per step over norms and biases of the model's last
        stage: several times faster and sixty times smaller, with little to gain (docs/groups.md). False fits the
        estimator to each, with :data:`LIGHT` where its arguments leave to the library how it is trained. None is the
        former for ``start="chosen"``, which needs it, and the latter else.
    start
        Where groups that are adapted together begin. "cold" is the frozen model. "chosen" takes for each what is best
        on its guard rows: cold, what the other groups have in common (warm), or half of it (scaled). Adapters then
        depend on the other groups, and a run with other groups makes all of them anew.
    verbose
        1 shows a progress bar with the time left.

    Returns
    -------
    AdaptedGroups
        What became of each group, with reasons.

    Raises
    ------
    InputError
        When an argument cannot be used, a column is not there, or one in `by` is the target or has a declared kind.
    StoreError
        When the store is a saved model or inside one, or cannot be written.
    MissingExtra
        For ``engine="ray"`` without ray.
    """
    columns = (by,) if isinstance(by, str) else tuple(by)
    source = source_of(data, columns)
    if estimator is None:
        estimator = _chosen(source, target)
    return adapt_source(
        source,
        target=target,
        store=store,
        estimator=estimator,
        engine=engine,
        n_jobs=n_jobs,
        smallest=smallest,
        together=together,
        start=start,
        verbose=verbose,
    )


def adapt_source(
    source: Source,
    *,
    target: str,
    store: str | os.PathLike[str],
    estimator: TTTClassifier | TTTRegressor,
    engine: str = "serial",
    n_jobs: int | None = None,
    smallest: int = SMALLEST,
    together: bool | None = None,
    start: str = "cold",
    verbose: int = 0,
    texts: Texts = "",
) -> AdaptedGroups:
    """Adapt to the groups of a source; arguments and errors as in :func:`adapt_groups`.

    `texts` says what classes such as the text ``1.0`` are, see :mod:`testtime.scale.groups.labels`.
    """
    began = time.perf_counter()
    run = engine_called(engine)
    if n_jobs is not None and n_jobs < 1:
        raise InputError(sentence(f"n_jobs={n_jobs}", expected="a positive number, or None"))
    if smallest < 1:
        raise InputError(sentence(f"smallest={smallest}", expected="at least 1 row"))
    if start not in _STARTS:
        expected = " or ".join(map(repr, _STARTS))
        raise InputError(sentence(f"start={start!r}", expected=expected, remedy=nearest(start, _STARTS)))
    if SHARED in source.names:
        why = "the shared model has this name"
        raise InputError(
            sentence(f"a group is called {SHARED!r}", why=why, remedy="Give the group another name")
        )
    together = start == _CHOSEN if together is None else together
    opened = AdapterStore(store)
    opened.check_place()  # before anything is computed
    job = _job(target, opened, estimator, smallest, serial=engine == "serial", together=together)
    check_columns(source, target, job.params["column_kinds"])
    job = replace(job, texts=texts, by=source.by)
    if start == _CHOSEN and job.tails is None:
        got, why = f"start={start!r}", "each group is fitted by itself"
        raise InputError(sentence(got, expected="'cold'", why=why, remedy="Pass together=True"))
    rows = drawn_rows(source, cell_seed(job.seed, SHARED))
    if target not in rows:
        got = f"the table has no column {target!r}"
        raise InputError(sentence(got, remedy=nearest(target, rows.columns)))
    job = adapt_shared(with_file(job, rows), rows)
    if start == _CHOSEN:
        job = with_start(job, drawn_pieces(source, _STARTED_ON, cell_seed(job.seed, "(start)")))
    n_jobs = n_jobs or (available_cores() if engine != "ray" else sys.maxsize)
    done: list[GroupOutcome] = []
    with _bar(len(source.names), shown=verbose > 0) as advance:
        for outcome in run(job, batches(source, 1 if job.tails is None else TOGETHER), n_jobs):
            done.append(outcome)
            advance(outcome)
    done.sort(key=lambda outcome: outcome.name)
    seconds = round(time.perf_counter() - began, 3)
    others = tuple(sorted(set(opened.names()) - set(source.names) - {SHARED}))
    return AdaptedGroups(
        os.fspath(store), tuple(done), source.n_without_group, seconds, job.why_not_shared, others
    )


def check_columns(source: Source, target: str, kinds: Mapping[str, str] | None) -> None:
    """Refuse a column that names the groups and is something else besides: no group has it among its columns.

    Raises
    ------
    InputError
        If it is the target, or `kinds` declares it.
    """
    for name in source.by:
        if name == target:
            got = f"the column {name!r} is the target and names the groups"
            why = "in each group it has one value"
            raise InputError(sentence(got, expected="two columns", why=why, remedy="Name another one"))
        kind = (kinds or {}).get(name)
        if kind is not None:
            got = f"the column {name!r} names the groups and is declared to be {kind!r} besides"
            why = "columns that name groups are no features"
            raise InputError(
                sentence(got, expected="kinds of features", why=why, remedy="Declare none for it")
            )


def _chosen(source: Source, target: str) -> TTTClassifier | TTTRegressor:
    """Return what predicts a target where nobody says, as the command does.

    Raises
    ------
    InputError
        If it holds many dates or quantities, which are neither numbers nor classes.
    """
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

    classifier = TTTClassifier()
    rows = drawn_rows(source, cell_seed(classifier.random_state, SHARED))
    if target not in rows:
        return classifier  # what is wrong is said below
    known: Any = rows[target]
    try:
        labels = whole_classes(known[~without_label(known)])
    except InputError:  # as of lists, which each group refuses by name
        return classifier
    distinct = labels.map(repr).nunique()  # cells that cannot be hashed are refused by name, group by group
    if is_numeric(labels):
        return TTTRegressor() if why_numbers(labels, distinct) else classifier
    check_classes(labels, f"the target {target!r}", distinct, "estimator=TTTClassifier()")
    return classifier


def _job(
    target: str,
    store: AdapterStore,
    estimator: TTTClassifier | TTTRegressor,
    smallest: int,
    *,
    serial: bool,
    together: bool,
) -> Job:
    from testtime.estimators.classifier import TTTClassifier
    from testtime.estimators.regressor import TTTRegressor

    if not isinstance(estimator, (TTTClassifier, TTTRegressor)):
        got = f"estimator={type(estimator).__name__}"
        raise InputError(sentence(got, expected="a TTTClassifier or a TTTRegressor"))
    params = estimator.get_params(deep=False)
    check_settings(params)
    seed = params["random_state"]
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        got = f"random_state={seed!r} of the estimator"
        raise InputError(sentence(got, expected="an integer", why="the seed of each group follows from it"))
    kind = "TTTClassifier" if isinstance(estimator, TTTClassifier) else "TTTRegressor"
    cores = None if serial else 1
    if together:
        check_shared(params)
    else:
        defaults = type(estimator)().get_params(deep=False)
        if all(params[name] == defaults[name] for name in _HOW_IT_IS_TRAINED):
            params |= LIGHT
    tails = TailRecipe() if together else None
    return Job(store.where, target, kind, params, int(seed), smallest, tails, cores=cores)


@contextmanager
def _bar(n_groups: int, *, shown: bool) -> Iterator[Any]:
    """Yield what is told of every group that is done; a bar on stderr shows the time left and the failures."""
    if not shown:
        yield lambda outcome: None
        return
    from tqdm import tqdm

    with tqdm(total=n_groups, unit="group", leave=False, mininterval=0.2) as bar:
        failed = 0

        def advance(outcome: GroupOutcome) -> None:
            nonlocal failed
            failed += outcome.outcome is Outcome.FAILED
            if failed:
                bar.set_postfix_str(f"{failed} failed", refresh=False)
            bar.update()

        yield advance
