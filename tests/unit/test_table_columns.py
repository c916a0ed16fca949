"""Tables with columns of every kind, from pandas, NumPy, polars and Arrow: what the model sees of them."""

from __future__ import annotations

import datetime as dt
import json
import uuid
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from testtime.errors import InputError
from testtime.table.columns import DataWarning, Encoded, TableColumns, as_frame

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")
NAN = float("nan")


def fitted(data: object, kinds: dict[str, str] | None = None) -> tuple[TableColumns, Encoded]:
    """Fit and encode; the columns must survive as plain values."""
    frame = as_frame(data)
    columns = TableColumns(kinds)
    encoded = columns.fit_transform(frame)
    again = TableColumns.from_state(json.loads(json.dumps(columns.to_state())))
    np.testing.assert_array_equal(again.transform(frame).x, encoded.x)
    assert (again.records, again.notes, again.required) == (columns.records, columns.notes, columns.required)
    return columns, encoded


def encode(values: object, new: object | None = None, **options: object) -> list[float]:
    """Encode one column, fitted on `values`."""
    columns, encoded = fitted(pd.DataFrame({"c": pd.Series(values, **options)}))
    if new is not None:
        encoded = columns.transform(pd.DataFrame({"c": new}))
    return encoded.x[:, 0].tolist()


def same(left: list[float], right: list[float]) -> bool:
    return np.array_equal(left, right, equal_nan=True)


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


def test_levels_never_seen_have_a_place_of_their_own_and_are_reported():
    columns, _ = fitted(pd.DataFrame({"town": ["Oslo", "Rome"], "n": [1, 2]}))
    new = pd.DataFrame({"town": ["Rome", "Bonn", "Bonn", None], "n": [1, 2, 3, 4]})
    with pytest.warns(DataWarning, match=r"not there at fit.*'town' \(2 rows\)"):
        encoded = columns.transform(new)
    assert same(encoded.x[:, 0].tolist(), [1.0, 2.0, 2.0, NAN])


def test_levels_that_were_seen_are_not_reported():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(encode(["a", "b", None], new=[None, "b"]), [NAN, 1.0])
        assert same(encode(["a", "b"], new=pd.Series([None, None], dtype=object)), [NAN, NAN])


def test_a_frequent_word_for_nothing_stays_a_level():
    values = ["None", "shed", "None", "barn", "", "NA", "?"]
    assert same(encode(values), [0.0, 2.0, 0.0, 1.0, NAN, NAN, NAN])


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (["1.5", "2"], [1.5, 2.0]),
        ([None, None], [NAN, NAN]),
        (["3", None], [3.0, NAN]),
        (["1,5", "€3"], [1.5, 3.0]),
        (pd.Series([1, 2], dtype="Int64"), [1.0, 2.0]),
        ([True, False], [1.0, 0.0]),
        (["True", "false"], [1.0, 0.0]),
    ],
)
def test_what_can_be_read_as_a_number_is(new: object, expected: list[float]):
    assert same(encode([0.5, 1.5], new=new), expected)


@pytest.mark.parametrize("bad", ["many", "A12", dt.date(2024, 1, 1)])
def test_text_where_numbers_were_is_refused(bad: object):
    with pytest.raises(InputError, match=r"column .c. holds .+; expected numbers, as at fit") as caught:
        encode([0.5, 1.5], new=pd.Series([1.0, bad], dtype=object))
    assert str(bad) in str(caught.value)


def test_dates_where_numbers_were_and_the_other_way_are_refused():
    with pytest.raises(InputError, match="column 'c' holds the date 2024-01-01; expected numbers"):
        encode([0.5, 1.5], new=pd.to_datetime(["2024-01-01"]))
    with pytest.raises(InputError, match=r"column .c. holds .12\.5.; expected dates, as at fit"):
        encode(pd.to_datetime(["2024-01-01", "2024-01-02"]), new=[12.5])


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_is_refused(bad: float):
    for options in ({}, {"dtype": object}, {"dtype": "Float64"}, {"dtype": str}):
        with pytest.raises(InputError, match=r"'c' holds infinity in 1 rows \(the first is row 2\).*Replace"):
            encode([1.0, 2.0, bad], **options)
    with pytest.raises(InputError, match="'c' holds infinity"):
        encode([1.0, 2.0], new=[bad])
    with pytest.raises(InputError, match="'c' holds infinity"):
        encode([1, 0], new=[bad])


@pytest.mark.parametrize(
    "values", [[1 + 2j, 3j], [[1, 2], [3]], [{"a": 1}, {"b": 2}], [{1}, {2}], [b"a", b"b"], [(1,), (2,)]]
)
def test_cells_that_are_no_values_are_refused(values: list):
    with pytest.raises(InputError, match=r"column 'c' holds .*, a \w+; expected a number"):
        encode(pd.Series(values))
    with pytest.raises(InputError, match="column 'c' holds"):
        encode([1.0, 2.0], new=pd.Series(values))
    kept, _ = fitted(pd.DataFrame({"c": pd.Series(values), "z": [1.0, 2.0]}), {"c": "ignored"})
    assert kept.required == ("z",)


@pytest.mark.parametrize(
    "array",
    [pa.array([[1], [2]]), pa.array([b"a", b"b"]), pa.array([{"u": 1}, {"u": 2}])],
    ids=["list", "bytes", "struct"],
)
def test_arrow_cells_that_are_no_values_are_refused(array: pa.Array):
    with pytest.raises(InputError, match="column 'c' holds"):
        encode(pd.Series(array, dtype=pd.ArrowDtype(array.type)))


def test_text_that_is_no_unicode_is_refused():
    for values in (["\ud800", "a"], ["\ud800", 1]):
        with pytest.raises(InputError, match=r"column .0. holds the character .\\ud800., half of a pair"):
            fitted(np.array([[value, i] for i, value in enumerate(values)], dtype=object))


def test_integers_that_are_too_large_count_as_missing():
    for values in ([1, 10**400, 3], ["1", "9" * 400, "3"], [1, -(10**5000), 3]):
        columns, encoded = fitted(pd.DataFrame({"c": pd.Series(values, dtype=object)}))
        assert same(encoded.x[:, 0].tolist(), [1.0, NAN, 3.0])
        assert columns.notes == ("1 numbers of column 'c' are beyond 1.8e308 and count as missing.",)


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
    ):
        with pytest.raises(InputError, match="the saved columns are not valid"):
            TableColumns.from_state(bad)


def test_rare_levels_beyond_the_bound_count_as_never_seen():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in [*range(12_000), *range(9_000), *range(12_000)]]
    columns, encoded = fitted(pd.DataFrame({"c": words, "z": rng.standard_normal(len(words))}))
    assert encoded.n_levels[0] == 10_000
    assert (encoded.x[:9_000, 0] < 10_000).all()
    assert "12,000 levels" in columns.notes[0]


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
    columns, encoded = fitted(frame, {"a": "ignored", "b": "id", "d": "text"})
    assert encoded.names == ("c",)
    assert [record.kind for record in columns.records[:2]] == ["ignored", "id"]
    assert columns.notes == ()  # as asked


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
