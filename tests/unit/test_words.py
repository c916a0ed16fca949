"""Numbers in README and docs are those of the stored results."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from benchmarks.figures import summary
from benchmarks.words import BLOCKS, pages, renewed
from benchmarks.words_single_index import _number


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.name)
def test_tables_are_those_of_the_stored_results(path):
    text = path.read_text(encoding="utf-8")
    assert renewed(text) == text, "run python -m benchmarks.words"


def test_every_block_is_shown_and_known():
    shown = {name for path in pages() for name in re.findall(r"<!-- numbers: ([\w-]+) -->", path.read_text())}
    assert shown == set(BLOCKS)
    assert renewed("<!-- numbers: forecast -->\nold\n<!-- end of numbers -->\n").count("old") == 0


def test_numbers_have_two_digits_and_no_exponent():
    shown = {0.000123: ".00012", 0.0099: ".0099", 0.5: ".50", 1.0: "1.00", 23.4: "23", 1234.0: "1,234"}
    assert {value: _number(value) for value in shown} == shown


def test_a_summary_has_one_row_for_each_method_and_setting():
    table = pd.DataFrame(
        [
            {"method": method, "n_rows": n, "mse": n / (t + 1), "overlap": 0.9 + 0.1 * (t > 3)}
            for method in ("a", "b")
            for n in (10, 100)
            for t in range(8)
        ]
        + [{"method": np.nan, "n_rows": 10, "mse": np.nan, "overlap": np.nan}]
    )
    rows = summary(table)
    assert len(rows) == 4
    first = next(row for row in rows if row["method"] == "b" and row["n_rows"] == 100)
    assert first["tasks"] == 8
    assert first["mse"] == pytest.approx(np.median([100 / (t + 1) for t in range(8)]))
    low, high = first["mse interval"]
    assert low <= first["mse"] <= high
    assert first["success"] == 0.5
