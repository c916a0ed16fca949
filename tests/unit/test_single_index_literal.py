"""The stages to the letter: each is the formula that it is said to be, and what cannot run is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testtime.errors import InputError
from testtime.models.softmax_attention import softmax_attention
from testtime.single_index.literal import STUDENTS, literal_stages
from testtime.single_index.strong_recovery import online_sgd, random_network
from testtime.single_index.weak_recovery import attention_slopes


def rows(n_rows=1000, dim=4, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, dim))
    return X, 0.8 * X[:, 0] + 0.6 * (X[:, 0] ** 2 - 1) / 2**0.5


def test_slopes_of_the_attention_student_are_those_of_autograd():
    rng = np.random.default_rng(1)
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    points, u = rng.standard_normal((5, 3)), rng.standard_normal(3)
    gamma = 0.3 * np.eye(3)
    found = attention_slopes((X, y), points, gamma, u, temperature=2.0)
    to = lambda a: torch.as_tensor(a, dtype=torch.float64)  # noqa: E731
    direction = to(u).requires_grad_()
    matrix = to(gamma) + torch.outer(direction, direction)
    read = softmax_attention(
        to(X)[None], to(y)[None], to(points)[None], matrix, temperature=2.0, clip=float("inf")
    )
    expected = [
        torch.autograd.grad(label, direction, retain_graph=True)[0].numpy() for label in read.label[0]
    ]
    np.testing.assert_allclose(found / 2.0, expected, rtol=2e-5, atol=1e-6)


def test_stage_two_is_one_pass_of_online_sgd_over_the_third_segment():
    X, y = rows()
    gamma = np.diag([1.0, 1.0, 0.5, 0.0])
    found = literal_stages(X, y, gamma, student="random", strong_step=0.02, rng=np.random.default_rng(3))
    assert found.n_rows == (300, 100, 400, 200)
    rng = np.random.default_rng(3)
    third = np.split(rng.permutation(1000), [300, 400, 800])[2]
    network = random_network(64, rng)
    again = online_sgd(
        X[third], y[third], found.start, network=network, step_size=0.02, projector=gamma
    ).direction
    np.testing.assert_allclose(found.direction, again)
    np.testing.assert_array_equal(found.weak, found.start)
    assert found.direction[3] == 0.0  # Gamma* has no part there


def test_without_forgetting_and_without_a_step_stage_one_does_nothing():
    X, y = rows()
    for student in STUDENTS:
        found = literal_stages(
            X, y, np.eye(4), student=student, weak_decay=0.0, weak_step=0.0, rng=np.random.default_rng(4)
        )
        np.testing.assert_allclose(found.weak, found.start)


@pytest.mark.parametrize("student", STUDENTS)
def test_a_link_of_low_degree_is_learnt_from_many_rows(student):
    X, y = rows(8000)
    found = literal_stages(X, y, 0.5 * np.eye(4), student=student, rng=np.random.default_rng(5))
    assert abs(found.direction[0]) > 0.95
    assert found.directions_.shape == (1, 4)
    test, truth = rows(500, seed=9)
    assert np.mean((found.predict(test) - truth) ** 2) < 0.1 * truth.var()


def test_refusals():
    X, y = rows(100)
    with pytest.raises(InputError, match="attention"):
        literal_stages(X, y, np.eye(4), student="attenton", rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="at least 2 rows in every segment"):
        literal_stages(X[:8], y[:8], np.eye(4), rng=np.random.default_rng(0))
