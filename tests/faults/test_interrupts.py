"""An exception or Ctrl-C in the middle of a step leaves base model and estimator as they were."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from tests.support.faults import FaultyBackbone
from tests.support.models import base_digests, random_rows
from testtime import TTTClassifier
from testtime.backbones.embedded import EmbeddedBackbone

ROWS = random_rows(120, 3, 2)
X, Y = ROWS.x.numpy().astype(np.float64), ROWS.y.numpy()
ERRORS = [KeyboardInterrupt(), RuntimeError("out of memory"), MemoryError()]


@pytest.mark.parametrize("error", ERRORS, ids=repr)
@pytest.mark.parametrize("adapt", ["encoders", "lora", "all"])
@pytest.mark.parametrize(("n_steps", "at"), [(1, 0), (4, 0), (4, 3)])
def test_the_base_model_is_untouched(
    tiny: EmbeddedBackbone, error: BaseException, adapt: str, n_steps: int, at: int
):
    TTTClassifier(backbone=tiny, n_steps=0, n_members=1).fit(X, Y).predict(X)  # makes the base in both dtypes
    before = base_digests(tiny)
    n_threads = threading.active_count()
    faulty = FaultyBackbone(tiny, error, at)
    with pytest.raises(type(error)) as caught:
        TTTClassifier(backbone=faulty, n_steps=n_steps, n_members=2, adapt=adapt, rank=2).fit(X, Y)
    assert caught.value is error
    assert base_digests(tiny) == before
    assert threading.active_count() == n_threads, "nobody works on after the fit has failed"


def test_a_first_fit_that_was_interrupted_is_no_fit(tiny: EmbeddedBackbone):
    classifier = TTTClassifier(backbone=FaultyBackbone(tiny, KeyboardInterrupt(), 2), n_steps=5, n_members=2)
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(X, Y)
    with pytest.raises(NotFittedError):
        classifier.predict(X)


def test_a_second_fit_that_was_interrupted_does_not_mix_two_tables(tiny: EmbeddedBackbone):
    classifier = TTTClassifier(backbone=tiny, n_steps=2, n_members=2).fit(X, Y)
    before = classifier.predict_proba(X)
    classifier.set_params(backbone=FaultyBackbone(tiny, KeyboardInterrupt(), 1))
    with pytest.raises(KeyboardInterrupt):
        classifier.fit(100.0 - 7.0 * X, Y)
    assert np.array_equal(classifier.predict_proba(X), before)


def test_bad_data_at_a_second_fit_does_not_spoil_the_first(tiny_embedded: EmbeddedBackbone):
    classifier = TTTClassifier(n_steps=0).fit(X, Y)
    before = classifier.predict_proba(X)
    with pytest.raises(ValueError, match="class"):
        classifier.fit(X[:30, :2], np.zeros(30))
    assert np.array_equal(classifier.predict_proba(X), before)
