"""Reading and predicting against tabicl's own forward pass, batch by batch, in two precisions, and by gradients."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from tests.support.models import random_rows, tiny_tabicl
from testtime.adapt.delta import Delta, DeltaSpec
from testtime.adapt.learner import FROZEN, call_with
from testtime.backbones import tabicl_forward
from testtime.backbones.embedded import load_embedded
from testtime.backbones.tabicl_forward import ICL_STAGE, TabICLRead, predict_tabicl, read_tabicl
from testtime.backbones.tabicl_learner import TabICLClassifierLearner, TabICLRegressorLearner

SHAPES = [(1, 8, 4, 5, 3), (2, 30, 7, 1, 2), (1, 64, 64, 20, 10), (3, 5, 1, 3, 2), (1, 17, 33, 2, 4)]
DEPTHS = {"shallow": {}, "deep": {"col_num_blocks": 2, "row_num_blocks": 2, "icl_num_blocks": 3}}
NUMERIC = {"max_classes": 0, "num_quantiles": 9}


def table(n_tables: int, n_context: int, n_query: int, n_columns: int, n_classes: int, seed: int = 0):
    """Context features, class codes and query features."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_tables, n_context + n_query, n_columns, generator=generator)
    y = torch.randint(0, n_classes, (n_tables, n_context), generator=generator)
    y[:, :n_classes] = torch.arange(n_classes)
    return x[:, :n_context], y, x[:, n_context:]


def both(module: nn.Module, x_context: Tensor, y: Tensor, x_query: Tensor) -> Tensor:
    """Read, then predict."""
    return predict_tabicl(module, read_tabicl(module, x_context, y), x_query)


def theirs(module: nn.Module, x_context: Tensor, y: Tensor, x_query: Tensor) -> Tensor:
    """The packaged forward pass in training mode."""
    return module(torch.cat([x_context, x_query], dim=1), y.to(x_context.dtype))


@pytest.fixture
def in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """The packaged pass rounds targets to float32; here they stay what they are, so that it runs in float64."""
    monkeypatch.setattr(Tensor, "float", Tensor.double)


class TestAgainstTabICL:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("depth", DEPTHS)
    @pytest.mark.parametrize("numeric", [False, True])
    @pytest.mark.usefixtures("in_double")
    def test_in_float64_to_rounding(self, shape: tuple[int, ...], depth: str, numeric: bool):
        module = tiny_tabicl(**DEPTHS[depth], **(NUMERIC if numeric else {})).double()
        x_context, y, x_query = table(*shape)
        x_context, x_query = x_context.double(), x_query.double()
        y = torch.sin(y.double()) if numeric else y
        with torch.no_grad():
            ours = both(module, x_context, y, x_query)
            expected = theirs(module, x_context, y, x_query)
        assert ours.shape == (shape[0], shape[2], 9 if numeric else 10)
        assert ours.abs().max() > 0.05, "the comparison is not one of zeros"
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize("depth", DEPTHS)
    @pytest.mark.parametrize("gradients", [True, False])
    def test_in_float32(self, shape: tuple[int, ...], depth: str, gradients: bool):
        module = tiny_tabicl(**DEPTHS[depth])
        given = table(*shape)
        with torch.set_grad_enabled(gradients):
            torch.testing.assert_close(both(module, *given), theirs(module, *given), rtol=1e-5, atol=1e-5)

    @pytest.mark.parametrize("task", ["classifier", "regressor"])
    def test_on_the_shipped_weights(self, task: str):
        module = load_embedded(task)._module.base
        x_context, y, x_query = table(1, 128, 64, 9, 4)
        y = y if task == "classifier" else (y - 1.5).float()
        with torch.no_grad():
            ours, expected = both(module, x_context, y, x_query), theirs(module, x_context, y, x_query)
        torch.testing.assert_close(ours, expected, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("depth", DEPTHS)
    @pytest.mark.usefixtures("in_double")
    def test_gradients_of_every_weight(self, depth: str):
        ours, expected = (tiny_tabicl(**DEPTHS[depth]).double() for _ in range(2))
        x_context, y, x_query = table(1, 30, 20, 4, 3)
        outer = torch.randn(1, 20, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        for module, forward in ((ours, both), (expected, theirs)):
            (forward(module, x_context.double(), y, x_query.double()) * outer).sum().backward()
        reached = 0
        for (name, mine), other in zip(ours.named_parameters(), expected.parameters(), strict=True):
            if other.grad is None:
                assert mine.grad is None, name
                continue
            reached += bool(other.grad.any())
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-6, atol=1e-9, msg=name)
        assert reached > 30

    def test_gradients_through_the_reading(self):
        """Finite differences in float64: of the context's features, by way of what was read."""
        module = tiny_tabicl().double().requires_grad_(False)
        x_context, y, x_query = table(1, 6, 2, 2, 2)
        given = x_context.double().requires_grad_(), x_query.double().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda context, query: both(module, context, y, query), given, rtol=1e-4, atol=1e-6
        )


