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
from testtime.theory.linear import Setting, one_step
from testtime.theory.linear import rank_one_update as rank_one_update_of_arrays

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


# Correlated inputs and a noisy task in two dimensions, where averages over training rows can be exact sums.
INPUT_COV = np.array([[1.0, 0.4], [0.4, 0.7]])
TASK = np.array([0.8, -1.1])
NOISE_VAR = 0.3
START = np.array([[0.10, 0.03], [-0.02, 0.07]])


def training_nodes(n_train):
    """Return rows, labels and weights of a tensor Gauss-Hermite rule over `n_train` rows and their noise."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(4)  # exact to degree 7; the risk has degree 4
    axes = 3 * n_train
    grid = np.stack(np.meshgrid(*[nodes] * axes, indexing="ij"), axis=-1).reshape(-1, n_train, 3)
    share = np.prod(np.stack(np.meshgrid(*[weights] * axes, indexing="ij"), axis=-1), axis=-1).ravel()
    rows = grid[..., :2] @ np.linalg.cholesky(INPUT_COV).T
    return rows, rows @ TASK + np.sqrt(NOISE_VAR) * grid[..., 2], share / (2 * np.pi) ** (axes / 2)


@pytest.mark.parametrize("n_train", [1, 2])
@pytest.mark.parametrize("context", ["same", "fresh"])
@pytest.mark.parametrize("step", ["fixed", "normalized"])
def test_the_step_averaged_over_training_rows_is_the_conditional_theory(n_train, context, step):
    X = np.array([[0.5, -1.0], [1.2, 0.3], [-0.4, 0.9]])
    y = X @ TASK + np.array([0.2, -0.5, 0.1])
    setting = Setting(3, n_train, input_cov=INPUT_COV, task=TASK, noise_var=NOISE_VAR)
    theory = one_step(setting, START, context, step, observed=(X, y))
    rows, labels, share = training_nodes(n_train)
    many = len(share)
    model = LinearAttention(2, torch.from_numpy(START))
    for step_size in (0.5 * theory.best_step, theory.best_step, 3.0 * theory.best_step):
        trained = model.adapt(
            torch.from_numpy(X).expand(many, 3, 2), torch.from_numpy(y).expand(many, 3),
            torch.from_numpy(rows), torch.from_numpy(labels), step_size, step,
        ).detach().numpy()  # fmt: skip
        assert share @ population_risks(trained, X.T @ y, context) == pytest.approx(
            theory.risk(step_size), rel=1e-11
        )


def population_risks(weights, summary, context):
    """Return the risk of each weight, on this context or averaged over new contexts of three rows."""
    if context == "same":
        first, second = summary, np.outer(summary, summary)
    else:  # mean and second moment of X'y, from the fourth moments of a Gaussian
        direction, label = INPUT_COV @ TASK, TASK @ INPUT_COV @ TASK + NOISE_VAR
        first = 3 * direction
        second = 12 * np.outer(direction, direction) + 3 * label * INPUT_COV
    linear = np.einsum("tij,j,ik,k->t", weights, first, INPUT_COV, TASK)
    square = np.einsum("tij,jk,tlk,il->t", weights, second, weights, INPUT_COV)
    return NOISE_VAR + TASK @ INPUT_COV @ TASK - 2 * linear + square


def test_the_rank_one_update_on_arrays_is_the_step_of_the_module(rows, weight):
    X, y, X_train, y_train = (part[0] for part in training_part(rows))
    trained = LinearAttention(DIM, weight).adapt(X, y, X_train, y_train, 0.01).detach().numpy()
    on_arrays = rank_one_update_of_arrays(
        weight.numpy(), 0.01, X_train.numpy(), y_train.numpy(), (X.T @ y).numpy()
    )
    np.testing.assert_allclose(trained, on_arrays, rtol=0, atol=1e-12 * np.abs(on_arrays).max())


@pytest.mark.parametrize("empty", [[0, 1, 2, 3, 4], [2]])
def test_a_normalised_step_along_nothing_is_no_step(rows, weight, empty):
    X, y, X_train, y_train = training_part(rows)
    silent = y.clone()
    silent[empty] = 0.0
    model = LinearAttention(DIM, weight)
    adapted = model.adapt(X, silent, X_train, y_train, 0.1, "normalized")
    change, along = rank_one_update(weight, X, silent, X_train, y_train, 0.1, "normalized")
    torch.testing.assert_close(weight + change[:, :, None] * along[:, None], adapted, rtol=1e-12, atol=1e-14)
    for task in range(N_TASKS):
        alone = model.adapt(X[task], silent[task], X_train[task], y_train[task], 0.1, "normalized")
        torch.testing.assert_close(alone, adapted[task], rtol=1e-12, atol=1e-14)
        assert torch.equal(alone, weight) == (task in empty)
    adapted.sum().backward()
    assert model.weight.grad.isfinite().all()


def test_a_normalised_step_without_context_rows_is_no_step(rows, weight):
    _, _, X_train, y_train = training_part(rows)
    X, y = torch.empty(0, DIM, dtype=torch.float64), torch.empty(0, dtype=torch.float64)
    adapted = LinearAttention(DIM, weight).adapt(X, y, X_train[0], y_train[0], 0.1, "normalized")
    assert torch.equal(adapted, weight)


@pytest.mark.parametrize("shape", [(1,), (N_TRAIN, 1), (N_TRAIN - 1,), ()])
def test_every_training_row_has_one_label(rows, weight, shape):
    X, y, X_train, _ = (part[0] for part in training_part(rows))
    labels = torch.ones(shape, dtype=torch.float64)
    for call in (training_loss, lambda *parts: rank_one_update(*parts, 0.1)):
        with pytest.raises(InputError, match=rf"expected labels of shape \({N_TRAIN},\)"):
            call(weight, X, y, X_train, labels)
