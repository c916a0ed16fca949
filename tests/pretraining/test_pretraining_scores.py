"""Scores, means, ranks and shares against numbers worked out by hand, integrals and other libraries."""

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm
from sklearn.metrics import mean_pinball_loss

from pretraining.metrics import classification_scores, coverage, crps, regression_scores
from pretraining.step_summaries import adapted_table, comparison_table, gain_share, step_gains, steps_table
from pretraining.summaries import (
    Record,
    mean_ranks,
    paired_table,
    per_table,
    rank_table,
    summary,
    summary_table,
)


def record(table, method, value, *, n=128, seed=0, block="model", measure="auc") -> Record:
    return Record(table, n, seed, method, block, {measure: value}, 0.1)


# --- scores


def test_scores_on_predictions_with_known_quality():
    y = np.array([0, 0, 1, 1])
    right = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]])
    got = classification_scores(right, y)
    assert got["auc"] == 1.0
    assert got["accuracy"] == 1.0
    assert got["log_loss"] == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)
    assert got["calibration_error"] == pytest.approx(0.15)
    assert classification_scores(right[:, ::-1], y)["auc"] == 0.0


def test_errors_are_in_standard_deviations_of_the_targets():
    y = np.array([0.0, 10.0, 20.0, 30.0])
    got = regression_scores(y + np.array([1.0, -1.0, 3.0, -3.0]), y)
    deviation = np.sqrt(125)
    assert got == pytest.approx({"rmse": np.sqrt(5) / deviation, "mae": 2 / deviation})
    assert regression_scores(np.full(4, 15.0), y)["rmse"] == pytest.approx(1.0)


def test_the_point_of_quantiles_is_their_mean_for_rmse_and_the_middle_for_mae():
    y = np.array([0.0, 2.0])
    got = regression_scores(np.array([[0.0, 0.0, 6.0], [2.0, 2.0, 8.0]]), y)
    assert got["rmse"] == pytest.approx(2.0)
    assert got["mae"] == 0.0
    assert got["crps"] > 0


@pytest.mark.parametrize("observed", [-2.0, 0.0, 0.7])
def test_crps_of_normal_quantiles_approaches_the_closed_form_and_the_integral(observed):
    levels = np.arange(1, 4000) / 4000
    got = crps(norm.ppf(levels)[None], np.array([observed]))[0]
    closed = observed * (2 * norm.cdf(observed) - 1) + 2 * norm.pdf(observed) - 1 / np.sqrt(np.pi)
    below, above = (quad(f, *ends)[0] for f, ends in _squares(observed))
    assert closed == pytest.approx(below + above, abs=1e-7)
    assert got == pytest.approx(closed, abs=2e-3)


def _squares(observed):
    """The definition of the score: the squared distance of the distribution from a step at what was observed."""
    return [
        (lambda z: norm.cdf(z) ** 2, (-12.0, observed)),
        (lambda z: (1 - norm.cdf(z)) ** 2, (observed, 12.0)),
    ]


@pytest.mark.parametrize("width", [9, 99, 199, 150])
def test_coverage_of_the_distribution_that_targets_come_from(width):
    rng = np.random.default_rng(1)
    y, levels = rng.normal(size=4000), np.arange(1, width + 1) / (width + 1)
    right = np.tile(norm.ppf(levels), (4000, 1))
    assert coverage(right, y) == pytest.approx(0.8, abs=0.02)
    assert coverage(0.5 * right, y) == pytest.approx(2 * norm.cdf(0.5 * norm.ppf(0.9)) - 1, abs=0.03)
    assert regression_scores(right, y)["coverage"] == coverage(right, y)


def test_models_of_different_numbers_of_quantiles_compare():
    y, few, many = np.random.default_rng(2).normal(size=300), np.arange(1, 100) / 100, np.arange(1, 200) / 200
    scores = [regression_scores(np.tile(norm.ppf(levels), (300, 1)), y) for levels in (few, many)]
    assert scores[0]["crps"] == pytest.approx(scores[1]["crps"], rel=1e-12)
    nine = regression_scores(np.tile(norm.ppf(np.arange(1, 10) / 10), (300, 1)), y)
    assert nine["crps"] > 1.05 * scores[0]["crps"]


def test_the_best_coverage_is_the_one_nearest_to_what_was_promised():
    records = [
        record("a", name, value, measure="coverage")
        for name, value in (("wide", 0.95), ("right", 0.82), ("narrow", 0.7))
    ]
    assert "**0.820**" in summary_table(records)
    assert summary_table(records).count("**") == 2


def test_crps_is_twice_the_mean_pinball_loss_of_scikit_learn():
    rng = np.random.default_rng(0)
    quantiles, y = np.sort(rng.normal(size=(30, 9)), axis=1), rng.normal(size=30)
    pinball = [mean_pinball_loss(y, quantiles[:, k], alpha=(k + 1) / 10) for k in range(9)]
    assert crps(quantiles, y).mean() == pytest.approx(2 * np.mean(pinball))


# --- means, ranks, differences


def test_means_are_over_seeds_first_and_then_over_the_tables_that_have_the_size():
    records = [record("a", "m", 1.0), record("a", "m", 0.5, seed=1), record("b", "m", 0.25)]
    records.append(record("b", "m", 0.9, n=1024))
    row = summary(records)["auc"]["m"]
    assert row[128]["mean"] == pytest.approx((0.75 + 0.25) / 2)
    assert row[128]["standard_error"] == pytest.approx(0.25)  # of 0.75 and 0.25: deviation .354 over sqrt 2
    assert row[1024] == {"mean": 0.9, "standard_error": None, "tables": 1}


