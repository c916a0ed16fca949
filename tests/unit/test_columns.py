"""Columns of every kind a table can hold, from pandas, NumPy and polars."""

from __future__ import annotations

import datetime as dt
import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from testtime.estimators.columns import ColumnEncoder, DataWarning, as_frame

from testtime.errors import InputError

NAN = float("nan")


def encode(values: object, new: object | None = None, **options: object) -> list[float]:
    """Encode one column, fitted on `values`; a second column keeps the table alive when this one is left out."""
    fitted = pd.DataFrame({"c": pd.Series(values, **options)})
    encoder = ColumnEncoder()
    at_fit = encoder.fit_transform(fitted)
    if new is None:
        again = encoder.transform(fitted)
        np.testing.assert_array_equal(again, at_fit, err_msg="fit and transform disagree")
        return at_fit[:, 0].tolist()
    return encoder.transform(pd.DataFrame({"c": new}))[:, 0].tolist()


def same(left: list[float], right: list[float]) -> bool:
    return np.array_equal(left, right, equal_nan=True)


NUMBERS = {
    "float": ([1.5, NAN, -2.0], {}),
    "float32": ([1.5, NAN, -2.0], {"dtype": "float32"}),
    "nullable float": ([1.5, None, -2.0], {"dtype": "Float64"}),
    "objects": ([1.5, None, -2.0], {"dtype": object}),
    "objects with NA": ([1.5, pd.NA, -2.0], {"dtype": object}),
    "decimals": ([Decimal("1.5"), None, Decimal("-2")], {"dtype": object}),
    "mixed numbers": ([np.float32(1.5), NAN, -2], {"dtype": object}),
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
}


@pytest.mark.parametrize("kind", TEXT)
def test_text_becomes_codes_in_sorted_order(kind: str):
    values, options = TEXT[kind]
    assert same(encode(values, **options), [1.0, 0.0, NAN, 1.0])


def test_an_ordered_category_keeps_its_order():
    sizes = pd.CategoricalDtype(["small", "large", "huge"], ordered=True)
    assert encode(["large", "small", "huge"], dtype=sizes) == [1.0, 0.0, 2.0]


def test_an_unordered_category_does_not_depend_on_how_it_was_declared():
    one = pd.CategoricalDtype(["b", "a"])
    other = pd.CategoricalDtype(["a", "c", "b"])
    assert encode(["a", "b"], dtype=one) == encode(["a", "b"], dtype=other) == [0.0, 1.0]


def test_categories_of_numbers_are_sorted_as_numbers():
    assert encode([10, 9, 10, 2], dtype="category") == [2.0, 1.0, 2.0, 0.0]


def test_a_mixture_of_text_and_numbers_is_categorical():
    assert same(encode(["x", 1, None, 2.5, "a"], dtype=object), [3.0, 0.0, NAN, 1.0, 2.0])


def test_categories_given_as_plain_values_later_are_recognised():
    assert encode(pd.Categorical(["a", "b", "a"]), new=["b", "a"]) == [1.0, 0.0]
    assert encode(pd.Categorical([3, 7, 3]), new=[7, 3]) == [1.0, 0.0]
    assert encode(["a", "b"], new=pd.Categorical(["b", "b"], categories=["b", "z"])) == [1.0, 1.0]


DAYS = ["2024-01-01", "2024-01-03", None, "2024-01-02"]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_are_numbers_on_one_scale(unit: str):
    codes = encode(pd.to_datetime(pd.Series(DAYS)).dt.as_unit(unit))
    assert np.isnan(codes[2])
    first, third, _, second = codes
    assert third - first == pytest.approx(2 * (second - first), rel=1e-12)
    assert second > first


@pytest.mark.parametrize("new_unit", ["s", "ms", "us", "ns"])
def test_the_unit_of_times_may_change_after_fit(new_unit: str):
    """A file read by another library gives other units for the same times."""
    times = pd.to_datetime(pd.Series(DAYS))
    assert same(
        encode(times.dt.as_unit("ns"), new=times.dt.as_unit(new_unit)), encode(times.dt.as_unit("ns"))
    )


def test_times_with_zones_and_durations():
    times = pd.to_datetime(pd.Series(DAYS))
    assert same(encode(times.dt.tz_localize("UTC")), encode(times))
    lengths = encode(pd.to_timedelta(pd.Series(["1h", None, "3h"])))
    assert np.isnan(lengths[1])
    assert lengths[2] == 3 * lengths[0]


def test_columns_without_information_are_left_out_and_named():
    frame = pd.DataFrame({"same": [7, 7, 7], "gone": [None] * 3, "word": ["x"] * 3, "good": [1, 2, 3]})
    encoder = ColumnEncoder()
    with pytest.warns(DataWarning, match="'same', 'gone', 'word'"):
        assert encoder.fit_transform(frame).shape == (3, 1)
    assert encoder.unused == ["same", "gone", "word"]
    assert encoder.n_used == 1
    frame.loc[0, ["same", "word"]] = [8, "y"]
    assert encoder.transform(frame).tolist() == [[1.0], [2.0], [3.0]]


