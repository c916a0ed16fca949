"""The linear attention module against explicit loops, and its step against the closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testtime.errors import InputError
from testtime.models.linear_attention import (
    LinearAttention,
    predict,
    rank_one_update,
    training_loss,
    ttt_step,
    ttt_steps,
)
from testtime.tasks.linear import draw_episodes

N_TASKS, N_CONTEXT, N_TRAIN, N_QUERY, DIM = 5, 7, 6, 4, 3


@pytest.fixture
def rows():
    """Rows of five correlated, noisy tasks as float64 tensors."""
    covariance = np.array([[1.0, 0.4, 0.0], [0.4, 2.0, -0.3], [0.0, -0.3, 0.5]])
    episode = draw_episodes(
        N_TASKS, N_CONTEXT, N_TRAIN, DIM, n_query=N_QUERY, input_cov=covariance, noise_var=0.3, seed=11
    )
    names = ("X_context", "y_context", "X_train", "y_train", "X_query", "y_query")
    return {name: torch.from_numpy(getattr(episode, name)) for name in names}


@pytest.fixture
def weight():
    return 0.1 * torch.randn(DIM, DIM, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def training_part(rows):
    return rows["X_context"], rows["y_context"], rows["X_train"], rows["y_train"]


def test_prediction_is_the_bilinear_form(rows, weight):
    answer = LinearAttention(DIM, weight)(rows["X_context"], rows["y_context"], rows["X_query"])
    assert answer.shape == (N_TASKS, N_QUERY)
    for task in range(N_TASKS):
        X, y = rows["X_context"][task].numpy(), rows["y_context"][task].numpy()
        for query in range(N_QUERY):
            summed = sum(
                y[row] * (rows["X_query"][task, query].numpy() @ weight.numpy() @ X[row])
                for row in range(len(y))
            )
            assert answer[task, query].item() == pytest.approx(summed, rel=1e-13)


def test_a_batch_equals_one_task_at_a_time(rows, weight):
    model = LinearAttention(DIM, weight)
    together = model(rows["X_context"], rows["y_context"], rows["X_query"])
    for task in range(N_TASKS):
        alone = model(rows["X_context"][task], rows["y_context"][task], rows["X_query"][task])
        torch.testing.assert_close(together[task], alone, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_predictions_and_steps_have_the_dtype_of_the_rows(rows, weight, dtype):
    cast = {name: value.to(dtype) for name, value in rows.items()}
    for stored in (torch.float32, torch.float64):
        model = LinearAttention(DIM, weight, dtype=stored)
        assert model(cast["X_context"], cast["y_context"], cast["X_query"]).dtype == dtype
        assert model.adapt(*training_part(cast), 0.001).dtype == dtype
        assert model.weight.dtype == stored


@pytest.mark.parametrize("step", ["fixed", "normalized"])
def test_the_step_by_automatic_differentiation_is_the_rank_one_update(rows, weight, step):
    trained = LinearAttention(DIM, weight).adapt(*training_part(rows), 0.01, step)
    left, right = rank_one_update(weight, *training_part(rows), 0.01, step)
    change = left[:, :, None] * right[:, None, :]
    scale = change.abs().max()
    assert (trained - weight - change).abs().max() <= 1e-12 * scale
    assert scale > 1e-4


@pytest.mark.parametrize("step", ["fixed", "normalized"])
def test_the_rank_one_update_is_the_literal_formula(rows, weight, step):
    left, right = rank_one_update(weight, *training_part(rows), 0.01, step)
    W = weight.numpy()
    for task in range(N_TASKS):
        X, y, X_t, y_t = (part[task].numpy() for part in training_part(rows))
        u = X.T @ y
        rate = 0.01 / (u @ u) if step == "normalized" else 0.01
        np.testing.assert_allclose(left[task].numpy(), 2 * rate * X_t.T @ (y_t - X_t @ W @ u), rtol=1e-12)
        np.testing.assert_allclose(right[task].numpy(), u, rtol=1e-12)


@pytest.mark.parametrize("step", ["fixed", "normalized"])
@pytest.mark.parametrize("own_weights", [False, True])
def test_the_vectorised_twin_equals_the_loop(rows, weight, step, own_weights):
    rates = torch.linspace(0.001, 0.02, N_TASKS, dtype=torch.float64)
    start = weight * torch.arange(1, 6)[:, None, None] if own_weights else weight
    together = ttt_steps(start, *training_part(rows), rates, step)
    for task in range(N_TASKS):
        own = start[task] if own_weights else start
        alone = ttt_step(own, *(part[task] for part in training_part(rows)), rates[task], step)
        torch.testing.assert_close(together[task], alone, rtol=1e-12, atol=1e-14)


def test_a_small_enough_step_lowers_the_training_loss_and_zero_changes_nothing(rows, weight):
    model = LinearAttention(DIM, weight)
    before = training_loss(weight, *training_part(rows))
    after = training_loss(model.adapt(*training_part(rows), 1e-6), *training_part(rows))
    assert (after < before).all()
    still = model.adapt(*training_part(rows), 0.0)
    assert torch.equal(still, weight.expand(N_TASKS, DIM, DIM))
    assert torch.equal(model.weight, weight)


def test_the_step_is_differentiable_in_weight_rate_and_rows(rows, weight):
    X, y, X_t, y_t = (part[:2].clone().requires_grad_() for part in training_part(rows))
    rate = torch.tensor([0.01, 0.02], dtype=torch.float64, requires_grad=True)
    start = weight.clone().requires_grad_()
    assert torch.autograd.gradcheck(ttt_steps, (start, X, y, X_t, y_t, rate), atol=1e-7, rtol=1e-6)


def test_pretraining_through_the_step_moves_the_parameter(rows):
    model = LinearAttention(DIM, 0.05, dtype=torch.float64)
    trained = model.adapt(*training_part(rows), 1e-4)
    answers = model(rows["X_context"], rows["y_context"], rows["X_query"], weight=trained)
    (answers - rows["y_query"]).square().mean().backward()
    assert model.weight.grad is not None
    assert model.weight.grad.abs().max() > 0


def test_no_training_rows_leave_the_weight(rows, weight):
    X, y, X_t, y_t = training_part(rows)
    kept = LinearAttention(DIM, weight).adapt(X, y, X_t[:, :0], y_t[:, :0], 0.1)
    assert torch.equal(kept, weight.expand_as(kept))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"X_query": torch.zeros(5, 4, 2)}, r"queries \(5, 4, 2\)"),
        ({"y_context": torch.zeros(5, 6)}, r"labels \(5, 6\)"),
    ],
)
def test_shapes_that_do_not_match_are_named(rows, weight, change, said):
    mixed = rows | change
    with pytest.raises(InputError, match=said):
        predict(weight, mixed["X_context"], mixed["y_context"], mixed["X_query"])


def test_other_bad_arguments_are_named(rows, weight):
    with pytest.raises(InputError, match=r"weight has shape \(3, 3\); expected \(4, 4\)"):
        LinearAttention(4, weight)
    with pytest.raises(InputError, match="step='adaptive'; expected 'fixed' or 'normalized'"):
        LinearAttention(3, weight).adapt(*training_part(rows), 0.1, "adaptive")
