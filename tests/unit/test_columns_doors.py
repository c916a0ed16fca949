"""One table through pandas, NumPy, polars and Arrow; columns found again by name, and as plain values."""

from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from tests.support.columns import fitted
from testtime import TTTClassifier
from testtime.errors import InputError
from testtime.table.columns import TableColumns, as_frame

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


def test_repeated_names_are_refused():
    for names in (["a", "b", "a"], [0, "b", "0"]):
        with pytest.raises(InputError, match=rf"'{names[0]}' occurs more than once.*Rename"):
            as_frame(pd.DataFrame([[1, 2, 3]], columns=names))


def test_arrays_get_numbered_columns_and_their_types():
    frame = as_frame(np.array([[1, "x", None], [2.5, "y", True]], dtype=object))
    assert list(frame.columns) == [0, 1, 2]
    assert fitted(frame)[1].x.tolist() == [[1.0, 0.0, 0.0], [2.5, 1.0, 1.0]]
    with pytest.raises(InputError, match=r"shape \(3,\).*reshape"):
        as_frame(np.arange(3))


def test_columns_are_matched_by_name():
    for names in (["a", "b", "c"], [2, 0, 1], [0, 1, 2]):
        frame = pd.DataFrame([[1.5, 2, 3], [4, 5, 7]], columns=names)
        columns, encoded = fitted(frame)
        for order in ([2, 0, 1], [1, 2, 0]):
            np.testing.assert_array_equal(columns.transform(frame[[names[at] for at in order]]).x, encoded.x)
        wider = frame.assign(extra=["x", "y"])
        np.testing.assert_array_equal(columns.transform(wider).x, encoded.x)
        np.testing.assert_array_equal(
            columns.transform(frame.rename(columns=str)).x, encoded.x
        )  # as from a file


def test_names_on_one_side_only_are_matched_by_position():
    frame = pd.DataFrame([[1.5, 2, 3], [4, 5, 7]], columns=["b", "a", "c"])
    columns, encoded = fitted(frame)
    np.testing.assert_array_equal(columns.transform(as_frame(frame.to_numpy())).x, encoded.x)
    columns, encoded = fitted(frame.to_numpy())
    np.testing.assert_array_equal(columns.transform(frame).x, encoded.x)


def test_an_absent_column_is_named():
    columns, _ = fitted(pd.DataFrame({"size": [1.5, 2], "town": ["a", "b"]}))
    with pytest.raises(InputError, match=r"no column 'size'; expected the 2 columns.*Did you mean 'Size'\?"):
        columns.transform(pd.DataFrame({"Size": [1], "town": ["a"]}))
    with pytest.raises(InputError, match="no column 'size' and 1 more"):
        columns.transform(pd.DataFrame({"u": [1]}))


def mixed_pandas() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "float": [1.5, None, 3.0, 4.0],
            "int": [3, 1, 2, 2],
            "bool": [True, False, None, True],
            "text": ["b", None, "a", "b"],
            "category": pd.Categorical(["lo", "hi", "hi", None]),
            "day": pd.to_datetime(["2024-01-01", None, "2024-02-01", "2024-03-01"]),
        }
    )


def mixed_polars() -> pl.DataFrame:
    days = [None if pd.isna(day) else day.date() for day in mixed_pandas()["day"]]
    return pl.DataFrame(
        {
            "float": [1.5, None, 3.0, 4.0],
            "int": [3, 1, 2, 2],
            "bool": [True, False, None, True],
            "text": ["b", None, "a", "b"],
            "category": pl.Series(["lo", "hi", "hi", None], dtype=pl.Categorical),
            "day": days,
        }
    )


def as_text() -> pd.DataFrame:
    """The table as a CSV file gives it."""
    return pd.DataFrame(
        {
            "float": ["1.5", None, "3", "4"],
            "int": ["3", "1", "2", "2"],
            "bool": ["True", "False", None, "True"],
            "text": ["b", None, "a", "b"],
            "category": ["lo", "hi", "hi", None],
            "day": ["2024-01-01", None, "2024-02-01", "2024-03-01"],
        }
    )


TABLES = {
    "pandas": mixed_pandas,
    "polars": mixed_polars,
    "arrow": lambda: pa.Table.from_pandas(mixed_pandas()),
    "arrow types": lambda: mixed_pandas().convert_dtypes(dtype_backend="pyarrow"),
    "text": as_text,
}


@pytest.mark.parametrize("kind", TABLES)
def test_one_table_is_one_table_through_every_door(kind: str):
    columns, encoded = fitted(TABLES[kind]())
    np.testing.assert_array_equal(encoded.x, fitted(mixed_pandas())[1].x)
    for other in TABLES.values():
        np.testing.assert_array_equal(columns.transform(as_frame(other())).x, encoded.x)


@pytest.mark.parametrize("values", [[1, 2.5, "a", True], [True, False, "x", None]])
def test_mixed_levels_survive_as_plain_values(values: list):
    fitted(pd.DataFrame({"c": pd.Series(values, dtype=object)}))


def test_a_state_that_is_none_is_refused():
    columns, _ = fitted(pd.DataFrame({"a": [1.5, 2], "b": ["u", "v"]}))
    good = columns.to_state()
    for bad in (
        {},
        good | {"columns": []},
        good | {"columns": [{"form": "number"}]},
        good | {"columns": [{"form": "pickle", "name": "a"}]},
        good | {"columns": [good["columns"][0] | {"indicator": 1}]},
        good | {"columns": [good["columns"][0] | {"extra": 1}]},
        good | {"columns": [good["columns"][1] | {"levels": list(map(str, range(10_001)))}]},
        good | {"records": [{"name": "a"}]},
        good | {"extra": 1},
    ):
        with pytest.raises(InputError, match="the saved columns are not valid"):
            TableColumns.from_state(bad)


def test_what_is_no_table_yet_is_refused_with_what_makes_it_one():
    frame = mixed_polars()
    records = frame.to_pandas().to_dict("records")
    for kind, asked in (
        (frame.lazy(), r"the table is a LazyFrame, a query that was not run\. Call \.collect\(\) first"),
        (
            records,
            r"the table is a list of dictionaries; expected a frame or an array\. Pass pandas\.DataFrame\(X\)",
        ),
        (frame.to_dict(), r"the table is a dict; expected a frame"),
    ):
        with pytest.raises(InputError, match=asked):
            as_frame(kind)
        with pytest.raises(InputError, match=asked):
            TTTClassifier().fit(kind, np.arange(len(frame)) % 2)
