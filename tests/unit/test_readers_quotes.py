"""Values in quotes over several lines: read where they are, refused where two stray marks would swallow rows."""

from __future__ import annotations

import random

import pytest

from testtime.errors import InputError
from testtime.table.readers import encoding, quotes, read_table

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


def checked(text: str, block: int, **options) -> None:
    data = text.encode()
    blocks = (data[at : at + block] for at in range(0, len(data), block))
    quotes.check_quotes("t.csv", blocks, ",", **options)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ('v,t\n1,a\n2,"b\n3,c\n4,d\n5,"e\n6,f\n7,g\n', (3, 6)),
        ('v,t\r\n1,a\r\n2,"b\r\n3,c\r\n4,d\r\n5,"e\r\n6,f\r\n7,g\r\n', (3, 6)),
        ('v,t\r1,a\r2,"b\r3,c\r4,d\r5,"e\r6,f\r7,g\r', (3, 6)),
        ('v,t\n1,"a\nb"\n2,"b\n3,c\n4,d\n5,6" long\n', (4, 7)),
        ('v,t\n1,"x, ""y"",",2\n2,"b\n3,""\n5,"e\n', (3, 5)),
        ('"v","t"\n"b\n3",c\n"4,d\n5,"e\n', (4, 5)),
    ],
)
@pytest.mark.parametrize("block", [1, 2, 7, 2**20])
@pytest.mark.parametrize("codec", ["utf-8-sig", "utf-16"])
def test_two_stray_marks_are_refused_with_their_lines(tmp_path, text, lines, block, codec, monkeypatch):
    monkeypatch.setattr(encoding, "_BLOCK", block)
    (tmp_path / "t.csv").write_bytes(text.encode(codec))
    said = rf"in line {lines[0]}, and its closing mark .* in line {lines[1]}, so .*Remove the mark"
    with pytest.raises(InputError, match=said):
        read_table(tmp_path / "t.csv")


def test_what_stands_around_the_marks_is_shown():
    with pytest.raises(
        InputError, match=r"""begins with '"b' in line 3, .* stands within '5,"e' in line 6, so"""
    ):
        checked('v,t\n1,a\n2,"b\n3,c\n4,d\n5,"e\n6,f\n7,g\n', 2**20)


@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("block", [1, 3, 50, 2**20])
def test_tables_that_are_written_properly_are_never_refused(spaced, block):
    draw = random.Random(0)
    for _ in range(200):
        text = ""
        for _ in range(9):
            cells = ["".join(draw.choices('a,"\n\r 5', k=draw.randrange(6))) for _ in range(3)]
            cells = ['"{}"'.format(cell.replace('"', '""')) for cell in cells]
            text += (", " if spaced else ",").join([*cells, '5" pipe']) + draw.choice(("\n", "\r\n"))
        checked(text, block, spaced=spaced)


@pytest.mark.parametrize("block", [1, 3, 2**20])
def test_values_of_several_lines_and_marks_in_values_are_read(tmp_path, block, monkeypatch):
    monkeypatch.setattr(encoding, "_BLOCK", block)
    text = 'Sales of "May\nsize,"pipe\nmm"\n1,5" wide\n2,"two\nlines"\n3,"a ""b""\n" \n4,6" long\n5,"x"y\n'
    (tmp_path / "t.csv").write_text(text)
    found = read_table(tmp_path / "t.csv")[0]["pipe\nmm"].tolist()
    assert found == ['5" wide', "two\nlines", 'a "b"', '6" long', "xy"]


def test_stray_marks_behind_blanks_are_refused():
    checked('v, t\n1, "a\nb"\n2, "c"\n', 2**20, spaced=True)
    with pytest.raises(InputError, match=r"in line 4, .* in line 6, so"):
        checked('v, t\n1, "a\nb"\n2, "c\n3, d\n4, "e\n', 2**20, spaced=True)


def test_lines_above_the_header_hold_no_values():
    checked('"Sales\nof\nv,t\n1,"a"\n', 2, skipped=1)
    with pytest.raises(InputError, match=r"in line 4, .* in line 5, so"):
        checked('"Sales\nof\nv,t\n1,"a\n2,"b\n', 2, skipped=1)


@pytest.mark.parametrize("block", [1, 50])
def test_a_value_that_never_ends_is_refused(block, monkeypatch):
    with pytest.raises(InputError, match="begins in line 3 is not closed"):
        checked('v,t\n1,a\n2,"b\n3,""\n', block)
    monkeypatch.setattr(quotes, "_MOST_BYTES", 100)
    with pytest.raises(InputError, match="begins in line 2 is not closed, or goes on"):
        checked('v,t\n2,"b\n' + "3,c\n" * 100 + '3,"\n', block)
