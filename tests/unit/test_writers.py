"""Tables written in pieces come back equal, in every format; other names are refused before anything is written."""

import datetime as dt
import gzip
import json
import os
from decimal import Decimal
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from testtime.errors import InputError, StoreError
from testtime.table.writers import WRITTEN_ENDINGS, check_output, write_table

LABELS = ["=1+1", '"q"', "a,b\tc", "ä\nb", "+1", "@x", "-"]


def frame(n=7, start=0):
    return pd.DataFrame(
        {
            "prediction": [LABELS[(start + i) % len(LABELS)] for i in range(n)],
            "probability": np.linspace(0, 1, n) / 3 + 0.1,
            "code": np.arange(start, start + n),
        }
    )


def lines(path):
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    return pd.DataFrame([json.loads(line) for line in text.splitlines()])


_EXACTLY = partial(pd.read_csv, float_precision="round_trip")  # older pandas reads the last digit loosely

READ = {
    ".csv": _EXACTLY,
    ".csv.gz": _EXACTLY,
    ".tsv": partial(_EXACTLY, sep="\t"),
    ".tsv.gz": partial(_EXACTLY, sep="\t"),
    ".parquet": pd.read_parquet,
    ".feather": pd.read_feather,
    ".arrow": lambda path: pa.ipc.open_file(path).read_all().to_pandas(),
    ".jsonl": lines,
    ".jsonl.gz": lines,
}


def test_every_format_is_read_back_here():
    assert set(READ) == set(WRITTEN_ENDINGS)


@pytest.mark.parametrize("ending", WRITTEN_ENDINGS)
def test_pieces_come_back_exactly_whatever_the_labels(tmp_path, ending):
    """Formulas among the labels too: data is not changed on its way to a file."""
    out = tmp_path / f"out{ending}"
    assert write_table(iter([frame(7), frame(3, 7), frame(1, 10)]), out) == 11
    found = READ[ending](out)
    expected = pd.concat([frame(7), frame(3, 7), frame(1, 10)], ignore_index=True)
    pd.testing.assert_frame_equal(found, expected, check_exact=True, check_dtype=False)
    again = tmp_path / f"AGAIN{ending.upper()}"
    write_table(iter([frame(7), frame(3, 7), frame(1, 10)]), again)
    assert again.read_bytes() == out.read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {out.name, again.name}


def test_packed_files_are_packed(tmp_path):
    write_table([frame()], tmp_path / "out.csv.gz")
    assert (tmp_path / "out.csv.gz").read_bytes()[:2] == b"\x1f\x8b"


def test_times_and_bytes_are_text_in_lines(tmp_path):
    columns = pd.DataFrame(
        {
            "when": pd.to_datetime(["2024-01-05", None]),
            "zoned": pd.to_datetime(["2024-01-05T01:02:03Z", None]),
            "day": [dt.date(2024, 1, 5), None],
            "clock": [dt.time(1, 2, 3), None],
            "took": pd.to_timedelta(["1h", None]),
            "count": pd.array([1, None], "Int64"),
            "price": [Decimal("1.5"), None],
            "raw": ["ä".encode(), None],
        }
    )
    write_table([columns], tmp_path / "out.jsonl")
    first, second = map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())
    assert first == {
        "when": "2024-01-05T00:00:00",
        "zoned": "2024-01-05T01:02:03+00:00",
        "day": "2024-01-05",
        "clock": "01:02:03",
        "took": "0 days 01:00:00",
        "count": 1,
        "price": 1.5,
        "raw": "ä",
    }
    assert set(second.values()) == {None}


def test_numbers_that_are_none(tmp_path):
    odd = pd.DataFrame({"x": [np.nan, np.inf, -np.inf, 1e-300]})
    write_table([odd], tmp_path / "x.jsonl")
    assert (tmp_path / "x.jsonl").read_text() == '{"x": null}\n{"x": "inf"}\n{"x": "-inf"}\n{"x": 1e-300}\n'
    for ending in (".csv", ".parquet"):
        write_table([odd], tmp_path / f"x{ending}")
        pd.testing.assert_frame_equal(READ[ending](tmp_path / f"x{ending}"), odd, check_exact=True)


