"""The same seed gives the same bytes: again, in other processes, in threads, whatever the caller set in torch."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import joblib
import numpy as np
import pytest
import torch
from joblib.externals.loky import ProcessPoolExecutor
from sklearn.base import clone

from tests.support.jobs import adapter_digest, digest_of, table
from testtime import TTTClassifier, TTTRegressor, plan_table
from testtime.adapt import parallel

PARAMS = [
    {"n_steps": 2, "n_members": 3, "random_state": 0},
    {"n_steps": 2, "n_members": 2, "guard": False, "random_state": 1, "adapt": "lora", "rank": 2},
    {"n_steps": 1, "n_context": 30, "n_members": 1, "guard": False, "random_state": 2, "step_size": 0.01},
    {"n_steps": 2, "objective": "short", "n_members": 2, "guard": False, "random_state": 3, "adapt": "all"},
]


@functools.cache
def _first_digests() -> list[str]:
    return [adapter_digest(params) for params in PARAMS]


@pytest.fixture
def digests(tiny_embedded) -> list[str]:
    """What the first fits of this process gave, with which all later ones are compared."""
    return _first_digests()


def test_again(digests: list[str]):
    assert [adapter_digest(params) for params in reversed(PARAMS)] == digests[::-1]
    assert len(set(digests)) == len(PARAMS)


def test_in_another_process(digests: list[str]):
    """A new interpreter: other hashes of text, nothing loaded before; in the opposite order."""
    with ProcessPoolExecutor(max_workers=1) as elsewhere:
        assert list(elsewhere.map(adapter_digest, PARAMS[::-1])) == digests[::-1]


def test_in_threads(digests: list[str]):
    jobs = [params for params in PARAMS for _ in range(2)]
    together = joblib.Parallel(n_jobs=4, prefer="threads")(joblib.delayed(adapter_digest)(p) for p in jobs)
    assert together == [digest for digest in digests for _ in range(2)]


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_one_after_the_other_or_side_by_side(digests: list[str], cores: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parallel, "available_cores", lambda: cores)
    assert [adapter_digest(params) for params in PARAMS] == digests


@pytest.mark.parametrize("threads", [2, 5])
def test_whatever_the_number_of_threads_of_torch(digests: list[str], threads: int):
    assert [adapter_digest(params, threads) for params in PARAMS] == digests


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize(
    "state",
    [
        torch.no_grad,
        torch.inference_mode,
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
        lambda: default_dtype(torch.float64),
        lambda: torch.autograd.set_detect_anomaly(True),
    ],
    ids=["no_grad", "inference_mode", "autocast", "default dtype", "anomaly"],
)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_whatever_the_state_of_torch(digests: list[str], state):
    with state():
        assert [adapter_digest(params) for params in PARAMS] == digests


@pytest.mark.parametrize(
    "state",
    [torch.inference_mode, lambda: torch.autocast("cpu", dtype=torch.bfloat16)],
    ids=["inference", "autocast"],
)
@pytest.mark.parametrize(
    "estimator",
    [
        TTTClassifier(adapt="planned", n_members=2),
        TTTClassifier(objective="short", n_steps=1),
        TTTRegressor(n_steps=1),
    ],
    ids=["planned", "short", "skewed"],
)
def test_what_is_measured_before_training_depends_on_no_state_either(tiny_embedded, state, estimator):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(140, 3))
    y = np.exp(2 * X[:, 0]) if isinstance(estimator, TTTRegressor) else (X[:, 0] > 0).astype(int)

    def record() -> dict:
        found = clone(estimator).fit(X, y).adaptation_.to_dict()
        return found | {"seconds": None}

    with state():
        inside = record()
        planned = plan_table(X, y)
    assert inside == record()
    assert planned.signs == plan_table(X, y).signs


@pytest.mark.parametrize("state", [torch.no_grad, torch.inference_mode, lambda: torch.autocast("cpu")])
def test_predicting_first_or_only_inside_changes_nothing(tiny_embedded, state):
    X, y = table()
    fitted = TTTClassifier(**PARAMS[0]).fit(X, y)
    with state():
        inside = fitted.predict_proba(X)
    assert np.array_equal(inside, fitted.predict_proba(X))
    assert np.array_equal(inside, TTTClassifier(**PARAMS[0]).fit(X, y).predict_proba(X))


def test_another_seed_gives_another_adapter(digests: list[str]):
    for params, digest in zip(PARAMS, digests, strict=True):
        assert adapter_digest({**params, "random_state": 99}) != digest


def test_the_whole_record_is_repeatable(tiny_embedded):
    X, y = table()
    records = []
    for _ in range(2):
        fitted = TTTClassifier(n_steps=3, n_members=3, step_size=0.01).fit(X, y)
        record = fitted.adaptation_.to_dict()
        record.pop("seconds")
        records.append((record, digest_of(fitted)))
    assert records[0] == records[1]


def test_a_generator_as_seed_is_used_and_advances(tiny_embedded):
    X, y = table()
    params = {"n_steps": 2, "n_members": 1, "guard": False}
    for make in (np.random.RandomState, np.random.default_rng):
        generator = make(5)
        first = TTTClassifier(**params, random_state=generator).fit(X, y).predict_proba(X)
        second = TTTClassifier(**params, random_state=generator).fit(X, y).predict_proba(X)
        again = TTTClassifier(**params, random_state=make(5)).fit(X, y).predict_proba(X)
        assert np.array_equal(first, again)
        assert not np.array_equal(first, second)
