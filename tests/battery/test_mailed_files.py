"""Ten files of the kind people mail each other: adapt and predict take them without a flag, and read what people read.

Each file is written by hand from clean values, twice: rows to fit and rows to predict. What the saved model reads of
the second file is compared with the clean values, column by column.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

import testtime
from tests.support.commands import run
from testtime.table.readers import read_table

ROWS, NEW = 60, 25
NaN = float("nan")
pytestmark = pytest.mark.usefixtures("tiny_embedded")


@dataclass(frozen=True)
class Mailed:
    """A file: its bytes for some rows, its target, and what a person reads of each column."""

    write: Callable[[range], bytes]
    target: str
    kinds: dict[str, str]
    read: dict[str, Callable[[int], float]]
    said: str = ""
    task: str = "classify"
    name: str = "mailed.csv"


def lines(
    header: str, row: Callable[[int], str], rows: range, *, before: str = "", after: str = "", end="\n"
) -> str:
    return before + header + end + "".join(row(i) + end for i in rows) + after


def german(i: int, decimals: int = 2) -> str:
    """A number as an accountant in Berlin writes it: 12.345,67."""
    return f"{amount(i):,.{decimals}f}".translate(str.maketrans(",.", ".,"))


def amount(i: int) -> float:
    return round(317.37 * (i % 29) + 0.5 * i - 90, 2)


def day(i: int) -> date:
    return date(2023, 1, 2) + timedelta(days=11 * i % 700)


def days(i: int) -> float:
    return float((day(i) - date(1970, 1, 1)).days)


def yes(i: int) -> str:
    return "ja" if i * 7 % 3 else "nein"


def mixed_day(i: int) -> str:
    """The 11th of February as four programs write it, and as two say when they mean midnight in Greenwich."""
    forms = ("%d.%m.%Y", "%Y-%m-%d", "%Y-%m-%dT00:00:00Z", "%d %b %Y", "%Y-%m-%d 02:00:00+02:00")
    return day(i).strftime(forms[i % len(forms)])


def workbook(rows: range) -> bytes:
    table = pd.DataFrame(
        {
            "Sample": [f"S{i:03d}-{i * 7919 % 1000}" for i in rows],
            "Mass": [f"{amount(i) + 100:.1f} mg" for i in rows],
            "Temp.": [f"{(i * 5) % 40 - 10} °C" for i in rows],
            "Measured": pd.to_datetime([day(i) for i in rows]),
            "OK": [i % 3 != 0 for i in rows],
            "Result": [["low", "mid", "high"][i % 3] for i in rows],
        }
    )
    stream = io.BytesIO()
    table.to_excel(stream, index=False)
    return stream.getvalue()


FILES = {
    "an export of an accountant": Mailed(
        lambda rows: lines(
            "Konto;Betrag;Käufer;Rabatt;bezahlt",
            lambda i: f"{1000 + i % 4};{german(i)};{['Müller', 'Groß', 'Ångström'][i % 3]};{i % 9},5 €;{yes(i)}",
            rows,
            end="\r\n",
        ).encode("cp1252"),
        "bezahlt",
        {"Konto": "number", "Betrag": "number", "Käufer": "nominal", "Rabatt": "number"},
        {"Betrag": amount, "Rabatt": lambda i: i % 9 + 0.5},
        "Windows-1252, separated by semicolon",
    ),
    "title lines above the header": Mailed(
        lambda rows: lines(
            "region,units,price,late",
            lambda i: f"{'NESW'[i % 4]},{i % 17},{amount(i) / 8:.3f},{'Y' if i % 5 > 2 else 'N'}",
            rows,
            before="Quarterly report\nPrinted on 3 May\n\n",
        ).encode(),
        "late",
        {"region": "nominal", "units": "number", "price": "number"},
        {"units": lambda i: i % 17, "price": lambda i: round(amount(i) / 8, 3)},
        "2 lines above the header are left out",
    ),
    "currency, per cent and thousands": Mailed(
        lambda rows: lines(
            "store,revenue,change,loss,grade",
            lambda i: f'{"ABC"[i % 3]},"${abs(amount(i)) * 1000:,.2f}",{i % 30 - 12}%,"({i % 8})",{"good" if i % 2 else "bad"}',
            rows,
        ).encode(),
        "grade",
        {"store": "nominal", "revenue": "number", "change": "number", "loss": "number"},
        {"revenue": lambda i: round(abs(amount(i)) * 1000, 2), "change": lambda i: i % 30 - 12, "loss": lambda i: -(i % 8)},
        "Read as numbers: 'revenue'",
    ),
    "dates of mixed form with time zones": Mailed(
        lambda rows: lines("seen\tlevel\tclass", lambda i: f"{mixed_day(i)}\t{i % 13}\t{'x' if i % 3 else 'y'}", rows).encode(
            "utf-16"
        ),
        "class",
        {"seen": "date", "level": "number"},
        {"seen": days, "level": lambda i: i % 13},
        "UTF-16, separated by tab",
    ),
    "an index column and ids": Mailed(
        lambda rows: lines(
            ",customer_id,segment,spend,churn",
            lambda i: f"{i},{900_000 + 7919 * i % 10_007},{'ab'[i % 2]},{amount(i)},{i % 2 and i % 3}",
            rows,
        ).encode(),
        "churn",
        {"Unnamed: 0": "id", "customer_id": "id", "segment": "nominal", "spend": "number"},
        {"spend": amount},
        "it counts the rows",
    ),
    "yes and no in every spelling": Mailed(
        lambda rows: lines(
            "smoker|active|member|age|outcome",
            lambda i: f"{['yes', 'No', 'YES', 'n'][i % 4]}|{['TRUE', 'false'][i % 2]}|{i % 3 // 2}|{20 + i % 50}|{'dead' if i % 7 < 3 else 'alive'}",
            rows,
        ).encode(),
        "outcome",
        {"smoker": "boolean", "active": "boolean", "member": "boolean", "age": "number"},
        {"smoker": lambda i: i % 2 == 0, "active": lambda i: i % 2 == 0, "member": lambda i: i % 3 // 2, "age": lambda i: 20 + i % 50},
        "separated by vertical bar",
    ),
    "words for nothing": Mailed(
        lambda rows: lines(
            "ph,flow,site,state",
            lambda i: f"{['n/a', '-', '?', 'n.a.'][i // 6 % 4] if i % 6 == 0 else round(5 + i % 11 / 4, 2)},"
            f"{'unknown' if i % 10 == 3 else amount(i)},{'up' if i % 2 else 'down'},{'clean' if i % 5 > 1 else 'foul'}",
            rows,
        ).encode(),
        "state",
        {"ph": "number", "flow": "number", "site": "nominal"},
        {"ph": lambda i: NaN if i % 6 == 0 else round(5 + i % 11 / 4, 2), "flow": lambda i: NaN if i % 10 == 3 else amount(i)},
        "'unknown' (6)",
    ),
    "a row of sums at the end": Mailed(
        lambda rows: lines(
            "item;hours;rate;cost",
            lambda i: f"{['paint', 'wood', 'nails'][i % 3]};{i % 9 + 1};{20 + i % 4},50;{german(i * 3 + 40)}",
            rows,
            after=f"Total;{sum(i % 9 + 1 for i in rows)};;999.999,00\n" if len(rows) == ROWS else "",
        ).encode(),
        "cost",
        {"item": "nominal", "hours": "number", "rate": "number"},
        {"hours": lambda i: i % 9 + 1, "rate": lambda i: 20.5 + i % 4},
        "The last row, 'Total', holds sums and is left out",
        "regress",
    ),
    "remarks with line breaks in quotes": Mailed(
        lambda rows: lines(
            "score,remark,verdict",
            lambda i: f'{amount(i)},"Called on day {i * 37 % 101}, said:\n""no, thank you {i}, not before the summer""",{"in" if i % 4 else "out"}',
            rows,
        ).encode("utf-8-sig"),
        "verdict",
        {"score": "number", "remark": "text"},
        {"score": amount},
        "it holds free text",
    ),
    "a workbook with units in its cells": Mailed(
        workbook,
        "Result",
        {"Sample": "id", "Mass": "number", "Temp.": "number", "Measured": "date", "OK": "boolean"},
        {"Mass": lambda i: round(amount(i) + 100, 1), "Temp.": lambda i: (i * 5) % 40 - 10, "Measured": days, "OK": lambda i: i % 3 != 0},
        "Excel",
        name="mailed.xlsx",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", FILES)
def test_a_mailed_file_is_read_as_a_person_reads_it(case, capsys, tmp_path):
    mailed = FILES[case]
    if mailed.name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
    (tmp_path / mailed.name).write_bytes(mailed.write(range(ROWS)))
    (tmp_path / f"new {mailed.name}").write_bytes(mailed.write(range(ROWS, ROWS + NEW)))
    model, out = tmp_path / "model", tmp_path / "predicted.csv"
    code, said, noted = run(
        capsys,
        "adapt",
        tmp_path / mailed.name,
        "--target",
        mailed.target,
        "--out",
        model,
        "--n-steps",
        0,
        "--n-members",
        1,
        "--json",
    )
    assert code == 0, noted
    content = json.loads(said)
    assert content["task"] == mailed.task
    assert content["file"]["rows_used"] == ROWS
    assert {column["name"]: column["kind"] for column in content["adaptation"]["columns"]} == mailed.kinds
    left_out = " ".join(column["left_out"] for column in content["adaptation"]["columns"])
    assert mailed.said in " ".join([*content["notes"], left_out])
    code, said, noted = run(capsys, "predict", model, tmp_path / f"new {mailed.name}", "--out", out)
    assert code == 0, noted
    assert len(pd.read_csv(out)) == NEW

    columns = testtime.load(model)._table.encoding.columns
    encoded = columns.transform(read_table(tmp_path / f"new {mailed.name}")[0])
    for name, value in mailed.read.items():
        expected = [float(value(i)) for i in range(ROWS, ROWS + NEW)]
        assert np.allclose(encoded.x[:, encoded.names.index(name)], expected, equal_nan=True, rtol=1e-12), (
            name
        )
