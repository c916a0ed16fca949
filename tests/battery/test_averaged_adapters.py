"""Every adapter the guard kept is served, and what is served is their average."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import testtime
from testtime import TTTClassifier
from testtime.estimators.settings import check_settings

pytestmark = pytest.mark.usefixtures("tiny_embedded")

PARAMS = {"n_steps": 40, "n_context": 40, "step_size": 0.02, "precision": "float64"}


@pytest.fixture(scope="module")
def table() -> tuple[np.ndarray, np.ndarray]:
    """A class that follows one column, which random weights do not know and steps soon learn."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((400, 3))
    return X, (X[:, 0] > 0).astype(int)


def alone(fitted: TTTClassifier, index: int) -> TTTClassifier:
    """The same estimator with one of its adapters only."""
    single = copy.copy(fitted)
    single._members = (fitted._members[index],)
    single._serve(check_settings(fitted.get_params()))
    return single


def test_predictions_are_the_mean_over_the_kept_adapters(table, tmp_path):
    X, y = table
    fitted = TTTClassifier(**PARAMS).fit(X, y)
    record = fitted.adaptation_
    assert record.kept
    assert record.n_members == record.n_folds == 2
    assert record.adapter_bytes == 2 * 4 * record.n_trainable
    assert "averaged over 2 adapters" in record.explain()
    members = [alone(fitted, index).predict_proba(X) for index in range(2)]
    assert not np.allclose(*members, atol=1e-4)
    np.testing.assert_allclose(fitted.predict_proba(X), (members[0] + members[1]) / 2, rtol=1e-12)
    loaded = testtime.load(fitted.save(tmp_path / "adapter"))
    assert np.array_equal(loaded.predict_proba(X), fitted.predict_proba(X))


def test_the_average_is_no_worse_than_the_adapters_on_average(table):
    """Log loss is convex: this holds for any rows and labels, here random ones."""
    X, y = table
    fitted = TTTClassifier(**PARAMS).fit(X, y)
    labels = np.random.default_rng(1).integers(0, 2, len(X))

    def loss(estimator: TTTClassifier) -> float:
        return -float(np.log(estimator.predict_proba(X)[np.arange(len(X)), labels]).mean())

    assert loss(fitted) <= (loss(alone(fitted, 0)) + loss(alone(fitted, 1))) / 2


def test_the_frozen_model_is_asked_once_however_many_adapters_there_are(table):
    X, y = table
    fitted = TTTClassifier(**PARAMS).fit(X, y)
    plain = alone(fitted, 0).predict_proba_at(X, 40, adapted=False)
    assert np.array_equal(fitted.predict_proba_at(X, 40, adapted=False), plain)


def test_the_record_tells_what_the_frozen_model_does_with_a_longer_context(table):
    """Compared where the context is chosen, and only there."""
    X, y = table
    chosen = TTTClassifier(**{**PARAMS, "n_context": "auto"}).fit(X, y).adaptation_
    assert chosen.rival_loss is not None
    assert np.isfinite(chosen.rival_loss)
    assert f"the frozen model had {chosen.rival_loss:.4f}" in chosen.explain()
    assert chosen.from_dict(chosen.to_dict()).rival_loss == chosen.rival_loss
    fixed = TTTClassifier(**PARAMS).fit(X, y).adaptation_
    assert fixed.rival_loss is None
    assert "as long as it takes" not in fixed.explain()
