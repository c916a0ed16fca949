"""Tables with columns of every kind: what the model sees of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.support.columns import NAN, encode, fitted, same
from testtime.errors import InputError
from testtime.table.columns import DataWarning, TableColumns

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


NUMBERS = {
    "float": ([1.5, NAN, -2.0], {}),
    "float32": ([1.5, NAN, -2.0], {"dtype": "float32"}),
    "nullable float": ([1.5, None, -2.0], {"dtype": "Float64"}),
    "arrow": ([1.5, None, -2.0], {"dtype": pd.ArrowDtype(pa.float32())}),
    "arrow decimals": ([Decimal("1.5"), None, Decimal("-2")], {"dtype": pd.ArrowDtype(pa.decimal128(5, 2))}),
    "objects": ([1.5, None, -2.0], {"dtype": object}),
    "objects with NA": ([1.5, pd.NA, -2.0], {"dtype": object}),
    "decimals": ([Decimal("1.5"), None, Decimal("-2")], {"dtype": object}),
    "mixed numbers": ([np.float32(1.5), NAN, -2], {"dtype": object}),
    "text": (["1.5", None, " -2 "], {}),
    "text and numbers": (["1.5", None, -2], {"dtype": object}),
}


@pytest.mark.parametrize("kind", NUMBERS)
def test_numbers_stay_numbers(kind: str):
    values, options = NUMBERS[kind]
    assert same(encode(values, **options), [1.5, NAN, -2.0])


@pytest.mark.parametrize("dtype", ["int8", "uint64", "int64", "Int64", "UInt8", "bool", "boolean", object])
def test_whole_numbers_and_truth_values(dtype: object):
    values = [True, False, True] if dtype in ("bool", "boolean") else [1, 0, 1]
    assert encode(values, dtype=dtype) == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("dtype", ["Int64", "boolean", object])
def test_missing_among_whole_numbers(dtype: object):
    assert same(encode([1, None, 0], dtype=dtype), [1.0, NAN, 0.0])


TEXT = {
    "objects": (["b", "a", None, "b"], {"dtype": object}),
    "string": (["b", "a", None, "b"], {"dtype": "string"}),
    "inferred": (["b", "a", None, "b"], {}),
    "category": (["b", "a", None, "b"], {"dtype": "category"}),
    "arrow": (["b", "a", None, "b"], {"dtype": pd.ArrowDtype(pa.string())}),
    "blanks around": (["b ", " a", "", "b"], {}),
}


@pytest.mark.parametrize("kind", TEXT)
def test_text_becomes_codes_in_sorted_order(kind: str):
    values, options = TEXT[kind]
    assert same(encode(values, **options), [1.0, 0.0, NAN, 1.0])


def test_levels_say_what_they_are():
    sizes = pd.CategoricalDtype(["small", "large", "huge"], ordered=True)
    frame = pd.DataFrame(
        {"n": [1.5, 2, 4], "t": ["u", "v", "u"], "s": pd.Series(["large", "small"] * 2, dtype=sizes)[:3]}
    )
    columns, encoded = fitted(frame)
    assert (encoded.names, encoded.kinds, encoded.n_levels) == (
        ("n", "t", "s"),
        ("number", "nominal", "ordinal"),
        (0, 2, 3),
    )
    assert [record.kind for record in columns.records] == ["number", "nominal", "ordinal"]
    assert [record.levels for record in columns.records] == [3, 2, 2]
    assert columns.records[1].examples == ("u", "v")


def test_an_ordered_category_keeps_its_order():
    sizes = pd.CategoricalDtype(["small", "large", "huge"], ordered=True)
    assert encode(["large", "small", "huge"], dtype=sizes) == [1.0, 0.0, 2.0]
    assert encode(["large", "small"], ["huge", "small"], dtype=sizes) == [2.0, 0.0]


def test_an_unordered_category_does_not_depend_on_how_it_was_declared():
    one = pd.CategoricalDtype(["b", "a"])
    other = pd.CategoricalDtype(["a", "c", "b"])
    assert encode(["a", "b"], dtype=one) == encode(["a", "b"], dtype=other) == [0.0, 1.0]


def test_categories_of_numbers_are_sorted_as_numbers():
    assert encode([10, 9, 10, 2], dtype="category") == [2.0, 1.0, 2.0, 0.0]


def test_a_mixture_of_text_and_numbers_is_categorical():
    assert same(encode(["x", 1, None, 2.5, "a"], dtype=object), [3.0, 0.0, NAN, 1.0, 2.0])


@pytest.mark.parametrize(
    ("values", "new", "expected"),
    [
        (pd.Categorical(["a", "b", "a"]), ["b", "a"], [1.0, 0.0]),
        (pd.Categorical([3, 7, 3]), [7, 3], [1.0, 0.0]),
        (pd.Categorical([3, 7, 3]), ["7", "3.0"], [1.0, 0.0]),
        (pd.Categorical(["3", "7"]), [7, 3], [1.0, 0.0]),
        (pd.Categorical(["3", "7"]), [7.0, NAN], [1.0, NAN]),
        (pd.Categorical([True, False]), ["TRUE", "false"], [1.0, 0.0]),
        (["a", "b"], pd.Categorical(["b", "b"], categories=["b", "z"]), [1.0, 1.0]),
        (["Oslo", "Rome"], ["ROME", "oslo"], [1.0, 0.0]),
        (["a", "A"], ["A", "a"], [0.0, 1.0]),
    ],
)
def test_levels_are_matched_as_people_mean_them(values: object, new: object, expected: list[float]):
    assert same(encode(values, new), expected)


@pytest.mark.parametrize(
    "at_fit", [["True", "False"], ["yes", "no"], [True, False], ["1", "0"], [1, 0], ["t", "f"], ["Y", "N"]]
)
@pytest.mark.parametrize(
    "later",
    [
        ["TRUE", "FALSE"],
        ["true", "false"],
        [1, 0],
        ["1", "0"],
        [True, False],
        ["no", "yes"][::-1],
        [1.0, 0.0],
    ],
)
def test_truth_values_are_matched_in_all_spellings(at_fit: list, later: list):
    columns, encoded = fitted(pd.DataFrame({"c": at_fit}))
    assert columns.records[0].kind == "boolean"
    assert encoded.x.tolist() == columns.transform(pd.DataFrame({"c": later})).x.tolist() == [[1.0], [0.0]]


def test_what_is_no_truth_value_is_refused():
    with pytest.raises(InputError, match="column 'c' holds 'maybe'; expected booleans, as at fit"):
        encode(["yes", "no"], ["maybe", "no"])


DAYS = ["2024-01-01", "2024-01-03", None, "2024-01-02"]


def day_columns() -> dict[str, pd.Series]:
    """The same days in every type they can have."""
    times = pd.to_datetime(pd.Series(DAYS))
    dates = [None if day is None else dt.date.fromisoformat(day) for day in DAYS]
    units = {unit: times.dt.as_unit(unit) for unit in ("s", "ms", "us", "ns")}
    return units | {
        "text": pd.Series(DAYS),
        "with zone": times.dt.tz_localize("UTC"),
        "in another zone": times.dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo"),
        "dates": pd.Series(dates, dtype=object),
        "datetimes": pd.Series(
            [None if d is None else dt.datetime(d.year, d.month, d.day) for d in dates], dtype=object
        ),
        "periods": times.dt.to_period("D"),
        "date32": pd.Series(dates, dtype=pd.ArrowDtype(pa.date32())),
        "date64": pd.Series(dates, dtype=pd.ArrowDtype(pa.date64())),
        "arrow timestamps": pd.Series(dates, dtype=pd.ArrowDtype(pa.timestamp("ms"))),
        "zulu": pd.Series([None if day is None else f"{day}T00:00:00Z" for day in DAYS]),
        "offset": pd.Series([None if day is None else f"{day}T02:00:00+02:00" for day in DAYS]),
        "points": pd.Series(["01.01.2024", "03.01.2024", None, "02.01.2024"]),
        "slashes": pd.Series(["2024/01/01", "2024/01/03", "", "2024/1/2"]),
        "mixed": pd.Series(["2024-01-01", "3 Jan 2024", None, "January 2, 2024"]),
        "compact": pd.Series(["20240101T000000", "20240103T000000", None, "20240102T000000"]),
    }


@pytest.mark.parametrize("form", day_columns())
def test_the_same_days_are_the_same_numbers(form: str):
    expected = fitted(pd.DataFrame({"c": pd.to_datetime(pd.Series(DAYS))}))[1]
    assert expected.names == ("c", "c: weekday")
    assert same(expected.x[:, 0].tolist(), [19723.0, 19725.0, NAN, 19724.0])
    assert same(expected.x[:, 1].tolist(), [0.0, 2.0, NAN, 1.0])
    values = day_columns()[form]
    columns, encoded = fitted(pd.DataFrame({"c": values}))
    assert columns.records[0].kind == "date"
    np.testing.assert_array_equal(encoded.x, expected.x)
    for later in day_columns().values():  # whatever form new rows have
        np.testing.assert_array_equal(columns.transform(pd.DataFrame({"c": later})).x, expected.x)


def test_dates_are_taken_apart_into_what_varies():
    times = pd.Series(pd.to_datetime(["2023-05-01 06:00", "2024-06-02 18:30", "2024-06-03 00:00"]))
    columns, encoded = fitted(pd.DataFrame({"t": times}))
    assert encoded.names == ("t", "t: year", "t: month", "t: weekday", "t: hour")
    assert encoded.x[1].tolist() == [pytest.approx(19876.770833333), 2024.0, 6.0, 6.0, 18.5]
    assert columns.records[0].parsed == "2023-05-01 to 2024-06-03"


def test_durations_and_clock_times_are_numbers():
    lengths = encode(pd.to_timedelta(pd.Series(["1h", None, "3h"])))
    assert np.isnan(lengths[1])
    assert lengths[2] == 3 * lengths[0]
    arrow = pd.Series(
        [dt.timedelta(hours=1), None, dt.timedelta(hours=3)], dtype=pd.ArrowDtype(pa.duration("ms"))
    )
    assert same(encode(arrow), lengths)
    assert same(encode([dt.timedelta(hours=1), None, dt.timedelta(hours=3)], dtype=object), lengths)


def test_columns_without_information_are_left_out_and_named():
    frame = pd.DataFrame({"same": [7, 7, 7], "gone": [None] * 3, "word": ["x"] * 3, "good": [1.5, 2, 3]})
    columns = TableColumns()
    with pytest.warns(DataWarning, match="'same', 'gone', 'word'"):
        assert columns.fit_transform(frame).x.shape == (3, 1)
    assert columns.required == ("good",)
    assert [record.left_out for record in columns.records] == [
        "a single value, '7'",
        "nothing but missing values",
        "a single value, 'x'",
        "",
    ]
    frame.loc[0, ["same", "word"]] = [8, "y"]
    assert columns.transform(frame).x.tolist() == [[1.5], [2.0], [3.0]]
    assert columns.transform(frame[["good"]]).x.tolist() == [[1.5], [2.0], [3.0]]


@pytest.mark.parametrize("value", ["x", 7, 1.5, True, pd.Timestamp("2024-01-01")])
def test_one_value_or_missing_is_two_states(value: object):
    columns, encoded = fitted(
        pd.DataFrame({"c": pd.Series([value, None, value], dtype=object), "z": [1.5, 2, 4]})
    )
    assert encoded.x[:, 0].tolist() == [1.0, 0.0, 1.0]
    assert columns.records[0].kind == "boolean"
    assert "missing is 0" in columns.records[0].parsed
    assert columns.notes == ()


@pytest.mark.parametrize("scale", [1e-300, 1.6e-19, 1.0, 1e19, 1e300])
def test_what_varies_is_kept_at_every_scale(scale: float):
    for values in (np.arange(1.0, 6), np.array([-1.0, 0, 1]), np.array([1000.0, 1000.001])):
        assert encode(scale * values) == (scale * values).tolist()
    with pytest.raises(InputError, match="none of the 1 columns holds two different values"):
        fitted(pd.DataFrame({"c": scale * np.array([1.0, 1 + 2e-16, 1 - 1e-16])}))


def test_a_table_without_information_is_refused():
    with pytest.raises(InputError, match="none of the 2 columns holds two different values"):
        fitted(pd.DataFrame({"a": [1, 1], "b": [None, None]}))


def test_columns_that_are_all_left_out_as_asked_do_vary():
    frame = pd.DataFrame({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "x"]})
    with pytest.raises(InputError, match="all 2 columns are left out, as asked or since they do not vary"):
        TableColumns({"a": "id", "b": "ignored"}).fit(frame)


def test_frequent_missing_values_get_a_column_once_per_pattern():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 4))
    x[rng.random(500) < 0.1, :2] = NAN  # together
    x[:2, 2] = NAN  # too rare
    columns, encoded = fitted(pd.DataFrame(x, columns=list("abcd")))
    assert encoded.names == ("a", "a is missing", "b", "c", "d")
    np.testing.assert_array_equal(encoded.x[:, 1], np.isnan(x[:, 0]))
    assert columns.records[0].missing == np.isnan(x[:, 0]).sum()
    assert columns.transform(pd.DataFrame({"a": [NAN, 1.0], "b": 0.0, "c": 0.0, "d": 0.0})).x[
        :, 1
    ].tolist() == [1, 0]
