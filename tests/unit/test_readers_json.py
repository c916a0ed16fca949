"""JSON: what Arrow would change or drop without a word, and names that only later rows have."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from testtime.errors import InputError
from testtime.table.readers import iterate_table, json_lines, open_table, read_table, with_names

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


def write(path, rows, *, array=False):
    text = json.dumps(rows) if array else "".join(json.dumps(row) + "\n" for row in rows)
    path.write_text(text)
    return path


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("sign", [1, -1])
def test_whole_numbers_beyond_int64_stay_different(tmp_path, array, sign):
    ids = [sign * (18446744073709551000 + i) for i in range(3)]
    rows = [{"id": one, "y": 0.5, "name": "n: 1"} for one in ids]
    frame, _ = read_table(write(tmp_path / "t.json", rows, array=array))
    assert frame["id"].tolist() == list(map(str, ids))
    assert frame["y"].tolist() == [0.5] * 3


def test_a_later_piece_may_hold_the_large_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 64)
    ids = [5, 6, 7, 8, 9, 2**63, 2**63 + 1]
    frame, _ = read_table(write(tmp_path / "t.jsonl", [{"id": one, "y": 1} for one in ids]))
    assert frame["id"].tolist() == list(map(str, ids))


def test_long_fractions_and_words_of_digits_stay_what_they_are(tmp_path):
    rows = [{"x": 0.00012345678901234567, "name": f"no: {10**20 + i}"} for i in range(3)]
    frame, _ = read_table(write(tmp_path / "t.jsonl", rows))
    assert frame["x"].tolist() == [row["x"] for row in rows]
    assert frame["name"].tolist() == [row["name"] for row in rows]


@pytest.mark.parametrize(
    "text", ['{"a": 1, "b": 3}\n{"a": 1, "b": 3, "a": 2}\n', '[{"a": 1, "a": 2}]', '{"a":1,"\\u0061":2}']
)
def test_a_name_twice_in_a_row_is_refused(tmp_path, text):
    (tmp_path / "t.json").write_text(text)
    with pytest.raises(InputError, match=r"'a' occurs twice in one object, with 1 and 2\). Give every value"):
        read_table(tmp_path / "t.json")


def test_names_are_those_of_all_rows(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "_BLOCK_BYTES", 64)
    rows = [{"a": i} for i in range(30)] + [{"a": 30, "late": 7}]
    path = write(tmp_path / "t.jsonl", rows)
    assert open_table(path).names == ("a",)
    assert with_names(open_table(path), ["a", "late"]).names == ("a", "late")
    late = [value for piece in iterate_table(path, ["a"], carried=["late"]) for value in piece["late"]]
    assert late[-1] == 7
    assert all(map(pd.isna, late[:30]))
    assert list(read_table(path)[0]) == ["a", "late"]
    with pytest.raises(InputError, match="has no column 'never'"):
        list(iterate_table(path, ["a", "never"]))