class TestReading:
    def test_a_context_that_was_read_predicts_any_rows(self):
        module = tiny_tabicl().double()
        x_context, y, x_query = (t.double() if t.is_floating_point() else t for t in table(1, 40, 60, 6, 3))
        with torch.no_grad():
            read = read_tabicl(module, x_context, y)
            together = predict_tabicl(module, read, x_query)
            alone = [predict_tabicl(module, read, x_query[:, i : i + 1]) for i in range(60)]
            repeated = both(module, x_context.expand(5, -1, -1), y.expand(5, -1), x_query.expand(5, -1, -1))
        torch.testing.assert_close(torch.cat(alone, dim=1), together, rtol=0, atol=1e-12)
        torch.testing.assert_close(repeated, together.expand(5, -1, -1), rtol=0, atol=1e-12)

    def test_what_is_kept_does_not_grow_with_rows_times_columns(self):
        """Of the column stage the inducing points remain, of the in-context stage one row each."""
        module = tiny_tabicl()
        x_context, y, _ = table(1, 50, 1, 7, 2)
        read = read_tabicl(module, x_context, y)
        assert isinstance(read, TabICLRead)
        assert [entry.key.shape for entry in read.columns] == [(1, 7, 2, 4, 4)]
        assert [entry.value.shape for entry in read.rows] == [(1, 2, 50, 8)]

    def test_the_order_of_context_rows_does_not_matter(self):
        module = tiny_tabicl().double()
        x_context, y, x_query = (t.double() if t.is_floating_point() else t for t in table(1, 30, 10, 5, 3))
        order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
        with torch.no_grad():
            plain = both(module, x_context, y, x_query)
            shuffled = both(module, x_context[:, order], y[:, order], x_query)
        torch.testing.assert_close(shuffled, plain, rtol=0, atol=1e-12)

    def test_labels_reach_the_answer(self):
        module = tiny_tabicl()
        x_context, y, x_query = table(1, 30, 10, 5, 3)
        with torch.no_grad():
            plain, turned = (both(module, x_context, labels, x_query) for labels in (y, (y + 1) % 3))
        assert (plain - turned).abs().max() > 1e-3

    def test_float64_and_float32_agree(self):
        x_context, y, x_query = table(1, 20, 10, 4, 3)
        single = both(tiny_tabicl(), x_context, y, x_query)
        double = both(tiny_tabicl().double(), x_context.double(), y, x_query.double())
        torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)

    @pytest.mark.parametrize("training", [True, False])
    def test_the_mode_of_the_module_does_not_matter(self, training: bool):
        module, given = tiny_tabicl(), table(1, 12, 6, 4, 3)
        assert torch.equal(both(module.train(training), *given), both(tiny_tabicl(), *given))

    @pytest.mark.parametrize("cells", [1, 50, 333])
    def test_rows_in_pieces_are_the_same_rows(self, cells: int, monkeypatch: pytest.MonkeyPatch):
        """Without gradients the row stage runs on some rows at a time."""
        module = tiny_tabicl().double()
        x_context, y, x_query = (t.double() if t.is_floating_point() else t for t in table(1, 30, 25, 5, 3))
        with torch.no_grad():
            whole = both(module, x_context, y, x_query)
            monkeypatch.setattr(tabicl_forward, "_CELLS_AT_ONCE", cells)
            pieces = both(module, x_context, y, x_query)
        torch.testing.assert_close(pieces, whole, rtol=0, atol=1e-12)


