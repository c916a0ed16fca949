"""The same seed gives the same bytes: again, in other processes, in threads, on a used model."""

from __future__ import annotations

import joblib
import numpy as np
import pytest

from tests.support.jobs import adapter_digest, table
from testtime import TTTClassifier

PARAMS = [
    {"n_steps": 3, "n_context": 30, "guard": False, "random_state": 0},
    {"n_steps": 3, "n_context": 30, "guard": False, "random_state": 1, "adapt": "lora", "rank": 2},
    {"n_steps": 1, "n_context": 30, "guard": False, "random_state": 2, "step_size": 0.01},
    {"n_steps": 2, "n_context": 30, "guard": False, "random_state": 3, "n_members": 2, "adapt": "all"},
]


@pytest.fixture
def digests(tiny_embedded) -> list[str]:
    return [adapter_digest(params) for params in PARAMS]


def test_again(digests: list[str]):
    assert [adapter_digest(params) for params in reversed(PARAMS)] == digests[::-1]
    assert len(set(digests)) == len(PARAMS)


def test_in_other_processes(digests: list[str]):
    with joblib.parallel_config("loky", n_jobs=2, inner_max_num_threads=1):
        elsewhere = joblib.Parallel()(joblib.delayed(adapter_digest)(params) for params in PARAMS)
    assert elsewhere == digests


def test_in_threads(digests: list[str]):
    jobs = [params for params in PARAMS for _ in range(2)]
    together = joblib.Parallel(n_jobs=4, prefer="threads")(joblib.delayed(adapter_digest)(p) for p in jobs)
    assert together == [digest for digest in digests for _ in range(2)]


def test_another_seed_gives_another_adapter(digests: list[str]):
    for params, digest in zip(PARAMS, digests, strict=True):
        assert adapter_digest({**params, "random_state": 99}) != digest


def test_a_guarded_fit_is_repeatable(tiny_embedded):
    X, y = table()
    records = []
    for _ in range(2):
        fitted = TTTClassifier(n_steps=3, n_context=30, step_size=0.01).fit(X, y)
        record = fitted.adaptation_.to_dict()
        record.pop("seconds")
        records.append((record, fitted.predict_proba(X).tobytes(), fitted.context_indices_.tolist()))
    assert records[0] == records[1]


def test_a_generator_as_seed_is_used_and_advances(tiny_embedded):
    X, y = table()
    params = {"n_steps": 2, "n_context": 30, "guard": False}
    generator = np.random.RandomState(5)
    first = TTTClassifier(**params, random_state=generator).fit(X, y).predict_proba(X)
    second = TTTClassifier(**params, random_state=generator).fit(X, y).predict_proba(X)
    again = TTTClassifier(**params, random_state=np.random.RandomState(5)).fit(X, y).predict_proba(X)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, second)
