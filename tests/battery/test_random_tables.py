"""Random tables: probabilities, or a sentence; never anything else."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testtime import TestTimeError, TTTClassifier

pytestmark = pytest.mark.usefixtures("tiny_embedded")

RELAXED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
WORDS = ["", "a", "b", "NaN", "1", "é", "a long text with spaces", "None"]
ODD_NUMBERS = [0.0, -0.0, 1.0, 1e-320, 1e300, -1e300, 1.7e308, float("nan")]


def column(rng: np.random.Generator, kind: str, n: int) -> pd.Series:
    """One column of `n` rows."""
    if kind == "normal":
        return pd.Series(rng.standard_normal(n))
    if kind == "odd":
        return pd.Series(rng.choice(ODD_NUMBERS, n))
    if kind == "infinite":
        values = rng.standard_normal(n)
        values[rng.integers(n)] = rng.choice([np.inf, -np.inf])
        return pd.Series(values)
    if kind == "constant":
        return pd.Series(np.full(n, 4.2))
    if kind == "missing":
        return pd.Series(np.full(n, np.nan))
    if kind == "text":
        return pd.Series(rng.choice(WORDS, n))
    if kind == "objects":
        return pd.Series([[None, 1, "x", 2.5, True][i] for i in rng.integers(0, 5, n)], dtype=object)
    if kind == "nullable":
        return pd.Series([[None, 1, 2][i] for i in rng.integers(0, 3, n)], dtype="Int64")
    if kind == "category":
        return pd.Series(pd.Categorical(rng.choice(WORDS, n)))
    if kind == "time":
        return pd.Series(pd.to_datetime(rng.integers(0, 2**31, n), unit="s"))
    return pd.Series(rng.random(n) > 0.5)


KINDS = [
    "normal",
    "normal",
    "odd",
    "constant",
    "missing",
    "text",
    "objects",
    "nullable",
    "category",
    "time",
    "bool",
]


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Training rows, labels and new rows; names may repeat, classes may be rare or alone, cells may be infinite."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n, n_new = draw(st.sampled_from([1, 2, 3, 5, 9, 20, 40])), draw(st.integers(1, 4))
    kinds = draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=5))
    if draw(st.integers(0, 9)) == 0:
        kinds[0] = "infinite"
    names = [f"c{j}" for j in range(len(kinds))]
    if len(names) > 1 and draw(st.integers(0, 19)) == 0:
        names[1] = names[0]
    frame = pd.concat([column(rng, kind, n + n_new) for kind in kinds], axis=1)
    frame.columns = names
    share = draw(st.sampled_from(["one", "even", "rare", "many"]))
    y = {
        "one": np.zeros(n, dtype=int),
        "even": rng.integers(0, 3, n),
        "rare": (np.arange(n) == 0).astype(int),
        "many": np.arange(n) % draw(st.integers(2, 12)),
    }[share]
    return frame.iloc[:n], y, frame.iloc[n:].reset_index(drop=True)


def check(case: tuple[pd.DataFrame, np.ndarray, pd.DataFrame], **params: object) -> bool:
    """Fit and predict; True when there were probabilities, False when there was a sentence."""
    X, y, X_new = case
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            classifier = TTTClassifier(**params).fit(X, y)
            probabilities = classifier.predict_proba(X_new)
        except TestTimeError as error:
            assert len(str(error)) > 20
            return False
    assert probabilities.shape == (len(X_new), len(classifier.classes_))
    assert np.isfinite(probabilities).all()
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-6)
    assert set(classifier.predict(X_new)) <= set(y)
    assert classifier.adaptation_.explain()
    return True


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=RELAXED)
@given(tables())
def test_plain(case: tuple[pd.DataFrame, np.ndarray, pd.DataFrame]):
    check(case, n_steps=0, n_members=1)


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=RELAXED)
@given(tables(), st.sampled_from([1, 2]), st.booleans(), st.sampled_from(["head", "norms"]))
def test_adapted(case: tuple[pd.DataFrame, np.ndarray, pd.DataFrame], n_steps: int, guard: bool, adapt: str):
    n_context = max(len(np.unique(case[1])), len(case[0]) // 3)
    check(case, n_steps=n_steps, n_context=n_context, n_members=2, guard=guard, adapt=adapt)


def test_most_ordinary_tables_are_answered():
    """The property above would hold for an estimator that refuses everything."""
    answered = 0
    for seed in range(12):
        rng = np.random.default_rng(seed)
        kinds = rng.choice(KINDS[:3] + KINDS[5:], 4)
        frame = pd.concat([column(rng, kind, 30) for kind in kinds], axis=1).set_axis(list("abcd"), axis=1)
        answered += check((frame[:25], np.arange(25) % 3, frame[25:]), n_steps=0, n_members=1)
    assert answered == 12


@pytest.mark.parametrize("n_columns", [1, 100, 500, 501, 2_000])
def test_wide_tables(n_columns: int):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((12, n_columns)).round(1))
    answered = check((frame[:10], np.arange(10) % 2, frame[10:]), n_steps=0, n_members=1)
    assert answered == (n_columns <= 500)
