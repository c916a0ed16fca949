"""Tables from files: dialects, types, uniform draws, memory, and what is refused."""

import gzip
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest

from testtime.errors import InputError
from testtime.tasks import files
from testtime.tasks.column_types import as_numbers
from testtime.tasks.files import iterate_table, read_table

ROWS = [
    ("Ånn, the 1st", 1.5, 3, "2020-01-02"),
    ('say "x"', None, 4, None),
    ("two\nlines", -2e-3, 5, "2021-12-31"),
]
NAMES = ["name", "size", "count", "day"]


def write(path, separator=",", decimal=".", encoding="utf-8", end="\n", pack=False):
    """Write ROWS by hand, so that reading is not checked against another reader."""

    def field(value):
        if value is None:
            return ""
        if isinstance(value, float):
            return repr(value).replace(".", decimal)
        text = str(value).replace('"', '""')
        return f'"{text}"' if any(sign in text for sign in (separator, '"', "\n")) else text

    lines = [separator.join(NAMES), *(separator.join(map(field, row)) for row in ROWS)]
    data = "".join(line + end for line in lines).encode(encoding)
    path.write_bytes(gzip.compress(data) if pack else data)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, ("UTF-8", "comma")),
        ({"separator": ";", "decimal": ","}, ("UTF-8", "semicolon")),
        ({"separator": "\t", "decimal": ","}, ("UTF-8", "tab")),
        ({"separator": "|"}, ("UTF-8", "vertical bar")),
        ({"encoding": "latin-1"}, ("LATIN-1", "comma")),
        ({"encoding": "utf-16", "separator": ";"}, ("UTF-16", "semicolon")),
        ({"encoding": "utf-8-sig", "end": "\r\n"}, ("UTF-8", "comma")),
        ({"end": "\r", "pack": True}, ("UTF-8", "comma")),
    ],
)
def test_every_dialect_gives_the_same_table(tmp_path, options, said):
    write(tmp_path / "table.csv", **options)
    frame, facts = read_table(tmp_path / "table.csv")
    assert (facts.encoding, facts.separator) == said
    assert list(frame) == NAMES
    assert frame["name"].tolist() == [row[0] for row in ROWS]
    mark = options.get("decimal", ".")
    assert frame["size"].tolist()[::2] == [f"1{mark}5", f"-0{mark}002"]
    assert frame["count"].tolist() == ["3", "4", "5"]
    assert frame["day"][0] == "2020-01-02"
    assert frame.isna().to_numpy().sum() == 2
    assert (facts.rows, facts.rows_used, facts.n_columns, facts.is_text) == (3, 3, 4, True)
    assert json.loads(json.dumps(facts.to_dict()))["rows"] == 3
    pieces = pd.concat(iterate_table(tmp_path / "table.csv"), ignore_index=True)
    pd.testing.assert_frame_equal(pieces, frame)


def test_facts_read_as_a_sentence(tmp_path):
    write(tmp_path / "table.csv", ";", ",")
    frame, facts = read_table(tmp_path / "table.csv", max_rows=2)
    assert len(frame) == 2
    assert facts.explain() == (
        "table.csv: CSV (UTF-8, separated by semicolon); 3 rows, 4 columns. 2 rows were drawn at random and used."
    )


