"""The closed forms against automatic differentiation of the literal losses, conditional on data."""

import numpy as np
import pytest
import torch

from testtime.theory.linear import Setting, line_search, one_step, rank_one_update, several_steps

BETA = torch.tensor([0.8, -0.5, 0.3], dtype=torch.float64)
COV = torch.tensor([[1.2, 0.3, 0.0], [0.3, 0.9, -0.2], [0.0, -0.2, 0.7]], dtype=torch.float64)


def draw(seed, n, k):
    generator = torch.Generator().manual_seed(seed)
    root = torch.linalg.cholesky(COV)
    x = torch.randn(n + k, 3, generator=generator, dtype=torch.float64) @ root.T
    y = x @ BETA + 0.3 * torch.randn(n + k, generator=generator, dtype=torch.float64)
    return x[:n], y[:n], x[n:], y[n:]


def training_loss(weight, x, y, u):
    return torch.sum((y - x @ weight @ u) ** 2)


def test_the_update_is_the_gradient_step():
    for seed in range(5):
        x, y, xt, yt = draw(seed, 4, 6)
        u = x.T @ y
        weight = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        variable = weight.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(training_loss(variable, xt, yt, u), variable)
        expected = weight - 0.01 * gradient
        got = rank_one_update(weight.numpy(), 0.01, xt.numpy(), yt.numpy(), u.numpy())
        np.testing.assert_allclose(got, expected.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("context", ["fresh", "same"])
def test_slope_of_the_population_risk_given_a_context(context):
    """d risk / d step at 0 through autograd, the training rows being averaged by cubature."""
    from tests.oracles.linear_literal import rows, summaries

    n, k, noise = 2, 1, 0.09
    x, y, _, _ = draw(3, n, k)
    u = x.T @ y
    cov, beta = COV.numpy(), BETA.numpy()
    weight = 0.1 * torch.eye(3, dtype=torch.float64) + 0.05
    x_all, y_all, weights = rows(k, cov, beta, noise, 3, 2)
    v, v_weights = summaries(n, cov, beta, noise, 3, 2)
    v_mean = torch.tensor(v_weights @ v)
    v_square = torch.tensor(np.einsum("m,mi,mj->ij", v_weights, v, v))

    def population(matrix):
        if context == "same":
            error = BETA - matrix @ u
            return error @ COV @ error + noise
        inner = torch.trace(matrix.T @ COV @ matrix @ v_square) - 2 * BETA @ COV @ matrix @ v_mean
        return BETA @ COV @ BETA + inner + noise

    def after(step):
        total = torch.zeros((), dtype=torch.float64)
        for xt, yt, w in zip(torch.tensor(x_all), torch.tensor(y_all), weights, strict=True):
            variable = weight.clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(training_loss(variable, xt, yt, u), variable)
            total = total + w * population(weight - step * gradient)
        return total

    step = torch.zeros((), dtype=torch.float64, requires_grad=True)
    risk = after(step)
    (slope,) = torch.autograd.grad(risk, step, create_graph=True)
    (curvature,) = torch.autograd.grad(slope, step)
    setting = Setting(n, k, input_cov=cov, task=beta, noise_var=noise)
    answer = one_step(setting, weight.numpy(), context, observed=(x.numpy(), y.numpy()))
    assert answer.risk_before == pytest.approx(risk.item(), rel=1e-10)
    assert answer.slope == pytest.approx(slope.item(), rel=1e-10)
    assert answer.curvature == pytest.approx(curvature.item(), rel=1e-10)


def test_line_search_minimises_the_training_loss():
    x, y, xt, yt = draw(8, 5, 7)
    u = x.T @ y
    weight = 0.1 * torch.eye(3, dtype=torch.float64)
    residual = yt - xt @ weight @ u
    length = line_search(xt.numpy(), residual.numpy())

    variable = torch.tensor(length, dtype=torch.float64, requires_grad=True)
    theta = weight @ u + variable * xt.T @ residual
    (slope,) = torch.autograd.grad(torch.sum((yt - xt @ theta) ** 2), variable)
    assert abs(slope.item()) < 1e-10 * float(torch.sum(residual**2)) / length


def test_several_steps_path_by_autograd():
    """Mean over many contexts of literally repeated gradient steps, within 4 standard errors."""
    generator = torch.Generator().manual_seed(5)
    n, k, d, noise, lengths = 12, 9, 8, 0.2, [0.06, 0.05, 0.04]
    beta = torch.zeros(d, dtype=torch.float64)
    beta[0] = 1.0
    risks = []
    for _ in range(400):
        x = torch.randn(n + k, d, generator=generator, dtype=torch.float64)
        y = x @ beta + noise**0.5 * torch.randn(n + k, generator=generator, dtype=torch.float64)
        u = x[:n].T @ y[:n]
        weight = (torch.eye(d, dtype=torch.float64) * 0.05).requires_grad_(True)
        for length in lengths:
            (gradient,) = torch.autograd.grad(training_loss(weight, x[n:], y[n:], u), weight)
            weight = (weight - length / (2 * u @ u) * gradient).detach().requires_grad_(True)
        risks.append(noise + torch.sum((beta - weight @ u) ** 2).item())
    expected = several_steps(Setting(n, k, dim=d, task=1.0, noise_var=noise), lengths, 0.05).risks[-1]
    assert abs(np.mean(risks) - expected) < 4 * np.std(risks) / len(risks) ** 0.5
