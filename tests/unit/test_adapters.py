"""Adapters: exact at zero, what they add, what they leave behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from tests.support.models import random_rows, sha256_of, tiny_learner
from testtime.adapt.adapters import KINDS, AdapterSpec, attached, choose_targets, merge, state_bytes
from testtime.adapt.learner import Rows
from testtime.errors import InputError


class Attention(nn.Module):
    """torch's own attention layer, whose packed projection no wrapper of ``nn.Linear`` reaches."""

    def __init__(self) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)
        self.register_buffer("steps", torch.tensor(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.attend(x, x, x, need_weights=False)[0]))


class AttentionLearner:
    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module: nn.Module = Attention()
        for parameter in self.module.parameters():
            nn.init.normal_(parameter, std=0.5)

    def output(self, context: Rows, query_x: Tensor) -> Tensor:
        return self.module(torch.cat([context.x, query_x])[None])[0, len(context) :]

    def row_losses(self, output: Tensor, target: Tensor) -> Tensor:
        return nn.functional.cross_entropy(output, target, reduction="none")

    def parts(self) -> Mapping[str, Sequence[str]]:
        names = [name for name, _ in self.module.named_parameters()]
        return {
            "encoders": [n for n in names if n.startswith("attend")],
            "head": ["head.weight", "head.bias"],
        }


def make(model: str):
    if model == "attention":
        return AttentionLearner(), random_rows(12, 8, 3)
    return tiny_learner(3), random_rows(12, 5, 3)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def randomise(adapter, seed: int = 1, size: float = 0.1) -> dict[str, Tensor]:
    state = {
        key: size * torch.randn(value.shape, generator=generator(seed + i))
        for i, (key, value) in enumerate(adapter.state().items())
    }
    adapter.load(state)
    return state


MODELS = ("attention", "tabicl")


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_an_adapter_at_zero_changes_no_bit(model: str, kind: str, training: bool):
    learner, rows = make(model)
    learner.module.train(training)
    context, query = rows.take(torch.arange(8)), rows.x[8:]
    with torch.no_grad():
        plain = learner.output(context, query)
        with attached(learner, AdapterSpec(kind, rank=2), generator()) as adapter:
            assert adapter.n_trainable > 0
            assert torch.equal(learner.output(context, query), plain)
    # With gradients torch picks other kernels for frozen weights, so only rounding is left to agree on.
    with attached(learner, AdapterSpec(kind, rank=2), generator()):
        torch.testing.assert_close(learner.output(context, query).detach(), plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("training", [True, False])
def test_merged_weights_answer_as_the_attached_adapter(model: str, kind: str, training: bool):
    learner, rows = make(model)
    learner.module.train(training)
    context, query = rows.take(torch.arange(8)), rows.x[8:]
    spec = AdapterSpec(kind, rank=2, alpha=3.0)
    with torch.no_grad():
        plain = learner.output(context, query)
        with attached(learner, spec, generator()) as adapter:
            state = randomise(adapter)
            adapted = learner.output(context, query)
        assert not torch.allclose(adapted, plain, atol=1e-4), "the adapter does something"
        assert torch.equal(learner.output(context, query), plain), "and is gone after the block"
        merge(learner.module, state, spec)
        assert torch.equal(learner.output(context, query), adapted)


@pytest.mark.parametrize("kind", KINDS)
def test_every_trainable_tensor_gets_a_gradient(kind: str):
    learner, rows = make("attention")
    with attached(learner, AdapterSpec(kind, rank=2), generator()) as adapter:
        randomise(adapter)  # at zero, the A factors of the low-rank form have no gradient by construction
        learner.row_losses(
            learner.output(rows.take(torch.arange(8)), rows.x[8:]), rows.y[8:]
        ).sum().backward()
        for parameter in adapter.parameters():
            assert parameter.grad is not None
        reached = [key for key, p in zip(adapter.state(), adapter.parameters(), strict=True) if p.grad.any()]
        assert len(reached) == len(adapter.parameters())
        if kind in ("encoders", "lora", "all"):
            assert any("attend.in_proj_weight" in key for key in reached)
    assert all(parameter.grad is None for parameter in learner.module.parameters())


def test_what_each_kind_trains():
    learner, _ = make("attention")
    matrices = {"attend.in_proj_weight", "attend.out_proj.weight", "head.weight"}
    vectors = {"attend.in_proj_bias", "attend.out_proj.bias", "norm.weight", "norm.bias", "head.bias"}
    targets = {kind: set(choose_targets(learner, AdapterSpec(kind))) for kind in KINDS}
    assert targets["all"] == matrices | vectors
    assert targets["lora"] == matrices
    assert targets["norms"] == vectors
    assert targets["head"] == {"head.weight", "head.bias"}
    assert targets["encoders"] == {name for name in matrices | vectors if name.startswith("attend")}


def test_weights_that_were_frozen_before_stay_out():
    learner, _ = make("attention")
    learner.module.head.weight.requires_grad_(False)
    assert set(choose_targets(learner, AdapterSpec("head"))) == {"head.bias"}
    with attached(learner, AdapterSpec("all"), generator()):
        pass
    assert not learner.module.head.weight.requires_grad
    assert learner.module.head.bias.requires_grad


def test_the_low_rank_form_is_its_formula():
    learner, _ = make("attention")
    weight = learner.module.attend.in_proj_weight.detach().double().numpy()
    with attached(learner, AdapterSpec("lora", rank=3, alpha=6.0), generator()) as adapter:
        state = randomise(adapter)
        changed = learner.module.attend.in_proj_weight.detach().double().numpy()
    a = state["attend.in_proj_weight:lora_a"].double().numpy()
    b = state["attend.in_proj_weight:lora_b"].double().numpy()
    assert (a.shape, b.shape) == ((3, 8), (24, 3))
    np.testing.assert_allclose(changed, weight + 6.0 / 3 * b @ a, atol=1e-6)


@pytest.mark.parametrize("rank", [2, 100])
def test_without_alpha_the_low_rank_form_has_scale_one(rank: int):
    """Also where the rank is more than the matrix has, and is capped."""
    learner, _ = make("attention")
    weight = learner.module.head.weight.detach().clone()
    spec = AdapterSpec("lora", rank=rank)
    with attached(learner, spec, generator()) as adapter:
        state = randomise(adapter)
        changed = learner.module.head.weight.detach().clone()
    product = state["head.weight:lora_b"] @ state["head.weight:lora_a"]
    assert state["head.weight:lora_a"].shape[0] == min(rank, 3)
    torch.testing.assert_close(changed, weight + product)
    merge(learner.module, state, spec)
    assert torch.equal(learner.module.head.weight, changed)


def test_a_state_can_be_loaded_part_of_the_way():
    learner, _ = make("attention")
    weight = learner.module.head.bias.detach().clone()
    with attached(learner, AdapterSpec("all"), generator()) as adapter:
        state = randomise(adapter)
        adapter.load(state, scale=0.5)
        torch.testing.assert_close(learner.module.head.bias, weight + 0.5 * state["head.bias:offset"])
        adapter.load(state, scale=0.0)
        assert torch.equal(learner.module.head.bias, weight)


def test_a_state_is_a_copy():
    learner, _ = make("attention")
    with attached(learner, AdapterSpec("head"), generator()) as adapter:
        before = adapter.state()
        with torch.no_grad():
            adapter.parameters()[0].add_(1.0)
        assert not before["head.weight:offset"].any()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [None, RuntimeError("midway"), KeyboardInterrupt()])
