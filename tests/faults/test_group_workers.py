"""Processes and actors give the same adapters as one process, and one that dies costs its group at most."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.support.grouped import DiesOnce, grouped_table, payloads, quick
from testtime import InputError, adapt_groups
from testtime.scale.groups import Outcome


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return grouped_table(dict.fromkeys("abcd", 66))


@pytest.fixture
def arguments(tiny_embedded) -> dict[str, Any]:
    estimator = quick(backbone=tiny_embedded, column_kinds={"poison": "ignored"})
    return {"target": "y", "by": "shop", "estimator": estimator}


@pytest.fixture
def one_after_the_other(table, arguments, tmp_path) -> dict[str, dict[str, str]]:
    """What this process makes of the groups that can be adapted to."""
    alone = table.assign(poison="x")
    adapt_groups(alone[alone["shop"] != "c"], store=tmp_path / "serial", **arguments)
    return payloads(tmp_path / "serial")


def check(
    table: pd.DataFrame, tmp_path: Path, arguments: dict[str, Any], alone: dict[str, Any], engine: str
) -> None:
    """Adapt where the worker of "b" dies once and that of "c" every time."""
    bad = {"b": DiesOnce(tmp_path / "once"), "c": DiesOnce(tmp_path / "always", always=True)}
    poisoned = table.assign(poison=[bad.get(shop, "x") for shop in table["shop"]])
    groups = adapt_groups(poisoned, store=tmp_path / engine, engine=engine, n_jobs=2, **arguments)
    found = {group.name: group.outcome for group in groups}
    assert found == dict.fromkeys("abd", Outcome.ADAPTED) | {"c": Outcome.FAILED}
    assert "its worker process died twice" in groups.failed[0].reason
    assert (tmp_path / "once").exists()
    ours = payloads(tmp_path / engine)
    assert all(ours[name] == alone[name] for name in "abd")


@pytest.mark.slow
def test_processes(table, tmp_path, arguments, one_after_the_other):
    check(table, tmp_path, arguments, one_after_the_other, "joblib")


@pytest.fixture
def cluster(monkeypatch):
    """Two CPUs; workers find what is under test where this process finds it."""
    ray = pytest.importorskip("ray")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.mark.slow
def test_actors(cluster, table, tmp_path, arguments, one_after_the_other):
    check(table, tmp_path, arguments, one_after_the_other, "ray")


def test_without_a_cluster_it_is_said_how_to_start_one(table, tmp_path, arguments, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(
        InputError, match=r"no Ray cluster is running here\. Start one with: ray start --head"
    ):
        adapt_groups(table, store=tmp_path / "store", engine="ray", **arguments)
