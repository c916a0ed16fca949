"""One adapter for each group: every engine the same, reruns, small groups, failures, folders of Parquet."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.support.commands import run
from tests.support.grouped import SIZES, grouped_table, payloads, quick
from testtime import AdapterStore, InputError, TTTClassifier, TTTRegressor, adapt_groups
from testtime.scale.groups import Outcome
from testtime.scale.groups.adapt import LIGHT, _job
from testtime.scale.groups.cluster import _gpus
from testtime.scale.groups.sources import batches, drawn_rows, source_of
from testtime.scale.groups.work import Job

ADAPTED = ["a", "b", "c"]


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch):
    monkeypatch.setattr(os, "fsync", lambda handle: None)


@pytest.fixture(scope="module")
def table():
    return grouped_table()


@pytest.fixture
def adapted(tiny_embedded, table, tmp_path):
    """All groups, adapted one after the other."""
    store = tmp_path / "store"
    return adapt_groups(table, target="y", by="shop", store=store, estimator=quick()), store


def outcomes(groups):
    return {group.name: group.outcome for group in groups}


def test_each_group_gets_an_adapter_and_small_ones_share_one(adapted):
    groups, store = adapted
    assert [group.name for group in groups] == sorted(SIZES)
    assert outcomes(groups) == {
        **dict.fromkeys(ADAPTED, Outcome.ADAPTED),
        **dict.fromkeys(["few", "one class"], Outcome.SHARED),
    }
    reasons = {group.name: group.reason for group in groups}
    assert reasons["few"] == "20 rows are fewer than 64."
    assert reasons["one class"] == "all 70 rows have the class '0'."
    assert {group.name: group.n_rows for group in groups} == SIZES
    current = {version.name: version for version in AdapterStore(store).list()}
    assert set(current) == {*SIZES, "(shared)"}
    assert current["few"].sha256 == current["(shared)"].sha256
    assert all(group.sha256 == current[group.name].sha256 for group in groups)
    assert all(group.n_bytes > 0 for group in groups)
    assert groups.explain().startswith("5 groups in")
    assert list(groups.frame()["outcome"]) == ["adapted"] * 3 + ["shared"] * 2
    assert json.loads(json.dumps(groups.to_dict()))["groups"][0]["outcome"] == "adapted"


def test_an_adapter_is_that_of_the_group_alone_with_the_seed_of_its_name(adapted, table, tmp_path):
    _, store = adapted
    only = table[table["shop"] == "b"].iloc[::1]
    adapt_groups(only, target="y", by="shop", store=tmp_path / "other", estimator=quick())
    assert payloads(tmp_path / "other")["b"] == payloads(store)["b"]
    assert payloads(store)["a"] != payloads(store)["b"]
    frame = only.drop(columns=["shop", "y"])
    assert (AdapterStore(store).load("b").predict(frame) == only["y"]).mean() > 0.5


def test_a_rerun_does_what_is_missing_or_changed(adapted, table):
    _, store = adapted
    AdapterStore(store).remove("a")
    changed = table.assign(a=np.where(table["shop"] == "b", table["a"] + 1, table["a"]))
    # Rows of all groups are the context of the shared model, which follows a change of any.
    again = adapt_groups(changed, target="y", by="shop", store=store, estimator=quick())
    assert outcomes(again) == {
        **dict.fromkeys(["a", "b"], Outcome.ADAPTED),
        "c": Outcome.UNCHANGED,
        **dict.fromkeys(["few", "one class"], Outcome.SHARED),
    }
    assert {group.name: group.version for group in again} == {
        "a": 1,
        "b": 2,
        "c": 1,
        "few": 2,
        "one class": 2,
    }
    other = adapt_groups(changed, target="y", by="shop", store=store, estimator=quick(random_state=1))
    assert outcomes(other)["c"] is Outcome.ADAPTED


def test_groups_without_a_step_are_frozen_and_found_again(tiny_embedded, table, tmp_path):
    frame = table[table["shop"].isin(["a", "few"])]
    arguments = {"target": "y", "by": "shop", "store": tmp_path / "store", "estimator": quick(n_steps=0)}
    groups = adapt_groups(frame, **arguments)
    assert outcomes(groups) == {"a": Outcome.FROZEN, "few": Outcome.SHARED}
    assert next(iter(groups)).reason == "plain in-context learning; no step was asked for."
    assert list(groups.frame()["outcome"]) == ["frozen", "shared"]
    assert "1 frozen: fitted, and nothing was trained" in groups.explain()
    assert "adapted" not in groups.explain()
    assert outcomes(adapt_groups(frame, **arguments))["a"] is Outcome.UNCHANGED


def test_a_bar_makes_no_group_another_one(adapted, table):
    _, store = adapted
    again = adapt_groups(table, target="y", by="shop", store=store, estimator=quick(verbose=1))
    assert {one.outcome for one in again} == {Outcome.UNCHANGED, Outcome.SHARED}


def test_a_time_limit_does_not_change_how_groups_are_fitted(tmp_path):
    def params(**given):
        store = AdapterStore(tmp_path / "store")
        return _job("y", store, TTTClassifier(**given), 64, serial=True, together=False).params

    plain, limited = params(), params(time_limit=3600.0)
    assert {name: plain[name] for name in LIGHT} == LIGHT
    assert limited == plain | {"time_limit": 3600.0}
    assert params(n_steps=3)["n_members"] == "auto"


@pytest.mark.parametrize("n_groups", [3, 100, 204, 300])
def test_the_shared_model_sees_equally_many_rows_of_each_group(n_groups):
    names = np.repeat([f"{k:03d}" for k in range(n_groups)], 400)
    source = source_of(pd.DataFrame({"shop": names, "same": names}), ["shop"])
    drawn = drawn_rows(source, np.random.SeedSequence(0))
    counts = drawn["same"].value_counts()
    assert len(counts) == min(n_groups, 256)
    assert counts.nunique() == 1
    assert 1024 - n_groups < len(drawn) <= 1024


@pytest.mark.parametrize(
    ("device", "n_gpus", "n_actors", "share"),
    [
        ("cpu", 2, 4, 0.0),
        ("cuda", 2, 4, 0.5),
        ("auto", 1, 3, 0.3333),
        ("cuda", 8, 2, 1.0),
        ("auto", 0, 2, 0.0),
    ],
)
def test_gpus_are_shared_by_the_actors_there_are(tmp_path, device, n_gpus, n_actors, share):
    job = Job(str(tmp_path), "y", "TTTClassifier", {"device": device}, 0, 64, None)
    assert _gpus(float(n_gpus), job, n_actors) == share


def test_a_group_that_fails_stops_no_other(tiny_embedded, table, tmp_path):
    bad = table.assign(y=table["y"].astype(object))
    first = bad.index[bad["shop"] == "b"][0]
    bad.loc[first, "y"] = "text"
    groups = adapt_groups(bad, target="y", by="shop", store=tmp_path / "store", estimator=quick())
    found = {group.name: group for group in groups}
    assert found["a"].outcome is found["c"].outcome is Outcome.ADAPTED
    assert found["b"].outcome is Outcome.FAILED
    assert "mixes text such as 'text'" in found["b"].reason
    assert (
        found["few"].outcome is Outcome.FAILED
    )  # no shared model can learn from such labels, and it is said
    assert "20 rows are fewer than 64. there is no shared model: the target mixes" in found["few"].reason
    assert AdapterStore(tmp_path / "store").names() == ("a", "c")
    assert found["b"].reason in groups.explain()


def test_a_folder_of_parquet_gives_what_the_frame_gives(adapted, table, tmp_path):
    folder = tmp_path / "parquet"
    whole = table.sort_values("shop", kind="stable")
    whole.to_parquet(folder, partition_cols=["shop"])
    groups = adapt_groups(str(folder), target="y", by="shop", store=tmp_path / "other", estimator=quick())
    assert not groups.failed
    ours, theirs = payloads(tmp_path / "other"), payloads(adapted[1])
    assert {name: ours[name] for name in ADAPTED} == {name: theirs[name] for name in ADAPTED}


def test_one_group_of_a_folder_is_read_at_a_time(tiny_embedded, table, tmp_path, monkeypatch):
    from testtime.scale.groups import sources

    folder, read = tmp_path / "parquet", []
    table.to_parquet(folder, partition_cols=["shop"])
    inner = sources._read
    monkeypatch.setattr(sources, "_read", lambda *given: read.append(len(given[1])) or inner(*given))
    source = sources.source_of(folder, ["shop"])
    assert read == []  # names come from folders
    assert len(source.piece("few").read()) == SIZES["few"]
    assert read == [1]


@pytest.mark.parametrize("keys", [["007", "7", "08"], ["007", "7", "x/y"], [7, 8, 9]])
def test_groups_of_a_folder_are_those_of_the_table_in_a_file(tmp_path, keys):
    frame = pd.DataFrame(
        {"shop": np.repeat(np.array(keys, dtype=object), [4, 3, 2]), "a": 1.0, "year": [2020, 2021, 2020] * 3}
    )
    frame.to_parquet(tmp_path / "folder", partition_cols=["year", "shop"])
    source = source_of(tmp_path / "folder", ["shop"])
    assert list(source.names) == sorted(map(str, keys))
    pieces = [source.piece(str(key)).read() for key in keys]
    assert [len(piece) for piece in pieces] == [4, 3, 2]
    assert set(pieces[0]["year"].astype(int)) == {2020, 2021}  # other levels stay columns


def test_groups_do_not_go_into_the_folder_of_a_model(tiny_embedded, table, tmp_path, capsys):
    table.to_csv(tmp_path / "table.csv", index=False)
    quick().fit(table[["a", "b"]], table["y"]).save(tmp_path / "model")
    before = sorted(path.name for path in (tmp_path / "model").iterdir())
    code, _, err = run(
        capsys, "adapt", tmp_path / "table.csv", "--target", "y", "--by", "shop", "--out", tmp_path / "model"
    )
    assert code == 2
    assert "is a saved model; expected a store" in err
    assert sorted(path.name for path in (tmp_path / "model").iterdir()) == before


def test_memory_is_that_of_one_group_however_many_there_are(tmp_path):
    n_groups, n_rows = 16, 5_000
    values = np.random.default_rng(0).standard_normal((n_groups * n_rows, 8))
    frame = pd.DataFrame(values).add_prefix("x").assign(shop=np.repeat(np.arange(n_groups), n_rows))
    frame.to_parquet(tmp_path / "parquet", partition_cols=["shop"])
    one_group = n_rows * 8 * 8
    del frame, values
    gc.collect()
    before, most, n_read = pa.total_allocated_bytes(), 0, 0
    tracemalloc.start()
    try:
        for [piece] in batches(source_of(tmp_path / "parquet", ["shop"]), 1):
            n_read += len(piece.read())
            most = max(most, pa.total_allocated_bytes() - before)
        python = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert n_read == n_groups * n_rows
    assert most < 3 * one_group
    assert python < 4 * one_group


def test_rows_without_a_group_or_a_target_are_left_out(tiny_embedded, table, tmp_path):
    holes = table.copy()
    holes.loc[:4, "shop"] = None
    holes["y"] = holes["y"].astype(float)
    mine = holes.index[holes["shop"] == "a"][:7]
    holes.loc[mine, "y"] = np.nan
    groups = adapt_groups(holes, target="y", by="shop", store=tmp_path / "store", estimator=quick())
    assert groups.n_without_group == 5
    rows = {group.name: group.n_rows for group in groups}
    assert rows["a"] == int((holes["shop"] == "a").sum()) - 7
    assert "5 rows name no group" in groups.explain()


@pytest.mark.parametrize("dtype", [object, "string", "category"])  # pandas 2 writes None as "None" for "str"
def test_an_empty_text_names_no_group(table, dtype):
    shops = table["shop"].astype(object)
    shops[:4] = [None, "", " ", "\N{NO-BREAK SPACE}"]
    source = source_of(table.assign(shop=shops.astype(dtype), year=2020), ["shop"])
    assert (source.names, source.n_without_group) == (sorted(SIZES), 4)
    several = source_of(table.assign(shop=shops.astype(dtype), year=2020), ["shop", "year"])
    assert (len(several.names), several.n_without_group) == (len(SIZES), 4)


def test_numbers_and_several_columns(tiny_embedded, tmp_path):
    table = grouped_table({"a": 70, "b": 70}).assign(year=2020)
    table["y"] = table["a"] * 3
    groups = adapt_groups(
        table,
        target="y",
        by=["shop", "year"],
        store=tmp_path / "store",
        estimator=TTTRegressor(n_steps=1, n_members=1),
    )
    assert [group.name for group in groups] == ["shop=a,year=2020", "shop=b,year=2020"]
    assert not groups.failed


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"by": "shpo"}, "no column 'shpo'. Did you mean 'shop'"),
        ({"by": []}, "by names no column"),
        ({"target": "z"}, "no column 'z'"),
        ({"engine": "dask"}, "engine='dask'; expected one of 'serial', 'joblib', 'ray'"),
        ({"n_jobs": 0}, "n_jobs=0; expected a positive number"),
        ({"smallest": 0}, "smallest=0"),
        ({"estimator": 3}, "estimator=int; expected a TTTClassifier"),
        ({"estimator": quick(random_state=None)}, "random_state=None of the estimator"),
        ({"estimator": quick(n_steps=-1)}, "n_steps=-1"),
        ({"data": "/nowhere"}, "'/nowhere' cannot be read"),
        ({"data": pd.DataFrame({"shop": [1, "1"], "y": [0, 1]})}, "two groups are called '1'"),
        ({"data": pd.DataFrame({"shop": [None], "y": [0]})}, "there is no group"),
        ({"data": pd.DataFrame({"shop": ["(shared)"], "y": [0]})}, r"a group is called '\(shared\)'"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tiny_embedded, table, tmp_path, changes, says):
    arguments = {"data": table, "target": "y", "by": "shop", "store": tmp_path / "store", **changes}
    with pytest.raises(InputError, match=says):
        adapt_groups(arguments.pop("data"), **arguments)
    assert not (tmp_path / "store").exists()


def test_a_folder_that_is_not_partitioned_by_the_column(table, tmp_path):
    table.to_parquet(tmp_path / "one.parquet")
    with pytest.raises(
        InputError, match="is not partitioned by 'shop'; expected folders such as shop=VALUE/"
    ):
        adapt_groups(str(tmp_path), target="y", by="shop", store=tmp_path / "store")


@pytest.mark.parametrize("parquet", [True, False])
def test_the_command(tiny_embedded, table, tmp_path, capsys, parquet):
    train = tmp_path / ("parquet" if parquet else "train.csv")
    if parquet:
        table.to_parquet(train, partition_cols=["shop"])
    else:
        table.to_csv(train, index=False)
    store = tmp_path / "store"
    arguments = ("adapt", train, "--target", "y", "--by", "shop", "--out", store, "--n-steps", "1")
    code, out, err = run(capsys, *arguments, "--n-members", "1", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert [group["name"] for group in found["groups"]] == sorted(SIZES)
    code, out, _ = run(capsys, *arguments, "--n-members", "1")
    assert code == 0
    assert "3 found in the store" in out
    assert "testtime serve" in out


@pytest.mark.parametrize(("options", "trained"), [((), "encoders"), (("--together",), "tail")])
def test_the_command_adapts_together_or_each_group_by_itself(
    tiny_embedded, tmp_path, capsys, options, trained
):
    grouped_table({"a": 96, "b": 96}).to_csv(tmp_path / "train.csv", index=False)
    arguments = (
        "adapt",
        tmp_path / "train.csv",
        "--target",
        "y",
        "--by",
        "shop",
        "--out",
        tmp_path / "store",
    )
    code, _, err = run(capsys, *arguments, *options, "--json")
    assert code == 0, err
    assert AdapterStore(tmp_path / "store").load("a").adaptation_.adapt == trained


def test_the_command_refuses_what_does_not_go_with_groups(table, tmp_path, capsys):
    table.to_csv(tmp_path / "train.csv")
    arguments = ("adapt", tmp_path / "train.csv", "--target", "y", "--out", tmp_path / "store")
    code, _, err = run(capsys, *arguments, "--by", "shop", "--groups", "a")
    assert (code, "--groups does not go with --by" in err) == (2, True)
    code, _, err = run(capsys, *arguments, "--engine", "ray")
    assert (code, "--engine needs --by" in err) == (2, True)
    code, _, err = run(capsys, *arguments, "--together")
    assert (code, "--together needs --by" in err) == (2, True)
