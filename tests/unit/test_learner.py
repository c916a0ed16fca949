"""Weights as an argument: the module is never written, ties hold, twins share memory."""

from __future__ import annotations

import threading

import pytest
import torch
from torch import nn

from tests.support.line import LineLearner, line_rows
from tests.support.linear import Linear, LinearLearner
from tests.support.models import random_rows, sha256_of, tiny_learner
from testtime.adapt.learner import (
    FROZEN,
    Learner,
    Rows,
    call_with,
    converted,
    predict_rows,
    sharing_tensors,
)


class CopiesItself(nn.Module):
    """A part that says how it is copied, and counts it."""

    def __init__(self, copies: int = 0) -> None:
        super().__init__()
        self.copies = copies

    def __deepcopy__(self, memo: dict) -> CopiesItself:
        twin = memo[id(self)] = CopiesItself(self.copies + 1)
        return twin

    def seen(self, *given: object) -> None:
        pass


class Tied(nn.Module):
    """Two names for one matrix, and a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 2, bias=False)
        self.second = nn.Linear(2, 2, bias=False)
        self.second.weight = self.first.weight
        self.register_buffer("shift", torch.ones(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x)) + self.shift


def forward(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return module(x)


@pytest.mark.parametrize(
    "learner",
    [LineLearner(), LinearLearner(Linear(10), 2), tiny_learner()],
    ids=lambda one: type(one).__name__,
)
def test_what_the_engine_asks_for_is_there(learner: Learner):
    assert isinstance(learner, Learner)
    assert not isinstance(learner.module, Learner)


class TestCallWith:
    def test_no_weights_are_the_module_itself(self):
        layer = nn.Linear(3, 2)
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
        assert torch.equal(call_with(layer, FROZEN, forward, x), layer(x))

    def test_weights_are_used_and_leave_no_trace(self):
        layer = nn.Linear(3, 2)
        before, weight = sha256_of(layer), layer.weight
        x = torch.ones(1, 3)
        changed = call_with(layer, {"weight": torch.full((2, 3), 2.0), "bias": torch.zeros(2)}, forward, x)
        assert changed.tolist() == [[6.0, 6.0]]
        assert layer.weight is weight
        assert sha256_of(layer) == before

    def test_after_an_exception_the_module_is_as_it_was(self):
        layer = nn.Linear(3, 2)
        before = sha256_of(layer)

        def broken(module: nn.Module) -> None:
            assert float(module.weight.detach().sum()) == 0
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            call_with(layer, {"weight": torch.zeros(2, 3)}, broken)
        assert sha256_of(layer) == before
        assert isinstance(layer.weight, nn.Parameter)

    def test_a_tied_weight_changes_in_every_place(self):
        module = Tied()
        x = torch.tensor([[1.0, 2.0]])
        out = call_with(module, {"first.weight": 3 * torch.eye(2)}, forward, x)
        assert out.tolist() == [[10.0, 19.0]]

    def test_gradients_reach_the_weights_and_not_the_module(self):
        layer = nn.Linear(2, 1, bias=False).requires_grad_(False)
        weight = torch.ones(1, 2, requires_grad=True)
        call_with(layer, {"weight": weight}, forward, torch.tensor([[2.0, 5.0]])).sum().backward()
        assert weight.grad is not None
        assert weight.grad.tolist() == [[2.0, 5.0]]
        assert layer.weight.grad is None

    def test_two_twins_may_be_called_at_once(self):
        """Each thread holds its call open until the other one is inside its own."""
        base = nn.Linear(1, 1, bias=False).requires_grad_(False)
        inside = threading.Barrier(2, timeout=20)
        answers: dict[int, float] = {}

        def wait_inside(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
            inside.wait()
            answer = module(x)
            inside.wait()
            return answer

        def run(number: int) -> None:
            weights = {"weight": torch.full((1, 1), float(number))}
            answers[number] = call_with(sharing_tensors(base), weights, wait_inside, torch.ones(1)).item()

        threads = [threading.Thread(target=run, args=(number,)) for number in (3, 7)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert answers == {3: 3.0, 7: 7.0}


class TestCopies:
    def test_a_twin_shares_every_tensor(self):
        module = Tied()
        twin = sharing_tensors(module)
        assert twin is not module
        assert twin.first is not module.first
        own = [*module.parameters(), *module.buffers()]
        assert all(a is b for a, b in zip([*twin.parameters(), *twin.buffers()], own, strict=True))

    def test_a_twin_is_what_a_deep_copy_would_be(self):
        """Ties, parts named twice or besides, parts that copy themselves, hooks, values of every kind."""
        whole = nn.ModuleDict({"a": Tied(), "asks": CopiesItself(), "none": nn.Identity()})
        whole.register_module("again", whole["a"])
        whole.register_module("nothing", None)
        whole.besides, whole.shape, whole.name = [whole["a"].first], {"rows": [3]}, "whole"
        whole["a"].register_forward_pre_hook(whole["asks"].seen)
        twin = sharing_tensors(whole)
        assert vars(twin).keys() == vars(whole).keys()
        assert [type(part) for part in twin.modules()] == [type(part) for part in whole.modules()]
        assert not {id(part) for part in twin.modules()} & {id(part) for part in whole.modules()}
        assert twin.again is twin["a"]
        assert twin.nothing is None
        assert twin.besides[0] is twin["a"].first
        assert (twin.shape, twin.name, twin.training) == (whole.shape, whole.name, True)
        assert twin.shape["rows"] is not whole.shape["rows"]
        assert (twin["asks"].copies, whole["asks"].copies) == (1, 0)
        (hook,) = twin["a"]._forward_pre_hooks.values()
        assert hook.__self__ is twin["asks"]
        twin["none"].register_forward_hook(print)
        twin["none"].eval()
        assert not whole["none"]._forward_hooks
        assert whole["none"].training

    def test_another_precision_is_a_frozen_copy_with_the_same_ties(self):
        module = Tied().requires_grad_(True)
        double = converted(module, torch.device("cpu"), torch.float64)
        assert {p.dtype for p in double.parameters()} == {torch.float64}
        assert not any(p.requires_grad for p in double.parameters())
        assert double.first.weight is double.second.weight
        assert double.shift.dtype == torch.float64
        assert torch.equal(double.first.weight.float(), module.first.weight)
        assert all(p.dtype == torch.float32 and p.requires_grad for p in module.parameters())

    def test_whole_numbers_keep_their_type(self):
        module = nn.Module()
        module.register_buffer("index", torch.arange(3))
        assert converted(module, torch.device("cpu"), torch.float64).index.dtype == torch.int64


class TestRows:
    def test_rows_are_taken_in_the_order_asked_for(self):
        rows = Rows(torch.arange(6.0).reshape(3, 2), torch.tensor([0, 1, 2]))
        taken = rows.take([2, 0, 2])
        assert taken.x[:, 0].tolist() == [4.0, 0.0, 4.0]
        assert taken.y.tolist() == [2, 0, 2]
        assert len(taken) == len(rows) == 3

    def test_many_rows_are_predicted_in_pieces_without_gradients(self):
        """No piece is longer than some 60,000 cells, and the pieces together are the whole, in order."""
        learner = LineLearner()
        rows = line_rows(range(25_000))
        out = predict_rows(learner, FROZEN, learner.read(FROZEN, rows.take([0])), rows.x)
        lengths = [len(query) for _, _, query in learner.calls]
        assert len(lengths) > 1
        assert max(lengths) * 2 <= 60_000
        assert [row for _, _, query in learner.calls for row in query] == list(range(25_000))
        assert out.shape == (25_000, 1)
        assert not any(trains for trains, _, _ in learner.calls)

    def test_pieces_do_not_change_the_answer(self):
        learner = tiny_learner()
        learner.module.double()
        rows = random_rows(20, 3, 2)
        context = Rows(rows.x.double(), rows.y)
        wide = torch.randn(20_000, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            read = learner.read(FROZEN, context)
            together = learner.predict(FROZEN, read, wide)
        torch.testing.assert_close(predict_rows(learner, FROZEN, read, wide), together, rtol=0, atol=1e-10)
