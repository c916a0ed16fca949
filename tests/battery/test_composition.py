"""The estimator inside the tools people use: files, pickles, pipelines, searches, threads."""

from __future__ import annotations

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import testtime
from tests.support.models import tiny_backbone
from testtime import InputError, StoreError, TTTClassifier
from testtime.backbones import embedded

pytestmark = pytest.mark.usefixtures("tiny_embedded")

FAST = {"n_steps": 2, "n_context": 24, "n_members": 1, "guard": False, "step_size": 0.01}


def frame(n_rows: int = 90, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(seed)
    X = pd.DataFrame(
        {
            "size": rng.standard_normal(n_rows),
            "town": rng.choice(["Oslo", "Rome", "Bonn"], n_rows),
            "new": rng.random(n_rows) > 0.5,
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, n_rows), unit="D"),
        }
    )
    X.loc[::7, "size"] = np.nan
    X.loc[::11, "town"] = None
    return X, np.where(X["new"] ^ (X["town"] == "Rome"), "yes", "no")


LABELS = {
    "text": lambda y: y,
    "objects": lambda y: y.astype(object),
    "truth": lambda y: y == "yes",
    "whole": lambda y: np.where(y == "yes", 7, -3),
    "real": lambda y: np.where(y == "yes", 2.0, 1.0),
    "series": pd.Series,
    "category": lambda y: pd.Series(y, dtype="category"),
}


@pytest.mark.parametrize("kind", LABELS)
def test_saved_and_loaded_it_predicts_the_same_bits(tmp_path, kind: str):
    X, y = frame()
    fitted = TTTClassifier(**FAST).fit(X, LABELS[kind](y))
    assert fitted.adaptation_.kept
    loaded = testtime.load(fitted.save(tmp_path / "adapter"))
    assert np.array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    assert np.array_equal(loaded.predict(X), fitted.predict(X))
    assert loaded.predict(X).dtype == fitted.predict(X).dtype
    assert loaded.adaptation_.to_dict() == fitted.adaptation_.to_dict()
    assert loaded.get_params() == fitted.get_params()
    assert list(loaded.feature_names_in_) == list(X.columns)
    assert np.array_equal(loaded.context_indices_, fitted.context_indices_)


@pytest.mark.parametrize(
    "params", [{"n_steps": 0}, {**FAST, "n_members": 3}, {**FAST, "adapt": "lora", "rank": 2}]
)
def test_every_form_can_be_saved(tmp_path, params: dict):
    X, y = frame()
    fitted = TTTClassifier(**params).fit(X, y)
    loaded = testtime.load(fitted.save(tmp_path / "adapter"))
    assert np.array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    again = testtime.load(loaded.save(tmp_path / "again"))
    assert np.array_equal(again.predict_proba(X), fitted.predict_proba(X))


def test_another_base_model_refuses_the_adapter(tmp_path, monkeypatch):
    X, y = frame()
    path = TTTClassifier(**FAST).fit(X, y).save(tmp_path / "adapter")
    other = tiny_backbone(seed=1)
    monkeypatch.setattr(embedded, "load_embedded", lambda task: other)
    with pytest.raises(StoreError, match="base"):
        testtime.load(path)


def test_an_existing_folder_is_not_overwritten_unasked(tmp_path):
    X, y = frame()
    fitted = TTTClassifier(**FAST).fit(X, y)
    path = fitted.save(tmp_path / "adapter")
    with pytest.raises(StoreError, match="adapter"):
        fitted.save(path)
    assert fitted.save(path, overwrite=True) == path


def test_a_loaded_estimator_checks_its_input(tmp_path):
    X, y = frame()
    loaded = testtime.load(TTTClassifier(**FAST).fit(X, y).save(tmp_path / "adapter"))
    with pytest.raises(InputError, match="town"):
        loaded.predict(X.drop(columns="town"))
    with pytest.raises(InputError, match="rows that are at hand"):
        loaded.predict_proba_at(X, len(X) + 1)


@pytest.mark.parametrize(
    "duplicate",
    [
        lambda e: pickle.loads(pickle.dumps(e)),
        copy.deepcopy,
        lambda e: joblib.load(_through_joblib(e)),
    ],
    ids=["pickle", "deepcopy", "joblib"],
)
def test_copies_predict_the_same_bits(duplicate):
    X, y = frame()
    fitted = TTTClassifier(**{**FAST, "n_members": 2}).fit(X, y)
    assert np.array_equal(duplicate(fitted).predict_proba(X), fitted.predict_proba(X))


def _through_joblib(estimator: TTTClassifier) -> io.BytesIO:
    buffer = io.BytesIO()
    joblib.dump(estimator, buffer)
    buffer.seek(0)
    return buffer


