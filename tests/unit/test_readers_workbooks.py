"""Excel workbooks: which sheet and which rows are the table, and what is said of those that cannot be read."""

from __future__ import annotations

import datetime as dt
import sys
import zipfile

import pandas as pd
import pytest

from tests.support.readers import write_as
from testtime.errors import InputError, MissingExtra
from testtime.table.readers import iterate_table, read_table

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


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
    assert facts.notes == ("the sheet 'Sheet' is read, not 'notes', 'data'", "1 empty row is left out")
    sheet.append([1, 2, 3, 4, 5])
    book.save(tmp_path / "table.xlsx")
    with pytest.raises(InputError, match="a row of the sheet 'Sheet' has 5 values and its header 4"):
        read_table(tmp_path / "table.xlsx")
    Workbook().save(tmp_path / "empty.xlsx")
    with pytest.raises(InputError, match="it is empty"):
        read_table(tmp_path / "empty.xlsx")


@pytest.mark.parametrize("cover", [["Sales 2024"], ["Made by the"], ["Made by the", "sales department"]])
def test_a_sheet_with_a_title_or_a_remark_is_no_table(tmp_path, cover):
    from openpyxl import Workbook

    book = Workbook()
    for line in cover:
        book.active.append([line])
    data = book.create_sheet("Data")
    for row in (["a", "b"], [1, 2], [3, 4]):
        data.append(row)
    book.save(tmp_path / "table.xlsx")
    frame, facts = read_table(tmp_path / "table.xlsx")
    assert frame["b"].tolist() == ["2", "4"]
    assert facts.notes == ("the sheet 'Data' is read, not 'Sheet'",)
    data.sheet_state = "hidden"
    book.save(tmp_path / "table.xlsx")
    if len(cover) > 1:
        assert read_table(tmp_path / "table.xlsx")[1].notes == ("the sheet 'Sheet' is read, not 'Data'",)


@pytest.mark.parametrize(
    ("first", "said"),
    [(7, "'double' holds formulas without results, such as '=A2"), ("=1+1", "'a' holds formulas")],
)
def test_formulas_without_results_are_refused(tmp_path, first, said):
    from openpyxl import Workbook

    book = Workbook()
    for row in (["a", "double"], [first, "=A2*2"], [first, "=A3*2"]):
        book.active.append(row)
    book.save(tmp_path / "table.xlsx")
    with pytest.raises(InputError, match=said) as caught:
        read_table(tmp_path / "table.xlsx")
    assert "Open it in a spreadsheet program and save it" in str(caught.value)


