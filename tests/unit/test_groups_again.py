"""A second run into a store that somebody changed meanwhile, or for which the data changed."""

import os
import shlex

import numpy as np
import pytest

from tests.support.commands import run
from tests.support.grouped import grouped_table, quick
from testtime import AdapterStore, adapt_groups
from testtime.scale.groups.outcomes import Outcome


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def groups_of(table, store):
    return adapt_groups(table, target="y", by="shop", store=store, estimator=quick())


def test_groups_that_are_gone_are_served_and_it_is_said(tiny_embedded, tmp_path, capsys):
    store = tmp_path / "a store"
    table = grouped_table({"a": 70, "b": 70, "-c": 70})
    assert groups_of(table, store).not_in_data == ()
    found = groups_of(table[table["shop"] == "a"], store)
    assert found.not_in_data == ("-c", "b")
    assert (
        found.explain().count("2 adapters of the store are no groups of this data: '-c', 'b'; they are still")
        == 1
    )
    assert AdapterStore(store).names() == ("(shared)", "-c", "a", "b")
    command = found.explain().partition("remove one with: ")[2].removesuffix(".")
    assert run(capsys, *shlex.split(command)[1:])[0] == 0
    assert groups_of(table[table["shop"] == "a"], store).not_in_data == ("b",)


def test_a_roll_back_is_kept_until_the_rows_change(tiny_embedded, tmp_path):
    first, second = grouped_table({"a": 70, "b": 70}), grouped_table({"a": 80, "b": 70})
    groups_of(first, tmp_path)
    groups_of(second, tmp_path)
    back = AdapterStore(tmp_path).rollback("a")
    again = {group.name: group for group in groups_of(second, tmp_path)}
    assert (again["a"].outcome, again["a"].version) == (Outcome.UNCHANGED, back.number)
    assert again["a"].reason == "Rolled back to version 1, and left there."
    assert (again["b"].outcome, again["b"].reason) == (Outcome.UNCHANGED, "")
    assert AdapterStore(tmp_path).current("a") == (back.number, back.sha256)
    third = second.assign(y=np.roll(second["y"], 1))
    assert {group.outcome for group in groups_of(third, tmp_path)} <= {Outcome.ADAPTED, Outcome.FROZEN}
