"""Hermite ridge and Gauss-Newton against refits, finite differences and known directions."""

from __future__ import annotations

from math import factorial

import numpy as np
import pytest
from numpy.polynomial import hermite_e

from testtime.single_index.hermite_ridge import fit_links, held_out_rows, hermite_basis
from testtime.single_index.profile import gauss_newton, orthonormal_rows
from testtime.single_index.readout import fit_readout, fit_readouts


def test_features_are_products_of_hermite_polynomials() -> None:
    basis = hermite_basis(2, 4)
    z = np.random.default_rng(0).standard_normal((2, 9))
    design = basis.design(z)
    for row, (i, j) in zip(design, basis.exponents, strict=True):
        one = [
            hermite_e.hermeval(z[axis], np.eye(5)[k]) / np.sqrt(factorial(k)) for axis, k in ((0, i), (1, j))
        ]
        np.testing.assert_allclose(row, one[0] * one[1], rtol=1e-12)


@pytest.mark.parametrize("n_directions", [1, 2, 3])
def test_derivatives_match_finite_differences(n_directions: int) -> None:
    basis = hermite_basis(n_directions, 5)
    rng = np.random.default_rng(1)
    z, c = rng.standard_normal((n_directions, 6)), rng.standard_normal(len(basis.exponents))
    for axis in range(n_directions):
        shift = np.zeros((n_directions, 1))
        shift[axis] = 1e-6
        numeric = (c @ basis.design(z + shift) - c @ basis.design(z - shift)) / 2e-6
        np.testing.assert_allclose(
            (c @ basis.derivatives[axis]) @ basis.design(z), numeric, rtol=1e-6, atol=1e-7
        )


def test_leave_one_out_errors_equal_refits() -> None:
    rng = np.random.default_rng(2)
    z, y = rng.standard_normal((1, 25)), rng.standard_normal(25)
    basis = hermite_basis(1, 4)
    errors = held_out_rows(fit_links(basis, z, y, 0.3), winsor=np.inf)
    for i in range(25):
        keep = np.arange(25) != i
        phi = basis.design(z[:, keep])
        c = np.linalg.solve(phi @ phi.T + 0.3 * np.eye(5), phi @ y[keep])
        assert errors[i] == pytest.approx((y[i] - c @ basis.design(z[:, [i]])[:, 0]) ** 2, rel=1e-9)


def test_batched_candidates_equal_single_ones() -> None:
    rng = np.random.default_rng(3)
    X, y = rng.standard_normal((2, 60, 3)), rng.standard_normal((2, 60))
    starts = orthonormal_rows(rng.standard_normal((2, 4, 1, 3)))
    schedule = ((6, 4),)
    together = gauss_newton(X, y, starts, schedule=schedule)
    for t in range(2):
        alone = [
            gauss_newton(X[[t]], y[[t]], starts[[t]][:, [k]], schedule=schedule).loss[0, 0] for k in range(4)
        ]
        np.testing.assert_allclose(together.loss[t], np.sort(alone), rtol=1e-8)