def test_cells_merged_down_a_column_hold_their_value_in_every_row(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    rows = [
        ["Sales"],
        [],
        ["region", "x", "two", "names"],
        *([f"R{i}", i, None, i] for i in range(8)),
        [None, 9],
    ]
    for row in rows:
        sheet.append(row)
    for merged in ("A1:A2", "A4:A6", "B8:B9", "A10:B11", "A12:A13", "C4:C8"):
        sheet.merge_cells(merged)
    book.save(tmp_path / "table.xlsx")
    frame, _ = read_table(tmp_path / "table.xlsx")
    assert list(frame) == ["region", "x", "two", "names"]
    assert frame["region"].fillna("").tolist() == ["R0", "R0", "R0", "R3", "R4", "R5", "R6", "R6", ""]
    assert frame["x"].fillna("").tolist() == ["0", "1", "2", "3", "4", "4", "", "", "9"]
    assert frame["two"].isna().all()


def test_a_table_that_begins_in_the_second_column_below_a_title(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    book.active["A1"] = "Report"
    for row in range(3, 8):
        for column, value in enumerate(["x", "y"] if row == 3 else [row, row % 2], 2):
            book.active.cell(row, column, value)
    book.save(tmp_path / "table.xlsx")
    frame, _ = read_table(tmp_path / "table.xlsx")
    assert list(frame) == ["Unnamed: 0", "x", "y"]
    assert frame["x"].tolist() == ["4", "5", "6", "7"]


def test_rows_stay_where_they_stand_in_the_sheet(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    rows = [["Prices"], [], ["a", "b"], [], [1, 2], [], [], [3, None], ["", " "], []]
    for row in rows:
        book.active.append(row)
    book.active["B40"] = ""  # no value, below all
    book.save(tmp_path / "table.xlsx")
    for row in ([5, 6], [7, 8]):
        book.active.append(row)
    book.save(tmp_path / "longer.xlsx")
    text = ",\n1,2\n,\n,\n3,\n"
    (tmp_path / "table.csv").write_text("a,b\n" + text)
    frames = [pd.concat(iterate_table(tmp_path / name, ["a", "b"])) for name in ("table.xlsx", "table.csv")]
    pd.testing.assert_frame_equal(*frames)
    longer = pd.concat(iterate_table(tmp_path / "longer.xlsx", ["a", "b"]))
    assert longer["a"].dropna().to_dict() == {1: "1", 4: "3", 37: "5", 38: "7"}
    frame, facts = read_table(tmp_path / "table.xlsx")
    assert frame["a"].tolist() == ["1", "3"]
    assert "3 empty rows are left out" in facts.notes


def test_a_hidden_sheet_is_no_table(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["k", "v"])
    book.active.sheet_state = "hidden"
    data = book.create_sheet("Data")
    for row in (["a", "y"], [1, 2], [3, 4]):
        data.append(row)
    book.save(tmp_path / "table.xlsx")
    frame, facts = read_table(tmp_path / "table.xlsx")
    assert list(frame) == ["a", "y"]
    assert facts.notes == ("the sheet 'Data' is read, not 'Sheet'",)


@pytest.mark.parametrize("harm", ["cut", "flipped", "cell"])
def test_a_workbook_whose_sheet_is_damaged_is_a_sentence(tmp_path, harm):
    write_as("Excel", tmp_path / "whole.xlsx")
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as whole:
        parts = {name: whole.read(name) for name in whole.namelist()}
    sheet = next(name for name in parts if name.endswith("sheet1.xml"))
    if harm == "cut":
        parts[sheet] = parts[sheet][: len(parts[sheet]) // 2]
    if harm == "cell":
        parts[sheet] = parts[sheet].replace(b'r="A2"', b'r="2A"')
    with zipfile.ZipFile(tmp_path / "bad.xlsx", "w", zipfile.ZIP_DEFLATED) as bad:
        for name, part in parts.items():
            bad.writestr(name, part)
        at = bad.getinfo(sheet).header_offset + 30 + len(sheet) + 10
    if harm == "flipped":
        data = bytearray((tmp_path / "bad.xlsx").read_bytes())
        data[at : at + 20] = bytes(255 - one for one in data[at : at + 20])
        (tmp_path / "bad.xlsx").write_bytes(data)
    with pytest.raises(InputError, match="it is no valid workbook"):
        read_table(tmp_path / "bad.xlsx")


def test_a_title_above_the_header_of_a_workbook_is_left_out(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    rows = [
        ["region", "units", "price"],
        *([word, i, None if i == 2 else i / 2] for i, word in enumerate("NESW")),
    ]
    for row in (["Quarterly report"], ["Printed on 3 May"], [], *rows):
        book.active.append(row)
    book.save(tmp_path / "titled.xlsx")
    frame, facts = read_table(tmp_path / "titled.xlsx")
    assert list(frame) == ["region", "units", "price"]
    assert frame["units"].tolist() == ["0", "1", "2", "3"]
    assert facts.notes == ("2 lines above the header are left out",)
    book.active.delete_rows(1, 3)
    book.save(tmp_path / "plain.xlsx")
    plain, facts = read_table(tmp_path / "plain.xlsx")
    pd.testing.assert_frame_equal(frame, plain)
    assert facts.notes == ()


def test_a_workbook_without_the_extra_says_what_to_install(tmp_path, monkeypatch):
    write_as("Excel", tmp_path / "table.xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(
        MissingExtra, match=r"is an Excel workbook and openpyxl is not installed. Install testtime\[excel\]"
    ):
        read_table(tmp_path / "table.xlsx")
