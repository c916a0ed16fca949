"""The figures of the in-context GPT-2: what their claims notice, their cells in a tiny setting, their drawings.

The figures themselves take minutes, so that the claims are asked about tables that are written down here.
"""

from __future__ import annotations

import dataclasses
from functools import cache

import numpy as np
import pandas as pd
import pytest
from numpy.random import SeedSequence

from testtime.errors import InputError
from testtime.experiments.figure import Figure
from testtime.experiments.in_context import measures, variants
from testtime.experiments.in_context.measures import Adaptation, shipped, task_rows
from testtime.experiments.in_context.shift import setting_of, transition
from testtime.experiments.registry import find, names
from testtime.theory.linear import start_transition

FIGURES = tuple(name for name in names() if name.startswith("gpt2-"))
TRAINED = ("ttt", "guarded", "warm", "random", "chunks")


@cache
def theory(alignment: str) -> float:
    return start_transition(setting_of(find("gpt2-shift").config(), alignment, 0)).n_train


def error_of(figure: str, method: str, row: dict) -> float:
    """Errors as the claims say they are."""
    if figure == "gpt2-variants":
        hard = row["link"] == "He2"
        known = {"icl full": 0.6, "random": 0.02, "leave one out": 0.1, "chunks": 0.05, "distillation": 0.62}
        return known[method] if hard else 0.1
    if figure == "gpt2-shift":
        level = {"icl": 0.4, "icl all": 0.1, "ridge": 1e-9, "warm": 10 / (10 + row["k"])}
        level["cold"] = level["warm"] * min(10.0, 1.2 * theory(row["alignment"]) / row["k"]) ** 0.8
        return level[method]
    if row["recipe"] == "gpt2-links-fixed":
        return {"icl short": 0.1, "icl full": 0.06, "ttt": 0.05, "guarded": 0.05}[method]
    few = row["n_rows"] <= 64
    plain = {"icl short": 0.1, "icl full": 0.08 if few else 0.06}
    plain["icl full"] *= row.get("d", 4) / 4  # more inputs are harder in context
    link = row.get("link", "varying")
    known = link == "varying"
    trained = 0.001 if link == "He2" else 0.015 if not few else 0.09 if known else 0.07
    return {**plain, "ttt": trained, "guarded": min(trained, plain["icl full"])}[method]


def table_of(name: str, config) -> pd.DataFrame:
    """One task per method in each cell."""
    figure, rows = find(name), []
    for cell in figure.cells(config):
        row = {**cell, "model": cell.get("recipe")}
        methods = [cell["method"]] if "method" in cell else ("icl short", "icl full", "ttt", "guarded")
        if name == "gpt2-shift":
            methods = ("icl", "icl all", "ridge", "warm", "cold")
        rows += [
            {**row, "method": method, "task": task, "mse": error_of(name, method, row) * (1 + 0.01 * task)}
            for method in methods
            for task in (0, 1)
        ]
    return pd.DataFrame(rows)


def held(figure: Figure, table: pd.DataFrame, config) -> list[bool]:
    return [claim.holds for claim in figure.claims(table, config)]


@pytest.fixture(params=[(name, quick) for name in FIGURES for quick in (False, True)], ids=str)
def case(request) -> tuple[Figure, object, pd.DataFrame]:
    name, quick = request.param
    figure = find(name)
    config = figure.config.quick() if quick else figure.config()
    return figure, config, table_of(name, config)


def test_those_whose_models_ship_are_there():
    kinds = ("links", "fixed-link", "dimension", "shift", "variants")
    assert set(FIGURES) == {f"gpt2-{kind}" for kind in kinds}


def test_claims_hold_where_they_are_true(case):
    figure, config, table = case
    failed = [(claim.statement, claim.value) for claim in figure.claims(table, config) if not claim.holds]
    assert failed == []
    assert len(held(figure, table, config)) >= 3


