"""What is no table, half a table, or no place of one: one sentence, whatever the bytes."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile

import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from tests.support.readers import packed, write_as
from testtime.errors import InputError
from testtime.table.readers import read_table

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


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
