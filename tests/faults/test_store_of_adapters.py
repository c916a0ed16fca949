"""Writers and readers of several processes at once, a full disk, a killed writer: the store stays whole."""

from __future__ import annotations

import errno
import multiprocessing
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.adapters import load as load_raw
from tests.support.adapters import save
from testtime import AdapterStore, StoreError
from testtime.store import atomic

PROCESSES = multiprocessing.get_context("forkserver")
"""Of a server without threads: a fork of this process would inherit every lock that some thread holds just then."""


def _work(where: Path, adapters: list[Path], seed: int, n: int) -> dict[str, int]:
    """Do `n` random operations; return how many changes of each name were made."""
    store, rng, done = AdapterStore(where), np.random.default_rng(seed), dict.fromkeys("abc", 0)
    for _ in range(n):
        name, act = str(rng.choice(list("abc"))), rng.choice(["add", "rollback", "read", "list", "share"])
        if act == "add":
            store.add(name, adapters[rng.integers(len(adapters))])
            done[name] += 1
        elif act == "rollback":
            store.rollback(name, 1)
            done[name] += 1
        elif act == "share":
            store.share(name, "a")
            done[name] += 1
        elif act == "read":
            with store.folder(name) as folder:
                assert load_raw(folder)[2]["number"] < len(adapters)
        else:
            assert [one.name for one in store.list()] == ["a", "b", "c"]
    return done


def _churn(where: Path, adapter: Path, n: int) -> int:
    """Add and remove a name over and over."""
    store = AdapterStore(where)
    for _ in range(n):
        store.add("comes and goes", adapter)
        store.add("comes and goes", adapter)  # so that it is there about half of the time
        store.remove("comes and goes")
    return n


def _no_flush(handle: int) -> None:
    """In place of a flush: what it protects from is a power failure, and none happens here."""


def _without_flushes() -> None:
    os.fsync = _no_flush


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", _no_flush)


@pytest.fixture
def adapters(tmp_path):
    folders = [tmp_path / f"adapter-{number}" for number in range(5)]
    for number, folder in enumerate(folders):
        save(folder, number)
    return folders


def test_three_hundred_operations_of_two_processes_lose_nothing(tmp_path, adapters):
    where = tmp_path / "store"
    for name in "abc":
        AdapterStore(where).add(name, adapters[0])
    with PROCESSES.Pool(2, _without_flushes) as pool:
        jobs = [pool.apply_async(_work, (where, adapters, seed, 150)) for seed in (1, 2)]
        done = [job.get(timeout=120) for job in jobs]
    store = AdapterStore(where)
    for name in "abc":
        numbers = [version.number for version in store.versions(name)]
        assert numbers == list(range(1, 2 + sum(one[name] for one in done)))
    assert store.verify() == ()


def test_what_comes_and_goes_is_there_or_not_and_never_half(tmp_path, adapters):
    where = tmp_path / "store"
    store, seen = AdapterStore(where), {"there": 0, "gone": 0}
    store.add("stays", adapters[0])
    with PROCESSES.Pool(1, _without_flushes) as pool:
        job = pool.apply_async(_churn, (where, adapters[1], 20))
        while not job.ready():
            try:
                with store.folder("comes and goes") as folder:
                    assert load_raw(folder)[2]["number"] == 1
                seen["there"] += 1
            except StoreError as error:
                assert any(words in str(error) for words in ("no adapter", "no saved adapter", "missing"))
                seen["gone"] += 1
        assert job.get(timeout=60) == 20
    assert min(seen.values()) > 0
    assert store.names() == ("stays",)
    assert len(list((where / "adapters").iterdir())) == 1


def test_a_full_disk_leaves_what_was_served(tmp_path, adapters, monkeypatch):
    store = AdapterStore(tmp_path / "store")
    store.add("a", adapters[0])
    before = sorted(path for path in (tmp_path / "store").rglob("*"))

    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(atomic, "_commit", full)
        with pytest.raises(StoreError, match="No space left on device"):
            store.add("a", adapters[1])
    assert sorted(path for path in (tmp_path / "store").rglob("*")) == before
    assert store.current("a")[0] == 1
    assert store.add("a", adapters[1]).number == 2


def _write_on(where: Path, adapters: list[Path], said: Any) -> None:
    _without_flushes()
    store = AdapterStore(where)
    for k in range(10**6):
        store.add("a", adapters[k % 2])
        said.send(k)


def test_killed_writers_leave_a_whole_store_and_no_lock(tmp_path, adapters):
    where = tmp_path / "store"
    for wait in np.linspace(0, 0.02, 6):
        heard, said = PROCESSES.Pipe(duplex=False)
        writer = PROCESSES.Process(target=_write_on, args=(where, adapters, said))
        writer.start()
        try:
            assert heard.poll(60), "the writer wrote nothing within a minute"
            time.sleep(wait)
        finally:
            writer.kill()
            writer.join()
    store = AdapterStore(where)
    last = store.versions("a")[-1].number
    assert store.verify() == ()
    assert store.add("a", adapters[2]).number == last + 1
    assert not list(where.rglob("*.tmp"))
