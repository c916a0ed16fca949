"""Rows as they come in, JSON or Arrow, and answers as they go out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from testtime.errors import sentence, without_columns
from testtime.estimators.regressor import at_levels
from testtime.evaluation.evaluate import decide
from testtime.serve.models import Loaded
from testtime.serve.refusals import Refused

__all__ = ["ARROW", "JSON", "answer_columns", "as_arrow", "read_rows"]

JSON = "application/json"
ARROW = "application/vnd.apache.arrow.stream"

_LEVELS = (0.1, 0.5, 0.9)
_FEW_CELLS, _SPARSE = 1_000_000, 4
_BYTES_OF_A_CELL = 8
_SINGLE = (
    pa.types.is_null,
    pa.types.is_boolean,
    pa.types.is_integer,
    pa.types.is_floating,
    pa.types.is_decimal,
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_string_view,
    pa.types.is_timestamp,
    pa.types.is_date,
    pa.types.is_time,
    pa.types.is_duration,
)
_FRAMES = (b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")  # how buffers compressed by zstd and by lz4 begin
_SHAPE = '{"rows": [{"column": value, ...}, ...]}'


def read_rows(
    body: bytes,
    content_type: str,
    most_rows: int,
    most_bytes: int = 2**31,
    required: Collection[str] = (),
) -> pd.DataFrame:
    """Return the rows of a request, none of them longer than `most_bytes` once they are unpacked.

    Each row of JSON has all the `required` columns: one that is left out is no missing value, which is written `null`.

    Raises
    ------
    Refused
        With status 400 for what cannot be read, 413 for too many rows or bytes, 415 for another type.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == JSON:
        return _of_json(body, most_rows, required)
    if kind == ARROW:
        return _of_arrow(body, most_rows, most_bytes)
    raise Refused(415, sentence(f"content type {kind[:60]!r}", expected=f"{JSON} or {ARROW}"))


