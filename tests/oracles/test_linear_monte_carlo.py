"""Simulated steps at moderate sizes: the risk at the best step, within 4 standard errors.

The risk is compared at the best step because the curvature alone is a mean of twelfth powers of Gaussians.
"""

import numpy as np
import pytest

from testtime.theory.linear import (
    Setting,
    best_left,
    converged_risk,
    leave_one_out,
    line_search_means,
    lora_step,
    mini_batch_risk,
    one_step,
    pretrained_weight,
    random_lora_step,
    separate_contexts,
    several_steps,
)

REPLICATES = 6000
D = 12
SPECTRUM = np.linspace(0.3, 1.7, D)
TURN = np.linalg.qr(np.random.default_rng(1).standard_normal((D, D)))[0]
COV = TURN @ np.diag(SPECTRUM) @ TURN.T
PRIOR = np.diag(np.linspace(0.2, 1.8, D))
BETA = np.sin(np.arange(1, D + 1))


def full(weight):
    weight = np.asarray(weight)
    return weight * np.eye(D) if weight.ndim == 0 else (np.diag(weight) if weight.ndim == 1 else weight)


def draw(generator, count, beta, noise, cov):
    """Inputs and labels (replicates, count, ...) and the context summary."""
    x = generator.standard_normal((REPLICATES, count, D)) @ np.linalg.cholesky(cov).T
    y = np.einsum("rid,rd->ri", x, beta) + np.sqrt(noise) * generator.standard_normal((REPLICATES, count))
    return x, y, np.einsum("rid,ri->rd", x, y)


def simulated(setting, weight, step, context, rule, seed, left=None, right=None, eval_rows=None):
    """Mean and standard error of the risk after a step of this size."""
    generator = np.random.default_rng(seed)
    cov = full(setting.input_cov)
    noise = setting.noise_var
    if setting.task is None:
        root = np.linalg.cholesky(full(setting.test_task_covariance))
        beta = generator.standard_normal((REPLICATES, D)) @ root.T
    else:
        beta = np.broadcast_to(setting.task, (REPLICATES, D))
    left, right = (np.eye(D) if m is None else m for m in (left, right))
    _, _, u = draw(generator, setting.n_context, beta, noise, cov)
    x, y, _ = draw(generator, setting.n_train, beta, noise, cov)
    v = u
    if context == "fresh":
        v = draw(generator, setting.n_context if eval_rows is None else eval_rows, beta, noise, cov)[2]
    error = y - np.einsum("rid,de,re->ri", x, weight, u)
    gradient = np.einsum("rid,ri->rd", x, error) @ left.T
    reach = np.einsum("rd,de,re->r", u, right, v)
    if rule == "normalized":
        reach = reach / np.einsum("rd,de,re->r", u, right, u)
    moved = v @ weight.T + 2 * step * reach[:, None] * gradient - beta
    risks = noise + np.einsum("rd,de,re->r", moved, cov, moved)
    return risks.mean(), risks.std() / np.sqrt(REPLICATES)


def agree(answer, setting, weight, context, rule, seed, **sides):
    mean, error = simulated(setting, full(weight), answer.best_step, context, rule, seed, **sides)
    assert abs(mean - answer.best_risk) < 4 * error
    assert error < 0.03 * answer.best_risk  # the comparison is not empty


@pytest.mark.parametrize("context", ["fresh", "same"])
@pytest.mark.parametrize("rule", ["fixed", "normalized"])
@pytest.mark.parametrize("start", ["warm", "cold"])
def test_general_covariance(context, rule, start):
    setting = Setting(20, 15, input_cov=COV, task_cov=PRIOR, task=BETA, noise_var=0.4)
    weight = pretrained_weight(setting) if start == "warm" else 0.0
    agree(one_step(setting, start, context, rule), setting, weight, context, rule, seed=11)


@pytest.mark.parametrize("rule", ["fixed", "normalized"])
def test_preconditioned(rule):
    setting = Setting(20, 15, input_cov=COV, task_cov=PRIOR, task=BETA, noise_var=0.4)
    weight = pretrained_weight(setting)
    left = np.linalg.inv(COV) + 0.1 * np.ones((D, D)) / D
    for context, right in (("same", COV), ("fresh", COV if rule == "fixed" else None)):
        answer = one_step(setting, "warm", context, rule, left=left, right=right)
        agree(answer, setting, weight, context, rule, seed=12, left=left, right=right)


