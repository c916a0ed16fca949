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
from testtime.tasks.files import FileFacts, iterate_table, read_table

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
        ({}, ("UTF-8", "comma", "point")),
        ({"separator": ";", "decimal": ","}, ("UTF-8", "semicolon", "comma")),
        ({"separator": "\t", "decimal": ","}, ("UTF-8", "tab", "comma")),
        ({"separator": "|"}, ("UTF-8", "vertical bar", "point")),
        ({"encoding": "latin-1"}, ("LATIN-1", "comma", "point")),
        ({"encoding": "utf-16", "separator": ";"}, ("UTF-16", "semicolon", "point")),
        ({"encoding": "utf-8-sig", "end": "\r\n"}, ("UTF-8", "comma", "point")),
        ({"end": "\r", "pack": True}, ("UTF-8", "comma", "point")),
    ],
)
def test_every_dialect_gives_the_same_table(tmp_path, options, said):
    write(tmp_path / "table.csv", **options)
    frame, facts = read_table(tmp_path / "table.csv")
    assert (facts.encoding, facts.separator, facts.decimal) == said
    assert list(frame) == NAMES
    assert facts.types == {"name": "text", "size": "number", "count": "number", "day": "date"}
    assert frame["name"].tolist() == [row[0] for row in ROWS]
    assert frame["size"].tolist()[::2] == [1.5, -2e-3]
    assert frame["count"].tolist() == [3, 4, 5]
    assert frame["day"][0] == pd.Timestamp("2020-01-02")
    assert frame.isna().to_numpy().sum() == facts.missing == 2
    assert facts.rows == facts.rows_used == 3
    assert json.loads(json.dumps(facts.to_dict()))["rows"] == 3


def test_facts_read_as_a_sentence(tmp_path):
    write(tmp_path / "table.csv", ";", ",")
    frame, facts = read_table(tmp_path / "table.csv", max_rows=2)
    assert len(frame) == 2
    assert facts.explain() == (
        "table.csv: CSV (UTF-8, separated by semicolon, decimal comma); 3 rows, 4 columns (2 number, 1 date, "
        f"1 text), {facts.missing} missing values. 2 rows were drawn at random and used."
    )


def test_missing_words_blanks_and_odd_headers(tmp_path):
    path = tmp_path / "odd.csv"
    path.write_text("\n\n, a ,b\n0, ?,NA\n\n1, yes ,7\n2,None,null\n")
    frame, facts = read_table(path)
    assert list(frame) == ["Unnamed: 0", "a", "b"]
    assert frame["a"].isna().tolist() == [True, False, False]
    assert frame["a"].tolist()[1:] == ["yes", "None"]  # a word for nothing is a value; "?" is not
    assert facts.types["b"] == "number"
    assert frame["b"].tolist()[1] == 7
    assert facts.missing == 3


def test_a_column_is_a_number_only_if_every_value_is(tmp_path):
    path = tmp_path / "mixed.csv"
    path.write_text("a;b;c;d\n1;1,5;1.234,5;2020-13-01\ninf;2;1;2020-01-01\n")
    frame, facts = read_table(path)
    assert facts.types == {"a": "number", "b": "number", "c": "text", "d": "text"}
    assert frame["a"].tolist() == [1, np.inf]
    assert frame["b"].tolist() == [1.5, 2]


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
    assert facts.form == "Parquet"
    assert list(facts.types.values()) == ["number", "boolean", "text", "date", "number", "text"]
    assert frame["price"].tolist() == [1.0, 2.0, 3.0]
    assert frame["level"].tolist() == ["u", "v", "u"]
    assert frame["text"].tolist() == ["1", "2", "x"]
    assert facts.missing == 3
    again = pd.concat(iterate_table(path, facts.types))
    assert again["day"].tolist()[1] == pd.Timestamp("1970-01-02")


