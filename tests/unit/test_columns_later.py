"""New rows: what can be read as at fit, what counts as missing or unknown, what is refused."""

from __future__ import annotations

import datetime as dt
import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.support.columns import NAN, encode, fitted, same
from testtime.errors import InputError
from testtime.table.columns import DataWarning, TableColumns

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


def test_levels_never_seen_stand_where_they_would_be_among_the_others_and_are_reported():
    """As do those that a fold of the fit does not see, whose codes are those of all rows."""
    columns, _ = fitted(pd.DataFrame({"town": ["Oslo", "Rome"], "n": [1, 2]}))
    new = pd.DataFrame({"town": ["Rome", "Bonn", "Paris", "Turin", None], "n": [1, 2, 3, 4, 5]})
    with pytest.warns(DataWarning, match=r"not there at fit.*'town' \(3 rows\)"):
        encoded = columns.transform(new)
    assert same(encoded.x[:, 0].tolist(), [1.0, -0.5, 0.5, 1.5, NAN])


def test_numbers_that_are_levels_stand_by_their_size():
    columns = TableColumns({"zip": "nominal"}).fit(pd.DataFrame({"zip": ["9", "100", "x"], "n": [1, 2, 3]}))
    with pytest.warns(DataWarning, match="not there at fit"):
        encoded = columns.transform(pd.DataFrame({"zip": ["100.0", "20", "1000", "y"], "n": [1, 2, 3, 4]}))
    assert encoded.x[:, 0].tolist() == [1.0, 0.5, 1.5, 2.5]


@pytest.mark.parametrize("new", [["1e400", "2"], [10**400, 2], pd.Series([10**400, 2], dtype=object)])
def test_numbers_too_large_for_a_float_are_missing_and_said(new):
    columns, _ = fitted(pd.DataFrame({"a": [1.0, 2.0], "b": [1, 2]}))
    with pytest.warns(DataWarning, match=r"1 numbers of column 'a' are beyond 1\.8e308 and count as missing"):
        encoded = columns.transform(pd.DataFrame({"a": new, "b": [1, 2]}))
    assert same(encoded.x[:, 0].tolist(), [NAN, 2.0])


def test_levels_that_were_seen_are_not_reported():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(encode(["a", "b", None], new=[None, "b"]), [NAN, 1.0])


@pytest.mark.parametrize("values", [["a", "b"], [1.5, 2.5], ["2020-01-01", "2020-05-05"], ["yes", "no"]])
def test_what_was_never_missing_at_fit_is_told_of_where_it_is_missing(values: list):
    columns, _ = fitted(pd.DataFrame({"c": values * 3, "d": range(6), "e": [None, 1, 2, 3, 4, 5]}))
    new = pd.DataFrame({"c": [None, values[0], None], "d": [0, 1, 2], "e": [None, None, 3]})
    notes: list[str] = []
    assert np.isnan(columns.transform(new, notes=notes).x[[0, 2], 0]).all()
    (note,) = notes
    assert note.startswith(
        "Missing in rows to predict, and never at fit: 'c'. Such rows are answered with what stands there"
    )
    notes.clear()
    columns.transform(new.iloc[[1]], notes=notes)
    assert notes == []


def test_of_many_newly_missing_columns_five_are_named():
    columns, _ = fitted(pd.DataFrame({f"c{i}": [1.5, 2.5, i] for i in range(7)}))
    notes: list[str] = []
    columns.transform(pd.DataFrame({f"c{i}": [None] for i in range(7)}), notes=notes)
    assert "'c4' and 2 more." in notes[0]


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
    ],
)
def test_what_can_be_read_as_a_number_is(new: object, expected: list[float]):
    assert same(encode([0.5, 1.5], new=new), expected)


@pytest.mark.parametrize("new", [[True, False], ["True", "false"], [True, None], ["TRUE", "0", "1"]])
def test_truth_values_are_numbers_where_fit_had_zeros_and_ones(new: list[object]):
    meant = {"true": 1.0, "false": 0.0, "none": NAN, "0": 0.0, "1": 1.0}
    assert same(encode([0.0, 1.0, 1.0], new=new), [meant[str(value).lower()] for value in new])
    with pytest.raises(
        InputError, match=r"column .c. holds (?i:true); expected numbers .it held others than 0 and 1"
    ):
        encode([0.5, 1.5], new=new)


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


@pytest.mark.parametrize(
    "kind",
    [pa.list_(pa.int64()), pa.binary(), pa.struct([("u", pa.int64())]), pa.map_(pa.string(), pa.int64())],
    ids=str,
)
def test_arrow_cells_without_values_are_missing_whatever_their_type(kind: pa.DataType):
    nothing = pd.Series([None] * 30, dtype=pd.ArrowDtype(kind))
    table, encoded = fitted(pd.DataFrame({"c": nothing, "z": np.arange(30) ** 2.0}))
    assert [record.left_out for record in table.records] == ["nothing but missing values", ""]
    assert encoded.x.shape == (30, 1)
    assert np.isnan(encode([1.0, 2.0, 5.0], new=nothing)).all()


@pytest.mark.parametrize(
    ("value", "remedy"),
    [(b"Oslo", "Decode it, as with .str.decode('utf-8')"), ([1], "Split it into columns")],
)
def test_what_to_do_with_cells_that_are_no_values_is_said(value: object, remedy: str):
    with pytest.raises(InputError) as refused:
        encode(pd.Series([value, value]))
    assert remedy in str(refused.value)


def test_text_that_is_no_unicode_is_refused():
    for values in (["\ud800", "a"], ["\ud800", 1]):
        with pytest.raises(InputError, match=r"column .0. holds the character .\\ud800., half of a pair"):
            fitted(np.array([[value, i] for i, value in enumerate(values)], dtype=object))


def test_integers_that_are_too_large_count_as_missing():
    for values in ([1, 10**400, 3], ["1", "9" * 400, "3"], [1, -(10**5000), 3]):
        columns, encoded = fitted(pd.DataFrame({"c": pd.Series(values, dtype=object)}))
        assert same(encoded.x[:, 0].tolist(), [1.0, NAN, 3.0])
        assert columns.notes == ("1 numbers of column 'c' are beyond 1.8e308 and count as missing.",)


def test_rare_levels_beyond_the_bound_count_as_never_seen():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in [*range(12_000), *range(9_000), *range(12_000)]]
    columns, encoded = fitted(pd.DataFrame({"c": words, "z": rng.standard_normal(len(words))}))
    assert encoded.n_levels[0] == 10_000
    assert (encoded.x[:9_000, 0] < 10_000).all()
    assert "12,000 levels" in columns.notes[0]