def test_the_module_is_as_it_was_afterwards(model: str, kind: str, error: BaseException | None):
    learner, _ = make(model)
    before, digest = dict(learner.module.named_parameters()), sha256_of(learner.module)
    names, classes = list(before), [type(module) for module in learner.module.modules()]
    flags = [parameter.requires_grad for parameter in before.values()]
    try:
        with attached(learner, AdapterSpec(kind), generator()) as adapter:
            randomise(adapter)
            if error is not None:
                raise error
    except (RuntimeError, KeyboardInterrupt) as raised:
        assert raised is error
    after = dict(learner.module.named_parameters())
    assert set(after) == set(names)
    assert all(after[name] is before[name] for name in names), "the very same tensors"
    assert [after[name].requires_grad for name in names] == flags
    assert [type(module) for module in learner.module.modules()] == classes
    assert not any(parametrize.is_parametrized(module) for module in learner.module.modules())
    assert sha256_of(learner.module) == digest


@pytest.mark.parametrize("model", MODELS)
def test_the_order_of_parameters_survives(model: str):
    """Random factors are drawn and gradient norms summed in this order: another one gives other bits."""
    learner, _ = make(model)
    before = [name for name, _ in learner.module.named_parameters()]
    with attached(learner, AdapterSpec("lora"), generator()):
        pass
    assert [name for name, _ in learner.module.named_parameters()] == before


def test_an_error_while_attaching_leaves_nothing_behind():
    learner, _ = make("attention")
    broken = AdapterSpec("lora", alpha="no number")  # type: ignore[arg-type]
    digest = sha256_of(learner.module)
    with pytest.raises(TypeError), attached(learner, broken, generator()):
        pass
    assert not any(parametrize.is_parametrized(module) for module in learner.module.modules())
    assert sha256_of(learner.module) == digest
    assert all(parameter.requires_grad for parameter in learner.module.parameters())


