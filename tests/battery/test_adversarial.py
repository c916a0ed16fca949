"""Tables made to fool the guard: what is served is never above the frozen model out of fold."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from tests.support.linear import LinearBackbone
from testtime import TTTClassifier

N_TABLES = 60
KINDS = (
    "noise",
    "one informative row",
    "imbalance",
    "repeats",
    "near copies",
    "label per group",
    "oversampled",
)


def table(kind: str, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A table of 120 to 400 rows and 3 columns in which little or nothing can be learned."""
    rng = np.random.default_rng(seed)
    n_rows = int(rng.integers(120, 400))
    X, y = rng.normal(size=(n_rows, 3)), rng.integers(0, 2, n_rows)
    if kind == "one informative row":
        y[:] = np.arange(n_rows) % 2
        X[0] = 50.0
    elif kind == "imbalance":
        y[:] = 0
        y[: max(2, n_rows // 500)] = 1
    elif kind == "repeats":
        X, y = np.repeat(X[: n_rows // 5], 5, axis=0), np.repeat(y[: n_rows // 5], 5)
    elif kind == "near copies":
        X, y = np.repeat(X[: n_rows // 5], 5, axis=0), np.repeat(y[: n_rows // 5], 5)
        X = X + 1e-4 * rng.normal(size=X.shape)
    elif kind == "label per group":
        group = rng.integers(0, 12, n_rows)
        X, y = rng.normal(size=(12, 3))[group] + 0.3 * X, rng.integers(0, 2, 12)[group]
        y[:2] = (0, 1)
    elif kind == "oversampled":
        again = rng.integers(0, n_rows // 4, n_rows)
        X, y = X[again], y[again]
    return X, y


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_served_is_never_above_the_frozen_model(kind: str):
    for seed in range(N_TABLES // len(KINDS) + 1):
        X, y = table(kind, seed)
        step_size = "auto" if seed % 2 else 1e3  # also a step that is far too long
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted = TTTClassifier(
                backbone=LinearBackbone(), n_steps=6, n_members=4, step_size=step_size, random_state=seed
            ).fit(X, y)
        record = fitted.adaptation_
        assert not record.loss_after > record.loss_before, (kind, seed)
        assert np.isfinite(fitted.predict_proba(X)).all()


@pytest.mark.parametrize("kind", ["repeats", "near copies", "oversampled"])
def test_copies_stay_on_one_side(kind: str):
    """Random labels cannot be learned; a copy on the other side of a split would make it look as if they could."""
    X, y = table(kind, 3)
    fitted = TTTClassifier(backbone=LinearBackbone(), n_steps=6, n_members=4).fit(X, y)
    record = fitted.adaptation_
    assert any("repeat" in note for note in record.notes)
    rng = np.random.default_rng(99)
    fresh, labels = rng.normal(size=(2000, 3)), rng.integers(0, 2, 2000)
    served = -np.log(fitted.predict_proba(fresh)[np.arange(2000), labels])
    frozen = fitted.predict_proba_at(fresh, record.n_context, adapted=False)
    delta = served + np.log(frozen[np.arange(2000), labels])
    assert delta.mean() <= 2 * delta.std() / np.sqrt(2000) + 1e-12
