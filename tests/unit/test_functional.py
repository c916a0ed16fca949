"""The functional step against closed forms, explicit loops and finite differences."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

from testtime.adapt.functional import module_loss, one_step, one_step_each
from testtime.errors import InputError
from testtime.models.linear_attention import LinearAttention, ttt_step

N_TASKS, N_CONTEXT, N_TRAIN, DIM = 6, 7, 5, 3


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def tasks() -> tuple[torch.Tensor, ...]:
    return (
        draw(N_TASKS, N_CONTEXT, DIM, seed=1),
        draw(N_TASKS, N_CONTEXT, seed=2),
        draw(N_TASKS, N_TRAIN, DIM, seed=3),
        draw(N_TASKS, N_TRAIN, seed=4),
    )


def summed_squares(answer: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (answer - target).square().sum()


def linear_attention() -> tuple[LinearAttention, dict[str, torch.Tensor]]:
    model = LinearAttention(DIM, 0.1 * draw(DIM, DIM, seed=5))
    return model, {name: value.detach() for name, value in model.named_parameters()}


class Attention(torch.nn.Module):
    """Scaled dot-product attention of query rows to context rows, with a learned metric."""

    def __init__(self) -> None:
        super().__init__()
        self.metric = torch.nn.Parameter(0.3 * draw(DIM, DIM, seed=6))

    def forward(self, X: torch.Tensor, y: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        keys, values = X[None, None], y[None, None, :, None]
        attended = F.scaled_dot_product_attention((queries @ self.metric)[None, None], keys, values)
        return attended[0, 0, :, 0]


def test_a_step_on_a_quadratic_is_known():
    target = torch.tensor([3.0, -1.0], dtype=torch.float64)
    params = {"w": torch.zeros(2, dtype=torch.float64)}
    stepped = one_step(lambda p, t: 0.5 * (p["w"] - t).square().sum(), params, target, 0.25)
    assert torch.equal(stepped["w"], 0.25 * target)
    assert torch.equal(params["w"], torch.zeros(2, dtype=torch.float64)), "the start is left as it is"


def test_a_step_of_linear_attention_is_the_rank_one_update():
    """The closed form 2 eta X_t' (y_t - X_t W u) u' with u = X'y, written out in NumPy."""
    model, params = linear_attention()
    X, y, X_train, y_train = (tensor[0].numpy() for tensor in tasks())
    weight = params["weight"].numpy()
    u = X.T @ y
    change = 2 * 0.01 * (X_train.T @ (y_train - X_train @ weight @ u))[:, None] * u[None, :]
    loss = module_loss(model, summed_squares)
    stepped = one_step(loss, params, tuple(tensor[0] for tensor in tasks()), 0.01)
    torch.testing.assert_close(stepped["weight"], torch.from_numpy(weight + change), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("per_task", [False, True])
def test_the_twin_equals_the_loop(per_task: bool):
    model, params = linear_attention()
    rates = torch.linspace(0.001, 0.02, N_TASKS, dtype=torch.float64)
    loss = module_loss(model, summed_squares)
    together = one_step_each(loss, params, tasks(), rates if per_task else 0.01)["weight"]
    assert together.shape == (N_TASKS, DIM, DIM)
    for task in range(N_TASKS):
        rate = float(rates[task]) if per_task else 0.01
        alone = ttt_step(params["weight"], *(tensor[task] for tensor in tasks()), rate)
        torch.testing.assert_close(together[task], alone, rtol=1e-12, atol=1e-12)


def test_the_twin_equals_the_loop_for_softmax_attention():
    """The loop is plain autograd on the module, without functional calls."""
    model = Attention()
    params = {name: value.detach() for name, value in model.named_parameters()}
    with sdpa_kernel(SDPBackend.MATH):
        together = one_step_each(module_loss(model, summed_squares), params, tasks(), 0.1)["metric"]
        for task in range(N_TASKS):
            *inputs, target = (tensor[task] for tensor in tasks())
            (gradient,) = torch.autograd.grad(summed_squares(model(*inputs), target), model.metric)
            alone = model.metric.detach() - 0.1 * gradient
            torch.testing.assert_close(together[task], alone, rtol=1e-12, atol=1e-12)


def test_gradients_through_the_step():
    """Pretraining goes through the step, so its derivatives must be right: central differences in float64."""
    model = Attention()

    def loss_after_step(metric: torch.Tensor, rate: torch.Tensor, *batch: torch.Tensor) -> torch.Tensor:
        loss = module_loss(model, summed_squares)
        return loss(one_step(loss, {"metric": metric}, batch, rate), batch)

    batch = tuple(tensor[0].clone().requires_grad_() for tensor in tasks())
    start = draw(DIM, DIM, seed=7).mul(0.3).requires_grad_()
    rate = torch.tensor(0.05, dtype=torch.float64, requires_grad=True)
    with sdpa_kernel(SDPBackend.MATH):
        assert torch.autograd.gradcheck(loss_after_step, (start, rate, *batch))


def test_a_matrix_of_step_sizes_is_refused():
    model, params = linear_attention()
    with pytest.raises(InputError, match=r"\(2, 2\).*one per task"):
        one_step_each(module_loss(model, summed_squares), params, tasks(), torch.ones(2, 2))
