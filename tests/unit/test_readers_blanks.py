"""Blanks between a separator and a quoted value are no part of the value."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from testtime.errors import InputError
from testtime.table.readers import delimited, iterate_table, read_table

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")
ROWS = [
    ["1", "red", "x, y"],
    ["2", "a\nb", 'say "no"'],
    ["3", None, "z"],
    [None, None, None],
    ["4", "5 in", None],
]


def spaced(separator: str, end: str = "\n") -> str:
    def cell(value):
        return "" if value is None else value if value.isdigit() else '"{}"'.format(value.replace('"', '""'))

    lines = [
        [f'"{name}"' for name in ("a", "colour, main", "y")],
        *([cell(one) for one in row] for row in ROWS),
    ]
    return "".join(f"{separator}  ".join(line) + " " + end for line in lines)


@pytest.mark.parametrize("separator", [",", ";", "|"])
@pytest.mark.parametrize("before", ["", "\n\n", "Sales of May\n\n"])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_blanks_before_quotes_are_left_out(tmp_path, separator, before, encoding, monkeypatch):
    monkeypatch.setattr(delimited, "_BLOCK_CELLS", 6)  # more than one piece
    text = before + spaced(separator)
    (tmp_path / "t.csv").write_bytes(gzip.compress(text.encode(encoding)))
    frame, facts = read_table(tmp_path / "t.csv")
    assert list(frame) == ["a", "colour, main", "y"]
    assert frame.replace({np.nan: None}).to_numpy().tolist() == [row for row in ROWS if any(row)]
    assert ("1 empty" in facts.explain(), "above the header" in facts.explain()) == (True, "Sales" in before)
    pieces = list(iterate_table(tmp_path / "t.csv", ["y"]))
    assert sum(map(len, pieces)) == len(ROWS)
    assert pieces[0]["y"].iloc[0] == "x, y"


def test_the_ends_of_lines_may_be_those_of_windows(tmp_path):
    (tmp_path / "t.csv").write_bytes(b'"a", "b"\r\n1, "red"\r\n2, "blue"\r\n')
    assert read_table(tmp_path / "t.csv")[0].to_numpy().tolist() == [["1", "red"], ["2", "blue"]]
    (tmp_path / "t.csv").write_bytes(b'sep=,\r\n"a", "b"\r\n1, "red"\r\n2, "blue"\r\n')
    assert read_table(tmp_path / "t.csv")[0].to_numpy().tolist() == [["1", "red"], ["2", "blue"]]


def test_marks_behind_blanks_that_quote_no_value_stay(tmp_path):
    (tmp_path / "t.csv").write_text(
        'size,pipe\n1, "Big Ben" model\n2, 5" wide 6" long\n3,"he said, ""no"", twice"\n'
    )
    assert read_table(tmp_path / "t.csv")[0]["pipe"].tolist() == [
        '"Big Ben" model',
        '5" wide 6" long',
        'he said, "no", twice',
    ]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ('1, "red"\n2, "blue", "x"\n', "the row '2,blue,x' has 3 values and the header 2"),
        ('1, "red"\n2, "blu', "its last quoted value is not closed"),
    ],
)
def test_damage_is_found(tmp_path, rows, said):
    (tmp_path / "t.csv").write_text('"a", "b"\n' + '0, "green"\n' * 9 + rows)
    with pytest.raises(InputError, match=said):
        read_table(tmp_path / "t.csv")


@pytest.mark.parametrize("text", ["sep=;\n", '""', '""\n""\n'])
def test_a_file_of_nothing_is_empty(tmp_path, text):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError, match="it is empty"):
        read_table(tmp_path / "t.csv")
