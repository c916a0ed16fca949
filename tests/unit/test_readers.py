"""Tables from files: dialects, packing, formats, uniform draws, memory, pipes, and what is refused."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import io
import json
import lzma
import os
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from testtime.errors import InputError, MissingExtra
from testtime.table.columns import DataWarning, TableColumns
from testtime.table.readers import FileFacts, delimited, dialect, iterate_table, read_table

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")
ROWS = [
    ("Ånn, the 1st", 1.5, 3, "2020-01-02"),
    ('say "x"', None, 4, None),
    ("two\nlines", -2e-3, 5, "2021-12-31"),
]
NAMES = ["name", "size", "count", "day"]


def written(separator=",", decimal=".", encoding="utf-8", end="\n", rows=ROWS) -> bytes:
    """Write rows by hand, so that reading is not checked against another reader."""

    def field(value):
        if value is None:
            return ""
        if isinstance(value, float):
            return repr(value).replace(".", decimal)
        text = str(value).replace('"', '""')
        return f'"{text}"' if any(sign in text for sign in (separator, '"', "\n")) else text

    lines = [separator.join(NAMES), *(separator.join(map(field, row)) for row in rows)]
    return "".join(line + end for line in lines).encode(encoding)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, ("UTF-8", "comma")),
        ({"separator": ";", "decimal": ","}, ("UTF-8", "semicolon")),
        ({"separator": "\t", "decimal": ","}, ("UTF-8", "tab")),
        ({"separator": "|"}, ("UTF-8", "vertical bar")),
        ({"encoding": "cp1252"}, ("Windows-1252", "comma")),
        ({"encoding": "utf-16", "separator": ";"}, ("UTF-16", "semicolon")),
        ({"encoding": "utf-8-sig", "end": "\r\n"}, ("UTF-8", "comma")),
        ({"end": "\r"}, ("UTF-8", "comma")),
    ],
)
@pytest.mark.parametrize("pack", ["", "gzip", "bz2", "xz", "zip"])
def test_every_dialect_gives_the_same_table(tmp_path, options, said, pack):
    path = tmp_path / "table.dat"  # what a file is is found from its bytes
    path.write_bytes(packed(written(**options), pack))
    frame, facts = read_table(path)
    assert (facts.encoding, facts.separator, facts.packing) == (*said, pack)
    assert list(frame) == list(facts.columns) == NAMES
    assert frame["name"].tolist() == [row[0] for row in ROWS]
    assert frame["count"].tolist() == ["3", "4", "5"]
    assert frame.isna().to_numpy().sum() == 2
    assert facts.rows == facts.rows_used == 3
    assert json.loads(json.dumps(facts.to_dict()))["rows"] == 3
    x = TableColumns().fit_transform(frame).x
    assert x[[0, 2], 1].tolist() == [1.5, -2e-3]
    assert x[:, 2].tolist() == [3, 4, 5]


def packed(data: bytes, how: str) -> bytes:
    if how == "zip":
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w") as archive:
            archive.writestr("folder/", "")
            archive.writestr("folder/table.csv", data)
            archive.writestr("__MACOSX/folder/._table.csv", b"x")
        return stream.getvalue()
    return {"": bytes, "gzip": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[how](data)


def test_facts_read_as_a_sentence(tmp_path):
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(written(";")))
    frame, facts = read_table(tmp_path / "table.csv.gz", max_rows=2)
    assert len(frame) == 2
    assert facts.explain() == (
        "table.csv.gz: CSV (gzip, UTF-8, separated by semicolon); 3 rows, 4 columns. 2 rows were drawn at random "
        "and used."
    )


@pytest.mark.parametrize(
    ("text", "encoding"), [("5 € – „ja“", "cp1252"), ("naïve", "cp1252"), ("na\x81", "latin-1")]
)
def test_what_is_no_utf8_is_what_windows_writes(tmp_path, text, encoding):
    path = tmp_path / "table.csv"
    path.write_bytes(f"a,b\n{text},1\n".encode(encoding))
    frame, facts = read_table(path)
    assert frame["a"].tolist() == [text]
    assert facts.encoding == {"cp1252": "Windows-1252", "latin-1": "Latin-1"}[encoding]


def test_cells_stay_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("label,x,y\n01, a ,NA\n02,?,\n")
    frame, _ = read_table(path)
    assert frame["label"].tolist() == ["01", "02"]
    assert frame["x"].tolist() == ["a", "?"]
    assert frame["y"].tolist()[0] == "NA"
    assert frame["y"].isna().tolist() == [False, True]


@pytest.mark.parametrize(
    ("text", "names", "rows", "note"),
    [
        ("\n\n, a ,b\n0, ?,NA\n\n1, yes ,7\n", ["Unnamed: 0", "a", "b"], 2, None),
        ("a,b,\n1,2,\n3,4,\n", ["a", "b", "Unnamed: 2"], 2, None),
        ("a,b\n1,2,\n3,4,\n", ["a", "b", "Unnamed: 2"], 2, None),
        ("a,b,\n1,2\n3,4\n", ["a", "b"], 2, None),
        ("sep=;\na;b\n1;2\n", ["a", "b"], 1, None),
        ("Report 2020\n\na,b\n1,2\n3,4\n5,6\n", ["a", "b"], 3, "1 lines above the header are left out"),
        (
            "Report 2020;;\nSales;;\na;b;c\n1;2;3\n3;4;5\n5;6;7\n",
            ["a", "b", "c"],
            3,
            "2 lines above the header are left out",
        ),
        ("a,b\n1,2\n,\n3,4\n,\n,\n", ["a", "b"], 2, "3 empty rows are left out"),
        ("a\n1\n2\n", ["a"], 2, None),
        ("a\n1,\n2,\n3,\n", ["a", "Unnamed: 1"], 3, None),
    ],
)
def test_odd_files_that_people_mail(tmp_path, text, names, rows, note):
    path = tmp_path / "odd.csv"
    path.write_text(text)
    frame, facts = read_table(path)
    assert (list(frame), len(frame)) == (names, rows)
    assert facts.notes == ((note,) if note else ())


def test_a_trailing_separator_is_no_column_of_the_model(tmp_path):
    (tmp_path / "train.csv").write_text("a,b,\n1,2,\n3,5,\n")
    columns = TableColumns()
    with pytest.warns(DataWarning, match="left out: 'Unnamed: 2'"):
        columns.fit(read_table(tmp_path / "train.csv")[0])
    (tmp_path / "new.csv").write_text("a,b\n1,2\n")
    pieces = list(iterate_table(tmp_path / "new.csv", columns.required))
    assert columns.transform(pieces[0]).x.tolist() == [[1.0, 2.0]]


def test_marks_that_quote_nothing_are_no_quotes(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    path.write_text('size,pipe\n1,5" wide\n2,"a ""b"""\n')  # an odd number of marks, the last closes
    for block in (1, 7, 2**20):
        monkeypatch.setattr(dialect, "_BLOCK", block)
        assert read_table(path)[0]["pipe"].tolist() == ['5" wide', 'a "b"']


