"""Bodies that are small and become large, or that no table can be made of."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from testtime.errors import InputError
from testtime.serve.refusals import Refused
from testtime.serve.rows import ARROW, JSON, read_rows
from testtime.serve.settings import ServeSettings


def stream(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as out:
        out.write_table(table)
    return sink.getvalue().to_pybytes()


def views(n_rows: int, length: int) -> pa.Table:
    """So many views of one text."""
    one = pa.array(["x" * length], pa.string_view())
    return pa.table({"a": pa.concat_arrays([one] * n_rows)})


LONG = {
    "runs": (
        pa.table({"a": pa.RunEndEncodedArray.from_arrays(pa.array([3000], pa.int32()), pa.array(["x"]))}),
        400,
    ),
    "lists": (pa.table({"a": pa.array([[1], [2]])}), 400),
    "lists of nothing": (pa.table({"a": pa.array([[None] * 9] * 2, pa.list_(pa.null(), 9))}), 400),
    "structures": (pa.table({"a": [{"b": 1}]}), 400),
    "bytes": (pa.table({"a": [b"x"]}), 400),
    "a name twice": (pa.table([[1.0], [2.0]], names=["a", "a"]), 400),
    "views": (views(100, 1000), 413),
    "columns of nothing": (pa.table({f"c{k}": pa.nulls(100) for k in range(100)}), 413),
}


@pytest.mark.parametrize("name", LONG)
def test_a_stream_that_would_grow_or_holds_no_single_values_is_refused(name: str):
    table, status = LONG[name]
    with pytest.raises(Refused) as caught:
        read_rows(stream(table), ARROW, 10_000, 8_000)
    assert caught.value.status == status
    assert "'a'" in str(caught.value) or status == 413


def test_what_is_as_long_as_it_looks_is_read():
    table = pa.table(
        {
            "view": pa.array(["x", None, "a long text of more than twelve"], pa.string_view()),
            "words": pa.array(["u", "v", "u"]).dictionary_encode(),
            "none": pa.nulls(3),
            "small": pa.array([1, 2, 3], pa.int8()),
        }
    )
    frame = read_rows(stream(table.slice(1)), ARROW, 10, 1_000)
    assert frame["view"].tolist()[1:] == ["a long text of more than twelve"]
    assert frame["words"].tolist() == ["v", "u"]


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows": [{"a": "\xed\xa0\x80"}]}',
        json.dumps({"rows": [{"a": "\ud800"}]}).encode(),
        json.dumps({"rows": [{"a": "\ud800"}]}).encode("utf-16"),
    ],
)
def test_half_of_a_pair_is_refused_however_it_is_sent(body: bytes):
    with pytest.raises(Refused) as caught:
        read_rows(body, JSON, 10)
    assert caught.value.status == 400


def test_utf_16_is_json_as_well():
    body = json.dumps({"rows": [{"a": "Łódź"}]}, ensure_ascii=False).encode("utf-16")
    assert read_rows(body, JSON, 10)["a"].tolist() == ["Łódź"]


def test_a_row_without_a_column_that_others_have_is_refused_and_null_is_missing():
    body = json.dumps({"rows": [{"size": 1, "more": 2}, {"Size": 1}]}).encode()
    with pytest.raises(
        Refused, match=r"row 2 has no column 'size'; expected .* null .*Did you mean 'Size'"
    ) as caught:
        read_rows(body, JSON, 10, required=("size", "town"))
    assert caught.value.status == 400
    body = json.dumps({"rows": [{"size": 1, "more": 2}, {"size": None}]}).encode()
    assert read_rows(body, JSON, 10, required=("size",))["size"].isna().tolist() == [False, True]


def test_a_column_that_all_rows_lack_is_left_to_the_model():
    body = json.dumps({"rows": [{"size": 1}, {"size": 2}]}).encode()
    assert list(read_rows(body, JSON, 10, required=("size", "town"))) == ["size"]


def test_a_name_with_blanks_is_that_of_its_column():
    body = json.dumps({"rows": [{" size": 1}, {" size": 2}, {}]}).encode()
    with pytest.raises(Refused, match="row 3 has no column ' size'"):
        read_rows(body, JSON, 10, required=("size",))
    assert len(read_rows(json.dumps({"rows": [{" size": 1}]}).encode(), JSON, 10, required=("size",))) == 1


def test_a_name_twice_in_a_row_is_refused():
    with pytest.raises(Refused, match="'size' occurs twice in one object"):
        read_rows(b'{"rows": [{"size": 1, "size": 2}]}', JSON, 10)


def test_a_token_that_no_header_can_hold_is_refused():
    with pytest.raises(InputError, match="characters that no header can"):
        ServeSettings(token="schlüssel-für-den-dienst")
