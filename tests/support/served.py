"""A store of small adapters and a client of the application over it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from fastapi.testclient import TestClient

from tests.support.tables import linear_table
from testtime import AdapterStore, TTTClassifier, TTTRegressor
from testtime.serve.app import create_app
from testtime.serve.settings import ServeSettings

TOKEN = "a token of the tests"
SENT = {"Authorization": f"Bearer {TOKEN}"}


def fitted(seed: int, *, numeric: bool = False, n_rows: int = 48) -> Any:
    """An estimator that holds a context and the frozen model; the seed tells one from another."""
    frame, y = linear_table(n_rows, 0 if numeric else 2, seed=seed)
    kind = TTTRegressor if numeric else TTTClassifier
    return kind(n_steps=0, n_members=1, random_state=seed).fit(frame, y)


def make_store(where: Path) -> AdapterStore:
    """Adapters "a" and "north/7" of classes, and "number" of a number."""
    store = AdapterStore(where)
    for seed, name in enumerate(("a", "north/7")):
        store.add(name, fitted(seed))
    store.add("number", fitted(2, numeric=True))
    return store


@contextmanager
def client(store: AdapterStore, **settings: Any) -> Iterator[TestClient]:
    """Yield a client that sends the token."""
    app = create_app(store, ServeSettings(**{"token": TOKEN, **settings}))
    with TestClient(app, headers=SENT) as opened:
        yield opened


def rows(n: int = 3, seed: int = 9) -> list[dict[str, float]]:
    """Rows as JSON has them."""
    return linear_table(n, seed=seed)[0].to_dict("records")


def expected(store: AdapterStore, name: str, sent: list[dict[str, float]]) -> np.ndarray:
    """Probabilities that the estimator gives by itself."""
    import pandas as pd

    return store.load(name).predict_proba(pd.DataFrame(sent))