def typed_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "x": [1.5, None, 3.0, 4.0, 6.0],
            "n": pd.array([3, 1, None, 2, 2], dtype="Int32"),
            "flag": pd.array([True, None, False, True, False], dtype="boolean"),
            "text": ["b", None, "a", "b", "a"],
            "digits": ["01", "2", "1", "2", "1"],
            "day": pd.to_datetime(["2024-01-01", None, "2024-02-01", "2024-03-01", "2023-01-01"]),
            "at": pd.to_datetime(["2024-01-01T12:00Z", None, "2024-02-01T06:00Z", "2024-03-01T00:00Z", None]),
        }
    )


def write_as(form: str, path) -> None:
    frame = typed_table()
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if form == "CSV":
        frame.to_csv(path, index=False)
    elif form == "Parquet":
        pa.parquet.write_table(table, path, row_group_size=2)
    elif form == "Feather":
        pa.feather.write_feather(table, path, chunksize=2)
    elif form == "Feather 1":
        pa.feather.write_feather(
            table.drop_columns(["at"]).append_column("at", table["at"].cast(pa.timestamp("us"))),
            path,
            version=1,
        )
    elif form == "stream":
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    elif form == "JSON":
        frame.to_json(path, orient="records", lines=True, date_format="iso")
    elif form == "JSON array":
        frame.to_json(path, orient="records", date_format="iso")
    else:
        frame.assign(at=frame["at"].dt.tz_localize(None)).to_excel(path, index=False)