def test_training_that_does_not_help_breaks_a_claim(case):
    figure, config, table = case
    table.loc[table["method"].isin(TRAINED), "mse"] = 3.0
    assert not all(held(figure, table, config))


def test_missing_numbers_break_every_claim(case):
    figure, config, table = case
    table["mse"] = np.nan
    assert not any(held(figure, table, config))


def test_the_settings_have_cells_with_unique_ids_and_enough_tasks(case):
    figure, config, _ = case
    ids = [cell["id"] for cell in figure.cells(config)]
    assert len(ids) == len(set(ids)) > 0
    assert figure.config().n_tasks >= 30


@pytest.mark.parametrize("name", FIGURES)
def test_the_drawing_says_that_markers_are_an_experiment(name):
    figure = find(name)
    config = figure.config.quick()
    table = table_of(name, config)
    drawing = figure.draw(table, config)
    said = " ".join(text.get_text() for legend in drawing.legends for text in legend.get_texts())
    assert "experiment" in said
    assert all(axes.get_xlabel() and axes.get_title() for axes in drawing.axes)


SMALL = Adaptation(n_steps=10, n_context=16, n_query=8)


@pytest.mark.parametrize(
    ("name", "more", "methods"),
    [("gpt2-links", {}, measures.METHODS), ("gpt2-variants", {"n_rows": 64}, variants.METHODS)],
)
def test_a_cell_measures_every_method_on_every_task(name, more, methods):
    figure = find(name)
    config = dataclasses.replace(figure.config(), n_tasks=2, block=2, how=SMALL, **more)
    chosen = [cell for cell in figure.cells(config) if cell.get("n_rows", 64) == 64 and cell["link"] == "He2"]
    rows = [row for cell in chosen for row in figure.run_cell(config, cell, SeedSequence(1))]
    assert {row["method"] for row in rows} == set(methods)
    assert len(rows) == 2 * len(methods)
    assert np.isfinite([row["mse"] for row in rows]).all()


def test_in_context_learning_from_64_rows_is_from_all_when_there_are_no_more():
    rows = task_rows("gpt2-links", "varying", 2, 64, SMALL, SeedSequence(2))
    by = pd.DataFrame(rows).pivot_table(index="task", columns="method", values="mse")
    assert by["icl short"].tolist() == by["icl full"].tolist()
    assert (by["ttt"] != by["icl full"]).all()
    assert all(0.0 <= row["adapted_weight"] <= 1.0 for row in rows if row["method"] == "guarded")


def test_a_shift_cell_reports_both_starts_at_a_rate_and_steps_from_other_tasks():
    figure = find("gpt2-shift")
    config = dataclasses.replace(figure.config(), n_tasks=2, n_choice=2, n_steps=4)
    cell = next(cell for cell in figure.cells(config) if cell["id"] == "reversed k=64")
    table = pd.DataFrame(figure.run_cell(config, cell, SeedSequence(3)))
    assert set(table["method"]) == {"icl", "icl all", "ridge", "warm", "cold"}
    assert table.loc[table["method"] == "ridge", "mse"].max() < 1e-9, "without noise least squares is exact"
    trained = table[table["method"].isin(["warm", "cold"])]
    assert set(trained["rate"]) <= set(config.rates)
    assert set(trained["steps"]) <= set(config.step_counts())


def test_where_the_random_start_overtakes():
    theirs = pd.Series({8: 4.0, 32: 2.0, 128: 0.5, 512: 0.25})
    assert transition(theirs) == pytest.approx(64.0)
    assert transition(theirs + 1.0) == np.inf
    assert transition(theirs / 10.0) == 8
    assert np.isnan(transition(theirs.replace(0.5, np.nan)))


def test_an_unknown_model_is_refused_with_the_nearest_name():
    with pytest.raises(InputError, match=r"no pretrained model 'gpt2-lnks' .*Did you mean 'gpt2-links'"):
        shipped("gpt2-lnks")