@pytest.mark.parametrize("rule", ["fixed", "normalized"])
def test_another_evaluation_length(rule):
    setting = Setting(20, 15, input_cov=COV, task_cov=PRIOR, task=BETA, noise_var=0.4)
    answer = one_step(setting, "warm", "fresh", rule, eval_context=45)
    agree(answer, setting, pretrained_weight(setting), "fresh", rule, seed=13, eval_rows=45)


def test_isotropic_normalized_fresh_with_noise():
    setting = Setting(10, 15, dim=D, task=BETA, noise_var=0.7)
    weight = pretrained_weight(setting)
    agree(one_step(setting, "warm", "fresh", "normalized"), setting, weight, "fresh", "normalized", seed=14)


@pytest.mark.parametrize("context", ["fresh", "same"])
def test_random_task(context):
    setting = Setting(20, 15, input_cov=COV, task_cov=PRIOR, test_task_cov=PRIOR[::-1, ::-1], noise_var=0.4)
    answer = one_step(setting, "warm", context)
    agree(answer, setting, pretrained_weight(setting), context, "fixed", seed=15)


def test_frozen_factor():
    setting = Setting(20, 15, input_cov=COV, task_cov=PRIOR, task=BETA, noise_var=0.4)
    down = np.random.default_rng(3).standard_normal((3, D))
    answer = lora_step(setting, down=down)
    agree(answer, setting, pretrained_weight(setting), "fresh", "fixed", seed=16, right=down.T @ down)


@pytest.mark.parametrize("train", ["up", "down"])
@pytest.mark.parametrize("context", ["fresh", "same"])
def test_random_factor(train, context):
    """The average over factors of the exact risk for each factor."""
    setting = Setting(20, 15, dim=D, input_cov=1.3, task=BETA, noise_var=0.4)
    answer = random_lora_step(setting, 4, train, context=context)
    generator = np.random.default_rng(17)
    risks = []
    for _ in range(400):
        factor = generator.standard_normal((4, D)) / 2.0
        sides = {"down": factor} if train == "up" else {"up": factor.T}
        risks.append(lora_step(setting, context=context, **sides).risk(answer.best_step))
    assert abs(np.mean(risks) - answer.best_risk) < 4 * np.std(risks) / 20.0


def test_best_left_preconditioner():
    setting = Setting(20, 15, input_cov=COV, task_cov=PRIOR, task=BETA, noise_var=0.4)
    ideal = best_left(setting)
    answer = one_step(setting, "warm", "same", "normalized", left=ideal)
    agree(answer, setting, pretrained_weight(setting), "same", "normalized", seed=18, left=ideal)
    for seed in range(20):  # no neighbour is better
        other = ideal + 0.05 * np.random.default_rng(seed).standard_normal((D, D)) * np.abs(ideal).max()
        near = one_step(setting, "warm", "same", "normalized", left=other)
        assert near.risk(0.5) > answer.best_risk


def test_leave_one_out_at_moderate_size():
    setting = Setting(15, 0, dim=D, task=BETA, noise_var=0.4)
    w = pretrained_weight(setting)
    generator = np.random.default_rng(19)
    beta = np.broadcast_to(BETA, (REPLICATES, D))
    x, y, u = draw(generator, 15, beta, 0.4, np.eye(D))
    others = u[:, None] - x * y[..., None]
    error = y - w * np.einsum("rid,rid->ri", x, others)
    for context in ("same", "fresh"):
        answer = leave_one_out(setting, context=context)
        v = u if context == "same" else draw(generator, 15, beta, 0.4, np.eye(D))[2]
        push = np.einsum("rid,ri->rd", x, error * np.einsum("rid,rd->ri", others, v))
        moved = w * v + 2 * answer.best_step * push - beta
        risks = 0.4 + np.einsum("rd,rd->r", moved, moved)
        assert abs(risks.mean() - answer.best_risk) < 4 * risks.std() / np.sqrt(REPLICATES)


