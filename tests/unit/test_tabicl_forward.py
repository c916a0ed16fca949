"""Our forward pass against tabicl's own, batch by batch in float64, and by its gradients."""

from __future__ import annotations

import pytest
import torch

from tests.support.models import random_rows, tiny_tabicl
from testtime.adapt.learner import Rows
from testtime.backbones.embedded import TabICLClassifierLearner
from testtime.backbones.tabicl_forward import ICL_STAGE, encode_rows, predict_rows, tabicl_logits


def table(n_tables: int, n_context: int, n_query: int, n_columns: int, n_classes: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n_tables, n_context + n_query, n_columns, generator=generator)
    y = torch.randint(0, n_classes, (n_tables, n_context), generator=generator)
    y[:, :n_classes] = torch.arange(n_classes)
    return x, y


SHAPES = [(1, 8, 4, 5, 3), (2, 30, 7, 1, 2), (1, 64, 64, 20, 10), (3, 5, 1, 3, 2), (1, 17, 33, 2, 4)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gradients", [True, False])
def test_it_is_the_forward_pass_of_tabicl(shape: tuple[int, ...], gradients: bool):
    """Up to the rounding of matrix kernels, which depends on how many rows the last block sees."""
    x, y = table(*shape)
    for seed, changes in ((0, {}), (1, {"col_num_blocks": 2, "row_num_blocks": 2, "icl_num_blocks": 3})):
        module = tiny_tabicl(seed, **changes)
        with torch.set_grad_enabled(gradients):
            theirs = module(x, y.float())
            ours = tabicl_logits(module, x[:, : y.shape[1]], y, x[:, y.shape[1] :])
        assert ours.shape == (shape[0], shape[2], 10)
        assert ours.abs().max() > 0.05, "the comparison is not one of zeros"
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=2e-6)


def test_it_is_bit_equal_where_kernels_are():
    """A shape of the size that is served: here both ways round alike."""
    x, y = table(1, 64, 64, 20, 10)
    module = tiny_tabicl()
    assert torch.equal(tabicl_logits(module, x[:, :64], y, x[:, 64:]), module(x, y.float()))


def test_the_embedded_module_is_reproduced():
    """On the shipped architecture and weights."""
    from testtime.backbones.embedded import load_embedded

    module = load_embedded().new_module()
    x, y = table(1, 128, 64, 9, 4)
    with torch.no_grad():
        torch.testing.assert_close(
            tabicl_logits(module, x[:, :128], y, x[:, 128:]), module(x, y.float()), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_module_does_not_matter(training: bool):
    module = tiny_tabicl()
    x, y = table(1, 12, 6, 4, 3)
    expected = tabicl_logits(module, x[:, :12], y, x[:, 12:])
    assert torch.equal(tabicl_logits(module.train(training), x[:, :12], y, x[:, 12:]), expected)


def test_the_learner_freezes_its_module():
    """PyTorch chooses kernels by requires_grad, also without gradients: the learner must not leave that open."""
    module = tiny_tabicl()
    x, y = table(1, 8, 4, 5, 3)
    before = tabicl_logits(module.requires_grad_(False), x[:, :8], y, x[:, 8:])[0, :, :3]
    learner = TabICLClassifierLearner(module.requires_grad_(True), 3)
    assert torch.equal(learner.output(Rows(x[0, :8], y[0]), x[0, 8:]), before)


def test_float64_does_not_depend_on_batching():
    module = tiny_tabicl().double()
    x, y = table(1, 40, 60, 6, 3)
    x = x.double()
    with torch.no_grad():
        together = tabicl_logits(module, x[:, :40], y, x[:, 40:])
        alone = [tabicl_logits(module, x[:, :40], y, x[:, 40 + i : 41 + i]) for i in range(60)]
        many_tables = tabicl_logits(
            module, x[:, :40].expand(5, -1, -1), y.expand(5, -1), x[:, 40:].expand(5, -1, -1)
        )
    assert together.dtype == torch.float64
    torch.testing.assert_close(torch.cat(alone, dim=1), together, rtol=0, atol=1e-10)
    torch.testing.assert_close(many_tables, together.expand(5, -1, -1), rtol=0, atol=1e-10)


def test_float64_and_float32_agree():
    module = tiny_tabicl()
    x, y = table(1, 20, 10, 4, 3)
    single = tabicl_logits(module, x[:, :20], y, x[:, 20:])
    double = tabicl_logits(module.double(), x[:, :20].double(), y, x[:, 20:].double())
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)


def test_the_order_of_context_rows_does_not_matter():
    module = tiny_tabicl().double()
    x, y = table(1, 30, 10, 5, 3)
    x, order = x.double(), torch.randperm(30, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = tabicl_logits(module, x[:, :30], y, x[:, 30:])
        shuffled = tabicl_logits(module, x[:, order], y[:, order], x[:, 30:])
    torch.testing.assert_close(shuffled, plain, rtol=0, atol=1e-10)


def test_labels_reach_the_answer():
    module = tiny_tabicl()
    x, y = table(1, 30, 10, 5, 3)
    with torch.no_grad():
        plain = tabicl_logits(module, x[:, :30], y, x[:, 30:])
        turned = tabicl_logits(module, x[:, :30], (y + 1) % 3, x[:, 30:])
    assert (plain - turned).abs().max() > 1e-3


@pytest.mark.parametrize("training", [True, False])
def test_gradients_reach_every_weight(training: bool):
    module = tiny_tabicl().train(training)
    rows = random_rows(40, 5, 3)
    learner = TabICLClassifierLearner(module, 3)
    trainable = set(learner.parts()["all"])
    for name, parameter in module.named_parameters():
        parameter.requires_grad_(name in trainable)
    output = learner.output(rows.take(torch.arange(24)), rows.x[24:])
    learner.row_losses(output, rows.y[24:]).mean().backward()
    reached = {name for name, p in module.named_parameters() if p.grad is not None and p.grad.any()}
    assert reached == trainable


def test_the_two_stages_are_the_whole():
    module = tiny_tabicl()
    x, y = table(2, 10, 5, 4, 3)
    rows = encode_rows(module, x[:, :10], y, x[:, 10:])
    assert rows.shape == (2, 15, 2 * 8)
    assert torch.equal(predict_rows(module, rows, y), tabicl_logits(module, x[:, :10], y, x[:, 10:]))


def test_parts_name_every_weight_once():
    learner = TabICLClassifierLearner(tiny_tabicl(), 3)
    parts = {name: set(names) for name, names in learner.parts().items()}
    names = {name for name, _ in learner.module.named_parameters()}
    stage = {name for name in names if name.startswith(ICL_STAGE)}
    fixed = {"row_interactor.tf_row.rope.freqs"}
    assert parts["all"] == names - fixed
    assert parts["encoders"] == names - stage - fixed
    assert {name.split(".")[1] for name in parts["head"]} == {"decoder"}
    assert parts["head"] < stage


def test_a_learner_answers_for_the_classes_of_its_table():
    rows = random_rows(20, 4, 3)
    learner = TabICLClassifierLearner(tiny_tabicl(), 3)
    output = learner.output(rows.take(torch.arange(12)), rows.x[12:])
    assert output.shape == (8, 3)
    expected = -torch.log_softmax(output, dim=1)[torch.arange(8), rows.y[12:]]
    torch.testing.assert_close(learner.row_losses(output, rows.y[12:]), expected)
