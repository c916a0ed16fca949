"""Zero steps change nothing, the base model is never touched, what is served was never worse where it was measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.models import base_digests, tiny_tabicl
from testtime import Status, TTTClassifier, TTTRegressor
from testtime.backbones import embedded
from testtime.backbones.embedded import EmbeddedBackbone, load_embedded

CPU = torch.device("cpu")


def table(
    n_rows: int = 120, n_columns: int = 4, n_classes: int = 3, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_rows, n_columns))
    y = np.digitize(X[:, 0] + 0.3 * X[:, 1], np.linspace(-0.5, 0.5, n_classes - 1))
    return X, y


def scaled(X: np.ndarray, X_new: np.ndarray) -> np.ndarray:
    """The documented preprocessing of columns without ties or gaps, in plain NumPy."""
    z = np.clip((X_new - X.mean(0)) / X.std(0), -6, 6)
    below = (X[None] < X_new[:, None]).mean(1)
    up_to = (X[None] <= X_new[:, None]).mean(1)
    return 0.5 * z + 0.5 * np.sqrt(12.0) * ((below + up_to) / 2 - 0.5)


class TestZeroSteps:
    def test_predictions_are_those_of_tabicl_itself(self):
        """The embedded weights in tabicl's own forward pass, with our preprocessing written out, in float32."""
        X, y = table(160)
        classifier = TTTClassifier(n_steps=0, n_members=1, precision="float32").fit(X[:100], y[:100])
        context = classifier.context_indices_
        rows = np.concatenate([X[:100][context], X[100:]])
        x = torch.as_tensor(scaled(X[:100], rows), dtype=torch.float32)[None]
        with torch.no_grad():
            module = load_embedded()._module.base
            logits = module(x, torch.as_tensor(y[:100][context])[None].float())
        expected = torch.softmax(logits[0, :, :3].double(), dim=-1).numpy()
        np.testing.assert_allclose(classifier.predict_proba(X[100:]), expected, atol=1e-6)
        assert sorted(context) == list(range(100))

    @pytest.mark.parametrize("precision", ["float32", "float64"])
    @pytest.mark.parametrize("n_members", [1, 3])
    @pytest.mark.parametrize("n_context", ["auto", 40])
    def test_predictions_are_bit_equal_to_the_frozen_model(
        self, tiny_embedded, precision: str, n_members: int, n_context: int | str
    ):
        X, y = table()
        plain = TTTClassifier(n_steps=0, n_context=n_context, precision=precision, n_members=n_members).fit(
            X, y
        )
        assert plain.adaptation_.status is Status.PLAIN
        assert not plain.adaptation_.kept
        served = 40 if n_context == 40 else 120
        frozen = plain.predict_proba_at(X, served, adapted=False)
        assert np.array_equal(plain.predict_proba(X), frozen)
        assert np.ptp(frozen[:, 0]) > 1e-3, "the model does not answer the same to everything"

    @pytest.mark.parametrize("objective", ["accuracy", "short"])
    @pytest.mark.parametrize("kind", [TTTClassifier, TTTRegressor])
    def test_a_reverted_fit_predicts_as_the_frozen_model(self, tiny_embedded, objective: str, kind):
        X, y = table()
        if kind is TTTRegressor:
            y = np.random.default_rng(1).standard_normal(len(y))
        reverted = kind(n_steps=3, n_members=2, step_size=1e30, objective=objective).fit(X, y)
        assert not reverted.adaptation_.kept
        n_context = len(reverted.context_indices_)
        plain = kind(n_steps=0, n_context=n_context, objective=objective).fit(X, y)
        assert np.array_equal(reverted.context_indices_, plain.context_indices_)
        assert np.array_equal(reverted.predict(X), plain.predict(X))

    def test_steps_do_change_predictions(self, tiny_embedded):
        X, y = table()
        adapted = TTTClassifier(n_steps=5, n_context=40, n_members=1, guard=False, step_size=0.01).fit(X, y)
        assert adapted.adaptation_.kept
        frozen = adapted.predict_proba_at(X, 40, adapted=False)
        assert np.abs(adapted.predict_proba(X) - frozen).max() > 1e-4