@pytest.mark.parametrize(
    "name",
    ["out.xlsx", "out.txt", "out", "out.gz", "out.csv.zip", "out.parquet.gz", "csv", "-", "out.csv.bak"],
)
def test_other_names_are_refused_before_anything_is_taken(tmp_path, name):
    def pieces():
        raise RuntimeError("nothing may be computed")
        yield

    for call in (
        lambda: check_output(tmp_path / name, overwrite=True),
        lambda: write_table(pieces(), tmp_path / name),
    ):
        with pytest.raises(InputError, match=r"does not say a format.*\.parquet.*spreadsheets open \.csv"):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", WRITTEN_ENDINGS)
def test_what_fails_leaves_the_file_that_was_there(tmp_path, ending):
    out = tmp_path / f"out{ending}"
    write_table([frame(2)], out)
    before = out.read_bytes()

    def stops():
        yield frame(2)
        raise InputError("the third row is odd")

    with pytest.raises(InputError, match="third row"):
        write_table(stops(), out)
    with pytest.raises(InputError, match="no rows to write"):
        write_table([], out)
    with pytest.raises(InputError, match="cannot hold what is to be written"):
        write_table([pd.DataFrame({"x": pd.Series(["\ud800"], dtype=object)})], out)
    assert out.read_bytes() == before
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize("ending", [".parquet", ".feather"])
def test_mixed_labels_are_refused_where_a_column_has_one_type(tmp_path, ending):
    mixed = pd.DataFrame({"x": np.array([1, "a"], dtype=object)})
    with pytest.raises(InputError, match=r"cannot hold.*Choose another format, such as \.csv"):
        write_table([mixed], tmp_path / f"x{ending}")
    with pytest.raises(InputError, match="cannot hold"):
        write_table([pd.DataFrame({"x": [1]}), pd.DataFrame({"x": ["a"]})], tmp_path / f"x{ending}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [".parquet", ".feather"])
@pytest.mark.parametrize("later", ["x", 5, 1.5, pd.Timestamp("2024-01-05"), None])
def test_a_column_without_values_at_first_is_text(tmp_path, ending, later):
    out = tmp_path / f"out{ending}"
    pieces = [pd.DataFrame({"id": values, "y": [1, 2]}) for values in ([None, None], [later, None])]
    assert write_table(pieces, out) == 4
    found = READ[ending](out)
    assert found["y"].tolist() == [1, 2, 1, 2]
    assert found["id"].isna().tolist() == [True, True, later is None, True]
    if later is not None:
        assert found["id"].tolist()[2].startswith(str(later))


@pytest.mark.parametrize("ending", [".parquet", ".feather"])
def test_a_column_of_another_type_further_down_is_named(tmp_path, ending):
    said = (
        r"cannot hold the column 'id'; expected values of one type.*its first rows are int64.*1\.5.*\.jsonl"
    )
    with pytest.raises(InputError, match=said):
        write_table([pd.DataFrame({"id": [1]}), pd.DataFrame({"id": [1.5]})], tmp_path / f"x{ending}")
    assert list(tmp_path.iterdir()) == []


def test_places_that_cannot_be_written(tmp_path):
    (tmp_path / "there.csv").write_text("old")
    with pytest.raises(StoreError, match=r"there\.csv' exists"):
        check_output(tmp_path / "there.csv", overwrite=False)
    check_output(tmp_path / "there.csv", overwrite=True)
    with pytest.raises(StoreError, match=r"does not exist.*Make it first"):
        check_output(tmp_path / "nowhere" / "x.csv", overwrite=False)
    for odd in (Path("a\0b.csv"), Path("x" * 300 + ".csv")):
        with pytest.raises(InputError, match="cannot be the name of a file"):
            check_output(odd, overwrite=False)
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(StoreError, match="is a pipe; expected a plain file"):
        check_output(tmp_path / "pipe.csv", overwrite=True)