def test_pieces_have_the_types_of_the_training_table(tmp_path):
    (tmp_path / "train.csv").write_text(
        "code,size,extra,when,label\nA1,1,x,2020-01-01,0\n12,2,y,2020-01-02,1\n"
    )
    _, facts = read_table(tmp_path / "train.csv")
    types = {name: kind for name, kind in facts.types.items() if name not in ("extra", "label")}
    (tmp_path / "new.csv").write_text("size,note,when,code\n1.5,,,12\n,x,2020-02-01,13\n")
    with pytest.warns(UserWarning, match="not in the training table are ignored: 'note'"):
        frame = pd.concat(iterate_table(tmp_path / "new.csv", types))
    assert list(frame) == ["code", "size", "when"]
    assert frame["code"].tolist() == ["12", "13"]  # text, although every value here is a number
    assert frame["when"].isna().tolist() == [True, False]
    for text, said in [
        (
            "size,when,code\nbig,,1\n",
            "column 'size' of .*new.csv' holds 'big'; expected a number, as in",
        ),
        ("size,when,code\n1,soon,1\n", "holds 'soon'; expected a date"),
        ("Size,when,code\n1,,1\n", "has no column 'size'; expected the 3 columns .* Did you mean 'Size'"),
        ("when,x\n,1\n", "has no column 'code' and 1 more"),
    ]:
        (tmp_path / "new.csv").write_text(text)
        with pytest.raises(InputError, match=said):
            list(iterate_table(tmp_path / "new.csv", types))


def test_types_agree_across_formats(tmp_path):
    """What was boolean, date or number in Parquet is read from CSV as the same values, and the other way."""
    given = pa.table(
        {
            "flag": pa.array([True, None, False]),
            "day": pa.array([0, None, 86_400 * 10**9], pa.timestamp("ns")),
            "size": pa.array([1.5, None, 2.0]),
            "level": ["1", "2", "1"],
        }
    )
    pa.parquet.write_table(given, tmp_path / "a.parquet")
    frame, facts = read_table(tmp_path / "a.parquet")
    assert list(facts.types.values()) == ["boolean", "date", "number", "text"]
    (tmp_path / "a.csv").write_text(
        "flag,day,size,level\nTrue,1970-01-01,1.5,1\n,,,2\nfalse,1970-01-02T00:00:00,2,1\n"
    )
    again = pd.concat(iterate_table(tmp_path / "a.csv", facts.types))
    for name in ("flag", "size", "level"):
        assert frame[name].dropna().tolist() == again[name].dropna().tolist()
    assert frame["day"].dtype == again["day"].dtype  # the unit too: pandas would keep each file's own
    assert (frame["day"].dropna() == again["day"].dropna()).all()
    zero_one = pa.table(
        {"flag": [1, None, 0], "day": given["day"].cast(pa.timestamp("ms")), "size": [True, None, True]}
    )
    pa.parquet.write_table(zero_one.append_column("level", pa.array([1, 2, 1])), tmp_path / "b.parquet")
    other = pd.concat(iterate_table(tmp_path / "b.parquet", facts.types))
    assert other["flag"].dropna().tolist() == [1, 0]
    assert other["size"].dropna().tolist() == [1, 1]
    assert other["level"].tolist() == ["1", "2", "1"]
    assert other["day"].dtype == frame["day"].dtype
    (tmp_path / "c.csv").write_text("flag,day,size,level\nmaybe,,,\n")
    with pytest.raises(InputError, match=r"column 'flag' of .* holds 'maybe'; expected a boolean"):
        list(iterate_table(tmp_path / "c.csv", facts.types))


@pytest.mark.parametrize("compressed", [False, True])
def test_draws_are_uniform_seeded_and_in_order(tmp_path, monkeypatch, compressed):
    monkeypatch.setattr(files, "_BLOCK_BYTES", 512)  # many blocks, so that rows are dropped on the way
    data = ("i,x\n" + "".join(f"{i},a\n" for i in range(1000))).encode()
    path = tmp_path / "table.csv"
    path.write_bytes(gzip.compress(data) if compressed else data)
    counts = np.zeros(1000)
    for seed in range(150):
        frame, facts = read_table(path, max_rows=50, random_state=seed)
        drawn = frame["i"].to_numpy()
        assert len(drawn) == facts.rows_used == 50
        assert facts.rows == 1000
        assert (np.diff(drawn) > 0).all()
        counts[drawn] += 1
    # each row is drawn with probability 1/20; sums over 100 rows have standard deviation about 25 around 750
    assert np.abs(counts.reshape(10, 100).sum(axis=1) - 750).max() < 5 * 25
    assert counts.max() < 30
    first = read_table(path, max_rows=50, random_state=7)[0]
    assert first.equals(read_table(path, max_rows=50, random_state=7)[0])
    assert read_table(path, max_rows=1000)[0]["i"].tolist() == list(range(1000))
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
    for values in ([b"\xff", b"x"], [{"u": 1}, {"u": 2}], pa.array([1, 2], pa.duration("s"))):
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


def test_facts_are_a_result():
    assert FileFacts("a.csv", "CSV", "UTF-8", "comma", "point", 1, 1, {"a": "number"}, 0).to_dict()[
        "types"
    ] == {"a": "number"}