def test_a_pickle_holds_the_adapter_and_not_the_base():
    X, y = frame()
    head = TTTClassifier(**FAST, adapt="head").fit(X, y)
    base_bytes = sum(p.numel() * 4 for p in embedded.load_embedded("classifier")._module.base.parameters())
    rows = 100_000  # columns, levels and the rows of the table
    assert len(pickle.dumps(head)) < head.adaptation_.adapter_bytes + rows < base_bytes + rows


def test_a_clone_is_unfitted_and_has_the_same_parameters():
    X, y = frame()
    fitted = TTTClassifier(**FAST).fit(X, y)
    fresh = clone(fitted)
    assert fresh.get_params() == fitted.get_params()
    assert not hasattr(fresh, "adaptation_")


@pytest.mark.slow
def test_a_search_over_parameters():
    X, y = frame()
    search = GridSearchCV(TTTClassifier(**FAST), {"n_context": [12, 24], "adapt": ["head", "lora"]}, cv=2)
    search.fit(X, y)
    assert len(search.cv_results_["params"]) == 4
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()
    assert search.predict(X).shape == (90,)


def test_cross_validation_and_pipelines():
    X, y = frame()
    pipeline = make_pipeline(FunctionTransformer(), TTTClassifier(**FAST))
    scores = cross_val_score(pipeline, X, y, cv=3, scoring="neg_log_loss", error_score="raise")
    assert np.isfinite(scores).all()


@pytest.mark.slow
def test_meta_estimators():
    X, y = frame()
    numbers = X[["size", "new"]].fillna(0.0).astype(float)
    for estimator in (
        CalibratedClassifierCV(TTTClassifier(**FAST), cv=2),
        OneVsRestClassifier(TTTClassifier(**FAST)),
        VotingClassifier([("a", TTTClassifier(**FAST)), ("b", TTTClassifier(n_steps=0))], voting="soft"),
    ):
        probabilities = estimator.fit(numbers, y).predict_proba(numbers)
        np.testing.assert_allclose(probabilities.sum(1), 1.0, atol=1e-6)


def test_threads_may_predict_from_one_estimator():
    X, y = frame(200)
    fitted = TTTClassifier(**{**FAST, "n_members": 2}).fit(X, y)
    expected = fitted.predict_proba(X)
    answers = joblib.Parallel(n_jobs=4, prefer="threads")(
        joblib.delayed(fitted.predict_proba)(X) for _ in range(8)
    )
    assert all(np.array_equal(answer, expected) for answer in answers)


def test_frames_of_polars_and_pandas_give_the_same_predictions():
    import polars as pl

    X, y = frame()
    columns = {
        "size": [None if np.isnan(v) else v for v in X["size"]],
        "town": [None if pd.isna(v) else v for v in X["town"]],
        "new": X["new"].tolist(),
        "day": [day.to_pydatetime() for day in X["day"]],
    }
    twin = pl.DataFrame(columns)
    one = TTTClassifier(**FAST).fit(X, y)
    other = TTTClassifier(**FAST).fit(twin, pl.Series(y))
    assert np.array_equal(one.predict_proba(X), other.predict_proba(twin))
    assert np.array_equal(one.predict_proba(twin), other.predict_proba(X))


def test_a_category_never_seen_works_and_is_said():
    X, y = frame()
    fitted = TTTClassifier(**FAST).fit(X, y)
    new = X.head(3).assign(town=["Rome", "Paris", "Oslo"])
    with pytest.warns(UserWarning, match=r"not there at fit.*'town' \(1 rows\)"):
        unseen = fitted.predict_proba(new)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        missing = fitted.predict_proba(new.assign(town=["Rome", None, "Oslo"]))
    assert np.array_equal(unseen[[0, 2]], missing[[0, 2]])
    assert not np.array_equal(unseen[1], missing[1]), "a level never seen has a place of its own"


def test_shorter_and_longer_contexts_for_learning_curves():
    X, y = frame()
    fitted = TTTClassifier(**FAST).fit(X, y)
    assert np.array_equal(fitted.predict_proba_at(X, 24), fitted.predict_proba(X))
    for n_context in (2, 10, 90):
        np.testing.assert_allclose(fitted.predict_proba_at(X, n_context).sum(1), 1.0, atol=1e-9)
    for n_context in (1, 91):
        with pytest.raises(InputError, match=f"n_context={n_context}"):
            fitted.predict_proba_at(X, n_context)


def test_a_progress_bar_only_when_asked(capsys, monkeypatch):
    monkeypatch.setattr(
        "testtime.estimators.progress._SECONDS_UNSEEN", 0.0
    )  # a fit of a second would show none
    X, y = frame()
    longer = {**FAST, "n_members": 6, "n_steps": 6}
    TTTClassifier(**longer).fit(X, y)
    assert capsys.readouterr() == ("", "")
    TTTClassifier(**longer, verbose=1).fit(X, y)
    assert "adapting" in capsys.readouterr().err
