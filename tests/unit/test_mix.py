"""The weight of the adapted models against exact optima, and the correction for members that are served later."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog, minimize_scalar

from testtime.adapt.mix import Mix, fit_mix, standard_error
from testtime.adapt.task import Classes, Numbers, Task

TASKS: list[Task] = [Classes(3), Numbers()]


def draw(task: Task, rng: np.random.Generator, n_parts: int, n: int, sharp: float = 1.0):
    """Answers that know something about the target, each with its own errors, and the target."""
    if task.n_classes:
        y = rng.integers(0, task.n_classes, n)
        logits = rng.normal(size=(n_parts, n, task.n_classes))
        logits[:, np.arange(n), y] += sharp * rng.random((n_parts, 1))
        parts = np.exp(2 * logits)
        return parts / parts.sum(-1, keepdims=True), y
    y = rng.normal(size=n)
    centre = y + rng.normal(size=(n_parts, n)) / max(sharp, 0.3)
    spread = rng.random((n_parts, 1, 1)) * np.linspace(-1, 1, 5)
    return np.sort(centre[:, :, None] + spread, axis=-1), y


def fit(task: Task, frozen: np.ndarray, adapted: np.ndarray, y: np.ndarray, **more) -> Mix:
    """Fit with the members that are here as the only ones, unless told otherwise."""
    return fit_mix(task, frozen, adapted, y, **{"n_views": len(frozen), "n_members": len(adapted)} | more)


def mean_score(task: Task, frozen: np.ndarray, adapted: np.ndarray, y: np.ndarray, weight: float) -> float:
    return float(task.score((1 - weight) * frozen.mean(0) + weight * adapted.mean(0), y).mean())


def best_by_linear_program(frozen: np.ndarray, adapted: np.ndarray, y: np.ndarray) -> float:
    """Smallest mean CRPS of a convex mixture of two sets of quantiles, with positive and negative parts of errors."""
    n_levels = frozen.shape[-1]
    levels = np.tile(np.arange(1, n_levels + 1) / (n_levels + 1), len(y))
    target = np.repeat(y, n_levels) - frozen.ravel()
    size = len(target)
    cost = np.concatenate([[0.0], levels, 1 - levels]) * 2 / size
    equal = np.hstack([(adapted - frozen).reshape(-1, 1), np.eye(size), -np.eye(size)])
    bounds = [(0, 1), *[(0, None)] * (2 * size)]
    found = linprog(cost, A_eq=equal, b_eq=target, bounds=bounds, method="highs")
    assert found.status == 0
    return float(found.fun)


class TestOptimum:
    @pytest.mark.parametrize("task", TASKS, ids=["classes", "numbers"])
    @pytest.mark.parametrize("seed", range(10))
    def test_the_weight_is_that_of_a_bounded_minimiser(self, task: Task, seed: int):
        """Known to a hundredth; where the minimum is flat, the loss is what counts."""
        parts, y = draw(task, np.random.default_rng(seed), 2, 60)
        mix = fit(task, parts[:1], parts[1:], y)
        exact = minimize_scalar(
            lambda w: mean_score(task, parts[:1], parts[1:], y, w), bounds=(0, 1), options={"xatol": 1e-10}
        )
        assert abs(mix.weight - exact.x) <= 0.01 + 1e-6
        assert mix.loss <= exact.fun + 1e-3

    @pytest.mark.parametrize("seed", range(10))
    def test_of_numbers_it_is_that_of_the_linear_program(self, seed: int):
        parts, y = draw(Numbers(), np.random.default_rng(seed), 2, 40)
        exact = best_by_linear_program(parts[0], parts[1], y)
        assert exact - 1e-9 <= fit(Numbers(), parts[:1], parts[1:], y).loss <= exact * (1 + 1e-3)

    def test_the_weight_of_two_constant_answers_is_known(self):
        """One says .9 for class 1, the other .1; 7 of 10 rows are of class 1: the mixture says .7."""
        frozen, adapted = np.array([[[0.1, 0.9]] * 10]), np.array([[[0.9, 0.1]] * 10])
        y = np.array([1] * 7 + [0] * 3)
        assert fit(Classes(2), frozen, adapted, y).weight == pytest.approx(0.25, abs=1e-9)

    @pytest.mark.parametrize("task", TASKS, ids=["classes", "numbers"])
    def test_what_is_always_right_is_served_alone(self, task: Task):
        parts, y = draw(task, np.random.default_rng(0), 1, 50)
        right = np.eye(3)[y][None] if task.n_classes else np.repeat(y[None, :, None], 5, axis=2)
        assert fit(task, parts, right, y).weight == 1.0
        assert fit(task, right, parts, y).weight == 0.0

    def test_what_excludes_what_happens_does_not_make_it_fail(self):
        frozen, adapted = np.array([[[0.5, 0.5]] * 4]), np.array([[[1.0, 0.0]] * 4])
        mix = fit(Classes(2), frozen, adapted, np.array([1, 1, 0, 1]))
        assert mix.weight == 0.0
        assert np.isfinite(mix.adapted_loss)

    @pytest.mark.parametrize("task", TASKS, ids=["classes", "numbers"])
    def test_equal_answers_leave_the_frozen_model_alone(self, task: Task):
        parts, y = draw(task, np.random.default_rng(0), 1, 30)
        mix = fit(task, parts, parts, y)
        assert (mix.weight, mix.gain) == (0.0, 0.0)

    @pytest.mark.parametrize("task", TASKS, ids=["classes", "numbers"])
    def test_members_are_averaged_before_they_are_scored(self, task: Task):
        parts, y = draw(task, np.random.default_rng(0), 5, 40)
        mix = fit(task, parts[:2], parts[2:], y)
        alone = fit(task, parts[:2].mean(0)[None], parts[2:].mean(0)[None], y)
        assert mix == alone
        assert mix.frozen_loss == pytest.approx(task.score(parts[:2].mean(0), y).mean(), rel=1e-12)
        assert mix.adapted_loss == pytest.approx(task.score(parts[2:].mean(0), y).mean(), rel=1e-12)


def hostile_cases():
    """Noise, strong and misleading adapters, certain and wrong answers, tiny tables, answers of every size."""
    for index in range(500):
        rng = np.random.default_rng(index)
        task = TASKS[index % 2]
        n_views, n_adapters = int(rng.integers(1, 4)), int(rng.integers(1, 4))
        sharp = float(rng.choice([-2.0, 0.0, 2.0]))
        parts, y = draw(task, rng, n_views + n_adapters, int(rng.integers(2, 40)), sharp)
        if index % 7 == 0:
            parts[-1] = np.eye(3)[rng.integers(0, 3, len(y))] if task.n_classes else parts[-1] * 1e6
        yield task, parts[:n_views], parts[n_views:], y, rng.integers(0, 9, 2)


def test_what_is_served_is_never_worse_than_the_frozen_model():
    """Whatever the correction for members that are served later wants."""
    weights = []
    for task, frozen, adapted, y, (views, members) in hostile_cases():
        mix = fit_mix(task, frozen, adapted, y, n_views=len(frozen) + views, n_members=len(adapted) + members)
        assert mix.loss <= mix.frozen_loss
        assert 0 <= mix.weight <= 1
        assert mix.gain == pytest.approx(mix.frozen_loss - mix.loss, abs=1e-9 * max(1.0, mix.frozen_loss))
        assert mix.loss == pytest.approx(mean_score(task, frozen, adapted, y, mix.weight), rel=1e-12)
        assert mix.n_rows == len(y)
        weights.append(mix.weight)
    assert sum(w == 0 for w in weights) >= 25, "some are not worth it"
    assert sum(w > 0.5 for w in weights) >= 25, "and some are"


class TestMembersServedLater:
    def test_by_hand(self):
        """Two adapters off by one in opposite directions; medians, so that the loss is the distance.

        Alone each loses 1, their mean 0: the excess of 2 members is 1 * 2 / 1 * (1/2 - 1/M).
        """
        frozen, y = np.full((1, 4, 1), 0.5), np.zeros(4)
        adapted = np.array([[[1.0]] * 4, [[-1.0]] * 4])
        mix = fit_mix(Numbers(), frozen, adapted, y, n_views=1, n_members=8)
        assert (mix.weight, mix.loss, mix.frozen_loss, mix.gain) == (1.0, 0.0, 0.5, 0.5)
        assert mix.expected_gain == pytest.approx(0.5 + 2 * (1 / 2 - 1 / 8))
        both = np.array([[[1.0]] * 4, [[-1.0]] * 4])
        frozen_too = fit_mix(Numbers(), both, adapted, y, n_views=4, n_members=2)
        assert frozen_too.weight == 0.0
        assert frozen_too.expected_gain == 0.0, "what the frozen views gain is no gain over them"

    def test_more_members_later_never_lower_the_weight(self):
        for seed in range(30):
            parts, y = draw(Classes(3), np.random.default_rng(seed), 4, 60)
            given = [fit(Classes(3), parts[:2], parts[2:], y, n_members=m).weight for m in (2, 4, 8, 100)]
            assert given == sorted(given)

    def test_more_views_later_never_raise_it(self):
        for seed in range(30):
            parts, y = draw(Classes(3), np.random.default_rng(seed), 4, 60)
            given = [fit(Classes(3), parts[:2], parts[2:], y, n_views=m).weight for m in (2, 4, 8, 100)]
            assert given == sorted(given, reverse=True)

    def test_a_single_member_says_nothing_about_its_spread(self):
        parts, y = draw(Classes(3), np.random.default_rng(0), 2, 60)
        assert fit(Classes(3), parts[:1], parts[1:], y, n_views=8, n_members=8) == fit(
            Classes(3), parts[:1], parts[1:], y
        )

    def test_the_expected_gain_is_that_of_all_members(self):
        """Members differ by small independent noise; two adapters and three views foretell eight and eight."""
        measured, expected, real = [], [], []
        for seed in range(60):
            rng = np.random.default_rng(seed)
            y = rng.integers(0, 2, 300)
            know = 0.7 * (2 * y - 1) + rng.normal(size=300)  # what all adapters share
            logits = {
                "frozen": 0.2 * know + 0.5 * rng.normal(size=(8, 300)),
                "adapted": 0.8 * know + 0.7 * rng.normal(size=(8, 300)),
            }
            one = {name: 1 / (1 + np.exp(-value)) for name, value in logits.items()}
            frozen, adapted = (np.stack([1 - p, p], -1) for p in one.values())
            mix = fit_mix(Classes(2), frozen[:3], adapted[:2], y, n_views=8, n_members=8)
            measured.append(mix.gain)
            expected.append(mix.expected_gain)
            before = mean_score(Classes(2), frozen, adapted, y, 0.0)
            real.append(before - mean_score(Classes(2), frozen, adapted, y, mix.weight))
        assert np.mean(expected) == pytest.approx(
            np.mean(real), abs=0.25 * abs(np.mean(real) - np.mean(measured))
        )


class TestStandardError:
    def test_of_independent_rows_it_is_the_textbook_one(self):
        values = np.random.default_rng(0).normal(size=50)
        assert standard_error(values) == pytest.approx(values.std(ddof=1) / np.sqrt(50), rel=1e-12)

    def test_copies_add_nothing(self):
        """Each row five times, in one group: the error of the distinct rows."""
        values = np.random.default_rng(0).normal(size=200)
        groups = np.repeat(np.arange(200), 5)
        assert standard_error(np.repeat(values, 5), groups) == pytest.approx(
            standard_error(values), rel=1e-12
        )
        assert standard_error(np.repeat(values, 5)) < 0.5 * standard_error(values)

    def test_groups_by_hand(self):
        """Sums of the centred values by group are -4, 1 and 3."""
        values, groups = np.array([0.0, 0.0, 3.0, 5.0]), np.array([7, 7, 1, 2])
        assert standard_error(values, groups) == pytest.approx(np.sqrt((16 + 1 + 9) * 3 / 2) / 4)

    @pytest.mark.parametrize(("values", "groups"), [([1.0], None), ([1.0, 2.0], [0, 0])])
    def test_one_unit_has_no_error(self, values: list[float], groups: list[int] | None):
        assert standard_error(np.array(values), groups) == np.inf

    def test_a_mixture_counts_a_group_as_one_row(self):
        parts, y = draw(Classes(3), np.random.default_rng(0), 2, 60, sharp=2.0)
        many, labels = np.repeat(parts, 4, axis=1), np.repeat(y, 4)
        alone = fit(Classes(3), parts[:1], parts[1:], y)
        together = fit(Classes(3), many[:1], many[1:], labels, groups=np.repeat(np.arange(60), 4))
        naive = fit(Classes(3), many[:1], many[1:], labels)
        assert alone.weight > 0
        assert together.standard_error == pytest.approx(alone.standard_error, rel=1e-9)
        assert naive.standard_error < 0.6 * together.standard_error


class TestDoubt:
    """The weight stays below its posterior mean, and comes back to the best one as rows become many."""

    @pytest.mark.parametrize("doubt", [0.0, 3.0])
    def test_the_bound_is_a_posterior_mean(self, doubt: float):
        task = Classes(3)
        parts, y = draw(task, np.random.default_rng(3), 2, 40, sharp=1.5)
        if mean_score(task, parts[:1], parts[1:], y, 1.0) > mean_score(task, parts[:1], parts[1:], y, 0.0):
            parts = parts[::-1]
        total = {
            w: 40 * mean_score(task, parts[:1], parts[1:], y, w) for w in np.linspace(0.0, 1.0, 2001).tolist()
        }
        grid, losses = np.array(list(total)), np.array(list(total.values()))
        density = (1 - grid) ** doubt * np.exp(losses.min() - losses)
        mean = float(density @ grid / density.sum())
        plain, bounded = fit(task, parts[:1], parts[1:], y), fit(task, parts[:1], parts[1:], y, doubt=doubt)
        assert bounded.weight == pytest.approx(min(plain.weight, mean), abs=0.01)
        assert bounded.loss <= bounded.frozen_loss

    def test_no_doubt_adds_weight_and_many_rows_dispel_it(self):
        task, weights = Classes(3), {}
        for n in (30, 3000):
            parts, y = draw(task, np.random.default_rng(1), 2, n, sharp=0.3)
            better = parts[1:].copy()
            better[0, np.arange(n), y] += 2.0
            better /= better.sum(-1, keepdims=True)
            plain = fit(task, parts[:1], better, y)
            weights[n] = plain.weight, fit(task, parts[:1], better, y, doubt=3.0).weight
        assert all(bounded <= plain for plain, bounded in weights.values())
        assert weights[30][1] < weights[30][0] - 0.05
        assert weights[3000][1] > weights[3000][0] - 0.05

    def test_what_gains_nothing_keeps_no_weight(self):
        parts, y = draw(Classes(3), np.random.default_rng(0), 2, 50)
        worse = parts[:1].copy()
        worse[0, np.arange(50), y] *= 0.1
        worse /= worse.sum(-1, keepdims=True)
        assert fit(Classes(3), parts[:1], worse, y, doubt=3.0).weight == 0.0

    def test_rows_of_one_group_count_as_one(self):
        task, n = Classes(3), 30
        parts, y = draw(task, np.random.default_rng(5), 1, n, sharp=0.3)
        better = parts.copy()
        better[0, np.arange(n), y] += 0.2
        better /= better.sum(-1, keepdims=True)
        once = fit(task, parts, better, y, doubt=3.0)
        copies = [np.tile(part, (1, 4, 1)) for part in (parts, better)]
        together = fit(task, *copies, np.tile(y, 4), doubt=3.0, groups=np.tile(np.arange(n), 4))
        apart = fit(task, *copies, np.tile(y, 4), doubt=3.0)
        assert together.weight == pytest.approx(once.weight)
        assert apart.weight > once.weight + 0.05
