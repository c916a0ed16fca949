"""The attention against its definition written out in NumPy, and against autograd."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.func import functional_call

from testtime.errors import InputError
from testtime.models import softmax_attention as module
from testtime.models.softmax_attention import SoftmaxAttention, softmax_attention


def example(
    seed: int = 0, tasks: int = 2, rows: int = 7, queries: int = 5, dim: int = 3
) -> tuple[torch.Tensor, ...]:
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    return draw(tasks, rows, dim), 2 * draw(tasks, rows), draw(tasks, queries, dim), draw(dim, dim)


def by_hand(keys, labels, queries, gamma, temperature, clip):
    """Label and covariance from the formulas, one query at a time."""
    keys, labels, queries, gamma = (part.numpy() for part in (keys, labels, queries, gamma))
    labels = np.clip(labels, -clip, clip)
    g = np.empty(queries.shape[:2])
    covariance = np.empty(queries.shape)
    for t in range(len(keys)):
        for q, x in enumerate(queries[t]):
            p = np.exp((labels[t] + keys[t] @ gamma @ x) / temperature)
            p /= p.sum()
            g[t, q] = p @ labels[t]
            covariance[t, q] = sum(p[i] * (labels[t, i] - g[t, q]) * keys[t, i] for i in range(len(p)))
    return g, covariance


@pytest.mark.parametrize("clip", [1.0, 3.0, np.inf])
@pytest.mark.parametrize("chunk", [None, 1, 2, 100])
def test_matches_the_formulas(clip: float, chunk: int | None) -> None:
    keys, labels, queries, gamma = example()
    read = softmax_attention(
        keys, labels, queries, gamma, temperature=0.7, clip=clip, with_covariance=True, chunk=chunk
    )
    g, covariance = by_hand(keys, labels, queries, gamma, 0.7, clip)
    np.testing.assert_allclose(read.label, g, rtol=1e-12)
    np.testing.assert_allclose(read.covariance, covariance, rtol=1e-10, atol=1e-12)


def test_covariance_is_the_derivative_of_the_label() -> None:
    keys, labels, queries, gamma = example()
    gamma.requires_grad_()
    read = softmax_attention(keys, labels, queries, gamma, temperature=0.7, with_covariance=True)
    (gradient,) = torch.autograd.grad(read.label[1, 2], gamma)
    expected = torch.outer(read.covariance[1, 2], queries[1, 2]) / 0.7
    torch.testing.assert_close(gradient, expected.detach(), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("chunk", [None, 2])
def test_gradients_of_every_parameter(chunk: int | None) -> None:
    keys, labels, queries, gamma = example()
    model = SoftmaxAttention(3, 5, gamma=gamma, output_scale=0.5)
    with torch.no_grad():
        model.direction_D.copy_(torch.tensor([0.3, -0.5, 0.2]))
        model.bias_M.copy_(torch.linspace(-0.4, 0.6, 5))
    names = [name for name, _ in model.named_parameters()]

    def loss(*values: torch.Tensor) -> torch.Tensor:
        return functional_call(model, dict(zip(names, values, strict=True)), (keys, labels, queries, chunk))

    inputs = tuple(value.detach().clone().requires_grad_() for value in model.parameters())
    assert torch.autograd.gradcheck(loss, inputs)


def test_lora_form_and_prediction_without_context() -> None:
    keys, labels, queries, gamma = example()
    model = SoftmaxAttention(3, 4, gamma=gamma)
    direction = torch.tensor([0.6, 0.0, -0.8], dtype=torch.float64)
    with torch.no_grad():
        model.direction_D.copy_(2 * direction)
        model.outer_M.copy_(torch.tensor([0.1, -0.2, 0.3, 0.4]))
    shifted = softmax_attention(keys, labels, queries, gamma + 4 * torch.outer(direction, direction))
    torch.testing.assert_close(model.attended_label(keys, labels, queries).detach(), shifted.label)
    z = queries[0] @ direction  # the length of u does not matter without a context
    hidden = torch.relu(z[:, None] * model.inner_M)
    torch.testing.assert_close(model.forward_direction(queries[0]), hidden @ model.outer_M)


def test_no_overflow_at_huge_scores_and_no_collapse_on_one_label_with_the_clip() -> None:
    keys, labels, queries, gamma = example()
    read = softmax_attention(1e6 * keys, labels, queries, gamma, with_covariance=True)
    assert torch.isfinite(read.label).all()
    labels[0, 0] = 1e9
    collapsed = softmax_attention(keys, labels, queries, 0 * gamma, clip=np.inf).label[0]
    clipped = softmax_attention(keys, labels, queries, 0 * gamma, clip=3.0).label[0]
    assert bool((collapsed == 1e9).all())
    assert bool((clipped < 3.0).all())


def test_attention_weights_held_at_once_do_not_grow_with_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    held = []
    plain = module._attend

    def spy(keys, labels, projected, *rest):
        held.append(projected.shape[0] * projected.shape[1] * keys.shape[1])
        return plain(keys, labels, projected, *rest)

    monkeypatch.setattr(module, "_attend", spy)
    keys, labels, queries, gamma = example(tasks=1, rows=3000, queries=500)
    softmax_attention(keys, labels, queries, gamma)
    assert len(held) > 5
    assert max(held) <= module.CHUNK_ELEMENTS
    held.clear()
    many = example(tasks=1, rows=2 * module.CHUNK_ELEMENTS, queries=3)
    softmax_attention(*many)
    assert held == [2 * module.CHUNK_ELEMENTS] * 3  # one query at a time: linear in the rows


@pytest.mark.parametrize(
    "bad", [{"temperature": 0.0}, {"temperature": np.inf}, {"clip": 0.0}, {"clip": np.nan}]
)
def test_refuses_settings_that_make_no_softmax(bad: dict[str, float]) -> None:
    with pytest.raises(InputError, match="temperature="):
        softmax_attention(*example(), **bad)


def test_refuses_an_empty_context() -> None:
    keys, labels, queries, gamma = example()
    with pytest.raises(InputError, match="context of 0 rows"):
        softmax_attention(keys[:, :0], labels[:, :0], queries, gamma)
