"""Headers that are a name shorter than their rows: values stay under their own names."""

from __future__ import annotations

import pytest

from testtime.errors import InputError
from testtime.table.readers import read_table

ROWS_NAMED = "the first column is taken for names of rows"
LAST_UNNAMED = "the last column is the one without a name, and is called 'Unnamed: 3'"


def table(rows) -> str:
    return "temp,ph,od\n" + "".join(",".join(map(str, row)) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(20, 7, 0.5, ""), (25, 6, 0.5, "repeat"), (30, 8, 0.5, "")], LAST_UNNAMED),
        ([(20 + i % 11, 6 + i % 3, 0.5, "ok") for i in range(30)], LAST_UNNAMED),  # names would differ
        ([(f"s{i}" if i else "", 6, 0.5, "ok") for i in range(30)], LAST_UNNAMED),  # and have no gaps
        ([(f"Mazda {i}", 6, 0.5, 4) for i in range(3)], ROWS_NAMED),
        ([(i, 6, 0.5, 4) for i in range(1, 4)], ROWS_NAMED),
        ([(i * i, 6, 0.5, "" if i == 3 else 4) for i in range(20)], ROWS_NAMED),  # rows that R has chosen
    ],
)
def test_the_column_without_a_name_is_the_first_or_the_last(tmp_path, rows, said):
    (tmp_path / "table.csv").write_text(table(rows))
    frame, facts = read_table(tmp_path / "table.csv")
    first = said == ROWS_NAMED
    assert list(frame) == (
        ["Unnamed: 0", "temp", "ph", "od"] if first else ["temp", "ph", "od", "Unnamed: 3"]
    )
    assert frame["ph"].tolist() == [str(row[1 + first]) for row in rows]
    assert len(facts.notes) == 1
    assert said in facts.notes[0]


@pytest.mark.parametrize(
    "rows",
    [
        [(20, 7, 0.5, "ok"), (25, 6, 0.5, "repeat"), (30, 8, 0.5, "ok")],
        [(20 + i / 7, 7, 0.5, "ok") for i in range(30)],
        [(f"s{i}", 7, 0.5, "ok" if i % 3 else "") for i in range(30)],
    ],
)
def test_what_cannot_be_told_is_not_guessed(tmp_path, rows):
    (tmp_path / "table.csv").write_text(table(rows))
    with pytest.raises(
        InputError, match=r"has 3 names and its rows 4 values; expected a name for every column"
    ):
        read_table(tmp_path / "table.csv")


@pytest.mark.parametrize(
    "values", [["3,9", "17,5", "3,8", "19,25"], ["-3,9", "17", "1,50"], [f"{i * i},5" for i in range(30)]]
)
def test_decimal_commas_of_the_only_column_separate_nothing(tmp_path, values):
    (tmp_path / "table.csv").write_text("\n".join(["price", *values]) + "\n")
    frame, facts = read_table(tmp_path / "table.csv")
    assert (list(frame), frame["price"].tolist(), facts.notes) == (["price"], values, ())


@pytest.mark.parametrize("text", ["price\n1,9\n2,5\n3,7\n", '"price"\n"7",9\n"9",5\n"8",7\n"a",1\n'])
def test_names_of_rows_are_no_parts_of_numbers(tmp_path, text):
    (tmp_path / "table.csv").write_text(text)
    assert list(read_table(tmp_path / "table.csv")[0]) == ["Unnamed: 0", "price"]


def test_a_separator_at_the_end_of_a_column_of_whole_numbers_stays_one(tmp_path):
    (tmp_path / "table.csv").write_text("price\n4,\n7,\n5,\n")
    assert read_table(tmp_path / "table.csv")[0]["price"].tolist() == ["4", "7", "5"]


@pytest.mark.parametrize("value", ["'a,b'", "'a,b,c'", "', b'"])
def test_values_in_single_quotes_are_refused(tmp_path, value):
    (tmp_path / "table.csv").write_text("v,t\n" + "".join(f"{i},{value}\n" for i in range(20)))
    with pytest.raises(
        InputError, match=r"has 2 names .* parts of one value in single quotation marks.*double"
    ):
        read_table(tmp_path / "table.csv")


def test_apostrophes_are_no_quotes(tmp_path):
    rows = [(f"'t huis {i}", 6, 0.5, "dogs'" if i == 3 else 4) for i in range(20)]
    (tmp_path / "table.csv").write_text(table(rows))
    assert read_table(tmp_path / "table.csv")[0]["Unnamed: 0"].iloc[0] == "'t huis 0"
