"""Values that may stand for missing are named, and stay what they are."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.support.columns import fitted

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")
RNG = np.random.default_rng(0)
SIZES = RNG.uniform(0, 50, 300).round(1)
AGES = RNG.integers(0, 46, 300).astype(float)
DAYS = (
    (pd.Timestamp("2019-01-01") + pd.to_timedelta(RNG.integers(0, 900, 300), "D"))
    .strftime("%Y-%m-%d")
    .to_numpy()
)


def read(values: np.ndarray, code: object, share: float, as_text: bool) -> tuple[list[float], list[str]]:
    """What is read where every so many rows hold a code, and what is said of it."""
    gone = np.arange(300) % round(1 / share) == 0 if share else np.zeros(300, bool)
    column = pd.Series(np.where(gone, code, values))
    columns, encoded = fitted(
        pd.DataFrame({"c": column.astype(str) if as_text else column, "z": np.arange(300) ** 2})
    )
    return encoded.x[gone, 0].tolist(), [note for note in columns.notes if "stands for missing" in note]


@pytest.mark.parametrize("as_text", [False, True])
@pytest.mark.parametrize("values", [SIZES, AGES], ids=["sizes", "ages"])
@pytest.mark.parametrize("code", [-9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 99999.0, -8.0, 888.0])
def test_codes_far_from_all_others_are_said(code: float, values: np.ndarray, as_text: bool):
    found, (note,) = read(values, code, 0.1, as_text)
    assert found == [code] * 30
    assert f"Column 'c' holds {code:g} in 30 rows (10%), far from all other values (" in note


@pytest.mark.parametrize(
    ("values", "code", "share"),
    [
        (SIZES, -999.0, 0.005),  # two rows
        (SIZES, -1.0, 0.1),  # no usual code
        (SIZES + 45, 99.0, 0.1),  # near the others
        (SIZES - 25, -9.0, 0.1),
        (SIZES * 100, 9999.0, 0),
        (SIZES * 4, 99.0, 0.1),
        (np.full(300, 5.0), -9.0, 0.1),
    ],
)
def test_others_are_not(values: np.ndarray, code: float, share: float):
    assert read(values, code, share, False)[1] == []


@pytest.mark.parametrize("code", ["9999-12-31", "1900-01-01", "2099-12-31"])
def test_dates_are_said(code: str):
    found, (note,) = read(DAYS, code, 0.2, True)
    assert set(found) == {float(np.datetime64(code).astype(int))}
    assert f"Column 'c' holds {code} in 60 rows (20%), far from all other values (2019-01-" in note


@pytest.mark.parametrize(("code", "share"), [("2019-12-31", 0.2), ("9999-12-31", 0.005), ("2030-05-17", 0.2)])
def test_other_dates_are_not(code: str, share: float):
    assert read(DAYS, code, share, True)[1] == []