FORMS = ["CSV", "Parquet", "Feather", "Feather 1", "stream", "JSON", "JSON array", "Excel"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("pack", ["", "gzip", "zip"])
def test_one_table_is_one_table_in_every_format(tmp_path, form, pack):
    path = tmp_path / "table"
    write_as(form, tmp_path / "plain.xlsx")
    path.write_bytes(packed((tmp_path / "plain.xlsx").read_bytes(), pack))
    frame, facts = read_table(path)
    assert facts.form == {
        "Feather": "Arrow",
        "Feather 1": "Arrow",
        "stream": "Arrow",
        "JSON array": "JSON",
    }.get(form, form)
    assert list(frame) == list(typed_table())
    assert facts.rows == 5
    expected = TableColumns().fit_transform(typed_table())
    found = TableColumns().fit_transform(frame)
    assert (found.names, found.kinds) == (expected.names, expected.kinds)
    np.testing.assert_array_equal(found.x, expected.x)


@pytest.mark.parametrize("trained", FORMS)
def test_a_model_of_one_format_reads_every_other(tmp_path, trained):
    write_as(trained, tmp_path / "train.xlsx")
    columns = TableColumns()
    x = columns.fit_transform(read_table(tmp_path / "train.xlsx")[0]).x
    for form in FORMS:
        path = tmp_path / f"{form}.xlsx"
        write_as(form, path)
        pieces = [columns.transform(piece).x for piece in iterate_table(path, columns.required)]
        np.testing.assert_array_equal(np.concatenate(pieces), x, err_msg=form)


def test_types_are_kept(tmp_path):
    path = tmp_path / "table.parquet"
    given = pa.table(
        {
            "x": pa.array([1, 2, None], pa.int32()),
            "flag": pa.array([True, None, False]),
            "level": pa.array(["u", "v", "u"]).dictionary_encode(),
            "day": pa.array([0, 86_400_000, None], pa.timestamp("ms")),
            "date": pa.array([dt.date(2020, 1, 1), None, dt.date(2020, 1, 2)]),
            "price": pa.array([1, 2, 3], pa.decimal128(5, 2)),
            "large": pa.array([2**60 + 1, None, 3], pa.int64()),
            "text": ["1", "2", "x"],
        }
    )
    pa.parquet.write_table(given, path)
    frame, facts = read_table(path)
    assert (facts.form, facts.encoding) == ("Parquet", "")
    assert frame["price"].tolist() == [1.0, 2.0, 3.0]
    assert frame["large"][0] == 2**60 + 1
    assert isinstance(frame["level"].dtype, pd.CategoricalDtype)
    assert frame["date"][0] == pd.Timestamp("2020-01-01")
    assert frame["text"].tolist() == ["1", "2", "x"]


def test_json_rows_may_lack_keys_and_mix_types(tmp_path, monkeypatch):
    from testtime.table.readers import json_lines

    path = tmp_path / "table.jsonl"
    path.write_text('{"a": 1, "b": "x"}\n{"a": "2", "c": null}\n\n{"b": true, "a": NaN}\n{"c": 5, "a": 2.5}')
    for block in (2**23, 30):
        monkeypatch.setattr(json_lines, "_BLOCK_BYTES", block)
        frame, _ = read_table(path)
        assert {"a", "b"} <= set(frame)
        assert frame["a"].astype(str).str.replace(".0", "").tolist()[:2] == ["1", "2"]
        pieces = [piece["b"] for piece in iterate_table(path, ["a", "b"])]
        assert sum(map(len, pieces)) == 4


def test_workbooks(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    book.create_sheet("notes").append(["see", "data"])
    book.create_sheet("data")
    sheet = book.worksheets[0]
    for row in (
        [],
        ["a", "b", None, "t"],
        [1, "x", None, dt.time(12, 30)],
        [2.5, True],
        [],
        [None, dt.datetime(2020, 1, 2)],
    ):
        sheet.append(row)
    book.save(tmp_path / "table.xlsx")
    frame, facts = read_table(tmp_path / "table.xlsx")
    assert list(frame) == ["a", "b", "Unnamed: 2", "t"]
    assert frame["a"].tolist()[:2] == ["1", "2.5"]
    assert frame["b"].tolist() == ["x", "True", "2020-01-02"]
    assert frame["t"].tolist()[0] == "12:30:00"
    assert facts.notes == ("the sheet 'Sheet' is read, not 'notes', 'data'",)
    sheet.append([1, 2, 3, 4, 5])
    book.save(tmp_path / "table.xlsx")
    with pytest.raises(InputError, match="a row has 5 values and the header 4"):
        read_table(tmp_path / "table.xlsx")
    Workbook().save(tmp_path / "empty.xlsx")
    with pytest.raises(InputError, match="it is empty"):
        read_table(tmp_path / "empty.xlsx")


def test_a_workbook_without_the_extra_says_what_to_install(tmp_path, monkeypatch):
    write_as("Excel", tmp_path / "table.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(
        MissingExtra, match=r"is an Excel workbook and openpyxl is not installed. Install testtime\[excel\]"
    ):
        read_table(tmp_path / "table.xlsx")


def test_pieces_hold_the_columns_that_are_asked_for(tmp_path):
    (tmp_path / "new.csv").write_text("size,note,when,code,label\n1.5,,,12,a\n,x,2020-02-01,13,b\n")
    with pytest.warns(DataWarning, match="not in the training table are ignored: 'note'"):
        frame = pd.concat(iterate_table(tmp_path / "new.csv", ["code", "size", "when"], known=["label"]))
    assert list(frame) == ["code", "size", "when"]
    assert frame["code"].tolist() == ["12", "13"]
    for text, said in [
        ("Size,when,code\n1,,1\n", r"has no column 'size'; expected the 3 columns .* Did you mean 'Size'"),
        ("when,x\n,1\n", "has no column 'code' and 1 more"),
    ]:
        (tmp_path / "new.csv").write_text(text)
        with pytest.raises(InputError, match=said):
            list(iterate_table(tmp_path / "new.csv", ["code", "size", "when"]))


@pytest.mark.parametrize("pack", ["", "gzip"])
def test_draws_are_uniform_seeded_and_in_order(tmp_path, monkeypatch, pack):
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 512)  # many blocks, so that rows are dropped on the way
    path = tmp_path / "table.csv"
    path.write_bytes(packed(("i,x\n" + "".join(f"{i},a\n" for i in range(1000))).encode(), pack))
    counts = np.zeros(1000)
    for seed in range(150):
        frame, facts = read_table(path, max_rows=50, random_state=seed)
        drawn = frame["i"].astype(int).to_numpy()
        assert len(drawn) == facts.rows_used == 50
        assert facts.rows == 1000
        assert (np.diff(drawn) > 0).all()
        assert frame.index.tolist() == drawn.tolist()  # the index says which rows they are
        counts[drawn] += 1
    # each row is drawn with probability 1/20; sums over 100 rows have standard deviation about 25 around 750
    assert np.abs(counts.reshape(10, 100).sum(axis=1) - 750).max() < 5 * 25
    assert counts.max() < 30
    first = read_table(path, max_rows=50, random_state=7)[0]
    assert first.equals(read_table(path, max_rows=50, random_state=7)[0])
    assert read_table(path, max_rows=1000)[0]["i"].tolist() == list(map(str, range(1000)))
    assert read_table(path, max_rows=5000)[1].rows_used == 1000


def test_a_row_counter_is_known_in_a_draw(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"z": rng.standard_normal(500), "y": rng.standard_normal(500)})
    table.to_csv(tmp_path / "table.csv")
    frame, _ = read_table(tmp_path / "table.csv", max_rows=100)
    with pytest.warns(DataWarning, match="'Unnamed: 0' is left out: it counts the rows"):
        assert TableColumns().fit_transform(frame).names == ("z", "y")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is empty"),
        (b"\n \n", "it is empty"),
        (b"a,b\n", "it has a header and no rows"),
        (b"a,b\n,\n,\n", "it has a header and no rows"),
        (b"a,b,a\n1,2,3\n", r"has 2 columns called 'a'.*Rename"),
        (b"a,b,c\n1,x,2\n2,y,3\n3,z\n", "Row #4: Expected 3 columns, got 2"),
        (b"a,b\n1,2\n1,2,3\n1,2\n", "Row #3: Expected 2 columns, got 3"),
        (b'a,b\n1,"x"\n2,"y\n3,z\n', "its last quoted value is not closed"),
        (b'a;b\n1;"x"\n2;"', "its last quoted value is not closed"),
        (b"a,b\n1,\x00\x01\n", "zero bytes"),
        (b'{"rows": [1, 2]}', "it is JSON, but not a row of values per line"),
        (b'{"a": 1}\n{"a": 2', "it is not a row of JSON per line"),
        (b"[1, 2]", "it is not a row of JSON per line: a row is no object"),
        (b"[" * 100_000, "it is not a row of JSON per line"),
        (b"[]", "it holds no rows|a header and no rows|not a row of values"),
        (b"<html><table>", "like JSON or HTML"),
        (b"PK\x03\x04....", "its zip data is incomplete or damaged"),
        (b"%PDF-1.7", "a PDF document"),
        (b"PAR1half a file", "Copy the file again"),
        (b"ARROW1half a file", "Copy the file again"),
        (b"FEA1half a file", "Copy the file again"),
        (b"\xff\xff\xff\xffhalf a file", "Copy the file again"),
        (gzip.compress(b"a,b\n1,2\n" * 2000, mtime=0)[:-12], "gzip data is incomplete"),
        (bz2.compress(b"a,b\n1,2\n" * 2000)[:-12], "bz2 data is incomplete"),
        (lzma.compress(b"a,b\n1,2\n" * 2000)[:-12], "xz data is incomplete"),
        (
            packed(b"a,b\n1,2\n" * 2000, "zip").replace(b"\n1,2\n", b"\n1,3\n", 1),
            "zip data is incomplete or damaged",
        ),
        (
            b"Once upon a time, there was a king.\nHe had, as kings do, a daughter, and a horse.\n",
            "as a table",
        ),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, data, said):
    path = tmp_path / "table.csv"
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_table(path)


