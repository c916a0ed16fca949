"""Single-index tasks: what a family promises about directions, links, noise, angles and seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from testtime.errors import InputError
from testtime.tasks.links import HermiteLink, LinkFamily, hermite_features, hermite_values
from testtime.tasks.single_index import SingleIndexFamily, SingleIndexTask


@pytest.fixture
def family():
    return SingleIndexFamily.create(dim=10, rank=4, seed=0)


def test_hermite_features_are_the_explicit_polynomials():
    z = np.array([[-2.5, 0.0], [0.3, 4.0]])
    explicit = [
        np.ones_like(z),
        z,
        (z**2 - 1) / math.sqrt(2),
        (z**3 - 3 * z) / math.sqrt(6),
        (z**4 - 6 * z**2 + 3) / math.sqrt(24),
    ]
    np.testing.assert_allclose(hermite_features(z, 4), np.stack(explicit, axis=-1), atol=1e-12)
    assert hermite_features(1.0, 0).shape == (1,)


def test_hermite_features_are_orthonormal():
    z, w = np.polynomial.hermite_e.hermegauss(30)
    table = hermite_features(z, 8)
    np.testing.assert_allclose(table.T @ (table * (w / w.sum())[:, None]), np.eye(9), atol=1e-10)


def test_hermite_values_of_several_links_are_those_of_each():
    rng = np.random.default_rng(0)
    z, c = rng.standard_normal((5, 3, 2)), rng.standard_normal((5, 6))
    expected = np.stack([hermite_features(z[i], 5) @ c[i] for i in range(5)])
    np.testing.assert_allclose(hermite_values(z, c), expected, atol=1e-12)


def test_link_derivative_and_variance():
    link = HermiteLink((0.3, -1.0, 0.5, 2.0))
    z, step = np.linspace(-2, 2, 9), 1e-6
    numeric = (link(z + step) - link(z - step)) / (2 * step)
    np.testing.assert_allclose(link.derivative()(z), numeric, atol=1e-6)
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    weights = weights / weights.sum()
    mean = weights @ link(nodes)
    assert mean == pytest.approx(0.3)
    assert link.variance == pytest.approx(weights @ (link(nodes) - mean) ** 2)
    assert HermiteLink((1.0,)).derivative()(z).tolist() == [0.0] * 9


def test_default_links_vary_as_in_the_paper():
    draws = LinkFamily().draw_coefficients(4000, seed=1)
    np.testing.assert_array_equal(draws[:, :4], np.tile([0.0, 0.0, 0.0, 1.0], (4000, 1)))
    assert draws[:, 4].min() >= -0.5
    assert draws[:, 4].max() <= 0.5
    assert draws[:, 4].std() == pytest.approx(0.5 / math.sqrt(3), rel=0.05)


def test_directions_are_unit_vectors_of_the_subspace(family):
    for seed in range(20):
        direction = family.draw(seed).direction
        assert np.linalg.norm(direction) == pytest.approx(1.0)
        np.testing.assert_allclose(family.subspace @ (family.subspace.T @ direction), direction, atol=1e-12)


def test_directions_are_uniform_in_the_subspace(family):
    inside = np.stack([family.subspace.T @ family.draw(seed).direction for seed in range(4000)])
    np.testing.assert_allclose(inside.mean(axis=0), 0.0, atol=5 * 0.5 / math.sqrt(4000))
    np.testing.assert_allclose(inside.T @ inside / 4000, np.eye(4) / 4, atol=0.02)


def test_noise_is_plus_or_minus_tau_added_to_the_mean(family):
    task = family.draw(1)
    X, y = task.sample(20_000, 2)
    noise = y - task.mean(X)
    np.testing.assert_allclose(np.abs(noise), 0.1, atol=1e-12)
    assert abs(noise.mean()) < 5 * 0.1 / math.sqrt(20_000)
    assert abs(np.corrcoef(noise[1:], noise[:-1])[0, 1]) < 5 / math.sqrt(20_000)
    np.testing.assert_allclose(task.mean(X), task.links[0](X @ task.direction), atol=1e-12)
    assert X.std() == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("angle", [0.0, 0.3, math.pi / 3, math.pi / 2])
@pytest.mark.parametrize("n_directions", [1, 2])
def test_the_angle_to_the_subspace_is_exact(angle, n_directions):
    family = SingleIndexFamily.create(dim=9, rank=4, seed=1, n_directions=n_directions)
    task = family.draw(5, angle=angle)
    np.testing.assert_allclose(task.directions @ task.directions.T, np.eye(n_directions), atol=1e-12)
    inside = np.linalg.norm(task.directions @ family.subspace, axis=1)
    np.testing.assert_allclose(inside, math.cos(angle), atol=1e-12)


def test_the_angle_changes_neither_the_inside_direction_nor_the_link(family):
    straight, tilted = family.draw(7), family.draw(7, angle=0.5)
    inside = family.subspace @ (family.subspace.T @ tilted.direction)
    np.testing.assert_allclose(inside, math.cos(0.5) * straight.direction, atol=1e-12)
    assert tilted.links == straight.links


@pytest.mark.parametrize("combine", ["sum", "product"])
def test_two_directions_are_combined_as_stated(combine):
    family = SingleIndexFamily.create(dim=6, rank=3, seed=2, n_directions=2, combine=combine)
    task = family.draw(0)
    X, _ = task.sample(50, 1)
    first, second = (link(X @ b) for link, b in zip(task.links, task.directions, strict=True))
    expected = first * second if combine == "product" else (first + second) / math.sqrt(2)
    np.testing.assert_allclose(task.mean(X), expected, atol=1e-12)


def test_seeds_decide_everything(family):
    for seed in (3, np.random.SeedSequence(3)):
        first, again = family.draw(seed), family.draw(seed)
        np.testing.assert_array_equal(first.directions, again.directions)
        assert first.links == again.links
    assert not np.array_equal(family.draw(3).directions, family.draw(4).directions)
    generator = np.random.default_rng(0)
    assert not np.array_equal(family.draw(generator).directions, family.draw(generator).directions)
    for one, two in zip(family.prompts(3, 5, 9), family.prompts(3, 5, 9), strict=True):
        np.testing.assert_array_equal(one, two)


def test_prompts_have_the_distribution_of_tasks(family):
    X, y = family.prompts(300, 400, seed=0)
    assert X.shape == (300, 400, 10)
    assert y.shape == (300, 400)
    assert y.var() == pytest.approx(1 + 0.25 / 3 + 0.01, rel=0.05)
    # h_3 labels correlate with h_3 of the direction alone: a cubic regression on the subspace explains a task
    inside = X[0] @ family.subspace
    design = hermite_cubic_design(inside)
    residual = y[0] - design @ np.linalg.lstsq(design, y[0], rcond=None)[0]
    assert residual.std() <= 0.101


def hermite_cubic_design(z: np.ndarray) -> np.ndarray:
    """All monomials of degree 4 and less: exactly rich enough for h_3 and h_4 of any direction."""
    from itertools import combinations_with_replacement

    columns = [np.ones(len(z))]
    for degree in range(1, 5):
        columns += [
            np.prod(z[:, list(c)], axis=1) for c in combinations_with_replacement(range(z.shape[1]), degree)
        ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("combine", ["sum", "product"])
def test_prompts_of_a_callable_link_and_two_directions(combine):
    family = SingleIndexFamily.create(4, 4, seed=0, link=np.sign, noise=0.0, n_directions=2, combine=combine)
    _, y = family.prompts(20, 200, seed=1)
    allowed = [-1.0, 1.0] if combine == "product" else [-math.sqrt(2), 0.0, math.sqrt(2)]
    assert np.abs(y[..., None] - np.array(allowed)).min(axis=-1).max() < 1e-12


def test_overlap_sees_the_plane_and_not_its_basis():
    family = SingleIndexFamily.create(dim=7, rank=5, seed=0, n_directions=2)
    task = family.draw(1)
    assert task.overlap(np.array([[1.0, 2.0], [3.0, -1.0]]) @ task.directions) == pytest.approx(1.0)
    assert task.overlap(np.stack([task.directions[0], task.directions[0]])) == pytest.approx(math.sqrt(0.5))
    single = SingleIndexTask(task.directions[:1], task.links[:1])
    assert single.overlap(-3 * task.direction) == pytest.approx(1.0)
    assert single.overlap(task.directions[1]) == pytest.approx(0.0, abs=1e-12)
    assert single.overlap(np.zeros(7)) == 0.0
    assert single.overlap(np.full(7, np.nan)) == 0.0


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda: SingleIndexFamily.create(3, 4, seed=0), "rank=4"),
        (lambda: SingleIndexFamily.create(3, 0, seed=0), "rank=0"),
        (lambda: SingleIndexFamily(np.ones((4, 2))), "orthonormal"),
        (lambda: SingleIndexFamily(np.full((4, 2), np.nan)), "orthonormal"),
        (lambda: SingleIndexFamily(np.ones(4)), "shape"),
        (lambda: SingleIndexFamily.create(4, 2, seed=0, noise=-0.1), "noise=-0.1"),
        (lambda: SingleIndexFamily.create(4, 2, seed=0, noise=math.inf), "noise=inf"),
        (lambda: SingleIndexFamily.create(4, 2, seed=0, n_directions=3), "n_directions=3"),
        (lambda: SingleIndexFamily.create(4, 2, seed=0, combine="max"), "max"),
        (lambda: SingleIndexFamily.create(4, 2, seed=0, link="he3"), "he3"),
        (lambda: SingleIndexFamily.create(4, 2, seed=0).draw(0, angle=-0.1), "angle"),
        (lambda: SingleIndexFamily.create(4, 2, seed=0).draw(0, angle=90), "degrees"),
        (lambda: SingleIndexFamily.create(4, 4, seed=0).draw(0, angle=0.1), "leave the subspace"),
        (lambda: SingleIndexFamily.create(5, 4, seed=0, n_directions=2).draw(0, angle=0.1), "Raise dim"),
        (lambda: LinkFamily((1.0,), (1.0, 2.0)), "same length"),
        (lambda: LinkFamily((1.0,), (-1.0,)), "non-negative"),
        (lambda: LinkFamily((math.nan,), (0.0,)), "finite"),
        (lambda: LinkFamily.fixed({}), "degree"),
        (lambda: LinkFamily.fixed({-1: 1.0}), "degree"),
    ],
)
def test_bad_input_gets_a_sentence(build, words):
    with pytest.raises(InputError, match=words):
        build()
