"""Zero steps change nothing, the base model is never touched, what is kept was never trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.support.models import sha256_of, tiny_tabicl
from testtime import Status, TTTClassifier
from testtime.backbones import embedded
from testtime.backbones.embedded import EmbeddedBackbone, load_embedded


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
        classifier = TTTClassifier(n_steps=0, precision="float32").fit(X[:100], y[:100])
        context = classifier.context_indices_
        rows = np.concatenate([X[:100][context], X[100:]])
        x = torch.as_tensor(scaled(X[:100], rows), dtype=torch.float32)[None]
        with torch.no_grad():
            logits = load_embedded().new_module().train()(x, torch.as_tensor(y[:100][context])[None].float())
        expected = torch.softmax(logits[0, :, :3].double(), dim=-1).numpy()
        np.testing.assert_allclose(classifier.predict_proba(X[100:]), expected, atol=1e-6)
        assert sorted(context) == list(range(100))

    @pytest.mark.parametrize("precision", ["float32", "float64"])
    @pytest.mark.parametrize("n_members", [1, 3])
    def test_predictions_are_bit_equal_to_the_frozen_model(
        self, tiny_embedded, precision: str, n_members: int
    ):
        """The other side is a reverted or never adapted estimator asked for its frozen model."""
        X, y = table()
        plain = TTTClassifier(n_steps=0, n_context=40, precision=precision, n_members=n_members).fit(X, y)
        assert plain.adaptation_.status is Status.PLAIN
        assert not plain.adaptation_.kept
        frozen = plain.predict_proba_at(X, 40, adapted=False)
        assert np.array_equal(plain.predict_proba(X), frozen)
        assert np.ptp(frozen[:, 0]) > 1e-3, "the model does not answer the same to everything"

    def test_a_reverted_fit_predicts_as_the_frozen_model(self, tiny_embedded):
        X, y = table()
        noise = np.random.default_rng(1).integers(0, 3, len(y))
        reverted = TTTClassifier(n_steps=3, n_context=40, step_size=30.0).fit(X, noise)
        assert not reverted.adaptation_.kept
        plain = TTTClassifier(n_steps=0, n_context=40).fit(X, noise)
        assert np.array_equal(reverted.context_indices_, plain.context_indices_)
        assert np.array_equal(reverted.predict_proba(X), plain.predict_proba(X))

    def test_steps_do_change_predictions(self, tiny_embedded):
        X, y = table()
        adapted = TTTClassifier(n_steps=5, n_context=40, guard=False, step_size=0.01).fit(X, y)
        assert adapted.adaptation_.kept
        frozen = adapted.predict_proba_at(X, 40, adapted=False)
        assert np.abs(adapted.predict_proba(X) - frozen).max() > 1e-4


@pytest.mark.parametrize("adapt", ["encoders", "lora", "norms", "head", "all"])
@pytest.mark.parametrize("n_steps", [1, 3])
def test_the_base_model_is_untouched(tiny_embedded: EmbeddedBackbone, adapt: str, n_steps: int):
    X, y = table()
    digest = sha256_of(tiny_embedded._module)
    classifier = TTTClassifier(n_steps=n_steps, n_context=30, adapt=adapt, guard=False, step_size=0.1, rank=2)
    classifier.fit(X, y).predict_proba(X)
    assert classifier.adaptation_.kept
    assert sha256_of(tiny_embedded._module) == digest
    assert sha256_of(tiny_tabicl()) == digest, "and is what a fresh one is"


def test_the_random_streams_of_the_caller_are_left_alone(tiny_embedded: EmbeddedBackbone):
    X, y = table()
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    embedded._load.__wrapped__("classifier")
    TTTClassifier(n_steps=2, n_context=30, adapt="lora", n_members=2, random_state=None).fit(X, y).predict(X)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


def spied(tiny: EmbeddedBackbone, monkeypatch: pytest.MonkeyPatch) -> list[set[float]]:
    """Record the values of the first column of all rows that take part in a training step."""
    seen: list[set[float]] = []
    original = EmbeddedBackbone.learner

    def learner(self, module, n_classes):
        inner = original(self, module, n_classes)
        output = inner.output

        def watched(context, query_x):
            if torch.is_grad_enabled():
                seen.append(set(context.x[:, 0].tolist()) | set(query_x[:, 0].tolist()))
            return output(context, query_x)

        inner.output = watched
        return inner

    monkeypatch.setattr(EmbeddedBackbone, "learner", learner)
    return seen


@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("n_steps", [1, 6])
def test_kept_context_is_never_trained_on(tiny_embedded, monkeypatch, guard: bool, n_steps: int):
    X, y = table(200)
    seen = spied(tiny_embedded, monkeypatch)
    classifier = TTTClassifier(n_steps=n_steps, n_context=30, guard=guard, step_size=0.01).fit(X, y)
    values = scaled(X, X)[:, 0].astype(np.float32)
    context = {float(values[row]) for row in classifier.context_indices_}
    assert len(context) == len(classifier.context_indices_) == 30
    assert seen
    assert all(rows.isdisjoint(context) for rows in seen)
    assert set().union(*seen) <= set(values.tolist())


def test_the_record_counts_the_rows(tiny_embedded):
    X, y = table(200)
    guarded = TTTClassifier(n_steps=2, n_context=40).fit(X, y).adaptation_
    assert guarded.n_guard % 40 == 0
    assert guarded.n_query == 120
    free = TTTClassifier(n_steps=2, n_context=40, guard=False).fit(X, y).adaptation_
    assert (free.n_guard, free.n_query, free.n_context) == (0, 160, 40)


def test_the_sizes_in_the_record_are_those_of_the_adapter(tiny_embedded):
    X, y = table()
    fitted = TTTClassifier(n_steps=2, n_context=40, guard=False, adapt="head", n_members=2).fit(X, y)
    head = sum(p.numel() for name, p in tiny_tabicl().named_parameters() if ".decoder." in name)
    assert fitted.adaptation_.n_trainable == head
    assert fitted.adaptation_.adapter_bytes == 2 * 4 * head


def test_probabilities_do_not_depend_on_the_batch(tiny_embedded):
    X, y = table(300)
    classifier = TTTClassifier(n_steps=2, n_context=40, guard=False).fit(X[:100], y[:100])
    together = classifier.predict_proba(X)
    alone = np.concatenate([classifier.predict_proba(X[i : i + 1]) for i in range(0, 300, 30)])
    np.testing.assert_allclose(together[::30], alone, atol=1e-10)
    assert np.array_equal(classifier.predict(X), classifier.classes_[together.argmax(1)])


def test_members_see_their_own_columns_and_codes_and_answer_for_the_same_classes():
    """A member that mixed up its class codes would predict another class; good weights are needed to see it."""
    X, y = table(400, n_classes=3)
    scores = [
        TTTClassifier(n_steps=0, n_context=200, n_members=m).fit(X[:300], y[:300]).score(X[300:], y[300:])
        for m in (1, 4)
    ]
    assert min(scores) > 0.75
    assert abs(scores[0] - scores[1]) < 0.15