@pytest.mark.parametrize("adapt", ["encoders", "lora", "norms", "tail", "head", "all"])
@pytest.mark.parametrize("n_steps", [1, 3])
def test_the_base_model_is_untouched(tiny_embedded: EmbeddedBackbone, adapt: str, n_steps: int):
    X, y = table()
    TTTClassifier(n_steps=0).fit(X, y).predict_proba(X)
    before = base_digests(tiny_embedded)
    classifier = TTTClassifier(n_steps=n_steps, n_members=2, adapt=adapt, guard=False, step_size=0.1, rank=2)
    classifier.fit(X, y).predict_proba(X)
    assert classifier.adaptation_.kept
    assert base_digests(tiny_embedded) == before
    assert len(before) >= 2, "for training in float32 and for predicting in float64"
    fresh = tiny_tabicl().state_dict()
    own = tiny_embedded._module.base.state_dict()
    assert all(torch.equal(own[name], value) for name, value in fresh.items()), "and is what a fresh one is"


def test_the_random_streams_of_the_caller_are_left_alone(tiny_embedded: EmbeddedBackbone):
    X, y = table()
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    embedded._load.__wrapped__("classifier", 1)
    TTTClassifier(n_steps=2, n_context=30, adapt="lora", n_members=2, random_state=None).fit(X, y).predict(X)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def test_the_sizes_in_the_record_are_those_of_the_adapter(tiny_embedded):
    X, y = table()
    fitted = TTTClassifier(n_steps=2, n_context=40, guard=False, adapt="head", n_members=2).fit(X, y)
    head = sum(p.numel() for name, p in tiny_tabicl().named_parameters() if ".decoder." in name)
    assert fitted.adaptation_.n_trainable == head
    assert fitted.adaptation_.adapter_bytes == 2 * 4 * head


def test_the_record_counts_the_rows(tiny_embedded):
    X, y = table(200)
    served = TTTClassifier(n_steps=2, n_members=4).fit(X, y).adaptation_
    assert (served.n_guard, served.n_query, served.n_context) == (200, 150, 200)
    short = TTTClassifier(n_steps=2, n_context=40, n_members=4).fit(X, y).adaptation_
    assert (short.n_guard, short.n_query, short.n_context) == (160, 120, 40)
    free = TTTClassifier(n_steps=2, n_context=40, n_members=1, guard=False).fit(X, y).adaptation_
    assert (free.n_guard, free.n_query, free.n_context) == (0, 120, 40)


@pytest.mark.parametrize("adapt", ["encoders", "head"])
def test_probabilities_do_not_depend_on_the_batch(tiny_embedded, adapt: str):
    X, y = table(300)
    classifier = TTTClassifier(n_steps=2, n_context=40, guard=False, n_members=2, adapt=adapt).fit(
        X[:100], y[:100]
    )
    together = classifier.predict_proba(X)
    alone = np.concatenate([classifier.predict_proba(X[i : i + 1]) for i in range(0, 300, 30)])
    np.testing.assert_allclose(together[::30], alone, atol=1e-10)
    assert np.array_equal(classifier.predict(X), classifier.classes_[together.argmax(1)])
    with np.errstate(divide="ignore"):
        assert np.array_equal(classifier.predict_log_proba(X), np.log(together))


def test_views_see_their_own_columns_and_codes_and_answer_for_the_same_classes():
    """A view that mixed up its class codes would predict another class; good weights are needed to see it."""
    X, y = table(400, n_classes=3)
    scores = [
        TTTClassifier(n_steps=0, n_context=200, n_members=m).fit(X[:300], y[:300]).score(X[300:], y[300:])
        for m in (1, 4)
    ]
    assert min(scores) > 0.75
    assert abs(scores[0] - scores[1]) < 0.15
