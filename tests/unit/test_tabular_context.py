"""The figure of context rows on real tables: its arithmetic on curves that are known, its cells on the tiny model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from testtime.experiments.registry import find
from testtime.experiments.tabular.context import (
    Config,
    cells,
    claims,
    draw,
    measured_throughout,
    rows_at_parity,
    run_cell,
    saved,
)

SIZES = (16, 64, 256)
CONFIG = replace(Config.quick(), sizes=SIZES)


def made_up(plain: dict[int, float], adapted: dict[int, float], n_tables: int = 3) -> pd.DataFrame:
    rows = [
        {
            "table": f"t{t}",
            "draw": 0,
            "n_context": n,
            "method": method,
            "log_loss": losses[n] * (1 + 0.01 * t),
        }
        for t in range(n_tables)
        for method, losses in (("plain", plain), ("adapted", adapted))
        for n in SIZES
    ]
    return pd.DataFrame(rows).assign(auc=0.8, accuracy=0.7)


PLAIN = {16: 0.9, 64: 0.6, 256: 0.5}
BETTER = {16: 0.6, 64: 0.5, 256: 0.5}


def test_rows_at_parity_between_and_beyond_lengths():
    curve = pd.Series([0.9, 0.6, 0.65], index=SIZES)
    assert rows_at_parity(curve, 0.6) == 64
    assert rows_at_parity(curve, 0.75) == pytest.approx(32)
    assert rows_at_parity(curve, 0.95) == 16
    assert rows_at_parity(curve, 0.1) == 256


def test_saved_rows_are_ratios_of_lengths():
    found = saved(made_up(PLAIN, BETTER))
    assert found.loc["t0"].tolist() == pytest.approx([4.0, 4.0, 1.0])
    assert len(found) == 3


def test_claims_hold_on_better_models_and_fail_on_worse_ones():
    assert all(claim.holds for claim in claims(made_up(PLAIN, BETTER), CONFIG))
    assert not any(
        claim.holds for claim in claims(made_up(PLAIN, {n: 1.02 * v for n, v in PLAIN.items()}), CONFIG)
    )


def test_the_drawing_shows_three_scores_and_the_rows_saved():
    figure = draw(made_up(PLAIN, BETTER), CONFIG)
    assert [axes.get_ylabel().split(",")[0] for axes in figure.axes[:3]] == ["log loss", "AUC", "accuracy"]


def test_a_mean_over_tables_is_of_the_same_tables_everywhere():
    found = made_up(PLAIN, BETTER)
    short = found[(found["table"] != "t2") | (found["n_context"] < 256)]
    means = short.pivot_table(index=["table", "n_context"], columns="method", values="log_loss")
    assert set(measured_throughout(means).index.get_level_values("table")) == {"t0", "t1"}
    lost = found[(found["table"] == "t0") == (found["n_context"] == 16)]
    means = lost.pivot_table(index=["table", "n_context"], columns="method", values="log_loss")
    assert measured_throughout(means).equals(means), "where none has all, all stay"


def test_a_cell_scores_both_models_on_the_same_rows(tiny_embedded):
    config = replace(
        CONFIG, tables=("sklearn:breast_cancer",), n_train=120, n_test=60, n_steps=2, n_members=2
    )
    chosen = next(cell for cell in cells(config) if cell["n_context"] == 16)
    rows = run_cell(config, chosen, np.random.SeedSequence(0))
    assert [row["method"] for row in rows] == ["plain", "adapted"]
    assert all(0 < row["auc"] < 1 and row["log_loss"] > 0 for row in rows)
    again = run_cell(config, chosen, np.random.SeedSequence(0))
    assert again == rows
    everything = run_cell(config, chosen | {"n_context": 120}, np.random.SeedSequence(0))
    assert [row["n_context"] for row in everything] == [120, 120], "all training rows may be the context"
    assert run_cell(config, chosen | {"n_context": 119}, np.random.SeedSequence(0)) == [], (
        "one is too few to train on"
    )
    assert run_cell(replace(config, n_train=20), chosen | {"n_context": 256}, np.random.SeedSequence(0)) == []


def test_the_figure_is_known_by_its_name():
    assert find("tabular-context").config is Config