def test_archives_that_are_no_table_are_refused(tmp_path):
    path = tmp_path / "table.zip"
    for files, said in [
        (
            {"a.csv": "a\n1", "b.csv": "b\n1"},
            "an archive of 2 files: 'a.csv', 'b.csv'.*pass one of the files",
        ),
        ({"folder/": ""}, "an empty archive"),
        ({"mimetype": "x", "content.xml": "x"}, "an OpenDocument spreadsheet"),
        ({"xl/workbook.xml": "x", "[Content_Types].xml": "x"}, "it is no valid workbook"),
    ]:
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        with pytest.raises(InputError, match=said):
            read_table(path)


@pytest.mark.parametrize("form", ["Parquet", "Feather", "Feather 1", "stream", "Excel"])
def test_half_written_files_are_refused(tmp_path, form):
    write_as(form, tmp_path / "whole.xlsx")
    data = (tmp_path / "whole.xlsx").read_bytes()
    for length in range(8, len(data) - 8, max(1, len(data) // 25)):
        (tmp_path / "part").write_bytes(data[:length])
        try:
            frame, _ = read_table(tmp_path / "part")
        except InputError as error:
            assert "cannot be read as a table" in str(error)
        else:
            assert form == "stream"  # the only one whose end is not marked at its beginning
            assert len(frame) < 5


def test_names_twice_and_no_rows_in_typed_files(tmp_path):
    path = tmp_path / "table"
    twice = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    for write in (pa.parquet.write_table, pa.feather.write_feather):
        write(twice, path)
        with pytest.raises(InputError, match="2 columns called 'a'"):
            read_table(path)
        write(pa.table({"a": pa.array([], pa.int64())}), path)
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
    with pytest.raises(InputError, match="cannot be read as a table"):
        read_table("a\0b")


@pytest.mark.parametrize("form", ["CSV", "Parquet", "Excel"])
def test_pipes_are_read_once_to_the_end(tmp_path, form):
    write_as(form, tmp_path / "table.xlsx")
    expected = read_table(tmp_path / "table.xlsx")[0]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(
        target=lambda: pipe.write_bytes((tmp_path / "table.xlsx").read_bytes()), daemon=True
    )
    writer.start()
    pd.testing.assert_frame_equal(read_table(pipe)[0], expected)
    writer.join()


READ = """
import sys
from testtime.table.readers import iterate_table, read_table
frame, facts = read_table(sys.argv[1])
print(facts.path, len(frame))
"""


def run(code: str, *arguments: str, stdin: bytes = b"") -> str:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, input=stdin, capture_output=True, env=environment, check=True
    ).stdout.decode()


@pytest.mark.parametrize(("path", "name"), [("-", "standard input"), ("/dev/stdin", "/dev/stdin")])
def test_standard_input(path, name):
    assert run(READ, path, stdin=b"a,b\n" + b"1,2\n" * 100_000) == f"{name} 100000\n"
    assert run(READ, path, stdin=gzip.compress(b"a,b\n1,2\n")) == f"{name} 1\n"


MEASURE = """
import resource, sys
from testtime.table.readers import iterate_table, read_table
from testtime.table.columns import TableColumns
columns = TableColumns()
frame, facts = read_table(sys.argv[1], max_rows=1000)
columns.fit_transform(frame)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
frame, facts = read_table(sys.argv[1], max_rows=1000)
rows = sum(len(columns.transform(piece).x) for piece in iterate_table(sys.argv[1], columns.required))
print(len(frame), facts.rows, rows, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def test_memory_does_not_grow_with_the_file(tmp_path):
    rng = np.random.default_rng(0)
    lines = [",".join(f"{value:.6f}" for value in row) for row in rng.random((1000, 20))]
    used = {}
    for times in (100, 400):  # 18 and 72 MB
        path = tmp_path / f"{times}.csv"
        path.write_text(",".join(f"c{i}" for i in range(20)) + "\n" + ("\n".join(lines) + "\n") * times)
        kept, seen, encoded, used[times] = map(int, run(MEASURE, str(path)).split())
        assert (kept, seen, encoded) == (1000, 1000 * times, 1000 * times)
    assert used[400] < used[100] + 60  # MB; all rows as text would be 300 MB more


def test_facts_are_a_result():
    facts = FileFacts("a.csv", "CSV", "", "UTF-8", "comma", ("a",), 1, 1, ())
    assert facts.to_dict()["columns"] == ["a"]
