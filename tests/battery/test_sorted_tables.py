"""Tables sorted by class: every prefix of the rows that are kept shows the classes in their proportions."""

from __future__ import annotations

import numpy as np
import pytest

from testtime import TTTClassifier

pytestmark = pytest.mark.usefixtures("tiny_embedded")


def sorted_table(n_rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    y = np.sort(np.arange(n_rows) % 3)
    return rng.normal(size=(n_rows, 4)) + y[:, None], y


@pytest.mark.parametrize("params", [{}, {"n_context": 60}, {"objective": "short"}, {"n_steps": 0}])
def test_every_prefix_is_stratified(params: dict):
    X, y = sorted_table()
    model = TTTClassifier(**{"n_steps": 2, "n_members": 2, **params}).fit(X, y)
    codes = model._table.y
    for n in range(3, len(codes), 7):
        assert np.ptp(np.bincount(codes[:n], minlength=3)) <= 3
    assert np.array_equal(y[model.context_indices_], codes[: len(model.context_indices_)])


def test_rows_come_from_the_whole_file():
    X, y = sorted_table()
    served = TTTClassifier(n_context=100, n_steps=2, n_members=2).fit(X, y).context_indices_
    assert np.bincount(served // 100, minlength=6).min() >= 5
