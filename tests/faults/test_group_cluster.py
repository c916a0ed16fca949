"""The Ray engine on a small cluster of this machine: the same adapters, and a worker that dies."""

from __future__ import annotations

import os
import sys

import pytest

from tests.support.grouped import DiesOnce, grouped_table, payloads, quick
from testtime import InputError, adapt_groups
from testtime.scale.groups import Outcome

ray = pytest.importorskip("ray")


@pytest.fixture
def cluster(monkeypatch):
    """Two CPUs; workers find what is under test where this process finds it."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


@pytest.mark.slow
def test_actors_give_the_same_adapters_and_one_that_dies_costs_its_group_at_most(
    cluster, tiny_embedded, tmp_path
):
    table = grouped_table(dict.fromkeys("abcd", 66))
    estimator = quick(backbone=tiny_embedded, column_kinds={"poison": "ignored"})
    bad = {"b": DiesOnce(tmp_path / "once"), "c": DiesOnce(tmp_path / "always", always=True)}
    poisoned = table.assign(poison=[bad.get(shop, "x") for shop in table["shop"]])
    arguments = {"target": "y", "by": "shop", "estimator": estimator}
    groups = adapt_groups(poisoned, store=tmp_path / "ray", engine="ray", n_jobs=2, **arguments)
    found = {group.name: group.outcome for group in groups}
    assert found == dict.fromkeys("abd", Outcome.ADAPTED) | {"c": Outcome.FAILED}
    assert "its worker process died twice" in groups.failed[0].reason
    assert (tmp_path / "once").exists()
    alone = table.assign(poison="x")
    adapt_groups(alone[alone["shop"] != "c"], store=tmp_path / "serial", **arguments)
    ours, theirs = payloads(tmp_path / "ray"), payloads(tmp_path / "serial")
    assert all(ours[name] == theirs[name] for name in "abd")


def test_without_a_cluster_it_is_said_how_to_start_one(tiny_embedded, tmp_path, monkeypatch):
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    with pytest.raises(
        InputError, match=r"no Ray cluster is running here\. Start one with: ray start --head"
    ):
        adapt_groups(
            grouped_table({"a": 70}),
            target="y",
            by="shop",
            store=tmp_path / "store",
            estimator=quick(),
            engine="ray",
        )
