"""Columns that name groups: what else they cannot be, and how the groups are called."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from tests.support.commands import run
from tests.support.grouped import grouped_table, quick
from testtime import AdapterStore, InputError, adapt_groups
from testtime.scale.groups.sources import source_of

pytestmark = pytest.mark.usefixtures("tiny_embedded")


@pytest.fixture
def table(tmp_path):
    frame = grouped_table({"a": 70, "b": 70})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_parquet(tmp_path / "folder", partition_cols=["shop"])
    return frame


@pytest.mark.parametrize("train", ["t.csv", "folder"])
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ("--by", "shop", "--numeric", "shop"),
            "'shop' names the groups and is declared to be 'number' besides",
        ),
        (
            ("--by", "shop", "--ignore", "shop"),
            "'shop' names the groups and is declared to be 'ignored' besides",
        ),
        (("--by", "shop", "--by", "shop"), "'shop' is to name the groups twice"),
    ],
)
def test_a_column_of_groups_that_is_something_else_is_refused_first(
    table, tmp_path, capsys, train, options, said
):
    arguments = ("adapt", tmp_path / train, "--target", "y", "--out", tmp_path / "store", *options)
    code, out, err = run(capsys, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
    assert not (tmp_path / "store").exists()


def test_the_target_names_no_groups(table, tmp_path, capsys):
    arguments = ("--target", "shop", "--by", "shop", "--out", tmp_path / "store")
    for train in ("t.csv", "folder"):
        code, out, err = run(capsys, "adapt", tmp_path / train, *arguments)
        assert (code, out) == (2, "")
        assert "the column 'shop' is the target and names the groups; expected two columns" in err
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"target": "shop"}, "is the target and names the groups"),
        ({"by": ["shop", "shop"]}, "is to name the groups twice"),
        ({"estimator": quick(column_kinds={"shop": "nominal"})}, "declared to be 'nominal' besides"),
    ],
)
def test_the_same_in_python(table, tmp_path, changes, said):
    arguments = {"target": "y", "by": "shop", "store": tmp_path / "store", **changes}
    with pytest.raises(InputError, match=said):
        adapt_groups(table, **arguments)
    assert not (tmp_path / "store").exists()


def test_half_of_a_character_is_no_name(table, tmp_path, capsys):
    names = pd.Series(np.where(table["shop"] == "a", "x\ud800", "b"), dtype=object)
    with pytest.raises(
        InputError, match=r"a group is called 'x\\ud800' \(half of a character cannot be written\)"
    ):
        adapt_groups(table.assign(shop=names), target="y", by="shop", store=tmp_path / "store")
    rows = [{**row, "shop": name} for row, name in zip(table.to_dict("records"), names, strict=True)]
    (tmp_path / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    arguments = ("--target", "y", "--by", "shop", "--out", tmp_path / "store")
    code, out, err = run(capsys, "adapt", tmp_path / "t.jsonl", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "store").exists()


def test_days_are_called_as_in_a_file_of_text(tmp_path):
    days = pd.to_datetime(["2024-01-01", "2024-01-02", "2024-01-02"])
    frame = pd.DataFrame({"day": days, "a": 1.0})
    frame.to_parquet(tmp_path / "folder", partition_cols=["day"])
    for data in (frame, frame.astype({"day": str}), tmp_path / "folder"):
        source = source_of(data, ["day"])
        assert source.names == ["2024-01-01", "2024-01-02"]
        assert len(source.piece("2024-01-02").read()) == 2
    hours = frame.assign(day=frame["day"] + pd.to_timedelta([0, 1, 2], unit="h"))
    assert source_of(hours, ["day"]).names == ["2024-01-01", "2024-01-02 01:00:00", "2024-01-02 02:00:00"]


def test_where_every_group_failed_there_is_nothing_to_serve(tmp_path, capsys):
    table = grouped_table({"a": 70, "b": 70})
    table.assign(a=np.where(table["b"] > 0, np.inf, -np.inf)).to_parquet(tmp_path / "t.parquet")
    arguments = ("--target", "y", "--by", "shop", "--out", tmp_path / "store", "--n-steps", "0")
    code, out, _ = run(capsys, "adapt", tmp_path / "t.parquet", *arguments)
    assert code == 1
    assert out.count("failed") >= 2
    assert "Serve them with" not in out


def test_a_shared_model_that_could_not_be_made_is_said(tmp_path, capsys):
    table = grouped_table({"a": 70, "b": 70, "c": 70})
    # Infinity in one group is in the rows of the shared model too.
    table.loc[(table["shop"] == "c") & (table["y"] > 0), "a"] = np.inf
    table.to_parquet(tmp_path / "t.parquet")
    arguments = ("--target", "y", "--by", "shop", "--out", tmp_path / "store", "--n-steps", "0")
    code, out, _ = run(capsys, "adapt", tmp_path / "t.parquet", *arguments)
    said = " ".join(out.split())
    assert code == 1
    assert "There is no shared model: " in said
    assert "Serve them with" in said
    assert AdapterStore(tmp_path / "store").names() == ("a", "b")
    code, out, _ = run(capsys, "adapt", tmp_path / "t.parquet", *arguments, "--json")
    found = json.loads(out)
    assert found["why_not_shared"].startswith("there is no shared model: ")
    assert [one["outcome"] for one in found["groups"]] == ["unchanged", "unchanged", "failed"]
    groups = adapt_groups(
        table[table["shop"] != "c"], target="y", by="shop", store=tmp_path / "other", estimator=quick()
    )
    assert groups.why_not_shared == ""


def test_a_report_of_a_group_scores_rows_of_the_user(table, tmp_path, capsys):
    store = tmp_path / "store"
    adapt_groups(table, target="y", by="shop", store=store, estimator=quick())
    for name in ("a", "(shared)"):
        stored = store / "adapters" / AdapterStore(store).current(name)[1]
        page = tmp_path / f"{name}.html"
        arguments = ("report", stored, "--out", page)
        code, out, err = run(capsys, *arguments, "--table", tmp_path / "t.csv", "--json")
        assert code == 0, err
        assert json.loads(out)["evaluation"]["points"]
        assert "testtime: y" in page.read_text()
        assert run(capsys, *arguments, "--overwrite")[0] == 0
    assert AdapterStore(store).verify() == ()


def test_a_report_of_rows_says_truly_what_is_missing(table, tmp_path, capsys):
    model = quick().fit(table[["a", "b"]], table["y"]).save(tmp_path / "model")
    code, out, err = run(capsys, "report", model, "--table", tmp_path / "t.csv", "--out", tmp_path / "r.html")
    assert (code, out) == (2, "")
    assert "(it was saved in Python, or for a group by an older version)" in err


def test_a_group_predicts_the_rows_of_a_file_with_all_columns(table, tmp_path, capsys):
    store, out = tmp_path / "store", tmp_path / "out.csv"
    adapt_groups(table, target="y", by="shop", store=store, estimator=quick())
    stored = store / "adapters" / AdapterStore(store).current("a")[1]
    code, _, err = run(capsys, "predict", stored, tmp_path / "t.csv", "--out", out)
    assert (code, err) == (0, "")
    assert len(pd.read_csv(out)) == len(table)
