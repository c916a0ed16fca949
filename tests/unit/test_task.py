"""Scores of answers against their definitions, and that an average is never worse than what it averages."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import log_loss, mean_pinball_loss

from testtime.adapt.task import Classes, Numbers


def probabilities(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.dirichlet(np.full(shape[-1], 0.5), size=shape[:-1])


class TestClasses:
    def test_it_is_the_log_loss_of_scikit_learn(self):
        rng = np.random.default_rng(0)
        answer, y = probabilities(rng, 50, 4), rng.integers(0, 4, 50)
        found = Classes(4).score(answer, y)
        assert found.shape == (50,)
        assert found.mean() == pytest.approx(log_loss(y, answer, labels=range(4)), rel=1e-12)

    def test_one_row_cannot_make_a_mean_infinite(self):
        score = Classes(2).score(np.array([[1.0, 0.0]]), np.array([1]))
        assert score.tolist() == pytest.approx([30 * np.log(10)])

    def test_rows_are_stratified_by_class(self):
        y = np.array([0, 1, 1])
        assert Classes(2).strata(y) is y


class TestNumbers:
    def test_it_is_twice_the_mean_pinball_loss_of_scikit_learn(self):
        rng = np.random.default_rng(0)
        answer, y = np.sort(rng.normal(size=(50, 9))), rng.normal(size=50)
        found = Numbers().score(answer, y).mean()
        levels = [mean_pinball_loss(y, answer[:, k], alpha=(k + 1) / 10) for k in range(9)]
        assert found == pytest.approx(2 * np.mean(levels), rel=1e-12)

    def test_by_hand(self):
        """Three quantiles 0, 1, 2 at the levels 1/4, 1/2, 3/4, and the value 1."""
        exact = 2 * (Fraction(1, 4) * 1 + 0 + Fraction(1, 4) * 1) / 3
        assert Numbers().score(np.array([[0.0, 1.0, 2.0]]), np.array([1.0])).tolist() == [float(exact)]

    @pytest.mark.parametrize("y", [-1.5, 0.0, 0.7])
    def test_true_quantiles_score_the_crps_of_the_distribution(self, y: float):
        """Of the standard normal, in closed form (Gneiting and Raftery, 2007, section 4.2)."""
        quantiles = norm.ppf(np.arange(1, 4000) / 4000)[None]
        exact = y * (2 * norm.cdf(y) - 1) + 2 * norm.pdf(y) - 1 / np.sqrt(np.pi)
        assert Numbers().score(quantiles, np.array([y]))[0] == pytest.approx(exact, abs=1e-3)

    def test_rows_are_not_stratified(self):
        assert Numbers().strata(np.arange(3.0)) is None
        assert Numbers().n_classes == 0


@pytest.mark.parametrize("task", [Classes(3), Numbers()], ids=["classes", "numbers"])
def test_the_score_is_convex_in_the_answer(task):
    rng = np.random.default_rng(1)
    n = 400
    if task.n_classes:
        parts, y = probabilities(rng, 2, n, 3), rng.integers(0, 3, n)
    else:
        parts, y = np.sort(rng.normal(size=(2, n, 7))), rng.normal(size=n)
    share = rng.random(n)
    mixed = share[:, None] * parts[0] + (1 - share)[:, None] * parts[1]
    ends = task.score(parts, y)
    assert ends.shape == (2, n), "parts may be scored at once"
    assert (task.score(mixed, y) <= share * ends[0] + (1 - share) * ends[1] + 1e-12).all()
