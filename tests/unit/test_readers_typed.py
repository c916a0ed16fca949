"""Text beside number cells of a workbook: cells with a type do not tell how text is written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.support.columns import fitted
from testtime.table.columns.alone import read_as_numbers
from testtime.table.readers import iterate_table, read_table

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")
N_ROWS = 40


def workbook(path: Path, **columns: object) -> pd.DataFrame:
    pytest.importorskip("openpyxl")
    pd.DataFrame(columns).to_excel(path, index=False)
    return read_table(path)[0]


def mixed(number, text) -> list[object]:
    """Every other cell is text."""
    return [text(i) if i % 2 else number(i) for i in range(N_ROWS)]


def of_german_text(i: int) -> str:
    return f"{i * 7 % 89 + 1},{i * 17 % 1000:03d}"


TEXT = [of_german_text(i) for i in range(N_ROWS)]
FRACTIONS = [i * 1.1 - 7.3 for i in range(N_ROWS)]


def test_number_cells_leave_text_in_doubt(tmp_path):
    table, _ = fitted(workbook(tmp_path / "t.xlsx", conc=TEXT, temp=FRACTIONS))
    assert table.notes == (
        f"Column 'conc' holds {TEXT[0]!r}: the ',' is taken as a separator of thousands, since nothing in the table "
        "says otherwise.",
    )
    read = read_table(tmp_path / "t.xlsx")[0]
    assert "nothing in the table says" in read_as_numbers(read["conc"], read[["temp"]]).doubt


def test_text_that_tells_decides_for_text(tmp_path):
    other = [f"{i},5" for i in range(N_ROWS)]
    frame = workbook(tmp_path / "t.xlsx", conc=TEXT, temp=FRACTIONS, other=other, exact=[2.017, 3.125] * 20)
    _, encoded = fitted(frame)
    expected = [float(text.replace(",", ".")) for text in TEXT]
    np.testing.assert_array_equal(encoded.x[:, 0], expected)
    np.testing.assert_allclose(encoded.x[:, 1], FRACTIONS, rtol=1e-14)
    assert encoded.x[:2, 3].tolist() == [2.017, 3.125]  # whatever sign text has


@pytest.mark.parametrize(
    ("number", "text", "value"),
    [
        (lambda i: i + 1.5, of_german_text, lambda i: float(of_german_text(i).replace(",", "."))),
        (lambda i: 1000 * i + 1000.5, of_german_text, lambda i: float(of_german_text(i).replace(",", ""))),
        (
            lambda i: 1000 * i + 1000,
            lambda i: of_german_text(i).replace(",", "."),
            lambda i: float(of_german_text(i).replace(",", "")),
        ),
        (
            lambda i: i + 1.5,
            lambda i: of_german_text(i).replace(",", "."),
            lambda i: float(of_german_text(i).replace(",", ".")),
        ),
        (
            lambda i: -(i + 1.5),
            lambda i: f"-{of_german_text(i)}",
            lambda i: -float(of_german_text(i).replace(",", ".")),
        ),
        (lambda i: i + 2.017, lambda i: f"{i},5", lambda i: i + 0.5),
    ],
    ids=["decimals", "thousands", "thousands with points", "points", "negative", "text that tells"],
)
def test_text_is_read_into_the_range_of_the_number_cells_of_its_column(tmp_path, number, text, value):
    cells = mixed(number, text)
    expected = [value(i) if i % 2 else number(i) for i in range(N_ROWS)]
    frame = workbook(tmp_path / "t.xlsx", c=cells, z=FRACTIONS)
    table, encoded = fitted(frame)
    np.testing.assert_allclose(encoded.x[:, 0], expected, rtol=1e-14)
    assert not any("nothing in the table" in note for note in table.notes)
    np.testing.assert_allclose(read_as_numbers(frame["c"], frame[["z"]]).values, expected, rtol=1e-14)
    in_memory, encoded = fitted(pd.DataFrame({"c": cells, "z": FRACTIONS}))  # as pandas.read_excel has it
    np.testing.assert_allclose(encoded.x[:, 0], expected, rtol=1e-14)
    for new in iterate_table(tmp_path / "t.xlsx", ["c", "z"]):  # in pieces, and by its own model
        np.testing.assert_allclose(table.transform(new).x[:, 0], expected, rtol=1e-14)
        np.testing.assert_allclose(in_memory.transform(new.iloc[1:4]).x[:, 0], expected[1:4], rtol=1e-14)


def test_a_wide_range_of_number_cells_does_not_tell(tmp_path):
    cells = mixed(lambda i: 10.0 ** (i % 7 - 1), of_german_text)
    table, _ = fitted(workbook(tmp_path / "t.xlsx", c=cells))
    assert "nothing in the table says otherwise" in table.notes[0]


def test_the_reading_of_fit_stays_where_few_number_cells_would_tell_another(tmp_path):
    table, _ = fitted(workbook(tmp_path / "t.xlsx", c=mixed(lambda i: 1000.5 * (i + 1), of_german_text)))
    new = workbook(tmp_path / "new.xlsx", c=[7.5, "2,017"])
    assert table.transform(new).x[:, 0].tolist() == [7.5, 2017.0]


def test_what_a_frame_remembers_can_be_written(tmp_path):
    frame = workbook(tmp_path / "t.xlsx", c=mixed(lambda i: 1000 * i, lambda i: "2.017"), z=TEXT)
    assert list(frame.attrs.values()) == [{"c": ["2.017"]}]
    frame.to_parquet(tmp_path / "t.parquet")
    assert frame["c"].tolist()[:3] == ["0", "2.017", "2000"]  # text, as ever


def test_a_year_in_the_header_is_no_number_cell(tmp_path):
    frame = workbook(tmp_path / "t.xlsx", **{"2019": TEXT, "z": TEXT})
    assert list(frame.attrs.values()) == [{}]
