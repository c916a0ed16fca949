"""What a report says to do next: nothing that its numbers cannot tell."""

from __future__ import annotations

import pytest

from testtime.report.findings import advice


def said(status: str = "KEPT", n_rows: int = 100, *rivals: dict[str, object]) -> list[str]:
    measured = {"n_rows": n_rows, "rivals": list(rivals), "calibration": [], "confusion": None}
    return advice({"status": status}, measured | {"importances": [], "skipped": []})


def rival(difference: float | None, error: float | str | None) -> dict[str, object]:
    return {"name": "boosted trees", "difference": difference, "error": error}


@pytest.mark.parametrize("error", [None, "inf"])
def test_one_held_out_row_tells_nothing_of_other_models(error: str | None):
    [line] = said("KEPT", 1, rival(-0.03, error), rival(0.2, error))
    assert line.startswith("On 1 held-out row it cannot be told whether another model is better")


@pytest.mark.parametrize(
    "others", [[rival(0.2, 0.1)], [rival(0.2, 0.1), rival(-0.3, "inf")], [rival(None, None)]]
)
def test_where_an_error_is_known_others_are_compared(others: list[dict[str, object]]):
    assert said("KEPT", 100, *others) == [
        "No other model that was tried is better by more than its standard error."
    ]


@pytest.mark.parametrize(
    ("status", "word"), [("REVERTED_TOO_FEW", "rows"), ("REVERTED_FEW_GROUPS", "groups")]
)
def test_what_there_is_too_little_of_is_named(status: str, word: str):
    [line] = said(status)
    assert line.startswith(f"There are too few {word} to adapt to")
