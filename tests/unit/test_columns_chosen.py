"""Which columns are used, and as what: names of rows, kinds that are asked for, tables that are too wide."""

from __future__ import annotations

import uuid

import numpy as np
import pandas as pd
import pytest

from tests.support.columns import NAN, fitted, same
from testtime.errors import InputError
from testtime.table.columns import TableColumns

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


def table_of(n: int = 60, **columns: object) -> pd.DataFrame:
    return pd.DataFrame({**columns, "z": np.random.default_rng(1).standard_normal(n)})


IDENTITIES = {
    "Unnamed: 0": list(range(60)),
    "anything": list(range(1, 61)),
    "as text": [str(i) for i in range(60)],
    "customer_id": np.random.default_rng(0).permutation(5000)[:60].tolist(),
    "PassengerId": list(range(700, 760)),
    "nr": np.cumsum(np.random.default_rng(0).integers(1, 9, 60)).tolist(),
    "uuid": [str(uuid.UUID(int=i * 12345678901234567890)) for i in range(60)],
    "name": [f"Smith {chr(65 + i % 26)}{i}" for i in range(60)],
    "comment": [f"the customer of day {i % 50} said that it was fine with her" for i in range(60)],
}


@pytest.mark.parametrize("name", IDENTITIES)
def test_what_names_a_row_is_left_out_and_one_option_keeps_it(name: str):
    frame = table_of(**{name: IDENTITIES[name]})
    columns, encoded = fitted(frame)
    assert encoded.names == ("z",)
    assert columns.records[0].kind == ("text" if name == "comment" else "id")
    assert f"Column {name!r} is left out" in columns.notes[0]
    kind = "number" if isinstance(IDENTITIES[name][0], int) or name == "as text" else "nominal"
    kept, encoded = fitted(frame, {name: kind})
    assert encoded.names == (name, "z")
    assert kept.records[0].left_out == ""


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("year", list(range(1960, 2020))),
        ("humid", np.random.default_rng(0).permutation(5000)[:60].tolist()),
        ("sold", np.cumsum(np.random.default_rng(0).integers(1, 9, 60)).tolist()),
        ("customer_id", [i // 2 for i in range(60)]),
        ("town", [f"Town {i // 3}" for i in range(60)]),
        ("share", (np.arange(60) / 60).tolist()),
    ],
)
def test_what_describes_a_row_is_kept(name: str, values: list):
    assert fitted(table_of(**{name: values}))[1].names == (name, "z")


def test_a_row_counter_is_known_in_a_part_of_its_table():
    whole = table_of(300, counter=np.arange(300))
    part = whole.sample(100, random_state=0)
    assert fitted(part)[1].names == ("z",)
    assert fitted(part.sort_index())[1].names == ("z",)


def test_names_of_rows_are_used_where_nothing_else_is_left():
    columns, encoded = fitted(np.arange(40)[:, None])
    assert encoded.x[:, 0].tolist() == list(range(40))
    assert columns.notes == (
        "Columns that look like names of rows are used, since nothing else is there: '0'.",
    )


def test_only_names_of_rows_are_brought_back():
    columns, encoded = fitted(pd.DataFrame({"nr": range(40), "one": 1.0}))
    assert encoded.names == ("nr",)
    assert columns.notes[-1].endswith("nothing else is there: 'nr'.")


@pytest.mark.parametrize(
    ("kinds", "why"),
    [
        ({}, "none of the 2 columns holds two different values"),
        ({"a": "ignored"}, "all 2 columns are left out, as asked or since they do not vary"),
    ],
)
def test_where_nothing_is_left_it_is_said_why(kinds: dict[str, str], why: str):
    with pytest.raises(InputError, match=f"{why}; expected at least one column that varies"):
        TableColumns(kinds).fit(pd.DataFrame({"a": [1.5, 2.5] * 9 if kinds else 1.0, "b": [7.0] * 18}))


def test_kinds_can_be_asked_for():
    frame = pd.DataFrame(
        {
            "a": ["1", "2", "x", "y"],
            "b": [3, 1, 2, 3],
            "c": [20240101, 20240102, None, 20240105],
            "d": ["no", "yes"] * 2,
        }
    )
    kinds = {"a": "number", "b": "ordinal", "c": "date", "d": "nominal"}
    columns, encoded = fitted(frame, kinds)
    assert encoded.names == ("a", "b", "c", "c: weekday", "d")
    assert encoded.kinds == ("number", "ordinal", "number", "number", "nominal")
    assert same(encoded.x[:, 0].tolist(), [1.0, 2.0, NAN, NAN])
    assert encoded.x[:, 1].tolist() == [2.0, 0.0, 1.0, 2.0]
    assert encoded.x[:2, 2].tolist() == [19723.0, 19724.0]
    assert [record.kind for record in columns.records] == ["number", "ordinal", "date", "nominal"]
    columns, encoded = fitted(frame, {"a": "ignored", "b": "id", "c": "number", "d": "text"})
    assert encoded.names == ("c",)
    assert [record.kind for record in columns.records[:2]] == ["ignored", "id"]
    assert [record.left_out for record in columns.records[:2]] == ["as asked", "it names rows, as asked"]
    assert columns.notes == ()


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({"a": "numeric"}, "kind of column 'a' is 'numeric'.*Did you mean 'number'"),
        ({"size": "number"}, "no column 'size' to be 'number'"),
        ({"a": "date"}, "column 'a' holds 'u'; expected dates, as asked"),
        ({"a": "number"}, "column 'a' holds 'u'; expected numbers, as asked"),
        ({"a": "boolean"}, "column 'a' holds 'u'; expected true and false, as asked"),
    ],
)
def test_kinds_that_cannot_be_are_refused(kinds: dict[str, str], said: str):
    with pytest.raises(InputError, match=said):
        fitted(pd.DataFrame({"a": ["u", "v"], "b": [1.5, 2]}), kinds)


def test_a_table_that_is_too_wide_is_told_before_all_of_it_is_read():
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(8, 6)), columns=list("abcdef"))
    wide["same"], wide["list"] = 1.0, [[1]] * 8
    assert TableColumns().exceeds(5, wide), "the list behind the sixth column is never looked at"
    assert not TableColumns({"a": "number"}).exceeds(6, wide.drop(columns="list"))
    with pytest.raises(InputError, match="'list' holds"):
        TableColumns().exceeds(6, wide)
    assert not TableColumns().exceeds(8, wide), "no wider than the model, so nothing is read"
