"""An exception or Ctrl-C in the middle of a step leaves base model and estimator as they were."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from testtime.adapt.adapters import AdapterSpec
from testtime.adapt.crossfit import GuardPlan, fit_guarded
from testtime.adapt.step import StepPlan
from torch.nn.utils import parametrize

from tests.support.models import Faulty, random_rows, sha256_of, tiny_learner
from testtime import TTTClassifier
from testtime.adapt.episodes import split_rows, stratified_order
from testtime.backbones.embedded import EmbeddedBackbone

ROWS = random_rows(80, 3, 2)
X, Y = ROWS.x.numpy().astype(np.float64), ROWS.y.numpy()
ERRORS = [KeyboardInterrupt(), RuntimeError("out of memory"), MemoryError()]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("kind", ["encoders", "lora", "all"])
@pytest.mark.parametrize(("n_steps", "at"), [(1, 0), (1, 2), (4, 0), (4, 3), (4, 5)])
def test_the_module_is_as_it_was(error: BaseException, kind: str, n_steps: int, at: int):
    """Also in the second fold, where the fifth and later training calls are."""
    inner = tiny_learner()
    digest = sha256_of(inner.module)
    flags = {name: p.requires_grad for name, p in inner.module.named_parameters()}
    rng = np.random.default_rng(0)
    split = split_rows(stratified_order(Y, len(ROWS), rng), Y, 12, 4, rng)
    plan = StepPlan(n_steps, n_context=12, n_query=12, learning_rate=0.05, spec=AdapterSpec(kind, rank=2))
    undecided = GuardPlan(n_errors=0.0, decisive=1e9)
    with pytest.raises(type(error)) as caught:
        fit_guarded(Faulty(inner, error, at), ROWS, split, plan, undecided, np.random.SeedSequence(0))
    assert caught.value is error
    assert sha256_of(inner.module) == digest
    assert {name: p.requires_grad for name, p in inner.module.named_parameters()} == flags
    assert all(p.grad is None for p in inner.module.parameters())
    assert not any(parametrize.is_parametrized(module) for module in inner.module.modules())


@pytest.fixture
def interrupted(tiny_embedded: EmbeddedBackbone, monkeypatch: pytest.MonkeyPatch):
    """Return a switch: from the moment it is called, every fit is interrupted in its third training step."""
    original = EmbeddedBackbone.learner

    def switch(error: BaseException) -> None:
        monkeypatch.setattr(
            EmbeddedBackbone, "learner", lambda self, m, c: Faulty(original(self, m, c), error, 2)
        )

    return switch


@pytest.mark.parametrize("error", ERRORS, ids=repr)
def test_the_base_model_is_untouched(tiny_embedded: EmbeddedBackbone, interrupted, error: BaseException):
    digest = sha256_of(tiny_embedded._module)
    interrupted(error)
    with pytest.raises(type(error)):
        TTTClassifier(n_steps=5, n_context=12).fit(X, Y)
    assert sha256_of(tiny_embedded._module) == digest


def test_a_first_fit_that_was_interrupted_is_no_fit(interrupted):
    interrupted(KeyboardInterrupt())
    classifier = TTTClassifier(n_steps=5, n_context=12)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, Y)
    with pytest.raises(NotFittedError):
        classifier.predict(X)


def test_a_second_fit_that_was_interrupted_does_not_mix_two_tables(interrupted):
    """It predicts as before, or refuses; new columns with the old context would be silently wrong."""
    classifier = TTTClassifier(n_steps=5, n_context=12, guard=False).fit(X, Y)
    before = classifier.predict_proba(X)
    interrupted(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(100.0 - 7.0 * X, Y)
    try:
        after = classifier.predict_proba(X)
    except NotFittedError:
        return
    assert np.array_equal(after, before)


def test_bad_data_at_a_second_fit_does_not_spoil_the_first(tiny_embedded):
    classifier = TTTClassifier(n_steps=0, n_context=12).fit(X, Y)
    before = classifier.predict_proba(X)
    with pytest.raises(ValueError, match="classes"):
        classifier.fit(X[:30, :2], np.arange(30))
    try:
        after = classifier.predict_proba(X)
    except NotFittedError:
        return
    assert np.array_equal(after, before)