def test_the_seed_decides_the_low_rank_factors():
    _learner, _ = make("attention")
    states = []
    for seed in (0, 0, 1):
        fresh, _ = make("attention")
        with attached(fresh, AdapterSpec("lora"), generator(seed)) as adapter:
            states.append(adapter.state())
    key = "attend.in_proj_weight:lora_a"
    assert torch.equal(states[0][key], states[1][key])
    assert not torch.equal(states[0][key], states[2][key])
    assert states[0][key].abs().max() <= 1 / np.sqrt(8)


def test_sizes_are_counted():
    learner, _ = make("attention")
    with attached(learner, AdapterSpec("lora", rank=2), generator()) as adapter:
        # in_proj 24 x 8, out_proj 8 x 8, head 3 x 8, each with rank 2
        assert adapter.n_trainable == 2 * (24 + 8) + 2 * (8 + 8) + 2 * (3 + 8)
        assert state_bytes(adapter.state()) == 4 * adapter.n_trainable


@pytest.mark.parametrize(
    ("make_spec", "text"),
    [
        (lambda: AdapterSpec("encoder"), "adapt='encoder'.*Did you mean 'encoders'"),
        (lambda: AdapterSpec("lora", rank=0), "rank=0.*at least 1"),
    ],
)
def test_a_bad_spec_is_refused(make_spec, text: str):
    with pytest.raises(InputError, match=text):
        make_spec()


def test_a_part_the_model_does_not_have_is_refused():
    learner, _ = make("attention")
    learner.parts = dict  # type: ignore[method-assign]
    with pytest.raises(InputError, match=r"adapt='head' matches no weight of Attention.*adapt='all'"):
        choose_targets(learner, AdapterSpec("head"))


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ({"head.wight:offset": torch.zeros(3, 8)}, "head.wight.*Did you mean 'head.weight'"),
        ({"head.weight:offset": torch.zeros(8)}, r"'head.weight' has shape \(8,\); expected \(3, 8\)"),
    ],
)
def test_a_state_of_another_model_is_refused(state: dict[str, Tensor], text: str):
    learner, _ = make("attention")
    digest = sha256_of(learner.module)
    with pytest.raises(InputError, match=text):
        merge(learner.module, state, AdapterSpec("all"))
    assert sha256_of(learner.module) == digest


class Tied(nn.Module):
    """One matrix that embeds and answers, under two names, and a layer that is registered twice."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(4, 3, bias=False)
        self.middle = nn.Linear(3, 3, bias=False)
        self.again = self.middle
        self.head = nn.Linear(4, 3, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, x: Tensor) -> Tensor:
        return self.again(torch.relu(self.middle(self.embed(x)))) @ self.head.weight


class TiedLearner(AttentionLearner):
    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module = Tied()

    def parts(self) -> Mapping[str, Sequence[str]]:
        return {"encoders": ["middle.weight"], "head": ["head.weight"]}


@pytest.mark.parametrize("kind", ["all", "lora", "head"])
def test_a_tied_weight_is_changed_wherever_it_is_used(kind: str):
    learner, rows = TiedLearner(), random_rows(6, 4, 2)
    module, before = learner.module, sha256_of(learner.module)
    x, context, query = rows.x, rows.take(torch.arange(2)), rows.x[2:]
    spec = AdapterSpec(kind, rank=2)
    with torch.no_grad():
        with attached(learner, spec, generator()) as adapter:
            state = randomise(adapter, size=0.5)
            tied = learner.module.embed.weight.clone()
            middle = learner.module.middle.weight.clone()
            adapted = learner.output(context, query)
        assert sha256_of(module) == before
        assert module.head.weight is module.embed.weight
        assert module.again is module.middle
        assert not any(name.startswith("head") for name in state), "one tensor is trained once"
        assert not torch.allclose(tied, module.embed.weight)
        expected = torch.relu(x @ tied.T @ middle.T) @ middle.T @ tied
        torch.testing.assert_close(adapted, expected[2:])
        merge(module, state, spec)
        torch.testing.assert_close(module.embed.weight, tied, rtol=0, atol=0)
        assert torch.equal(learner.output(context, query), adapted)


def test_a_tied_weight_gathers_the_gradients_of_all_its_uses():
    learner = TiedLearner()
    x = random_rows(6, 4, 2).x
    with attached(learner, AdapterSpec("head"), generator()) as adapter:
        learner.module(x).square().sum().backward()
        (offset,) = adapter.parameters()
        found = offset.grad
    learner.module(x).square().sum().backward()
    torch.testing.assert_close(found, learner.module.embed.weight.grad)