def test_the_loss_never_rises_and_stays_on_the_sphere() -> None:
    rng = np.random.default_rng(4)
    X, y = rng.standard_normal((1, 80, 5)), rng.standard_normal((1, 80))
    starts = orthonormal_rows(rng.standard_normal((1, 1, 1, 5)))
    losses = []
    for iterations in range(12):
        found = gauss_newton(X, y, starts, schedule=((iterations, 1),))
        losses.append(found.loss[0, 0])
        assert np.linalg.norm(found.directions) == pytest.approx(1.0)
    assert np.all(np.diff(losses) <= 1e-12)
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("n_directions", [1, 2])
def test_the_end_is_a_stationary_point_of_the_profile_loss(n_directions: int) -> None:
    """Nearby directions, with the link refitted, are not better: this sees a wrong Jacobian or curvature."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((1, 200, 4))
    y = (np.tanh(2 * X[..., 0]) + X[..., 1] ** 2 + 0.3 * rng.standard_normal((1, 200))) / 1.5
    starts = orthonormal_rows(rng.standard_normal((1, 5, n_directions, 4)))
    found = gauss_newton(X, y, starts, degree=3, schedule=((60, 1),), tolerance=1e-14)
    basis, best = hermite_basis(n_directions, 3), found.directions[0, 0]
    for _ in range(50):
        near = orthonormal_rows(best + 1e-3 * rng.standard_normal(best.shape))
        loss = fit_links(basis, near @ X[0].T, y[0], 1e-2).loss
        assert loss >= found.loss[0, 0] - 1e-9 * found.loss[0, 0]


def test_recovers_a_noise_free_direction_to_rounding() -> None:
    rng = np.random.default_rng(6)
    beta = np.array([2.0, -1.0, 2.0, 0.0]) / 3
    X = rng.standard_normal((1, 40, 4))
    y = (X @ beta) ** 3 - 2 * (X @ beta)
    found = gauss_newton(X, y, orthonormal_rows(rng.standard_normal((1, 20, 1, 4))), penalty=1e-9)
    assert abs(found.directions[0, 0, 0] @ beta) > 1 - 1e-8


def test_zero_row_becomes_an_axis() -> None:
    assert orthonormal_rows(np.zeros((1, 3))).tolist() == [[1.0, 0.0, 0.0]]
    frame = orthonormal_rows(np.random.default_rng(0).standard_normal((5, 2, 4)))
    np.testing.assert_allclose(
        frame @ frame.swapaxes(1, 2), np.broadcast_to(np.eye(2), (5, 2, 2)), atol=1e-12
    )


def test_readout_error_is_the_error_of_refits_without_the_row() -> None:
    rng = np.random.default_rng(7)
    z, y = rng.standard_normal((20, 1)), rng.uniform(-1, 1, 20)
    readout = fit_readout(z, y, kind="relu", width=15, rng=np.random.default_rng(0))
    phi = np.maximum(z @ readout.weights.T + readout.biases, 0)
    centred = phi - phi.mean(axis=0)
    penalty = readout.penalty * np.linalg.eigvalsh(centred.T @ centred)[-1]
    errors = []
    for i in range(20):
        keep = np.arange(20) != i
        mean, level = phi[keep].mean(axis=0), y[keep].mean()
        rest = phi[keep] - mean
        a = np.linalg.solve(rest.T @ rest + penalty * np.eye(15), rest.T @ (y[keep] - level))
        errors.append((y[i] - level - (phi[i] - mean) @ a) ** 2)
    assert readout.held_out_error == pytest.approx(np.mean(errors), rel=1e-5)


def test_readout_chooses_by_the_shape_of_the_link() -> None:
    rng = np.random.default_rng(8)
    z = rng.standard_normal((200, 1))
    cubic = z[:, 0] ** 3 / 4 + 0.1 * rng.standard_normal(200)
    kinked = np.abs(z[:, 0]) + 0.02 * rng.standard_normal(200)
    assert fit_readout(z, cubic, rng=np.random.default_rng(0)).kind == "hermite"
    assert fit_readout(z, kinked, rng=np.random.default_rng(0)).kind == "relu"


def test_biases_that_stop_at_one_leave_an_error_floor() -> None:
    rng = np.random.default_rng(9)
    z = rng.standard_normal((1000, 1))
    y = (z[:, 0] ** 3 - 3 * z[:, 0]) / np.sqrt(6)
    test = rng.standard_normal((5000, 1))
    truth = (test[:, 0] ** 3 - 3 * test[:, 0]) / np.sqrt(6)

    def error(bias_range: float | None) -> float:
        fitted = fit_readout(z, y, kind="relu", bias_range=bias_range, rng=np.random.default_rng(0))
        return float(np.minimum((fitted(test) - truth) ** 2, 9).mean())

    assert error(1.0) > 0.1
    assert error(None) < 0.03


def test_readouts_of_several_tasks_equal_single_ones() -> None:
    rng = np.random.default_rng(10)
    z, y = rng.standard_normal((3, 50, 2)), rng.standard_normal((3, 50))
    together = fit_readouts(z, y, rng=np.random.default_rng(0))
    for t in range(3):
        alone = fit_readout(z[t], y[t], rng=np.random.default_rng(0))
        assert alone.kind == together[t].kind
        np.testing.assert_allclose(alone(z[t]), together[t](z[t]), rtol=1e-7, atol=1e-9)
