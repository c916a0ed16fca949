"""Changes of weights: zero is nothing, low rank is low rank, and what does not fit is refused with a sentence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.models import random_rows, sha256_of, tiny_learner
from testtime.adapt.delta import KINDS, Delta, DeltaSpec, delta_bytes
from testtime.adapt.learner import FROZEN
from testtime.errors import InputError


class Parts:
    """A learner as far as a delta looks at it."""

    def __init__(self, module: nn.Module, **parts: list[str]) -> None:
        self.module, self._parts = module, parts

    def parts(self) -> dict[str, list[str]]:
        return self._parts


class Small(nn.Module):
    """A matrix, a bias, a norm, a table of vectors, an integer, and one matrix under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.map = nn.Linear(3, 4)
        self.norm = nn.LayerNorm(4)
        self.points = nn.Parameter(torch.randn(2, 4, generator=torch.Generator().manual_seed(0)))
        self.steps = nn.Parameter(torch.tensor(3), requires_grad=False)
        self.first = nn.Linear(4, 4, bias=False)
        self.second = nn.Linear(4, 4, bias=False)
        self.second.weight = self.first.weight


def small(**parts: list[str]) -> Parts:
    return Parts(Small(), **parts)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def names(kind: str, **parts: list[str]) -> set[str]:
    return set(Delta(small(**parts), DeltaSpec(kind)).names)


