"""Lines of a sheet that are no rows: repeated headers, rules, types; and cells that a spreadsheet keeps as text."""

from __future__ import annotations

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest

from testtime.table.columns import DataWarning
from testtime.table.readers import iterate_table, read_table
from testtime.table.readers.printed import Printed

GOODS = [f"{'red' if i % 3 else 'blue'},{i}.5,{i % 4}" for i in range(12)]
HEADER = "colour,price,stock"


def write(path, lines, separator=","):
    path.write_text("\n".join(lines).replace(",", separator) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("lines", "note"),
    [
        ([HEADER, *GOODS[:5], HEADER, *GOODS[5:]], "1 line that repeats the header is left out"),
        ([HEADER, *GOODS[:5], HEADER, *GOODS[5:], HEADER], "2 lines that repeat the header are left out"),
        ([HEADER, "------,-----,-----", *GOODS], "1 line of dashes is left out"),
        ([HEADER, "------,-----,-", *GOODS], "1 line of dashes is left out"),
        ([HEADER, "---,---:,:---:", *GOODS, "===,===,==="], "2 lines of dashes are left out"),
        ([HEADER, "string,double,int64", *GOODS], "1 line of types below the header is left out"),
        ([HEADER, "varchar,Numeric,<int>", *GOODS], "1 line of types below the header is left out"),
    ],
)
def test_lines_that_are_no_rows_are_left_out(tmp_path, lines, note):
    frame, facts = read_table(write(tmp_path / "goods.csv", lines))
    assert frame["price"].tolist() == [f"{i}.5" for i in range(12)]
    assert frame.index.tolist() == list(range(12))
    assert facts.notes == (note,)


@pytest.mark.parametrize("side", ["|", "||"])
def test_a_printed_table_has_bars_on_both_sides(tmp_path, side):
    lines = [side + line + side for line in (HEADER, "---,---,---", *GOODS[:4], HEADER, *GOODS[4:])]
    frame, facts = read_table(write(tmp_path / "goods.txt", lines, "|"))
    assert frame["colour"].tolist() == [line.split(",")[0] for line in GOODS]
    assert facts.notes == ("1 line that repeats the header is left out", "1 line of dashes is left out")


def test_an_empty_row_is_no_header_where_a_column_has_no_name(tmp_path):
    lines = ["," + line for line in (HEADER, *GOODS[:4], ",,", *GOODS[4:])]
    frame, facts = read_table(write(tmp_path / "goods.csv", lines))
    assert len(frame) == 12
    assert facts.notes == ("1 empty row is left out",)


@pytest.mark.parametrize(
    "line",
    [
        "colour,3.5,stock",
        "colour,,stock",
        "-,-,-",
        "red,-----,-----",
        "text,3.5,int",
        "-,3.5,---",
    ],
)
def test_what_may_be_a_row_stays(tmp_path, line):
    frame, facts = read_table(write(tmp_path / "goods.csv", [HEADER, line, *GOODS]))
    assert len(frame) == 13
    assert facts.notes == ()


def test_types_are_looked_for_below_the_header_only(tmp_path):
    frame, _ = read_table(write(tmp_path / "goods.csv", [HEADER, *GOODS, "string,double,int"]))
    assert len(frame) == 13


def test_types_are_looked_for_in_the_first_piece_only():
    class InPieces:
        names = ("colour", "price")

        def batches(self):
            for cells in ([], ["string", "red"], ["string", "red"]):
                yield pa.table({name: pa.array(cells, pa.string()) for name in self.names})

    sheet = Printed(InPieces())
    assert [batch.num_rows for batch in sheet.batches()] == [0, 1, 2]
    assert sheet.notes == ["1 line of types below the header is left out"]


def test_a_single_column_may_hold_its_name(tmp_path):
    frame, _ = read_table(write(tmp_path / "words.csv", ["word", "house", "word", "tree"]))
    assert frame["word"].tolist() == ["house", "word", "tree"]


def test_rows_to_predict_are_without_them_too(tmp_path):
    path = write(tmp_path / "goods.csv", [HEADER, *GOODS[:5], HEADER, *GOODS[5:]])
    with pytest.warns(DataWarning, match="In 'goods.csv' 1 line that repeats the header is left out"):
        pieces = list(iterate_table(path, ["price"], known=["colour", "stock"]))
    assert pd.concat(pieces)["price"].tolist() == [f"{i}.5" for i in range(12)]


def test_a_workbook_may_repeat_its_header(tmp_path):
    book = openpyxl.Workbook()
    for line in (HEADER, *GOODS[:5], HEADER, *GOODS[5:]):
        book.active.append(line.split(","))
    book.save(tmp_path / "goods.xlsx")
    frame, facts = read_table(tmp_path / "goods.xlsx")
    assert len(frame) == 12
    assert facts.notes == ("1 line that repeats the header is left out",)


def test_cells_that_keep_their_text_are_what_they_show(tmp_path):
    lines = ["code,price,t", *(f'"=""{i:03d}""",="{i}.5",=""' for i in range(9)), "=A1,x,y"]
    frame, facts = read_table(write(tmp_path / "codes.csv", lines))
    assert frame["code"].tolist() == [f"{i:03d}" for i in range(9)] + ["=A1"]
    assert frame["price"].tolist() == [f"{i}.5" for i in range(9)] + ["x"]
    assert frame["t"].isna().tolist() == [True] * 9 + [False]
    assert facts.notes == ('cells such as ="000" are taken as what they show',)
