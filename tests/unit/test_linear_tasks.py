"""Linear tasks: one seed decides everything, covariances are what they say, bad ones are refused."""

from __future__ import annotations

import numpy as np
import pytest

from testtime.errors import InputError
from testtime.tasks.linear import (
    draw_episode,
    draw_episodes,
    draw_inputs,
    draw_labels,
    draw_task,
    square_root,
)

COVARIANCE = np.array([[2.0, 0.6, 0.0], [0.6, 1.0, -0.4], [0.0, -0.4, 0.5]])


def test_a_seed_decides_everything():
    one, again, other = (draw_episode(5, 4, 3, n_query=2, seed=seed) for seed in (7, 7, 8))
    for name in vars(one):
        assert np.array_equal(getattr(one, name), getattr(again, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))


def test_more_rows_leave_the_earlier_ones():
    few = draw_episode(5, 4, 3, noise_var=0.2, seed=7)
    many = draw_episode(5, 40, 3, n_query=9, noise_var=0.2, seed=7)
    assert np.array_equal(few.task, many.task)
    assert np.array_equal(few.X_context, many.X_context)
    assert np.array_equal(few.X_train, many.X_train[:4])
    np.testing.assert_allclose(few.y_train, many.y_train[:4], rtol=1e-13)


def test_a_task_does_not_depend_on_how_many_there_are_or_on_earlier_calls():
    root = np.random.SeedSequence(3)
    first, again = draw_episodes(2, 5, 4, 3, seed=root), draw_episodes(6, 5, 4, 3, seed=root)
    for name in vars(first):
        assert np.array_equal(getattr(first, name), getattr(again, name)[:2])
    assert len(np.unique(again.task[:, 0])) == 6


def test_labels_are_linear_without_noise():
    episode = draw_episode(6, 5, 3, n_query=4, input_cov=COVARIANCE, task=[1.0, -2.0, 0.5], seed=1)
    for part in ("context", "train", "query"):
        X, y = getattr(episode, f"X_{part}"), getattr(episode, f"y_{part}")
        np.testing.assert_allclose(y, X @ np.array([1.0, -2.0, 0.5]), rtol=1e-13)


@pytest.mark.parametrize("covariance", [2.5, [0.1, 1.0, 4.0], COVARIANCE])
def test_draws_have_the_covariance(covariance):
    full = np.diag(np.broadcast_to(covariance, 3)) if np.ndim(covariance) < 2 else covariance
    X = draw_inputs(200_000, 3, input_cov=covariance, seed=5)
    assert np.abs(np.cov(X.T) - full).max() < 5 * np.abs(full).max() / np.sqrt(len(X))
    seeds = np.random.SeedSequence(5).spawn(4000)
    tasks = np.array([draw_task(3, task_cov=covariance, seed=seed) for seed in seeds])
    assert np.abs(np.cov(tasks.T) - full).max() < 5 * np.abs(full).max() / np.sqrt(len(tasks))


def test_noise_has_its_variance():
    X = np.zeros((100_000, 1))
    assert np.var(draw_labels(X, np.ones(1), noise_var=0.3, seed=2)) == pytest.approx(0.3, rel=0.03)


def test_square_root_squares_to_the_covariance_even_if_singular():
    np.testing.assert_allclose(
        square_root(COVARIANCE, 3) @ square_root(COVARIANCE, 3), COVARIANCE, atol=1e-12
    )
    singular = np.outer([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(square_root(singular, 3) @ square_root(singular, 3), singular, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"n_context": -1}, "n_context=-1; expected an integer of at least 0"),
        ({"n_train": 2.5}, "n_train=2.5; expected an integer"),
        ({"dim": 0}, "dim=0; expected an integer of at least 1"),
        ({"input_cov": [1.0, 2.0]}, r"input_cov has shape \(2,\)"),
        ({"input_cov": [1.0, -2.0, 1.0]}, "input_cov holds -2"),
        ({"task_cov": [1.0, np.nan, 1.0]}, "task_cov holds a number that is not finite"),
        ({"input_cov": COVARIANCE + np.eye(3, k=1)}, "input_cov differs from its transpose by 1"),
        ({"input_cov": COVARIANCE - np.eye(3)}, "input_cov has the eigenvalue -"),
        ({"task": [1.0, 2.0]}, r"a task of shape \(2,\)"),
        ({"noise_var": -0.1}, "noise_var=-0.1"),
    ],
)
def test_bad_arguments_are_named(arguments, said):
    usual = {"n_context": 4, "n_train": 3, "dim": 3, "seed": 0}
    with pytest.raises(InputError, match=said):
        draw_episode(**usual | arguments)


def test_no_tasks_are_refused():
    with pytest.raises(InputError, match="n_tasks=0; expected at least 1 task"):
        draw_episodes(0, 4, 3, 2, seed=0)
