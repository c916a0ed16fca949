"""Workers that die in the middle of a group."""

from __future__ import annotations

import os

import pytest

from tests.support.grouped import DiesOnce, grouped_table, quick
from testtime import adapt_groups
from testtime.scale.groups import Outcome


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def poisoned(tmp_path, always: bool):
    """Groups "a" to "d", of which "b" ends the process that unpacks it."""
    table = grouped_table(dict.fromkeys("abcd", 66))
    values = [DiesOnce(tmp_path / "died", always=always) if shop == "b" else "x" for shop in table["shop"]]
    return table.assign(poison=values)


@pytest.mark.parametrize("always", [False, True])
def test_a_process_that_dies_costs_its_group_at_most(tiny_embedded, tmp_path, always):
    groups = adapt_groups(
        poisoned(tmp_path, always),
        target="y",
        by="shop",
        store=tmp_path / "store",
        estimator=quick(backbone=tiny_embedded, column_kinds={"poison": "ignored"}),
        engine="joblib",
        n_jobs=2,
    )
    expected = dict.fromkeys("abcd", Outcome.ADAPTED) | ({"b": Outcome.FAILED} if always else {})
    assert {group.name: group.outcome for group in groups} == expected
    assert (tmp_path / "died").exists()
    if always:
        assert "its worker process died twice" in groups.failed[0].reason
