"""Tables from files: dialects, packing, formats and uniform draws."""

from __future__ import annotations

import bz2
import datetime as dt
import gzip
import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest

from tests.support.readers import FORMS, packed, typed_table, write_as
from testtime.errors import InputError
from testtime.table.columns import DataWarning, TableColumns
from testtime.table.readers import FileFacts, delimited, encoding, iterate_table, read_table

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


def test_facts_read_as_a_sentence(tmp_path):
    (tmp_path / "table.csv.gz").write_bytes(gzip.compress(written(";")))
    frame, facts = read_table(tmp_path / "table.csv.gz", max_rows=2)
    assert len(frame) == 2
    assert facts.explain() == (
        "table.csv.gz: CSV (gzip, UTF-8, separated by semicolon); 3 rows, 4 columns. 2 rows were drawn at random "
        "and used."
    )


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
        ("Report 2020\n\na,b\n1,2\n3,4\n5,6\n", ["a", "b"], 3, "1 line above the header is left out"),
        (
            "Report 2020;;\nSales;;\na;b;c\n1;2;3\n3;4;5\n5;6;7\n",
            ["a", "b", "c"],
            3,
            "2 lines above the header are left out",
        ),
        ("a,b\n1,2\n,\n3,4\n,\n,\n", ["a", "b"], 2, "3 empty rows are left out"),
        ("a\n1\n2\n", ["a"], 2, None),
        ("a\n1,\n2,\n3,\n", ["a", "Unnamed: 1"], 3, None),
        (
            "Länge (m, netto);Breite (m, netto);y\n23,4;24,4;a\n3,5;4,5;b\n",
            ["Länge (m, netto)", "Breite (m, netto)", "y"],
            2,
            None,
        ),
        (
            "Länge, cm;Breite, cm\n10,38;4,6\n9,6;3,8\n11,92;6,7\n",
            ["Länge, cm", "Breite, cm"],
            3,
            None,
        ),
        (
            "Name, First;score\nSmith, J;1.5\nDoe, A;2.5\nRoe, B;3.5\n",
            ["Name, First", "score"],
            3,
            None,
        ),
        ("range,text,n\n5;7,up,1\n6;8,down,2\n4;9,up,3\n", ["range", "text", "n"], 3, None),
        (
            "Sales by year\n,country,2019,2020\n1,fr,7.5,8.5\n2,it,6.5,2020\n3,es,5.5,4.5\n",
            ["Unnamed: 0", "country", "2019", "2020"],
            3,
            "1 line above the header is left out",
        ),
        (
            "a\tb\nr1\t1\t2\nr2\t3\t4\n",
            ["Unnamed: 0", "a", "b"],
            2,
            "the header has a name less than the rows have values; the first column is taken for names of rows, "
            "and 'a' for the name of the second",
        ),
        ("<TICKER>,<DATE>\nX,20200102\nY,20200103\n", ["<TICKER>", "<DATE>"], 2, None),
        ("[Order ID],[Price]\n1,2\n3,4\n", ["[Order ID]", "[Price]"], 2, None),
        ("BZhx,b\n1,2\n3,4\n", ["BZhx", "b"], 2, None),
    ],
)
def test_odd_files_that_people_mail(tmp_path, text, names, rows, note):
    path = tmp_path / "odd.csv"
    path.write_text(text)
    frame, facts = read_table(path)
    assert (list(frame), len(frame)) == (names, rows)
    assert facts.notes == ((note,) if note else ())


def test_a_first_row_of_data_with_a_year_is_no_header_below_a_title(tmp_path):
    (tmp_path / "odd.csv").write_text("People\nAnna,1999\nAnna,2001\nEva,2003\n")
    frame, _ = read_table(tmp_path / "odd.csv")
    assert (list(frame), len(frame)) == (["People", "Unnamed: 1"], 3)


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
        monkeypatch.setattr(encoding, "_BLOCK", block)
        assert read_table(path)[0]["pipe"].tolist() == ['5" wide', 'a "b"']


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


def test_damaged_bz2_is_a_sentence(tmp_path):
    data = bytearray(bz2.compress(b"a,b\n" + b"1,2\n" * 5000))
    data[len(data) // 2] ^= 255
    (tmp_path / "bad.csv.bz2").write_bytes(data)
    with pytest.raises(InputError, match="its bz2 data is incomplete or damaged"):
        read_table(tmp_path / "bad.csv.bz2")


def test_a_folder_is_said_once(tmp_path):
    with pytest.raises(InputError) as caught:
        read_table(tmp_path)
    assert str(caught.value).count("cannot be read as a table") == 1
    assert "Pass a file in it" in str(caught.value)


@pytest.mark.parametrize("word", ["Summe", "Gesamtsumme", "Total (all)", "Subtotal:", "Total général"])
def test_a_row_of_sums_is_left_out_and_is_no_draw(tmp_path, word):
    rows = "".join(f"item {i},{i}\n" for i in range(20))
    (tmp_path / "sums.csv").write_text(f"item,price\n{rows}{word},190\n", encoding="utf-8")
    frame, facts = read_table(tmp_path / "sums.csv")
    assert len(frame) == 20
    assert "holds sums" in facts.explain()
    assert "drawn at random" not in facts.explain()
    assert "7 rows were drawn at random" in read_table(tmp_path / "sums.csv", max_rows=7)[1].explain()


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


def test_draws_are_uniform_seeded_and_in_order(tmp_path, monkeypatch):
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 512)  # many blocks, so that rows are dropped on the way
    path, zipped = tmp_path / "table.csv", tmp_path / "table.csv.gz"
    path.write_text("i,x\n" + "".join(f"{i},a\n" for i in range(1000)))
    zipped.write_bytes(packed(path.read_bytes(), "gzip"))
    counts = np.zeros(1000)
    for seed in range(60):
        frame, facts = read_table(path, max_rows=50, random_state=seed)
        drawn = frame["i"].astype(int).to_numpy()
        assert len(drawn) == facts.rows_used == 50
        assert facts.rows == 1000
        if seed % 20 == 0:  # packed, the same rows are drawn
            same, facts = read_table(zipped, max_rows=50, random_state=seed)
            assert same.equals(frame)
            assert (facts.rows, facts.rows_used) == (1000, 50)
        assert (np.diff(drawn) > 0).all()
        assert frame.index.tolist() == drawn.tolist()  # the index says which rows they are
        counts[drawn] += 1
    # each row is drawn with probability 1/20; sums over 100 rows have standard deviation about 16 around 300
    assert np.abs(counts.reshape(10, 100).sum(axis=1) - 300).max() < 5 * 16
    assert counts.max() < 15
    first = read_table(path, max_rows=50, random_state=7)[0]
    assert first.equals(read_table(path, max_rows=50, random_state=7)[0])
    for given in (path, zipped):
        assert read_table(given, max_rows=1000)[0]["i"].tolist() == list(map(str, range(1000)))
        assert read_table(given, max_rows=5000)[1].rows_used == 1000


def test_a_row_counter_is_known_in_a_draw(tmp_path):
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"z": rng.standard_normal(500), "y": rng.standard_normal(500)})
    table.to_csv(tmp_path / "table.csv")
    frame, _ = read_table(tmp_path / "table.csv", max_rows=100)
    with pytest.warns(DataWarning, match="'Unnamed: 0' is left out: it counts the rows"):
        assert TableColumns().fit_transform(frame).names == ("z", "y")


def test_facts_are_a_result():
    facts = FileFacts("a.csv", "CSV", "", "UTF-8", "comma", ("a",), 1, 1, ())
    assert facts.to_dict()["columns"] == ["a"]