class TestLearner:
    def test_it_freezes_its_module(self):
        """PyTorch chooses kernels by requires_grad, also without gradients: the learner must not leave that open."""
        module = tiny_tabicl().requires_grad_(True)
        TabICLClassifierLearner(module, 3)
        assert not any(p.requires_grad for p in module.parameters())

    @pytest.mark.parametrize("training", [True, False])
    def test_gradients_reach_every_weight_that_may_be_trained(self, training: bool):
        rows = random_rows(40, 5, 3)
        learner = TabICLClassifierLearner(tiny_tabicl().train(training), 3)
        delta = Delta(learner, DeltaSpec("all"))
        state = {k: v.requires_grad_() for k, v in delta.zero(torch.Generator().manual_seed(0)).items()}
        weights = delta.weights(state)
        output = learner.predict(weights, learner.read(weights, rows.take(range(24))), rows.x[24:])
        learner.loss(output, rows.y[24:]).mean().backward()
        missed = [name for name, value in state.items() if value.grad is None or not value.grad.any()]
        assert missed == []
        assert set(delta.names) == set(learner.parts()["all"])

    def test_changed_weights_are_a_changed_module(self):
        """The same numbers as with the change written into the module."""
        learner, rows = TabICLClassifierLearner(tiny_tabicl(), 3), random_rows(30, 4, 3)
        generator = torch.Generator().manual_seed(0)
        weights = {
            name: p + 0.1 * torch.randn(p.shape, generator=generator)
            for name, p in learner.module.named_parameters()
            if name in learner.parts()["all"]
        }
        written = tiny_tabicl()
        with torch.no_grad():
            for name, parameter in written.named_parameters():
                parameter.copy_(weights.get(name, parameter))
            ours = learner.predict(weights, learner.read(weights, rows), rows.x)
            expected = both(written, rows.x[None], rows.y[None], rows.x[None])[0, :, :3]
        torch.testing.assert_close(ours, expected, rtol=1e-6, atol=1e-6)
        assert not torch.allclose(ours, learner.predict(FROZEN, learner.read(FROZEN, rows), rows.x))

    @pytest.mark.parametrize(
        "learner", [TabICLClassifierLearner(tiny_tabicl(), 3), TabICLRegressorLearner(tiny_tabicl(**NUMERIC))]
    )
    def test_parts_name_every_weight_once(self, learner: TabICLClassifierLearner | TabICLRegressorLearner):
        parts = {name: set(names) for name, names in learner.parts().items()}
        names = {name for name, _ in learner.module.named_parameters()}
        stage = {name for name in names if name.startswith(ICL_STAGE)}
        fixed = {"row_interactor.tf_row.rope.freqs"}
        assert parts["all"] == names - fixed
        assert parts["encoders"] == names - stage - fixed
        assert {name.split(".")[1] for name in parts["head"]} == {"decoder"}
        assert parts["head"] < stage

    def test_it_answers_for_the_classes_of_its_table(self):
        rows = random_rows(20, 4, 3)
        learner = TabICLClassifierLearner(tiny_tabicl(), 3)
        output = learner.predict(FROZEN, learner.read(FROZEN, rows.take(range(12))), rows.x[12:])
        assert output.shape == (8, 3)
        expected = -torch.log_softmax(output, dim=1)[torch.arange(8), rows.y[12:]]
        torch.testing.assert_close(learner.loss(output, rows.y[12:]), expected)
        torch.testing.assert_close(learner.answer(output).sum(1), torch.ones(8))

    def test_calls_do_not_depend_on_each_other(self):
        """Two contexts read one after the other, then predicted in turn."""
        learner = TabICLClassifierLearner(tiny_tabicl(), 3)
        one, two = random_rows(20, 4, 3), random_rows(25, 4, 3, seed=1)
        first, second = learner.read(FROZEN, one), learner.read(FROZEN, two)
        for read, rows in ((first, one), (second, two)):
            expected = call_with(learner.module, {}, both, rows.x[None], rows.y[None], one.x[None])[0, :, :3]
            assert torch.equal(learner.predict(FROZEN, read, one.x), expected)
