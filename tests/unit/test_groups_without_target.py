"""Rows of groups without a target: words such as ``NA`` are none, as for one model of a table, and it is said."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.support.commands import run
from tests.support.grouped import grouped_table, quick
from testtime import AdapterStore, adapt_groups
from testtime.scale.groups import Outcome
from testtime.scale.groups.labels import without_label

pytestmark = pytest.mark.usefixtures("tiny_embedded")

SAID = "18 rows have no target and were dropped."


@pytest.fixture
def table():
    frame = grouped_table({"a": 80, "b": 80})
    words = frame["y"].map({0: "no", 1: "yes"}).astype(object)
    words.iloc[:17] = "NA"
    words.iloc[17] = None
    return frame.assign(y=words)


def classes(store):
    opened = AdapterStore(store)
    return {name: opened.load(name).classes_.tolist() for name in opened.names()}


@pytest.mark.parametrize("options", [(), ("--task", "classify")])
def test_a_word_for_nothing_is_no_class_of_a_group(table, tmp_path, capsys, options):
    table.to_csv(tmp_path / "t.csv", index=False)
    table.to_parquet(tmp_path / "folder", partition_cols=["shop"])
    fixed = ("--target", "y", "--n-steps", "0", *options)
    _, out, _ = run(
        capsys, "adapt", tmp_path / "t.csv", *fixed, "--out", tmp_path / "one", "--ignore", "shop"
    )
    assert "18 of 160 rows have no 'y' and were dropped" in " ".join(out.split())
    for train in ("t.csv", "folder"):
        store = tmp_path / f"store of {train}"
        code, out, err = run(capsys, "adapt", tmp_path / train, *fixed, "--by", "shop", "--out", store)
        assert code == 0, err
        assert SAID in " ".join(out.split())
        assert classes(store) == {key: ["no", "yes"] for key in ["(shared)", "a", "b"]}


def test_the_same_in_python_and_in_every_run(table, tmp_path):
    arguments = {"target": "y", "by": "shop", "store": tmp_path / "store", "estimator": quick(n_steps=0)}
    for _ in range(2):
        groups = adapt_groups(table, **arguments)
        assert groups.n_without_target == 18
        assert SAID in groups.explain()
        assert sum(group.n_rows for group in groups) == 142
    assert {group.outcome for group in groups} == {Outcome.UNCHANGED}
    assert json.loads(json.dumps(groups.to_dict()))["groups"][0]["n_without_target"] > 0
    assert classes(tmp_path / "store")["a"] == ["no", "yes"]
    whole = adapt_groups(table.assign(y=np.arange(160) % 2), **arguments)
    assert "no target" not in whole.explain()


def test_whole_numbers_beside_words_for_nothing_are_the_same_classes(tmp_path, capsys):
    table = grouped_table({"a": 70, "b": 70})
    labels = table["y"].astype(float).astype(str).where(table["shop"] == "a", table["y"].astype(str))
    table.assign(y=labels.mask(table.index < 5, "?")).to_csv(tmp_path / "t.csv", index=False)
    arguments = ("--target", "y", "--by", "shop", "--out", tmp_path / "store", "--n-steps", "0")
    code, _, err = run(capsys, "adapt", tmp_path / "t.csv", *arguments)
    assert code == 0, err
    assert classes(tmp_path / "store") == {key: ["0", "1"] for key in ["(shared)", "a", "b"]}


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_what_is_no_label_whatever_the_type(dtype):
    labels = pd.Series(["a", "NA", None, " ", "none", "NaN"], dtype=dtype, name="y")
    assert without_label(labels).tolist() == [False, True, True, True, False, True]


def test_numbers_are_labels_unless_they_are_missing():
    assert without_label(pd.Series([1.0, np.nan, np.inf])).tolist() == [False, True, False]
