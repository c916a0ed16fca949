"""A file that is read in pieces is read in one way: orders of dates and decimal signs are those of all rows."""

from __future__ import annotations

import io
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from tests.support.commands import run
from testtime.table.columns import DataWarning, TableColumns
from testtime.table.readers import delimited, excel, formats, iterate_table

PLAIN = ("--n-steps", 0, "--n-members", 1)
DAYS = pd.date_range("2022-01-01", "2022-01-31").repeat(20)
PRICES = np.linspace(1000, 9000, len(DAYS)).round()
SETS = {
    "day first": DAYS.strftime("%d/%m/%Y"),
    "month first": DAYS.strftime("%m/%d/%Y"),
    "points": DAYS.strftime("%d.%m.%Y"),
    "year first": DAYS.strftime("%y-%m-%d"),
    "iso": DAYS.strftime("%Y-%m-%d"),
}


@pytest.fixture
def small_pieces(monkeypatch):
    """Files come in pieces of fifty rows or so."""
    monkeypatch.setattr(excel, "_BLOCK_ROWS", 50)
    monkeypatch.setattr(delimited, "_BLOCK_BYTES", 1500)
    monkeypatch.setattr(formats.parquet.ParquetFile, "iter_batches", _of_fifty(formats.parquet.ParquetFile))


def _of_fifty(kind: type) -> object:
    whole = kind.iter_batches
    return lambda self: whole(self, batch_size=50)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture
def model(lab, tiny_throughout, capsys):
    """A model of timestamps and plain numbers, which leave every order and sign open."""
    if not (lab / "model").exists():
        rng = np.random.default_rng(0)
        days = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 700, 120), "D")
        frame = pd.DataFrame(
            {"day": days, "price": rng.integers(1, 9000, 120), "y": np.arange(120) % 7 / 3.5}
        )
        frame.to_parquet(lab / "train.parquet")
        done = run(capsys, "adapt", lab / "train.parquet", "--target", "y", "--out", lab / "model", *PLAIN)
        assert done[0] == 0, done
    return lab / "model"


def write(frame: pd.DataFrame, path: Path) -> Path:
    writers = {".csv": frame.to_csv, ".xlsx": frame.to_excel, ".parquet": frame.to_parquet}
    writers[path.suffix](path, index=False)
    return path


def pieces(path: Path) -> int:
    return sum(1 for _ in iterate_table(path, ["day", "price"]))


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("kind", [".csv", ".xlsx", ".parquet", "stdin"])
@pytest.mark.parametrize("order", SETS)
def test_dates_and_numbers_of_a_file_are_read_in_one_way(order, kind, model, capsys, tmp_path, monkeypatch):
    """The first days of January say nothing of their order, and the first prices nothing of their comma."""
    written = pd.DataFrame(
        {"day": SETS[order], "price": [f"{price / 1000:.3f}".replace(".", ",") for price in PRICES]}
    )
    written.loc[len(written) - 20 :, "price"] = "7,5"
    meant = pd.DataFrame({"day": DAYS, "price": PRICES / 1000})
    meant.loc[len(meant) - 20 :, "price"] = 7.5
    path = write(written, tmp_path / f"new{'.csv' if kind == 'stdin' else kind}")
    assert pieces(path) > 5
    if kind == "stdin":
        given = SimpleNamespace(buffer=io.BytesIO(path.read_bytes()), isatty=lambda: False, fileno=lambda: 0)
        monkeypatch.setattr(sys, "stdin", given)
        path = Path("-")
    plain = write(meant, tmp_path / "plain.parquet")
    outs = []
    for table in (path, plain):
        out = tmp_path / f"out{len(outs)}.csv"
        code, _, said = run(capsys, "predict", model, table, "--out", out)
        assert code == 0, said
        assert "is taken" not in said
        outs.append(pd.read_csv(out).to_numpy())
    assert len(outs[0]) == len(DAYS)
    np.testing.assert_allclose(outs[0], outs[1], rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize(
    ("days", "prices", "n_rows", "times"),
    [
        (SETS["iso"], PRICES + 0.5, 600, 1),  # nothing to decide
        (SETS["day first"], PRICES, 20, 1),  # one piece
        (SETS["day first"], PRICES, 600, 2),
        (SETS["iso"], [f"{price / 1000:.3f}" for price in PRICES], 600, 2),
    ],
    ids=["plain", "one piece", "open dates", "open numbers"],
)
def test_a_file_is_read_twice_only_where_something_is_open(
    days, prices, n_rows, times, model, capsys, tmp_path, monkeypatch
):
    path = write(pd.DataFrame({"day": days, "price": prices})[:n_rows], tmp_path / "new.csv")
    opened, batches = [], delimited.DelimitedFile.batches
    monkeypatch.setattr(delimited.DelimitedFile, "batches", lambda self: opened.append(1) or batches(self))
    assert run(capsys, "predict", model, path, "--out", tmp_path / "out.csv")[0] == 0
    assert len(opened) == times


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("fit", ["%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d", "%d.%m.%y", "%y-%m-%d"])
@pytest.mark.parametrize("order", SETS)
def test_pieces_give_what_the_whole_gives_and_say_it_once(fit, order, tmp_path):
    rng = np.random.default_rng(1)
    known = pd.Timestamp("2019-01-01") + pd.to_timedelta(rng.integers(0, 2000, 300), "D")
    columns = TableColumns().fit(pd.DataFrame({"day": known.strftime(fit), "price": rng.normal(size=300)}))
    words = SETS[order].tolist()
    words[::9] = [None] * len(words[::9])
    frame = pd.DataFrame({"day": words, "price": PRICES})
    path = write(frame, tmp_path / "new.csv")
    file = columns.habits_of(iterate_table(path, columns.required))
    with warnings.catch_warnings(record=True) as of_pieces:
        warnings.simplefilter("always", DataWarning)
        found = np.concatenate(
            [columns.transform(piece, file).x for piece in iterate_table(path, columns.required)]
        )
    with warnings.catch_warnings(record=True) as of_whole:
        warnings.simplefilter("always", DataWarning)
        whole = columns.transform(frame).x
    np.testing.assert_array_equal(found, whole)
    assert {str(one.message) for one in of_pieces} == {str(one.message) for one in of_whole}
    missing = np.isnan(whole[:, 0])
    assert missing.sum() == len(words[::9])
    days = ((DAYS - pd.Timestamp(0)) / pd.Timedelta("1D")).to_numpy()
    assert (whole[~missing, 0] == days[~missing]).all()


def test_habits_do_not_grow_with_the_file():
    """What is kept of two thousand pieces are counts."""
    columns = TableColumns().fit(pd.DataFrame({"day": DAYS, "price": PRICES + 0.25}))
    frame = pd.DataFrame({"day": SETS["day first"], "price": [f"{price:.1f}" for price in PRICES]})
    file = columns.habits_of(frame for _ in range(200))
    shown = file.dates("day")
    assert shown is not None
    assert shown.lead == 200 * (DAYS.day > 12).sum()
    assert max(values.size for values in (shown.full.values, shown.brief.values)) <= 300
    assert file.sign("price") is False
