"""The figure of shifted tables: its splits, its arithmetic on made-up losses, one cell on the tiny model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from testtime.experiments.registry import find
from testtime.experiments.tabular.shift import (
    METHODS,
    Config,
    cells,
    claims,
    draw,
    gains,
    run_cell,
    split_by_class,
    split_by_component,
)

CONFIG = replace(Config.quick(), tables=("a", "b"))
SMALL = "sklearn:breast_cancer"


def made_up(losses: dict[str, float]) -> pd.DataFrame:
    rows = [
        {
            "table": table,
            "shift": shift,
            "draw": 0,
            "few": few,
            "alignment": 0.5,
            "method": method,
            "log_loss": loss,
        }
        for table in CONFIG.tables
        for shift in CONFIG.shifts
        for few in CONFIG.few
        for method, loss in losses.items()
    ]
    return pd.DataFrame(rows)


ALIKE = dict.fromkeys(METHODS, 0.5)


def test_the_parts_are_disjoint_and_hold_all_rows():
    rng = np.random.default_rng(0)
    x, codes = rng.normal(size=(101, 3)), rng.integers(0, 3, 101)
    for split in (split_by_component, split_by_class):
        source, target = split(x, codes, np.random.default_rng(1))
        assert sorted([*source, *target]) == list(range(101))


def test_a_covariate_shift_moves_the_rows_and_a_label_shift_the_classes():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 3)) * [5.0, 1.0, 1.0] @ np.linalg.qr(rng.normal(size=(3, 3)))[0]
    codes = rng.integers(0, 2, 400)
    source, target = split_by_component(x, codes, rng)
    assert np.linalg.norm(x[source].mean(0) - x[target].mean(0)) > 5.0
    source, target = split_by_class(x, codes, rng)
    assert codes[source].mean() == pytest.approx(1 - codes[target].mean(), abs=0.05)
    assert codes[source].mean() < 0.3


def test_gains_are_relative_to_the_frozen_model_with_both_parts():
    found = gains(made_up({**ALIKE, "both": 0.4, "source": 0.6}))
    assert found["both"].to_numpy() == pytest.approx(-0.2)
    assert found["source"].to_numpy() == pytest.approx(0.2)


def test_claims_hold_where_they_are_true_and_fail_where_not():
    good = claims(made_up({**ALIKE, "both": 0.45, "source": 0.6}), CONFIG)
    assert all(claim.holds for claim in good)
    bad = claims(made_up({**ALIKE, "both": 0.6, "source": 0.5}), CONFIG)
    assert not any(claim.holds for claim in bad)


def test_the_drawing_has_a_panel_for_each_shift_and_one_of_the_alignment():
    assert len(draw(made_up(ALIKE), CONFIG).axes) == len(CONFIG.shifts) + 1


def test_a_cell_scores_every_method_on_the_target(tiny_embedded):
    config = replace(Config.quick(), tables=(SMALL,), n_source=80, few=(16, 20), n_test=60, n_steps=2)
    cell = next(one for one in cells(config) if one["shift"] == "label")
    found = pd.DataFrame(run_cell(config, cell, np.random.SeedSequence(0)))
    assert sorted(found["method"]) == sorted(METHODS)
    assert found["alignment"].between(-1, 1).all()
    assert np.isfinite(found["log_loss"]).all()
    assert find("tabular-shift").config is Config
