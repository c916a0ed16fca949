"""Every single-index figure in its quick setting: its claims hold, can fail, and its drawing says what it is."""

from __future__ import annotations

import numpy as np
import pytest

from testtime.experiments.registry import find, names
from testtime.experiments.single_index.measures import bench, draw_tasks, kernel_ridge, three_stages

OURS = (
    *("stages", "refined", "polish", "two directions", "newton, default", "distill"),
    *("newton", "online, link", "joint", "low, attention", "matched"),
)
FIGURES = tuple(name for name in names() if name.startswith("single-index-"))


def test_all_figures_are_there():
    kinds = ("context", "dimension", "stage1", "stage2", "literal", "fixed-link", "shift", "multi", "joint")
    assert set(FIGURES) == {f"single-index-{kind}" for kind in kinds}


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_every_claim_holds(name, quick):
    result = quick(name)
    failed = [(claim.statement, claim.value, claim.threshold) for claim in result.claims if not claim.holds]
    assert failed == []
    assert len(result.claims) >= 4


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_worse_stages_break_a_claim(name, quick):
    figure, result = find(name), quick(name)
    wrong = result.table.copy()
    ours = wrong["method"].isin(OURS)
    wrong.loc[ours, "mse"] = 1.0
    wrong.loc[ours, "overlap"] = 0.1
    assert not all(claim.holds for claim in figure.claims(wrong, figure.config.quick()))


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_missing_numbers_break_a_claim(name, quick):
    figure, result = find(name), quick(name)
    wrong = result.table.copy()
    wrong[["overlap"] + ["mse"] * ("mse" in wrong)] = np.nan
    assert not all(claim.holds for claim in figure.claims(wrong, figure.config.quick()))


@pytest.mark.slow
@pytest.mark.parametrize("name", FIGURES)
def test_the_drawing_says_that_markers_are_an_experiment(name, quick):
    figure, result = find(name), quick(name)
    drawing = figure.draw(result.table, figure.config.quick())
    said = " ".join(text.get_text() for legend in drawing.legends for text in legend.get_texts())
    assert "experiment" in said
    for axes in drawing.axes:
        assert axes.get_xlabel()
        assert axes.get_title()


@pytest.mark.parametrize("name", FIGURES)
def test_the_settings_have_cells_with_unique_ids(name):
    figure = find(name)
    for config in (figure.config(), figure.config.quick()):
        ids = [cell["id"] for cell in figure.cells(config)]
        assert len(ids) == len(set(ids)) > 0


def test_the_same_seed_draws_the_same_tasks_at_every_angle():
    family = bench(6, 2, seed=0, n_prompts=125).family
    straight, tilted = (draw_tasks(family, 3, 20, np.random.SeedSequence(1), angle=a) for a in (0.0, 0.4))
    np.testing.assert_array_equal(straight.X, tilted.X)
    for one, other in zip(straight.tasks, tilted.tasks, strict=True):
        assert one.links == other.links
        assert one.direction @ other.direction == pytest.approx(np.cos(0.4))


def test_scores_are_the_errors_of_known_predictors():
    family = bench(4, 2, seed=0, n_prompts=125).family
    drawn = draw_tasks(family, 2, 30, np.random.SeedSequence(2))
    exact = drawn.score("exact", [task.mean for task in drawn.tasks], n=1)
    assert [row["mse"] for row in exact] == pytest.approx([0.0, 0.0])
    assert "l1" not in exact[0]  # with noise of +-tau a mean absolute error of tau says little
    zero = drawn.score("zero", [lambda X: np.zeros(len(X))] * 2)
    expected = np.minimum(drawn.mean_test**2, 9.0).mean(axis=1)
    assert [row["mse"] for row in zero] == pytest.approx(expected.tolist())
    assert np.isnan(zero[0]["overlap"])


def test_scores_know_the_direction_of_a_fitted_model():
    family = bench(4, 2, seed=0, n_prompts=125).family
    drawn = draw_tasks(family, 2, 200, np.random.SeedSequence(3))
    assert min(row["overlap"] for row in drawn.score("stages", three_stages(drawn))) > 0.99


def test_the_kernel_on_a_subspace_ignores_the_rest():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 5))
    basis = np.eye(5)[:, :2]
    predict = kernel_ridge(X, X[:, 0] ** 2 + X[:, 1], "poly", basis)
    moved = X.copy()
    moved[:, 2:] += 10.0
    np.testing.assert_allclose(predict(moved), predict(X))
    assert np.abs(predict(X) - X[:, 0] ** 2 - X[:, 1]).max() < 0.2
