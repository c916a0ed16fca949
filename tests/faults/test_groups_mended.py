"""What was damaged, grew or cannot be read in one group: it is mended or said, and no other group suffers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.grouped import grouped_table, quick
from testtime import AdapterStore, adapt_groups


def groups_of(data, store: Path, **params):
    return adapt_groups(data, target="y", by="shop", store=store, estimator=quick(), **params)


def folder_of(store: Path, name: str) -> Path:
    (version,) = AdapterStore(store).versions(name)
    return store / "adapters" / version.sha256


@pytest.mark.parametrize("name", ["a", "(shared)"])
@pytest.mark.parametrize("harm", ["a byte", "a file"])
def test_a_damaged_adapter_is_made_again(tiny_embedded, tmp_path, name: str, harm: str):
    table, store = grouped_table(), tmp_path / "store"
    groups_of(table, store)
    arrays = next(folder_of(store, name).glob("arrays-*"))
    if harm == "a file":
        arrays.unlink()
    else:
        data = bytearray(arrays.read_bytes())
        data[-1] ^= 1
        arrays.write_bytes(data)
    assert AdapterStore(store).verify()
    again = groups_of(table, store).frame()
    assert again["outcome"]["b"] == "unchanged"
    assert again["outcome"]["a"] == ("unchanged" if name != "a" else "adapted")
    opened = AdapterStore(store)
    assert {damage.number for damage in opened.verify()} == {1}  # the history still tells of it
    assert opened.versions(name)[-1].number == 2
    rows = table[table["shop"] == "few"].drop(columns=["shop", "y"])
    for served in opened.names():
        assert opened.load(served).predict_proba(rows).shape == (20, 2)
    assert set(groups_of(table, store).frame()["outcome"]) == {"unchanged", "shared"}


def parquet(root: Path, table: pd.DataFrame) -> Path:
    table.to_parquet(root, partition_cols=["shop"])
    return root


def test_a_file_that_cannot_be_read_stops_its_own_group_alone(tiny_embedded, tmp_path):
    root = parquet(tmp_path / "data", grouped_table())
    next((root / "shop=b").iterdir()).write_bytes(b"PAR1 and no more")
    found = groups_of(root, tmp_path / "store").frame()
    assert found["outcome"].to_dict() | {"b": ""} == {
        "a": "adapted",
        "b": "",
        "c": "adapted",
        "few": "shared",
        "one class": "shared",
    }
    assert found["outcome"]["b"] == "failed"


def test_the_shared_model_needs_the_columns_that_all_groups_have(tiny_embedded, tmp_path):
    table = grouped_table()
    root = parquet(tmp_path / "data", table)
    one = table[table["shop"] == "a"].assign(new=np.arange(80.0)).drop(columns="shop")
    next((root / "shop=a").iterdir()).unlink()
    one.to_parquet(root / "shop=a" / "part.parquet")
    groups_of(root, tmp_path / "store")
    rows = table[table["shop"] == "few"].drop(columns=["shop", "y"])
    store = AdapterStore(tmp_path / "store")
    assert store.load("few").predict_proba(rows).shape == (20, 2)
    assert "new" in [column["name"] for column in store.load("a").adaptation_.columns]


@pytest.mark.parametrize("names", [("1", "2"), ("2", "1")])
def test_columns_that_later_files_have_are_read(tiny_embedded, tmp_path, names: tuple[str, str]):
    table = grouped_table({"a": 80, "b": 96})
    root = parquet(tmp_path / "data", table[table["shop"] == "b"])
    own = table[table["shop"] == "a"].drop(columns="shop")
    (root / "shop=a").mkdir()
    own[:40].to_parquet(root / "shop=a" / f"{names[0]}.parquet")
    own[40:].assign(new=np.arange(40.0)).to_parquet(root / "shop=a" / f"{names[1]}.parquet")
    groups_of(root, tmp_path / "store")
    columns = AdapterStore(tmp_path / "store").load("a").adaptation_.columns
    assert {column["name"]: column["missing"] for column in columns}["new"] == 40
