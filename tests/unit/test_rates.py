"""Stage II as a figure shows it: side by side, its drift, and the rates that are read from tables."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import solve_ivp

from testtime.experiments.single_index.rates import (
    fitted_exponent,
    rows_exponent,
    rows_needed,
    samples_to_reach,
)
from testtime.experiments.single_index.stage2 import drift, online_paths
from testtime.single_index.strong_recovery import online_sgd, random_network
from testtime.tasks.links import LinkFamily
from testtime.tasks.single_index import SingleIndexFamily


def test_side_by_side_is_what_the_literal_stage_does():
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((3, 40, 5)), rng.standard_normal((3, 40))
    starts = rng.standard_normal((3, 5))
    starts /= np.linalg.norm(starts, axis=1, keepdims=True)
    networks = [random_network(16, rng) for _ in range(3)]
    signs, biases = (np.stack(part) for part in zip(*networks, strict=True))
    slope = lambda z: (signs * (signs * z[:, None] + biases > 0)).mean(axis=1)  # noqa: E731
    found = online_paths(X, y, starts, slope, 0.05, [10, 40])
    for task in range(3):
        for at, rows in enumerate((10, 40)):
            alone = online_sgd(X[task, :rows], y[task, :rows], starts[task], network=networks[task])
            np.testing.assert_allclose(found[at, task], alone.direction, atol=1e-12)


def test_the_drift_solves_its_equation_and_ends_geometrically():
    family = SingleIndexFamily.create(2, 2, seed=0, link=LinkFamily.fixed({3: 1.0, 4: 0.5}))
    task, step = family.draw(1), 1e-3
    (few,), (many,), (more,) = drift([task], 0.7, step, [400, 1500, 1600])
    exact = solve_ivp(lambda _, m: step * (1 - m**2) * (3 * m**2 + m**3), (0, 400), [0.7], rtol=1e-9)
    assert few == pytest.approx(exact.y[0, -1], abs=2e-3)
    assert math.log((1 - many) / (1 - more)) / 100 == pytest.approx(2 * step * (3 + 4 * 0.25), rel=0.01)


def test_one_step_of_the_drift_is_the_mean_of_one_step_of_online_sgd():
    family = SingleIndexFamily.create(3, 3, seed=0, link=LinkFamily.fixed({3: 1.0, 4: 0.5}), noise=0.0)
    task, step = family.draw(1), 1e-3
    link, rng = task.links[0], np.random.default_rng(2)
    other = np.cross(task.direction, [1.0, 0.0, 0.0])
    u = 0.7 * task.direction + math.sqrt(1 - 0.49) * other / np.linalg.norm(other)
    X = rng.standard_normal((400_000, 3))
    z = X @ u
    pulls = task.mean(X) * link.derivative()(z) * (X @ task.direction - 0.7 * z)
    (after,) = drift([task], 0.7, step, [1])[0]
    error = pulls.std() / math.sqrt(len(pulls))
    assert (after - 0.7) / step == pytest.approx(pulls.mean(), abs=5 * error)
    assert error < 0.05 * pulls.mean()


def test_rows_to_reach_and_what_is_never_reached():
    curve = pd.Series([0.1, 0.05, 0.001], index=[10, 100, 1000])
    assert 100 < samples_to_reach(curve, 0.01) < 1000
    assert math.isnan(samples_to_reach(curve, 1e-4))
    assert math.isnan(samples_to_reach(curve, 0.5))  # before the first number of rows


def test_the_interval_of_an_exponent_holds_it():
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(20):
        rows = [
            {"n_rows": n, "task": t, "x": rng.lognormal(sigma=0.5) / n**1.3}
            for n in (64, 128, 256, 512)
            for t in range(20)
        ]
        _, (low, high) = fitted_exponent(pd.DataFrame(rows), "x")
        held += low <= 1.3 <= high
    assert held >= 16
    rows[0]["x"] = np.nan
    assert math.isnan(fitted_exponent(pd.DataFrame(rows), "x")[1][0])


def overlap_rows(power, ranks=(8, 16, 32)):
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"rank": r, "n_rows": n, "task": t, "overlap": 1 - min(1.0, r**power / n) * rng.uniform(0.2, 0.4)}
        for r in ranks
        for n in (8, 32, 128, 512, 2048, 8192, 32768)
        for t in range(40)
    )


def test_rows_needed_grow_with_the_power_that_the_data_have():
    table = overlap_rows(2.0)
    needed = rows_needed(table, 0.9)
    assert needed[32] / needed[8] == pytest.approx(16.0, rel=0.15)
    power, (low, high) = rows_exponent(table, 0.9)
    assert low <= power <= high
    assert power == pytest.approx(2.0, abs=0.15)
    assert high - low < 0.4


def test_what_is_never_reached_has_no_power():
    table = overlap_rows(2.0).query("n_rows < 128")
    assert rows_needed(table, 0.99).isna().all()
    assert math.isnan(rows_exponent(table, 0.99)[0])
