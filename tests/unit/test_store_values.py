"""Values and labels through JSON and back, for anything that hypothesis can think of."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from testtime.errors import StoreError
from testtime.store.values import EncodedArray, decode_array, decode_value, encode_array, encode_value

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
KEYS = st.text() | st.text().map("${}".format)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(KEYS, inner), max_leaves=10)


def same(first, second):
    if isinstance(first, float) and isinstance(second, float):
        return math.copysign(1, first) == math.copysign(1, second) and (
            first == second or first != first != second
        )
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return list(first) == list(second) and all(same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(same, first, second))
    return first == second


def through_json(content):
    return json.loads(json.dumps(content, allow_nan=False))


def array_through_json(array):
    return decode_array(EncodedArray(**through_json(encode_array(array).model_dump())))


@given(VALUES)
def test_values_come_back(value):
    found = decode_value(through_json(encode_value(value)))
    assert same(value, found) or "nan" in repr(value)  # the sign of a NaN is not kept


@given(st.lists(SCALARS))
def test_objects_come_back_with_their_types(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    found = array_through_json(array)
    assert found.dtype == object
    assert found.shape == (len(items),)
    assert all(same(*pair) or pair[0] != pair[0] for pair in zip(items, found.tolist(), strict=True))


@given(st.lists(st.text(max_size=5).filter(lambda text: not text.endswith("\0")), min_size=1))
def test_text_arrays_come_back(items):
    found = array_through_json(np.array(items))
    assert found.tolist() == items
    assert found.dtype.kind == "U"


def test_shapes_and_numpy_scalars_come_back():
    array = np.array([[np.int64(1), np.float32(0.5)], [np.bool_(True), np.str_("a")]], dtype=object)
    found = array_through_json(array)
    assert found.tolist() == [[1, 0.5], [True, "a"]]
    assert [type(item) for item in found.ravel()] == [int, float, bool, str]
    assert encode_value({"n": np.int64(3), "x": np.float64("nan")}) == {"n": 3, "x": {"$float": "nan"}}


@pytest.mark.parametrize("value", [b"x", {1}, 1j, object, {"a": [b"x"]}, {3: 4}])
def test_other_types_are_refused_by_name(value):
    with pytest.raises(StoreError, match="cannot be saved"):
        encode_value(value)
