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