def test_separate_contexts_at_moderate_size():
    setting = Setting(15, 4, dim=D, task=BETA, noise_var=0.4)
    answer, w = separate_contexts(setting), pretrained_weight(setting)
    generator = np.random.default_rng(20)
    beta = np.broadcast_to(BETA, (REPLICATES, D))
    v = draw(generator, 15, beta, 0.4, np.eye(D))[2]
    moved = w * v - beta
    for _ in range(4):
        u = draw(generator, 15, beta, 0.4, np.eye(D))[2]
        x, y, _ = draw(generator, 1, beta, 0.4, np.eye(D))
        error = y[:, 0] - w * np.einsum("rd,rd->r", x[:, 0], u)
        moved = moved + 2 * answer.best_step * (error * np.einsum("rd,rd->r", u, v))[:, None] * x[:, 0]
    risks = 0.4 + np.einsum("rd,rd->r", moved, moved)
    assert abs(risks.mean() - answer.best_risk) < 4 * risks.std() / np.sqrt(REPLICATES)


@pytest.mark.parametrize("context", ["same", "fresh"])
def test_paths_on_one_context(context):
    """Many steps, the end of the path, and mini-batches, on white inputs, judged in either reading."""
    setting = Setting(20, 8, dim=D, task=BETA, noise_var=0.4)
    w = pretrained_weight(setting)
    generator = np.random.default_rng(21)
    beta = np.broadcast_to(BETA, (REPLICATES, D))
    u = draw(generator, 20, beta, 0.4, np.eye(D))[2]
    x, y, _ = draw(generator, 8, beta, 0.4, np.eye(D))
    v = draw(generator, 20, beta, 0.4, np.eye(D))[2] if context == "fresh" else u
    share = (np.einsum("rd,rd->r", u, v) / np.einsum("rd,rd->r", u, u))[:, None]

    def walked(blocks, lengths):
        theta = w * u
        for (start, stop), length in zip(blocks, lengths, strict=True):
            rows, labels = x[:, start:stop], y[:, start:stop]
            error = labels - np.einsum("rid,rd->ri", rows, theta)
            theta = theta + length * np.einsum("rid,ri->rd", rows, error)
        return theta

    lengths, halves = [0.05, 0.04, 0.03, 0.02, 0.02], [0.03, 0.05]
    error = y - np.einsum("rid,rd->ri", x, w * u)
    for end, expected in (
        (walked([(0, 8)] * 5, lengths), several_steps(setting, lengths, context=context).risks[-1]),
        (
            walked([(0, 3), (3, 8)], halves),
            mini_batch_risk(setting, [3, 5], halves, context=context).risks[-1],
        ),
        (w * u + np.einsum("rdi,ri->rd", np.linalg.pinv(x), error), converged_risk(setting, context=context)),
    ):
        risks = 0.4 + np.sum((w * v + share * (end - w * u) - beta) ** 2, axis=1)
        standard_error = risks.std() / np.sqrt(REPLICATES)
        assert abs(risks.mean() - expected) < 4 * standard_error
        assert standard_error < 0.02 * expected


@pytest.mark.parametrize("context", ["same", "fresh"])
def test_best_batches_are_best(context):
    setting = Setting(20, 8, dim=D, task=BETA, noise_var=0.4)
    best = mini_batch_risk(setting, [3, 5], context=context).risks
    for length in np.linspace(0.0, 0.2, 41):
        assert mini_batch_risk(setting, [3], [length], context=context).risks[1] >= best[1] - 1e-12


def test_line_search_means():
    found = line_search_means(BETA, 9, COV, 0.4)
    generator = np.random.default_rng(22)
    x, y, _ = draw(generator, 9, np.broadcast_to(BETA, (REPLICATES, D)), 0.4, COV)
    gradient = np.einsum("rid,ri->rd", x, y)
    for sample, expected in (
        (np.sum(gradient**2, axis=1), found.numerator),
        (np.sum(np.einsum("rid,rd->ri", x, gradient) ** 2, axis=1), found.denominator),
    ):
        assert abs(sample.mean() - expected) < 4 * sample.std() / np.sqrt(REPLICATES)
    lengths = found.best_length * np.array([0.9, 1.0, 1.1])
    moved = [np.mean(np.einsum("rd,de,re->r", r := BETA - length * gradient, COV, r)) for length in lengths]
    assert moved[1] < min(moved[0], moved[2])
