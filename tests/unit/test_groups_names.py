"""One group has one name, however a file spells it."""

from __future__ import annotations

import unicodedata
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from tests.support.commands import run
from tests.support.grouped import grouped_table
from testtime import AdapterStore, InputError
from testtime.scale.groups.sources import source_of
from testtime.table.readers import read_table

CAFE = ["Caf\u00e9", "Cafe\u0301"]


def names_of(shops, tmp_path, dtype=object):
    """Return the names in a frame, a file of text and a partitioned folder, if they are the same, and rows without."""
    frame = pd.DataFrame({"shop": pd.Series(shops, dtype=dtype), "a": 1.0})
    frame.to_csv(tmp_path / "t.csv", index=False)
    text, _ = read_table(tmp_path / "t.csv")
    frame.to_parquet(tmp_path / "folder", partition_cols=["shop"])
    found = [source_of(data, ["shop"]) for data in (frame, text, tmp_path / "folder")]
    for one in found[1:]:
        assert one.names == found[0].names
        assert one.n_without_group == found[0].n_without_group
    for name in found[0].names:
        assert len({len(one.piece(name).read()) for one in found}) == 1
    return found[0].names, found[0].n_without_group


@pytest.mark.parametrize(
    ("shops", "dtype", "names", "without"),
    [
        ([7, 8, None, 7], float, ["7", "8"], 1),
        ([7, 8, None, 7], "Int64", ["7", "8"], 1),
        (["7.0", "8", "7"], object, ["7", "8"], 0),
        (["7.5", "8.0"], object, ["7.5", "8.0"], 0),
        (["007", "7.0", "007.0"], object, ["007", "007.0", "7"], 0),
        (["x", "8.0", "8"], object, ["8", "8.0", "x"], 0),
        (["a", "NA", "NULL", "nan", "?", "N/A", "none", None], object, ["a", "none"], 6),
        ([*CAFE, "b"], object, [CAFE[0], "b"], 0),
        (["a", "b", "a"], "category", ["a", "b"], 0),
    ],
)
def test_names_are_the_same_wherever_the_rows_are(tmp_path, shops, dtype, names, without):
    assert names_of(shops, tmp_path, dtype) == (names, without)


@pytest.mark.parametrize("dtype", [object, "string", "category"])
def test_blanks_around_a_name_are_no_part_of_it(dtype):
    frame = pd.DataFrame({"shop": pd.Series(["7", " 7 ", "7.0", "\t", None], dtype=dtype), "a": range(5)})
    source = source_of(frame, ["shop"])
    assert (source.names, source.n_without_group) == (["7"], 2)
    assert source.piece("7").read()["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("key", [np.float32(7), Decimal("7.00"), 7.0, -0.0 + 7])
def test_a_number_without_a_fraction_has_no_point(key):
    assert source_of(pd.DataFrame({"shop": [key, key], "a": 1.0}), ["shop"]).names == ["7"]


def test_each_of_several_columns_has_its_own_spelling(tmp_path):
    frame = pd.DataFrame({"shop": ["7.0", "8.0"], "size": ["1.0", "1.5"], "a": 1.0})
    frame.to_parquet(tmp_path / "folder", partition_cols=["shop", "size"])
    for data in (frame, tmp_path / "folder"):
        assert source_of(data, ["shop", "size"]).names == ["shop=7,size=1.0", "shop=8,size=1.5"]


def test_names_that_join_to_the_same_are_refused_for_what_is_so(tmp_path):
    frame = pd.DataFrame({"a": ["x", "x,b=y"], "b": ["y,b=z", "z"], "n": 1.0})
    frame.to_parquet(tmp_path / "folder", partition_cols=["a", "b"])
    for data in (frame, tmp_path / "folder"):
        with pytest.raises(InputError, match="two groups are called 'a=x,b=y,b=z'") as refused:
            source_of(data, ["a", "b"])
        assert "their values hold ',' and '='" in str(refused.value)
        assert "type" not in str(refused.value)
    with pytest.raises(InputError, match=r"differ in type only, such as 1 and '1'"):
        source_of(pd.DataFrame({"shop": [1, "1"], "a": 1.0}), ["shop"])


def test_a_command_calls_groups_of_whole_numbers_by_them(tmp_path, capsys, tiny_embedded):
    table = grouped_table({"7": 70, "8": 70})
    table = table.assign(shop=table["shop"].astype(float).mask(table.index < 3))
    table.to_csv(tmp_path / "t.csv", index=False)
    assert "7.0" in (tmp_path / "t.csv").read_text()
    arguments = ("--target", "y", "--by", "shop", "--out", tmp_path / "store", "--n-steps", "0")
    code, out, err = run(capsys, "adapt", tmp_path / "t.csv", *arguments)
    assert code == 0, err
    assert "3 rows name no group and were left out" in " ".join(out.split())
    assert AdapterStore(tmp_path / "store").names() == ("(shared)", "7", "8")


def test_the_two_spellings_are_two_for_a_computer():
    assert CAFE[0] != CAFE[1]
    assert unicodedata.normalize("NFC", CAFE[1]) == CAFE[0]
