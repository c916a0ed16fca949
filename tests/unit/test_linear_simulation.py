"""The batched simulation against the module trained by automatic differentiation on the rows it drew."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testtime.experiments.linear.simulation import Population, simulate_one_step, simulate_steps
from testtime.experiments.linear.small import simulate_small
from testtime.models.linear_attention import ttt_step

DIM, N_CONTEXT, N_TASKS = 4, 6, 3
TASK = np.array([0.5, -1.0, 0.3, 2.0])
VARIANCES = np.array([0.3, 1.0, 1.5, 0.7])
WEIGHT = np.array([0.05, 0.1, 0.02, 0.08])


class Recorder(Population):
    """A population that remembers what it handed out, in order."""

    def __init__(self, noise_var):
        super().__init__(TASK, VARIANCES, noise_var)
        object.__setattr__(self, "seen", {"tasks": [], "inputs": [], "labels": []})

    def tasks(self, count, rng):
        self.seen["tasks"].append(super().tasks(count, rng))
        return self.seen["tasks"][-1]

    def inputs(self, count, rng):
        self.seen["inputs"].append(super().inputs(count, rng))
        return self.seen["inputs"][-1]

    def labels(self, X, tasks, rng):
        answer = super().labels(X, tasks, rng)
        self.seen["labels"].append((tasks.copy(), answer.copy()))
        return answer


def population_risk(weight, context, labels, task, noise_var):
    error = task - weight @ context.T @ labels
    return noise_var + error @ (VARIANCES * error)


@pytest.mark.parametrize("noise_var", [0.0, 0.4])
@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("normalized", [True, False])
def test_one_step_is_the_step_of_the_module(noise_var, fresh, normalized):
    population = Recorder(noise_var)
    measured = simulate_one_step(
        population, WEIGHT, N_CONTEXT, [2, 5], fresh=fresh, normalized=normalized,
        n_designs=1, n_tasks=N_TASKS, seed=np.random.SeedSequence(1),
    )  # fmt: skip
    tasks = population.seen["tasks"][0]
    inputs, labels = population.seen["inputs"], population.seen["labels"]
    context, judged = inputs[0], inputs[1] if fresh else inputs[0]
    n_contexts = 2 if fresh else 1
    step_size = 0.02 if normalized else 0.001
    for n_train, blocks in ((2, 1), (5, 2)):
        risks = []
        for task in range(N_TASKS):
            y = labels[0][1][:, task]
            start = np.diag(WEIGHT)
            X_train = np.concatenate(inputs[n_contexts : n_contexts + blocks])
            # what was drawn is label minus prediction, so the label is that plus the prediction
            errors = np.concatenate([labels[n_contexts + block][1][:, task] for block in range(blocks)])
            y_train = errors + X_train @ start @ context.T @ y
            trained = ttt_step(
                *(torch.from_numpy(part) for part in (start, context, y, X_train, y_train)),
                step_size, "normalized" if normalized else "fixed",
            )  # fmt: skip
            judged_labels = labels[1][1][:, task] if fresh else y
            risks.append(population_risk(trained.numpy(), judged, judged_labels, tasks[:, task], noise_var))
        averaged = measured[n_train]
        risk = averaged.before + step_size * averaged.slope + step_size**2 * averaged.curvature / 2
        assert risk[0] == pytest.approx(np.mean(risks), rel=1e-11)


@pytest.mark.parametrize("fresh", [True, False])
def test_several_steps_are_the_steps_of_the_module(fresh):
    population = Recorder(0.4)
    rhos = (0.05, 0.03, 0.02)
    risks = simulate_steps(
        population, WEIGHT, N_CONTEXT, 5, rhos, fresh=fresh, n_designs=1, n_tasks=N_TASKS,
        seed=np.random.SeedSequence(2),
    )  # fmt: skip
    inputs, labels = population.seen["inputs"], population.seen["labels"]
    context, judged, X_train = inputs[0], inputs[1] if fresh else inputs[0], inputs[-1]
    expected = np.zeros(len(rhos) + 1)
    for task in range(N_TASKS):
        y = torch.from_numpy(labels[0][1][:, task].copy())
        judged_y = labels[1][1][:, task] if fresh else labels[0][1][:, task]
        y_train = torch.from_numpy(labels[-1][1][:, task].copy())
        weight = torch.from_numpy(np.diag(WEIGHT))
        beta = population.seen["tasks"][0][:, task]
        for place, rho in enumerate((*rhos, 0.0)):
            expected[place] += population_risk(weight.numpy(), judged, judged_y, beta, 0.4) / N_TASKS
            rows = (torch.from_numpy(context), y, torch.from_numpy(X_train), y_train)
            weight = ttt_step(weight, *rows, rho / 2, "normalized")
    np.testing.assert_allclose(risks[:, 0], expected, rtol=1e-11)


def test_the_error_is_the_standard_error_of_the_designs():
    measured = simulate_one_step(
        Population(TASK, VARIANCES),
        0.05,
        N_CONTEXT,
        [3],
        n_designs=50,
        n_tasks=8,
        seed=np.random.SeedSequence(3),
    )[3]
    mean, error = measured.risk(0.0)
    assert mean == pytest.approx(measured.before.mean())
    assert error == pytest.approx(np.std(measured.before, ddof=1) / np.sqrt(50))


@pytest.mark.parametrize(("noise_var", "normalized"), [(0.0, False), (0.3, False), (0.3, True)])
def test_many_designs_at_once_are_what_design_by_design_gives(noise_var, normalized):
    population = Population(TASK, VARIANCES, noise_var)
    options = {"normalized": normalized, "n_tasks": 8, "seed": np.random.SeedSequence(3)}
    fast = simulate_small(population, WEIGHT, 12, 24, n_designs=5000, **options)
    slow = simulate_one_step(population, WEIGHT, 12, [24], n_designs=2000, **options)[24]
    for name, (mean, error) in slow.parts().items():
        other, its_error = fast.parts()[name]
        assert abs(mean - other) < 4 * np.hypot(error, its_error), name
        assert its_error == pytest.approx(error * (2000 / 5000) ** 0.5, rel=0.5)
        assert error < 0.1 * abs(mean), name