def test_a_table_without_information_is_refused():
    with pytest.raises(InputError, match="none of the 2 columns holds two different values"):
        ColumnEncoder().fit_transform(pd.DataFrame({"a": [1, 1], "b": [None, None]}))


def test_categories_never_seen_count_as_missing_and_are_reported():
    encoder = ColumnEncoder()
    encoder.fit_transform(pd.DataFrame({"town": ["Oslo", "Rome"], "n": [1, 2]}))
    new = pd.DataFrame({"town": ["Rome", "Bonn", "Bonn", None], "n": [1, 2, 3, 4]})
    with pytest.warns(DataWarning, match=r"not there at fit.*'town' \(2 rows\)"):
        encoded = encoder.transform(new)
    assert same(encoded[:, 0].tolist(), [1.0, NAN, NAN, NAN])


def test_categories_that_were_seen_are_not_reported():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(encode(["a", "b", None], new=[None, "b"]), [NAN, 1.0])
        assert same(encode(["a", "b"], new=pd.Series([None, None], dtype=object)), [NAN, NAN])


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (["1.5", "2"], [1.5, 2.0]),
        ([None, None], [NAN, NAN]),
        (["3", None], [3.0, NAN]),
        (pd.Series([1, 2], dtype="Int64"), [1.0, 2.0]),
        ([True, False], [1.0, 0.0]),
    ],
)
def test_what_can_be_read_as_a_number_is(new: object, expected: list[float]):
    assert same(encode([0.5, 1.5], new=new), expected)


@pytest.mark.parametrize("bad", ["many", "1,5", "€3", dt.date(2024, 1, 1)])
def test_text_where_numbers_were_is_refused(bad: object):
    with pytest.raises(InputError, match="column 'c' holds") as caught:
        encode([0.5, 1.5], new=pd.Series([1.0, bad], dtype=object))
    assert repr(bad) in str(caught.value)
    assert "numbers, as at fit" in str(caught.value)


@pytest.mark.parametrize("bad", [np.inf, -np.inf])
def test_infinity_is_refused(bad: float):
    for options in ({}, {"dtype": object}, {"dtype": "Float64"}):
        with pytest.raises(InputError, match=r"'c' holds infinity in 1 rows \(the first is row 2\).*Replace"):
            encode([1.0, 2.0, bad], **options)
    with pytest.raises(InputError, match="'c' holds infinity"):
        encode([1.0, 2.0], new=[bad])


@pytest.mark.parametrize("values", [[1 + 2j, 3j], [[1, 2], [3]], [{"a": 1}, {"b": 2}], [{1}, {2}]])
def test_cells_that_are_no_values_are_refused(values: list):
    with pytest.raises(InputError, match="column 'c' holds"):
        encode(pd.Series(values))


def test_repeated_names_are_refused():
    frame = pd.DataFrame([[1, 2, 3]], columns=["a", "b", "a"])
    with pytest.raises(InputError, match=r"'a' occurs more than once.*Rename"):
        as_frame(frame)


def test_arrays_get_numbered_columns_and_their_types():
    frame = as_frame(np.array([[1, "x", None], [2.5, "y", True]], dtype=object))
    assert list(frame.columns) == [0, 1, 2]
    with pytest.warns(DataWarning, match="'2'"):
        assert ColumnEncoder().fit_transform(frame).tolist() == [[1.0, 0.0], [2.5, 1.0]]


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
    frame = mixed_pandas()
    days = [None if pd.isna(day) else day.to_pydatetime() for day in frame["day"]]
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


def test_polars_and_pandas_are_the_same_table():
    one, other = ColumnEncoder(), ColumnEncoder()
    np.testing.assert_array_equal(
        one.fit_transform(as_frame(mixed_polars())), other.fit_transform(as_frame(mixed_pandas()))
    )
    np.testing.assert_array_equal(
        one.transform(as_frame(mixed_pandas())), other.transform(as_frame(mixed_polars()))
    )


def test_an_encoder_survives_as_plain_values():
    import json

    encoder = ColumnEncoder()
    expected = encoder.fit_transform(mixed_pandas())
    again = ColumnEncoder.from_list(json.loads(json.dumps(encoder.to_list())))
    np.testing.assert_array_equal(again.transform(mixed_pandas()), expected)
    assert again.n_categorical == encoder.n_categorical == 2


@pytest.mark.parametrize("values", [[1, 2.5, "a", True], [True, False, "x", None]])
def test_mixed_levels_survive_as_plain_values(values: list):
    import json

    frame = pd.DataFrame({"c": pd.Series(values, dtype=object)})
    encoder = ColumnEncoder()
    expected = encoder.fit_transform(frame)
    again = ColumnEncoder.from_list(json.loads(json.dumps(encoder.to_list())))
    np.testing.assert_array_equal(again.transform(frame), expected)
