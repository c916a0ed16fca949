"""Members that predict together answer as they do one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tabicl._model.ssmax import create_ssmax_layer
from torch.func import functional_call

from testtime import TTTClassifier, TTTRegressor
from testtime.adapt.learner import FROZEN, Rows, call_with, predict_rows
from testtime.adapt.memory import tensor_bytes
from testtime.adapt.task import Classes, Numbers
from testtime.adapt.together import Together
from testtime.backbones.embedded import load_embedded
from testtime.backbones.many_class import with_classes
from testtime.backbones.tabicl_stacked import scaled_queries

CPU = torch.device("cpu")


@pytest.mark.parametrize("part", ["all", "encoders", "tail", "head"])
@pytest.mark.parametrize("task", [Classes(3), Numbers()], ids=["classes", "numbers"])
def test_one_pass_equals_one_after_the_other(task, part):
    learner = load_embedded("classifier" if task.n_classes else "regressor").learner(task, CPU, torch.float64)
    draw = torch.Generator().manual_seed(0)
    base = dict(learner.module.named_parameters())
    changed = {
        name: base[name] + 0.01 * torch.randn(base[name].shape, generator=draw, dtype=torch.float64)
        for name in learner.parts()[part]
    }
    weights = [FROZEN, changed, {name: 1.5 * base[name] for name in list(changed)[-2:]}]
    x = torch.randn(3, 24, 4, generator=draw, dtype=torch.float64)
    y = torch.arange(20) % 3 if task.n_classes else x[0, :20, 0]
    with torch.no_grad():
        reads = [learner.read(one, Rows(x[m, :20], y)) for m, one in enumerate(weights)]
        apart = [predict_rows(learner, weights[m], reads[m], x[m, 20:]) for m in range(3)]
    together = Together.of(learner, weights, reads)
    torch.testing.assert_close(together.predict(learner, x[:, 20:]), torch.stack(apart), rtol=0, atol=1e-12)
    again = [predict_rows(learner, w, read, x[m, 20:]) for m, (w, read) in enumerate(together.apart())]
    assert all(torch.equal(a, b) for a, b in zip(again, apart, strict=True))


@pytest.mark.parametrize("kind", ["weight", "bias"])
def test_weight_and_bias_of_a_layer_may_differ_each_on_its_own(kind):
    learner = load_embedded().learner(Classes(3), CPU, torch.float64)
    base = dict(learner.module.named_parameters())
    changed = {name: 1.1 * base[name] for name in learner.parts()["all"] if name.endswith(kind)}
    x, y = torch.randn(16, 4, dtype=torch.float64), torch.arange(12) % 3
    with torch.no_grad():
        reads = [learner.read(one, Rows(x[:12], y)) for one in (changed, FROZEN)]
        apart = [
            learner.predict(one, read, x[12:]) for one, read in zip((changed, FROZEN), reads, strict=True)
        ]
    together = Together.of(learner, [changed, FROZEN], reads).predict(learner, x[12:].expand(2, -1, -1))
    torch.testing.assert_close(together, torch.stack(apart), rtol=0, atol=1e-12)


def test_more_classes_than_the_model_knows():
    learner = with_classes(load_embedded(), Classes(12)).learner(Classes(12), CPU, torch.float64)
    x, y = torch.randn(40, 3, dtype=torch.float64), torch.arange(36) % 12
    name = learner.parts()["encoders"][0]
    weights = [FROZEN, {name: 1.2 * dict(learner.module.named_parameters())[name]}]
    with torch.no_grad():
        reads = [learner.read(one, Rows(x[:36], y)) for one in weights]
        apart = [learner.predict(one, read, x[36:]) for one, read in zip(weights, reads, strict=True)]
    together = Together.of(learner, weights, reads).predict(learner, x[36:].expand(2, -1, -1))
    torch.testing.assert_close(together, torch.stack(apart), rtol=0, atol=1e-12)


def test_frozen_models_need_no_weights():
    learner = load_embedded().learner(Classes(2), CPU, torch.float64)
    x, y = torch.randn(2, 12, 3, dtype=torch.float64), torch.arange(10) % 2
    with torch.no_grad():
        reads = [learner.read(FROZEN, Rows(x[m, :10], y)) for m in range(2)]
    together = Together.of(learner, [FROZEN, FROZEN], reads)
    expected = predict_rows(learner, FROZEN, reads[1], x[1, 10:])
    torch.testing.assert_close(together.predict(learner, x[:, 10:])[1], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("estimator", [TTTClassifier, TTTRegressor])
def test_a_row_alone_and_among_others(estimator):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 3))
    y = (x[:, 0] > 0).astype(int) if estimator is TTTClassifier else x[:, 0] * 10
    model = estimator(n_steps=2, n_members=2, guard=False, random_state=0).fit(x, y)
    few = load_embedded().recipe.together_rows
    ask = model.predict_proba if estimator is TTTClassifier else model.predict
    np.testing.assert_allclose(ask(x[:few]), ask(x)[:few], rtol=1e-9)


def test_members_beside_each_other_take_no_memory_twice():
    learner = load_embedded().learner(Classes(2), CPU, torch.float32)
    x, y = torch.randn(50, 3), torch.arange(50) % 2
    with torch.no_grad():
        reads = [learner.read(FROZEN, Rows(x, y)) for _ in range(3)]
    together = Together.of(learner, [FROZEN] * 3, reads)
    assert tensor_bytes((together.read, together.apart())) == tensor_bytes(reads)


@pytest.mark.parametrize(
    "kind", ["ssmax", "ssmax-mlp", "ssmax-mlp-elementwise", "qassmax-mlp", "qassmax-mlp-elementwise"]
)
@pytest.mark.parametrize("axes", [(), (5,)])
def test_every_scale_of_a_softmax_may_differ_between_models(kind, axes):
    layer = create_ssmax_layer(ssmax_type=kind, num_heads=2, embed_dim=8).double()
    draw = torch.Generator().manual_seed(0)
    query = torch.randn(3, *axes, 2, 4, 4, generator=draw, dtype=torch.float64)
    base = dict(layer.named_parameters())
    own = {
        name: one.detach() + torch.randn((3, *one.shape), generator=draw, dtype=torch.float64)
        for name, one in base.items()
    }
    apart = [
        functional_call(
            layer, {name: one[m] for name, one in own.items()}, (query[m].reshape(-1, 2, 4, 4), 7)
        )
        for m in range(3)
    ]
    together = call_with(layer, own, lambda module: scaled_queries(module, query, 7))
    torch.testing.assert_close(together, torch.stack(apart).view(query.shape), rtol=0, atol=1e-12)
