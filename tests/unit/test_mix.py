"""Convex weights against exact optima: a linear program, a fine grid, and the conditions an optimum must meet."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from testtime.adapt.mix import Mix, fit_mix, optimal_weights, standard_error
from testtime.adapt.task import Classes, Numbers, Task


def class_parts(rng: np.random.Generator, n_parts: int, n: int, n_classes: int = 3, sharp: float = 1.0):
    """Answers that know something about the label, each with its own errors."""
    y = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n_parts, n, n_classes))
    logits[:, np.arange(n), y] += sharp * rng.random((n_parts, 1))
    parts = np.exp(2 * logits)
    return parts / parts.sum(-1, keepdims=True), y


def number_parts(rng: np.random.Generator, n_parts: int, n: int, n_levels: int = 5):
    y = rng.normal(size=n)
    centre = y + rng.normal(size=(n_parts, n))
    spread = rng.random((n_parts, 1, 1)) * np.linspace(-1, 1, n_levels)
    return np.sort(centre[:, :, None] + spread, axis=-1), y


def mean_score(task: Task, parts: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    return float(task.score(np.tensordot(weights, parts, axes=1), y).mean())


def best_by_linear_program(parts: np.ndarray, y: np.ndarray) -> float:
    """Smallest mean CRPS of a convex mixture of quantiles: minimise the sum of level-weighted positive parts."""
    n_parts, n, n_levels = parts.shape
    levels = np.tile(np.arange(1, n_levels + 1) / (n_levels + 1), n)
    flat = parts.reshape(n_parts, -1).T  # (n * levels, parts)
    target = np.repeat(y, n_levels)
    size = len(target)
    cost = np.concatenate([np.zeros(n_parts), levels, 1 - levels]) * 2 / size
    equal = np.hstack([flat, np.eye(size), -np.eye(size)])  # mixture + under - over = target
    sums = np.concatenate([np.ones(n_parts), np.zeros(2 * size)])[None]
    found = linprog(cost, A_eq=np.vstack([equal, sums]), b_eq=np.append(target, 1.0), method="highs")
    assert found.status == 0
    return float(found.fun)


def duality_gap(parts: np.ndarray, y: np.ndarray, weights: np.ndarray) -> float:
    """For the log loss: how far a mean score can be above the optimum, from the gradient alone (Frank and Wolfe)."""
    own = parts[:, np.arange(len(y)), y]
    gradient = -(own / (weights @ own)).mean(1)
    return float(weights @ gradient - gradient.min())


class TestOptimum:
    @pytest.mark.parametrize("seed", range(12))
    @pytest.mark.parametrize("n_parts", [2, 3, 5])
    def test_of_numbers_it_is_that_of_the_linear_program(self, seed: int, n_parts: int):
        parts, y = number_parts(np.random.default_rng(seed), n_parts, 40)
        weights = optimal_weights(Numbers(), parts, y)
        exact = best_by_linear_program(parts, y)
        assert mean_score(Numbers(), parts, y, weights) <= exact * (1 + 1e-3)

    @pytest.mark.parametrize("seed", range(12))
    @pytest.mark.parametrize("n_parts", [2, 3, 5])
    def test_of_classes_no_direction_leads_down(self, seed: int, n_parts: int):
        """The conditions of Karush, Kuhn and Tucker: a certificate that needs no other solver."""
        parts, y = class_parts(np.random.default_rng(seed), n_parts, 60)
        assert duality_gap(parts, y, optimal_weights(Classes(3), parts, y)) <= 1e-3

    @pytest.mark.parametrize("task", [Classes(3), Numbers()], ids=["classes", "numbers"])
    @pytest.mark.parametrize("seed", range(6))
    def test_no_point_of_a_fine_grid_is_better(self, task: Task, seed: int):
        rng = np.random.default_rng(seed)
        parts, y = class_parts(rng, 2, 50) if task.n_classes else number_parts(rng, 2, 50)
        found = mean_score(task, parts, y, optimal_weights(task, parts, y))
        grid = [mean_score(task, parts, y, np.array([1 - w, w])) for w in np.linspace(0, 1, 1001)]
        assert found <= min(grid) + 1e-6

    def test_the_weight_of_two_constant_answers_is_known(self):
        """Part 0 says .9 for class 1, part 1 says .1; 7 of 10 rows are of class 1: the mixture says .7."""
        parts = np.array([[[0.1, 0.9]] * 10, [[0.9, 0.1]] * 10])
        y = np.array([1] * 7 + [0] * 3)
        np.testing.assert_allclose(optimal_weights(Classes(2), parts, y), [0.75, 0.25], atol=1e-4)

    @pytest.mark.parametrize("task", [Classes(3), Numbers()], ids=["classes", "numbers"])
    def test_a_part_that_is_always_right_is_served_alone(self, task: Task):
        rng = np.random.default_rng(0)
        if task.n_classes:
            parts, y = class_parts(rng, 3, 50)
            parts[2] = 0.999 * np.eye(3)[y] + 0.001 / 3
        else:
            parts, y = number_parts(rng, 3, 50)
            parts[2] = y[:, None]
        assert optimal_weights(task, parts, y).tolist() == [0.0, 0.0, 1.0]

    def test_a_part_that_excludes_what_happens_does_not_make_it_fail(self):
        parts = np.array([[[0.5, 0.5]] * 4, [[1.0, 0.0]] * 4, [[0.0, 1.0]] * 4])
        y = np.array([1, 1, 0, 1])
        weights = optimal_weights(Classes(2), parts, y)
        assert mean_score(Classes(2), parts, y, weights) == pytest.approx(
            -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)), abs=1e-4
        )

    def test_equal_parts_are_no_problem(self):
        parts, y = class_parts(np.random.default_rng(0), 1, 30)
        weights = optimal_weights(Classes(3), np.repeat(parts, 3, axis=0), y)
        assert weights.sum() == pytest.approx(1.0)


def never_worse_cases():
    """Noise, strong parts, tiny tables, repeated rows, certain and wrong answers, one fold."""
    for index in range(500):
        rng = np.random.default_rng(index)
        n, n_parts = int(rng.integers(2, 40)), int(rng.integers(2, 5))
        if index % 2:
            task: Task = Classes(3)
            parts, y = class_parts(rng, n_parts, n, sharp=rng.choice([-2.0, 0.0, 2.0]))
            if index % 7 == 1:
                parts[1] = np.eye(3)[rng.integers(0, 3, n)]
        else:
            task = Numbers()
            parts, y = number_parts(rng, n_parts, n)
            if index % 5 == 0:
                parts[1] *= 10.0 ** rng.uniform(-3, 6)
        yield task, parts, y, rng.integers(0, rng.integers(1, 5), n)


def test_what_is_served_is_never_worse_than_the_frozen_model():
    weights = []
    for task, parts, y, folds in never_worse_cases():
        mix = fit_mix(task, parts, y, folds)
        assert mix.loss <= mix.losses[0] * (1 + 1e-12)
        assert min(mix.weights) >= 0
        assert sum(mix.weights) == pytest.approx(1.0, abs=1e-12)
        assert mix.gain == pytest.approx(mix.losses[0] - mix.loss, abs=1e-9 * max(1.0, mix.losses[0]))
        assert mix.loss == pytest.approx(mean_score(task, parts, y, np.array(mix.weights)), rel=1e-12)
        weights.append(mix.adapted_weight)
    assert sum(w == 0 for w in weights) >= 25, "some are not worth it"
    assert sum(w > 0.5 for w in weights) >= 25, "and some are"


class TestShrinkage:
    def folds(self, n: int) -> np.ndarray:
        return np.arange(n) % 4

    def test_the_weights_lie_between_the_frozen_model_and_the_optimum(self):
        for seed in range(40):
            parts, y = class_parts(np.random.default_rng(seed), 3, 24)
            mix = fit_mix(Classes(3), parts, y, self.folds(24))
            best, served = np.array(mix.unshrunk), np.array(mix.weights)
            share = served[1:].sum() / best[1:].sum() if best[1:].sum() else 0.0
            assert -1e-12 <= share <= 1 + 1e-12
            np.testing.assert_allclose(served, share * best + (1 - share) * np.eye(3)[0], atol=1e-12)

    def test_a_gain_that_every_fold_sees_is_not_shrunk(self):
        rng = np.random.default_rng(0)
        y = rng.integers(0, 2, 200)
        good = 0.8 * np.eye(2)[y] + 0.1
        mix = fit_mix(Classes(2), np.stack([np.full((200, 2), 0.5), good]), y, self.folds(200))
        assert mix.weights == mix.unshrunk
        assert mix.adapted_weight == pytest.approx(1.0)

    def test_weights_that_help_one_fold_only_are_shrunk_to_nothing(self):
        """In each fold another part is right and the others are wrong: fitting on three misleads in the fourth."""
        n, folds = 80, self.folds(80)
        y = np.zeros(n, dtype=np.int64)
        parts = np.full((5, n, 2), 0.5)
        for k in range(4):
            right = folds == k
            parts[k + 1] = np.where(right[:, None], [0.01, 0.99], [0.55, 0.45])
        mix = fit_mix(Classes(2), parts, y, folds)
        assert mix.loss <= mix.losses[0]

    def test_noise_has_little_weight(self):
        """Parts that differ from the frozen one by chance alone; the mean over many draws is what shrinkage saves."""
        served, unshrunk = [], []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            y = rng.integers(0, 2, 40)
            logit = 0.6 * rng.normal(size=(2, 40))
            logit[0] = 0.0
            one = 1 / (1 + np.exp(-logit))
            mix = fit_mix(Classes(2), np.stack([1 - one, one], axis=-1), y, self.folds(40))
            served.append(mix.adapted_weight)
            unshrunk.append(1 - mix.unshrunk[0])
        assert np.mean(served) < 0.75 * np.mean(unshrunk)

    def test_one_fold_cannot_be_shrunk(self):
        parts, y = class_parts(np.random.default_rng(3), 2, 30, sharp=2.0)
        mix = fit_mix(Classes(3), parts, y, np.zeros(30, dtype=np.int64))
        assert mix.weights == mix.unshrunk


class TestStandardError:
    def test_of_independent_rows_it_is_the_textbook_one(self):
        values = np.random.default_rng(0).normal(size=50)
        assert standard_error(values) == pytest.approx(values.std(ddof=1) / np.sqrt(50), rel=1e-12)

    def test_copies_add_nothing(self):
        """Each row five times, in one group: the error of the distinct rows, up to the small-sample factor."""
        values = np.random.default_rng(0).normal(size=200)
        groups = np.repeat(np.arange(200), 5)
        assert standard_error(np.repeat(values, 5), groups) == pytest.approx(standard_error(values), rel=1e-12)
        assert standard_error(np.repeat(values, 5)) < 0.5 * standard_error(values)

    def test_groups_by_hand(self):
        """Sums of the centred values by group are -4, 1 and 3."""
        values, groups = np.array([0.0, 0.0, 3.0, 5.0]), np.array([7, 7, 1, 2])
        assert standard_error(values, groups) == pytest.approx(np.sqrt((16 + 1 + 9) * 3 / 2) / 4)

    @pytest.mark.parametrize(("values", "groups"), [([1.0], None), ([1.0, 2.0], [0, 0])])
    def test_one_unit_has_no_error(self, values: list[float], groups: list[int] | None):
        assert standard_error(np.array(values), groups) == np.inf

    def test_the_mixture_counts_a_group_as_one_row(self):
        parts, y = class_parts(np.random.default_rng(0), 2, 60, sharp=2.0)
        many, labels = np.repeat(parts, 4, axis=1), np.repeat(y, 4)
        folds, groups = np.repeat(np.arange(60) % 4, 4), np.repeat(np.arange(60), 4)
        alone = fit_mix(Classes(3), parts, y, np.arange(60) % 4)
        together = fit_mix(Classes(3), many, labels, folds, groups)
        naive = fit_mix(Classes(3), many, labels, folds)
        assert together.standard_error == pytest.approx(alone.standard_error, rel=0.02)
        assert naive.standard_error < 0.6 * together.standard_error


def test_a_mixture_can_be_written_down():
    mix = Mix((0.25, 0.75), 0.5, (0.7, 0.55), 0.2, 0.1, (0.2, 0.8), 10)
    assert mix.adapted_weight == 0.75
    assert mix.to_dict()["weights"] == [0.25, 0.75]