def test_missing_words_blanks_and_odd_headers(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("\n\n, a ,b\n0, ?,NA\n\n1, yes ,7\n2,None,null\n")
    frame, _ = read_table(path)
    assert list(frame) == ["Unnamed: 0", "a", "b"]
    assert frame["a"].isna().tolist() == [True, False, False]
    assert frame["a"].tolist()[1:] == ["yes", "None"]  # a word for nothing is a value; "?" is not
    assert frame["b"].tolist()[1] == "7"
    assert frame.isna().to_numpy().sum() == 3


@pytest.mark.parametrize(
    ("text", "comma", "numbers"),
    [
        (["1", "inf", None], False, [1, np.inf, np.nan]),
        (["1,5", "2"], True, [1.5, 2]),
        (["1,5", "2"], False, None),
        (["1.5", "2,5"], True, None),
        (["1.234,5", "1"], True, None),
        (["01", "x"], True, None),
        (["2020-01-01"], True, None),
    ],
)
def test_a_column_is_a_number_only_if_every_value_is(text, comma, numbers):
    given = pd.Series(text, index=range(5, 5 + len(text)))
    found = as_numbers(given, decimal_comma=comma)
    assert found.index.equals(given.index)
    if numbers is None:
        assert found is given
    else:
        assert np.array_equal(found, numbers, equal_nan=True)


def test_marks_that_quote_nothing_are_no_quotes(tmp_path, monkeypatch):
    from testtime.tasks import dialect

    path = tmp_path / "table.csv"
    path.write_text('size,pipe\n1,5" wide\n2,"a ""b"""\n')  # an odd number of marks, the last closes
    for block in (1, 7, 2**20):
        monkeypatch.setattr(dialect, "_BLOCK", block)
        assert read_table(path)[0]["pipe"].tolist() == ['5" wide', 'a "b"']


def test_parquet_keeps_types(tmp_path):
    path = tmp_path / "table.parquet"
    given = pa.table(
        {
            "x": pa.array([1, 2, None], pa.int32()),
            "flag": pa.array([True, None, False]),
            "level": pa.array(["u", "v", "u"]).dictionary_encode(),
            "day": pa.array([0, 86_400_000, None], pa.timestamp("ms")),
            "price": pa.array([1, 2, 3], pa.decimal128(5, 2)),
            "text": ["1", "2", "x"],
        }
    )
    pa.parquet.write_table(given, path)
    frame, facts = read_table(path)
    assert (facts.form, facts.is_text) == ("Parquet", False)
    assert frame["x"].tolist()[:2] == [1, 2]
    assert frame["flag"].tolist()[::2] == [True, False]
    assert frame["price"].tolist() == [1.0, 2.0, 3.0]
    assert isinstance(frame["level"].dtype, pd.CategoricalDtype)
    assert frame["text"].tolist() == ["1", "2", "x"]
    assert frame["day"][1] == pd.Timestamp("1970-01-02")
    assert frame.isna().to_numpy().sum() == 3
    pd.testing.assert_frame_equal(pd.concat(iterate_table(path)), frame)


def test_the_same_data_are_the_same_numbers_from_either_format(tmp_path):
    from testtime.table.columns import TableColumns

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "flag": rng.random(60) > 0.5,
            "day": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, 60), "D"),
            "size": rng.normal(size=60),
            "level": rng.choice(["u", "v"], 60),
        }
    )
    frame.loc[3, "size"] = None
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    typed, text = (read_table(tmp_path / name)[0] for name in ("a.parquet", "a.csv"))
    columns = TableColumns().fit(text)
    expected = columns.transform(text).x
    assert np.array_equal(columns.transform(typed).x, expected, equal_nan=True)
    assert np.array_equal(TableColumns().fit(typed).transform(text).x, expected, equal_nan=True)


