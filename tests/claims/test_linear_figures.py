"""Every linear figure in its quick setting: its claims hold, can fail, and its drawing says what it is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from testtime.experiments.registry import find, names

pytestmark = pytest.mark.slow

LINEAR = tuple(name for name in names() if name.startswith("linear-"))


def test_all_seven_figures_are_there():
    kinds = ("context", "start", "alignment", "covariance", "steps", "reduction", "shift")
    assert set(LINEAR) == {f"linear-{kind}" for kind in kinds}


@pytest.mark.parametrize("name", LINEAR)
def test_every_claim_holds(name, quick):
    result = quick(name)
    failed = [(claim.statement, claim.value, claim.threshold) for claim in result.claims if not claim.holds]
    assert failed == []
    assert len(result.claims) >= 4
    assert result.seconds < 180  # less than a minute on two free cores


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("factor", [0.95, 1.05])
def test_a_formula_that_is_5_percent_off_breaks_a_claim(name, factor, quick):
    """Each exact number beside a simulated one, moved alone; benchmarks/mutation_claims.py changes the code itself."""
    figure, result = find(name), quick(name)
    columns = [column for column in result.table if column == "exact" or column.endswith("_exact")]
    assert columns
    for column in columns:
        wrong = result.table.copy()
        rows = (wrong["kind"] == "simulated") & wrong[column].notna()
        rows = rows if rows.any() else wrong["kind"] == "small"  # linear-steps has some of them there alone
        wrong.loc[rows, column] *= factor
        assert not all(claim.holds for claim in figure.claims(wrong, figure.config.quick())), column


@pytest.mark.parametrize(
    ("name", "kind", "column", "factor"),
    [
        *((name, "small", "before_exact", 1.01) for name in LINEAR),
        *((name, "small", "slope_exact", 1.03) for name in LINEAR),
        # In linear-steps the column counts steps.
        *((name, "simulated", "step", 1.05) for name in LINEAR if name != "linear-steps"),
    ],
)
def test_a_term_that_vanishes_in_large_dimension_breaks_a_claim(name, kind, column, factor, quick):
    figure, result = find(name), quick(name)
    wrong = result.table.copy()
    wrong.loc[wrong["kind"] == kind, column] *= factor
    assert not all(claim.holds for claim in figure.claims(wrong, figure.config.quick()))


@pytest.mark.parametrize("name", LINEAR)
def test_missing_numbers_break_a_claim(name, quick):
    figure, result = find(name), quick(name)
    wrong = result.table.copy()
    wrong.loc[wrong["kind"] == "simulated", "risk"] = np.nan
    assert not all(claim.holds for claim in figure.claims(wrong, figure.config.quick()))


@pytest.mark.parametrize("name", LINEAR)
def test_the_drawing_tells_theory_from_simulation_and_names_the_formula(name, quick):
    figure, result = find(name), quick(name)
    drawing = figure.draw(result.table, figure.config.quick())
    said = " ".join(text.get_text() for legend in drawing.legends for text in legend.get_texts())
    assert "theory, exact" in said
    assert "simulation: mean ± 2 standard errors" in said
    assert "docs/theory/linear" in said or "one_step" in said
    for axes in drawing.axes:
        assert axes.get_xlabel()
        assert axes.get_title()
    points = result.table[result.table["kind"] == "simulated"]
    drawn = sum(len(bars.lines[0].get_xdata()) for axes in drawing.axes for bars in axes.containers)
    assert drawn == len(points)


@pytest.mark.parametrize("name", LINEAR)
def test_full_and_quick_settings_share_their_cells_and_differ_in_their_hash(name):
    figure = find(name)
    full, quick_setting = figure.config(), figure.config.quick()
    assert full != quick_setting
    for setting in (full, quick_setting):
        ids = [cell["id"] for cell in figure.cells(setting)]
        assert len(ids) == len(set(ids))
        assert isinstance(setting.seed, int)


def test_the_table_on_disk_is_the_table(quick):
    result = quick("linear-alignment")
    pd.testing.assert_frame_equal(pd.read_csv(result.paths["table"]), result.table, check_dtype=False)
