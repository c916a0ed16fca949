"""Rows of a short context cover the table, whatever the table is like."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from testtime import TTTClassifier, TTTRegressor
from testtime.adapt.episodes import stratified_order
from testtime.backbones.scaling import ColumnScaler
from testtime.table.coverage import coverage_order


def table(n: int = 400, n_columns: int = 3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(n, n_columns)), rng.choice(3, n, p=[0.7, 0.25, 0.05])
    return x, labels, stratified_order(labels, n, rng)


def test_it_is_an_ordering_and_every_prefix_holds_the_classes_of_the_draw():
    x, labels, order = table()
    found = coverage_order(order, x, labels, 60, np.random.default_rng(1))
    assert sorted(found) == list(range(400))
    assert labels[found].tolist() == labels[order].tolist()
    for code in range(3):
        rest = [row for row in order if row not in set(found[:60]) and labels[row] == code]
        assert [row for row in found[60:] if labels[row] == code] == rest


def test_rows_are_nearer_to_a_row_of_their_class_than_with_a_draw():
    x, labels, order = table()
    found = coverage_order(order, x, labels, 60, np.random.default_rng(1))
    scaled = ColumnScaler.fit(x).transform(x)

    def farthest(rows: np.ndarray) -> float:
        own = labels == 0
        return cdist(scaled[own], scaled[rows[labels[rows] == 0]]).min(1).max()

    assert farthest(found[:60]) < farthest(order[:60])


@pytest.mark.parametrize("labels", [None, np.zeros(50, dtype=np.int64)])
def test_rows_that_are_all_alike_are_taken_once_each(labels):
    found = coverage_order(np.arange(50), np.ones((50, 2)), labels, 20, np.random.default_rng(0))
    assert sorted(found) == list(range(50))


def test_missing_values_are_no_obstacle():
    x, labels, order = table()
    x[::3, 0] = np.nan
    assert sorted(coverage_order(order, x, labels, 40, np.random.default_rng(0))) == list(range(400))


@pytest.mark.parametrize("estimator", [TTTClassifier, TTTRegressor])
def test_a_short_context_is_chosen_so_and_a_long_one_is_not(estimator, tiny_embedded):
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(scale=0.01, size=(190, 2)), rng.normal(scale=5.0, size=(10, 2))])
    y = np.arange(200) % 2 if estimator is TTTClassifier else x[:, 0]
    far = range(190, 200)
    short = estimator(n_steps=0, n_context=40, random_state=0).fit(x, y)
    assert len(set(short.context_indices_) & set(far)) == 10
    assert len(set(estimator(n_steps=0, random_state=0).fit(x, y).context_indices_)) == 200