@pytest.mark.parametrize("compressed", [False, True])
def test_draws_are_uniform_seeded_and_in_order(tmp_path, monkeypatch, compressed):
    monkeypatch.setattr(files, "_BLOCK_BYTES", 512)  # many blocks, so that rows are dropped on the way
    data = ("i,x\n" + "".join(f"{i},a\n" for i in range(1000))).encode()
    path = tmp_path / "table.csv"
    path.write_bytes(gzip.compress(data) if compressed else data)
    counts = np.zeros(1000)
    for seed in range(150):
        frame, facts = read_table(path, max_rows=50, random_state=seed)
        drawn = frame["i"].astype(int).to_numpy()
        assert len(drawn) == facts.rows_used == 50
        assert facts.rows == 1000
        assert (np.diff(drawn) > 0).all()
        counts[drawn] += 1
    # each row is drawn with probability 1/20; sums over 100 rows have standard deviation about 25 around 750
    assert np.abs(counts.reshape(10, 100).sum(axis=1) - 750).max() < 5 * 25
    assert counts.max() < 30
    first = read_table(path, max_rows=50, random_state=7)[0]
    assert first.equals(read_table(path, max_rows=50, random_state=7)[0])
    assert read_table(path, max_rows=1000)[0]["i"].tolist() == [str(i) for i in range(1000)]
    assert read_table(path, max_rows=5000)[1].rows_used == 1000


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"a,b\n", "it has a header and no rows"),
        (b"a,b,a\n1,2,3\n", "has 2 columns called 'a'.*Rename"),
        (b"a,,\n1,2,3\n", None),
        (b"a,b,c\n1,x,2\n2,y,3\n3,z\n", "Row #4: Expected 3 columns, got 2"),
        (b"a,b\n1,2\n1,2,3\n1,2\n", "Row #3: Expected 2 columns, got 3"),
        (b'a,b\n1,"x"\n2,"y\n3,z\n', "its last quoted value is not closed"),
        (b'a;b\n1;"x"\n2;"', "its last quoted value is not closed"),
        (b"a,b\n1,\x00\x01\n", "zero bytes"),
        (b'{"rows": [1, 2]}', "like JSON or HTML"),
        (b"<html><table>", "like JSON or HTML"),
        (b"PK\x03\x04....", "an Excel workbook"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PAR1half a file", "Copy the file again"),
        (gzip.compress(b"a,b\n1,2\n" * 2000)[:-12], "gzip data is incomplete"),
        (
            b"Once upon a time, there was a king.\nHe had, as kings do, a daughter, and a horse.\n",
            "as a table",
        ),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, data, said):
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    if said is None:
        assert list(read_table(path)[0]) == ["a", "Unnamed: 1", "Unnamed: 2"]
        return
    with pytest.raises(InputError, match=said):
        read_table(path)


def test_a_half_written_parquet_file_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    pa.parquet.write_table(pa.table({"a": list(range(1000)), "b": ["x"] * 1000}), path)
    data = path.read_bytes()
    for length in range(4, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(InputError, match="cannot be read as a table"):
            read_table(path)


def test_parquet_that_cannot_be_used_is_refused(tmp_path):
    path = tmp_path / "table.parquet"
    pa.parquet.write_table(pa.table({"a": [[1, 2], [3]], "b": [1, 2]}), path)
    with pytest.raises(InputError, match=r"column 'a' .* has the type list"):
        read_table(path)
    for values in ([b"\xff", b"x"], [{"u": 1}, {"u": 2}]):
        pa.parquet.write_table(pa.table({"a": values, "b": [1, 2]}), path)
        with pytest.raises(InputError, match=r"column 'a' .* has the type .*Convert or drop it"):
            read_table(path)
    pa.parquet.write_table(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"]), path)
    with pytest.raises(InputError, match="several columns called 'a'"):
        read_table(path)
    pa.parquet.write_table(pa.table({"a": pa.array([], pa.int64())}), path)
    with pytest.raises(InputError, match="no rows"):
        read_table(path)


def test_paths_get_a_sentence(tmp_path):
    (tmp_path / "iris.csv").write_text("a\n1\n")
    with pytest.raises(InputError, match=r"no file .*iris.cvs'. Did you mean 'iris.csv'\?"):
        read_table(tmp_path / "iris.cvs")
    with pytest.raises(InputError, match=r"no file .*Check the path"):
        read_table(tmp_path / "no" / "iris.csv")
    with pytest.raises(InputError, match="it is a folder"):
        read_table(tmp_path)


MEASURE = """
import resource, sys
from testtime.tasks.files import read_table
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
frame, facts = read_table(sys.argv[1], max_rows=1000)
print(len(frame), facts.rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    row = ",".join(["0.123456"] * 20) + "\n"
    used = {}
    for rows in (100_000, 400_000):  # 18 and 72 MB
        path = tmp_path / f"{rows}.csv"
        path.write_text(",".join(f"c{i}" for i in range(20)) + "\n" + row * rows)
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(
            [sys.executable, "-c", MEASURE, str(path)],
            capture_output=True,
            text=True,
            env=environment,
            check=True,
        )
        kept, seen, used[rows] = map(int, done.stdout.split())
        assert (kept, seen) == (1000, rows)
    assert used[400_000] < used[100_000] + 60  # MB; all rows as text would be 300 MB more
