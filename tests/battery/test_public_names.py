"""The names and signatures others call: a change here is a change for every user."""

from __future__ import annotations

import inspect

import pytest
from sklearn.base import BaseEstimator

import testtime

NAMES = [
    "Adaptation",
    "AdapterStore",
    "BackboneError",
    "InputError",
    "MissingExtra",
    "SingleIndexRegressor",
    "Status",
    "StoreError",
    "TTTClassifier",
    "TTTRegressor",
    "TestTimeError",
    "__version__",
    "adapt_groups",
    "load",
    "plan_table",
    "theory",
]

PARAMETERS = {
    "backbone": "embedded",
    "objective": "accuracy",
    "n_context": "auto",
    "n_steps": "auto",
    "step_size": "auto",
    "adapt": "auto",
    "rank": 8,
    "guard": True,
    "n_members": "auto",
    "column_kinds": None,
    "device": "cpu",
    "precision": "auto",
    "time_limit": None,
    "random_state": 0,
    "verbose": 0,
}

METHODS = {
    "fit": ["self", "X", "y", "groups", "time"],
    "predict": ["self", "X"],
    "predict_proba": ["self", "X"],
    "predict_proba_at": ["self", "X", "n_context", "adapted"],
    "save": ["self", "directory", "overwrite"],
    "score": ["self", "X", "y", "sample_weight"],
}

REGRESSOR_METHODS = {
    **{name: METHODS[name] for name in ("fit", "predict", "save", "score")},
    "predict_at": ["self", "X", "n_context", "adapted"],
    "predict_quantiles": ["self", "X", "levels"],
    "predict_quantiles_at": ["self", "X", "n_context", "levels", "adapted"],
}

ADAPTATION = [
    "kept",
    "status",
    "loss_before",
    "loss_after",
    "n_steps",
    "n_context",
    "n_query",
    "n_guard",
    "n_trainable",
    "adapter_bytes",
    "seconds",
    "loss_name",
]


def test_the_public_names():
    assert sorted(testtime.__all__) == NAMES
    assert len(NAMES) <= 16
    assert set(NAMES) <= set(dir(testtime))
    for name in NAMES:
        assert getattr(testtime, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'TTTClasifier'"):
        testtime.TTTClasifier  # noqa: B018


@pytest.mark.parametrize("name", ["TTTClassifier", "TTTRegressor"])
def test_the_constructors(name: str):
    parameters = inspect.signature(getattr(testtime, name)).parameters
    assert {name: parameter.default for name, parameter in parameters.items()} == PARAMETERS
    assert len(parameters) <= 15
    assert all(parameter.kind is inspect.Parameter.KEYWORD_ONLY for parameter in parameters.values())


@pytest.mark.parametrize("name", METHODS)
def test_the_methods_of_the_classifier(name: str):
    assert list(inspect.signature(getattr(testtime.TTTClassifier, name)).parameters) == METHODS[name]


@pytest.mark.parametrize("name", REGRESSOR_METHODS)
def test_the_methods_of_the_regressor(name: str):
    method = getattr(testtime.TTTRegressor, name)
    assert list(inspect.signature(method).parameters) == REGRESSOR_METHODS[name]


def test_what_an_adaptation_holds():
    fields = testtime.Adaptation.__dataclass_fields__
    assert set(ADAPTATION) <= set(fields)
    assert callable(testtime.Adaptation.explain)


def test_the_members_of_the_status():
    assert {status.name for status in testtime.Status} == {
        "KEPT",
        "PLAIN",
        "REVERTED_NO_GAIN",
        "REVERTED_NON_FINITE",
        "REVERTED_TOO_FEW",
        "REVERTED_FEW_GROUPS",
        "REVERTED_TIME",
        "SKIPPED",
        "UNGUARDED",
    }


def test_the_family_of_errors():
    for error, builtin in [
        (testtime.InputError, ValueError),
        (testtime.BackboneError, RuntimeError),
        (testtime.StoreError, OSError),
        (testtime.MissingExtra, ImportError),
    ]:
        assert issubclass(error, testtime.TestTimeError)
        assert issubclass(error, builtin)
    assert issubclass(testtime.TTTClassifier, BaseEstimator)


def test_every_public_name_is_documented():
    for name in NAMES:
        value = getattr(testtime, name)
        if name != "__version__":
            assert (value.__doc__ or "").strip(), name