def test_the_best_of_a_column_is_bold_highest_for_auc_and_lowest_for_errors():
    auc = summary_table([record("a", "m", 0.9), record("a", "k", 0.8)])
    assert "| m | **0.900** |" in auc
    assert "| k | 0.800 |" in auc
    error = summary_table([record("a", "m", 0.9, measure="rmse"), record("a", "k", 0.8, measure="rmse")])
    assert "| k | **0.800** |" in error


def test_a_method_without_a_measure_has_no_row_for_it():
    points = Record("a", 128, 0, "trees", "baselines", {"rmse": 0.5}, 0.1)
    both = Record("a", 128, 0, "model", "model", {"rmse": 0.4, "crps": 0.2}, 0.1)
    text = summary_table([both, points])
    assert text.count("| trees |") == 1
    assert per_table([both, points], 128, "crps").splitlines()[0] == "| crps, n=128 | model |"


def test_mean_ranks_by_hand_with_a_tie():
    values = {"a": (0.1, 0.2, 0.3), "b": (0.3, 0.1, 0.1), "c": (0.2, 0.3, 0.1)}
    records = [
        record(table, method, value, measure="rmse")
        for table, row in values.items()
        for method, value in zip("xyz", row, strict=True)
    ]
    # a: 1 2 3, b: 3 1.5 1.5, c: 2 3 1
    ranks = mean_ranks(records, "rmse", ["x", "y", "z"])
    assert {m: row[128] for m, row in ranks.items()} == pytest.approx({"x": 2.0, "y": 6.5 / 3, "z": 5.5 / 3})
    assert "| x | 2.00 |" in rank_table(records, "rmse", ["x", "y", "z"])
    higher = mean_ranks([record("a", "x", 0.9), record("a", "y", 0.8)], "auc", ["x", "y"])
    assert higher["x"][128] == 1.0


def test_paired_differences_are_taken_table_by_table():
    records = [record("a", "model", 0.9), record("b", "model", 0.6), record("a", "trees", 0.8)]
    records.append(record("b", "trees", 0.7 - 0.04))
    assert "| trees | +0.020 ± 0.080, 1/2 |" in paired_table(records, "model", "auc")


# --- steps


def test_the_share_of_the_gain_is_a_ratio_of_means_with_a_jackknife_error():
    few, many = [0.1, 0.3, 0.2], [0.2, 0.3, 0.3]
    share, error = gain_share(few, many)
    assert share == pytest.approx(0.6 / 0.8)
    left_out = np.array([0.5 / 0.6, 0.3 / 0.5, 0.4 / 0.5])
    by_hand = np.sqrt(2 / 3 * np.sum((left_out - left_out.mean()) ** 2))
    assert error == pytest.approx(by_hand)
    assert np.isnan(gain_share([0.1], [0.0])[0])


def stepped(values, measure="auc"):
    return [
        record(table, f"{k} steps", value, block="steps", measure=measure)
        for table, row in values.items()
        for k, value in row.items()
    ]


def test_gains_are_positive_where_better_for_scores_and_for_losses():
    values = {"a": {0: 0.8, 20: 0.85, 100: 0.9}, "b": {0: 0.7, 20: 0.7, 100: 0.7}}
    gains = step_gains(stepped(values), "auc")
    assert {k: pytest.approx(v) for k, v in gains.items()} == {0: [0, 0], 20: [0.05, 0.0], 100: [0.1, 0.0]}
    losses = step_gains(stepped(values, "log_loss"), "log_loss")
    assert losses[100] == pytest.approx([-0.1, 0.0])
    table = steps_table(stepped(values), ["auc"])
    assert "| 20 steps | 0.7750 | +0.0250 ± 0.0250 | 50% ±" in table


def test_two_weights_are_compared_table_by_table():
    first = stepped({"a": {0: 0.8, 1: 0.8}, "b": {0: 0.6, 1: 0.7}})
    second = stepped({"a": {0: 0.9, 1: 0.8}, "b": {0: 0.6, 1: 0.9}})
    text = comparison_table(first, second, ["auc"])
    assert "| 0 steps | 0.7000 | 0.7500 | +0.050 ± 0.050, 1/2 |" in text
    assert "| 1 steps | 0.7500 | 0.8500 | +0.100 ± 0.100, 1/2 |" in text


def test_the_adapted_model_is_set_beside_plain_with_as_few_and_with_all_rows():
    records = [record("a", "model", 0.7), record("a", "model", 0.9, n=1024)]
    records += [
        record("a", "random forest", v, n=n, block="baselines") for n, v in ((128, 0.6), (1024, 0.85))
    ]
    records += [record("b", "model", 0.5), record("b", "random forest", 0.55, block="baselines")]
    records += [record("a", "adapted", 0.88, block="adapted")]
    text = adapted_table(records, ["auc"])
    assert "| model, n rows | 0.700 |" in text  # table b has no adapted model and does not count
    assert "| adapted on all rows, serving n | 0.880 |" in text
    assert "| model, all rows | 0.900 |" in text
    assert "| random forest, all rows | 0.850 |" in text
    assert "| adapted minus model, n rows | +0.180 ± ?, 1/1 |" in text