def _of_json(body: bytes, most_rows: int, required: Collection[str]) -> pd.DataFrame:
    try:
        text = body.decode(json.detect_encoding(body))
        content = json.loads(text, parse_constant=_no_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise Refused(400, sentence("the body is not JSON", expected=_SHAPE, why=_short(error))) from error
    rows = content.get("rows") if isinstance(content, dict) else None
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise Refused(400, sentence("the body holds no rows", expected=_SHAPE))
    _check_number(len(rows), most_rows)
    nested = next((n for row in rows for n, value in row.items() if isinstance(value, (dict, list))), None)
    if nested is not None:
        got = f"column {nested[:60]!r} holds a list or an object"
        raise Refused(400, sentence(got, expected="numbers, texts, true, false and null"))
    if "\\u" in text:
        try:
            json.dumps(rows, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            got = (
                f"the rows hold the character {error.object[error.start : error.start + 1]!r}, half of a pair"
            )
            raise Refused(400, sentence(got, expected="text that is valid Unicode")) from error
    _check_columns(rows)
    frame = pd.DataFrame.from_records(rows)
    _check_complete(rows, frame, required)
    return frame


def _check_complete(rows: list[dict[str, Any]], frame: pd.DataFrame, required: Collection[str]) -> None:
    """Refuse a row without a column that others have; what all lack is refused by the model."""
    there = {str(name).strip(): name for name in frame.columns}
    asked = [there[name] for name in required if name in there]
    for number, row in enumerate(rows, 1):
        absent = [name for name in asked if name not in row]
        if absent:
            expected = "the same columns in all rows, with null for what is missing"
            raise Refused(400, str(without_columns(f"row {number:,}", absent, row, expected)))


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        twice = next(name for name, n in Counter(name for name, _ in pairs).items() if n > 1)
        raise ValueError(f"{twice[:60]!r} occurs twice in one object")
    return row


def _check_columns(rows: list[dict[str, Any]]) -> None:
    """Refuse rows of which each has columns of its own: the table of all of them would be far larger than the body."""
    n_columns = len(set().union(*rows))
    if len(rows) * n_columns > max(_FEW_CELLS, _SPARSE * sum(map(len, rows))):
        got = f"{len(rows):,} rows with {n_columns:,} different columns, few of them in each row"
        raise Refused(
            413,
            sentence(got, expected="the same columns in all rows", remedy="Write null for what is missing"),
        )


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no value of JSON; write null for what is missing")


def _of_arrow(body: bytes, most_rows: int, most_bytes: int) -> pd.DataFrame:
    if _unpacked_bytes(body) > most_bytes:
        got = f"the body is longer than {most_bytes:,} bytes once it is unpacked"
        raise Refused(413, sentence(got, remedy="Send the rows in pieces"))
    try:
        with pa.ipc.open_stream(body) as stream:
            batches, n_rows = [], 0
            for batch in stream:
                n_rows += batch.num_rows
                _check_number(n_rows, most_rows)
                batches.append(batch)
            table = pa.Table.from_batches(batches, stream.schema)
            table.validate(full=True)
            _check_table(table, most_bytes)
            frame = table.to_pandas(ignore_metadata=True)  # what is an index there is a column here
    except (pa.ArrowException, ValueError, TypeError, OSError) as error:
        raise Refused(400, sentence("the body is not an Arrow stream", why=_short(error))) from error
    if not n_rows:
        raise Refused(400, sentence("the body holds no rows", expected="at least one"))
    return frame


def _check_table(table: pa.Table, most_bytes: int) -> None:
    """Refuse what is no table of single values, or of which a few bytes would become very many.

    Raises
    ------
    Refused
        With status 400 for repeated names and columns of lists and the like, 413 for too many bytes.
    """
    names = Counter(table.column_names)
    repeated = next((name for name, count in names.items() if count > 1), None)
    if repeated is not None:
        got = f"the column name {repeated[:60]!r} occurs more than once"
        raise Refused(400, sentence(got, expected="different names"))
    n_bytes = _BYTES_OF_A_CELL * table.num_rows * table.num_columns
    for field, column in zip(table.schema, table.columns, strict=True):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if not any(is_one(kind) for is_one in _SINGLE):
            got = f"column {field.name[:60]!r} holds {str(field.type)[:60]}"
            raise Refused(400, sentence(got, expected="numbers, texts, dates, truth values or null"))
        if pa.types.is_string_view(field.type):  # all may show the same text
            n_bytes += sum(map(_shown_bytes, column.chunks))
    if n_bytes > _BYTES_OF_A_CELL * most_bytes:  # a number of one byte takes no more
        got = f"rows that take {n_bytes:,} bytes once they are read"
        raise Refused(
            413,
            sentence(
                got, expected=f"at most {_BYTES_OF_A_CELL * most_bytes:,}", remedy="Send them in pieces"
            ),
        )


def _shown_bytes(views: pa.Array) -> int:
    """Return the sum of the lengths that an array of views states: the first of the four integers of each."""
    stated = np.frombuffer(views.buffers()[1], np.int32).reshape(-1, 4)
    return int(np.maximum(stated[views.offset : views.offset + len(views), 0], 0).sum(dtype=np.int64))


def _unpacked_bytes(body: bytes) -> int:
    """Return the sum of the lengths that compressed buffers of an Arrow stream state, which is what they unpack to.

    Each begins at a multiple of 8 bytes with its length as a 64-bit integer, then the frame of the compression.
    """
    total = 0
    for frame in _FRAMES:
        at = body.find(frame)
        while at >= 0:
            if at % 8 == 0 and at >= 8:
                total += max(0, int.from_bytes(body[at - 8 : at], "little", signed=True))
            at = body.find(frame, at + 1)
    return total


def _check_number(n_rows: int, most_rows: int) -> None:
    if n_rows > most_rows:
        got = f"a request of {n_rows:,} rows" if n_rows < 10 * most_rows else "a request of very many rows"
        raise Refused(413, sentence(got, expected=f"at most {most_rows:,}", remedy="Send them in pieces"))


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def answer_columns(loaded: Loaded, answers: NDArray[np.float64]) -> dict[str, NDArray[Any]]:
    """Return what is answered, one value per row: the prediction, and probabilities or quantiles."""
    if loaded.classes is None:
        found = {"prediction": answers.mean(axis=1)}
        levels = at_levels(answers, _LEVELS).T
        return found | {f"quantile_{p:g}": column for p, column in zip(_LEVELS, levels, strict=True)}
    found = {"prediction": loaded.classes[decide(answers, loaded.costs)]}
    labels = zip(loaded.classes.tolist(), answers.T, strict=True)
    return found | {f"probability_{label}": column for label, column in labels}


def as_arrow(columns: dict[str, NDArray[Any]], said: dict[str, str]) -> bytes:
    """Return columns as an Arrow stream, with `said` as the metadata of its schema."""
    table = pa.table({name: pa.array(column.tolist()) for name, column in columns.items()})
    table = table.replace_schema_metadata(said)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue().to_pybytes()