class TestWhatIsTrained:
    def test_everything_that_floats(self):
        floating = {"map.weight", "map.bias", "norm.weight", "norm.bias", "points", "first.weight"}
        assert names("all") == floating

    def test_norms_are_vectors_and_low_rank_is_for_maps(self):
        assert names("norms") == {"map.bias", "norm.weight", "norm.bias"}
        assert names("lora") == {"map.weight", "first.weight"}, "the table of vectors is no map"

    def test_a_part_is_what_the_learner_says(self):
        assert names("head", head=["norm.weight"]) == {"norm.weight"}

    def test_a_tied_weight_belongs_to_every_part_that_holds_one_of_its_names(self):
        assert names("head", head=["second.weight"]) == {"first.weight"}
        assert names("encoders", encoders=["first.weight"]) == {"first.weight"}

    def test_what_the_learner_keeps_out_stays_out(self):
        assert names("all", all=["map.weight", "points"]) == {"map.weight", "points"}
        assert names("norms", all=["map.bias", "points"]) == {"map.bias"}

    def test_they_come_in_the_order_of_the_module(self):
        learner = small(head=["points", "map.bias"])
        own = [name for name, _ in learner.module.named_parameters()]
        found = Delta(learner, DeltaSpec("head")).names
        assert list(found) == sorted(found, key=own.index)

    def test_a_part_that_is_not_there_is_said(self):
        with pytest.raises(InputError, match=r"adapt='head' matches no weight of Small.*adapt='all'"):
            Delta(small(), DeltaSpec("head"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", [1, 3, 1000])
class TestZero:
    def test_zero_is_the_weight_itself_bit_for_bit(self, kind: str, rank: int):
        learner = tiny_learner()
        own = dict(learner.module.named_parameters())
        delta = Delta(learner, DeltaSpec(kind, rank))
        changed = delta.weights(delta.zero(generator()))
        assert set(changed) == set(delta.names)
        assert all(torch.equal(value, own[name]) for name, value in changed.items())

    def test_the_model_answers_the_same_bits(self, kind: str, rank: int):
        learner = tiny_learner()
        rows, query = random_rows(30, 4, 2), random_rows(9, 4, 2, seed=1).x
        delta = Delta(learner, DeltaSpec(kind, rank))
        weights = delta.weights(delta.zero(generator()))
        with torch.no_grad():
            frozen = learner.predict(FROZEN, learner.read(FROZEN, rows), query)
            adapted = learner.predict(weights, learner.read(weights, rows), query)
        assert torch.equal(frozen, adapted)

    def test_the_module_is_not_written(self, kind: str, rank: int):
        learner = tiny_learner()
        before = sha256_of(learner.module)
        delta = Delta(learner, DeltaSpec(kind, rank))
        state = {key: value + 1.0 for key, value in delta.zero(generator()).items()}
        changed = delta.weights(state)
        assert any(
            not torch.equal(changed[name], p)
            for name, p in learner.module.named_parameters()
            if name in changed
        )
        assert sha256_of(learner.module) == before


class TestLowRank:
    def test_the_change_is_the_product_of_the_factors(self):
        learner = small()
        delta = Delta(learner, DeltaSpec("lora", rank=2, alpha=6.0))
        rng = np.random.default_rng(0)
        state = {
            key: torch.as_tensor(rng.normal(size=value.shape))
            for key, value in delta.zero(generator()).items()
        }
        changed = delta.weights(state)["map.weight"]
        product = state["map.weight:lora_b"].numpy() @ state["map.weight:lora_a"].numpy()
        expected = learner.module.map.weight.detach().numpy() + 3.0 * product
        np.testing.assert_allclose(changed.numpy(), expected, rtol=1e-5, atol=1e-6)
        assert changed.dtype == torch.float32, "the base's precision"

    @pytest.mark.parametrize("rank", [1, 2])
    def test_the_rank_is_what_was_asked_for(self, rank: int):
        learner = small()
        delta = Delta(learner, DeltaSpec("lora", rank))
        state = {
            key: value + 0.1 * torch.randn(value.shape, generator=generator(1))
            for key, value in delta.zero(generator()).items()
        }
        change = delta.weights(state)["first.weight"] - learner.module.first.weight.detach()
        assert np.linalg.matrix_rank(change.numpy(), tol=1e-5) == rank

    def test_a_rank_beyond_the_matrix_is_capped_and_keeps_its_scale(self):
        spec = DeltaSpec("lora", rank=100, alpha=12.0)
        state = Delta(small(), spec).zero(generator())
        assert state["map.weight:lora_a"].shape == (3, 3)
        assert state["map.weight:lora_b"].shape == (4, 3)
        assert spec.scale(3) == 4.0
        assert DeltaSpec("lora").scale(3) == 1.0

    def test_the_seed_decides_the_factors(self):
        delta = Delta(small(), DeltaSpec("lora", 2))
        one, again, other = (delta.zero(generator(seed))["map.weight:lora_a"] for seed in (1, 1, 2))
        assert torch.equal(one, again)
        assert not torch.equal(one, other)
        assert one.abs().max() <= 1 / np.sqrt(3)
        assert one.abs().max() > 0


@pytest.mark.parametrize("kind", ["encoders", "lora"])
def test_gradients_of_the_state_are_those_of_the_weights(kind: str):
    """By the chain rule, written out: of an offset the weight's own, of the factors B'G and GA'."""
    learner = small(encoders=["map.weight"])
    delta = Delta(learner, DeltaSpec(kind, rank=2))
    state = {key: (value + 0.3).requires_grad_() for key, value in delta.zero(generator()).items()}
    outer = torch.randn(4, 3, generator=generator(3))
    (delta.weights(state)["map.weight"] * outer).sum().backward()
    if kind == "encoders":
        assert torch.equal(state["map.weight:offset"].grad, outer)
        return
    down, up = state["map.weight:lora_a"], state["map.weight:lora_b"]
    torch.testing.assert_close(down.grad, up.detach().T @ outer)
    torch.testing.assert_close(up.grad, outer @ down.detach().T)


def without(state: dict, key: str) -> dict:
    return {name: value for name, value in state.items() if name != key}


class TestStatesThatDoNotFit:
    def check(self, kind: str, change, says: str) -> None:
        delta = Delta(small(encoders=["map.weight"]), DeltaSpec(kind, rank=2))
        with pytest.raises(InputError, match=says):
            delta.weights(change(delta.zero(generator())))

    def test_a_tensor_is_missing(self):
        self.check("encoders", lambda s: without(s, "map.weight:offset"), "'map.weight:offset' is missing")
        self.check("lora", lambda s: without(s, "map.weight:lora_b"), "'map.weight:lora_b' is missing")

    def test_a_tensor_is_of_another_model(self):
        self.check(
            "encoders",
            lambda s: s | {"mop.weight:offset": torch.zeros(4, 3)},
            "'mop.weight:offset' changes nothing",
        )
        self.check(
            "encoders", lambda s: s | {"map.bias:offset": torch.zeros(4)}, "'map.bias:offset' changes nothing"
        )

    @pytest.mark.parametrize("shape", [(4, 4), (4,), (1, 4, 3), ()])
    def test_an_offset_has_another_shape(self, shape: tuple[int, ...]):
        self.check(
            "encoders", lambda s: s | {"map.weight:offset": torch.zeros(shape)}, r"shape .*expected \(4, 3\)"
        )

    @pytest.mark.parametrize(
        ("up", "down"), [((4, 2), (2, 4)), ((4, 2), (3, 3)), ((4,), (2, 3)), ((4, 2), (2,)), ((3, 2), (2, 3))]
    )
    def test_factors_have_another_shape(self, up: tuple[int, ...], down: tuple[int, ...]):
        new = {"map.weight:lora_b": torch.zeros(up), "map.weight:lora_a": torch.zeros(down)}
        self.check("lora", lambda s: s | new, r"change of 'map.weight' has shape")


@pytest.mark.parametrize(
    ("kind", "rank", "says"),
    [
        ("head", 0, "rank=0"),
        ("lora", -3, "rank=-3"),
        ("heads", 8, "Did you mean 'head'"),
        ("", 8, "expected one of"),
    ],
)
def test_a_spec_that_cannot_be_is_refused(kind: str, rank: int, says: str):
    with pytest.raises(InputError, match=says):
        DeltaSpec(kind, rank)


def test_bytes_are_counted():
    state = {"a": torch.zeros(3, 2), "b": torch.zeros(5, dtype=torch.float64), "c": torch.zeros(0)}
    assert delta_bytes(state) == 3 * 2 * 4 + 5 * 8
