"""Constructor arguments: what "auto" means, and a sentence for each that cannot be used."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from testtime import TTTClassifier
from testtime.errors import InputError
from testtime.estimators.settings import check_settings


def check(**changes: object):
    return check_settings({**TTTClassifier().get_params(), **changes})


@pytest.mark.parametrize(
    ("n_steps", "n_members", "used"), [(1, "auto", 4), (2, "auto", 8), (1, 6, 6), ("auto", 3, 3)]
)
def test_one_step_takes_an_adapter_for_each_fold_unless_told(n_steps, n_members, used):
    assert check(n_steps=n_steps, n_members=n_members).n_members == used


def test_the_defaults_leave_choices_open():
    settings = check()
    assert (settings.n_context, settings.n_steps, settings.step_size, settings.time_limit) == (None,) * 4
    assert settings.adapt is None
    assert (settings.objective, settings.n_members, settings.rank) == ("accuracy", 8, 8)
    assert settings.serves_all
    assert settings.guard is True
    assert settings.predict_dtype is None, "the model says"
    assert settings.device == torch.device("cpu")


def test_numpy_numbers_are_numbers():
    settings = check(
        n_context=np.int64(64), n_steps=np.int32(3), step_size=np.float32(0.5), time_limit=np.float64(2)
    )
    assert (settings.n_context, settings.n_steps, settings.step_size, settings.time_limit) == (
        64,
        3,
        0.5,
        2.0,
    )
    assert type(settings.n_context) is int
    assert type(settings.step_size) is float


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("float64", torch.float64)])
def test_precision_is_of_predictions(precision: str, dtype: torch.dtype):
    assert check(precision=precision).predict_dtype is dtype


@pytest.mark.parametrize("kind", ["encoders", "lora", "norms", "tail", "head", "all"])
def test_every_kind_can_be_asked_for(kind: str):
    assert check(adapt=kind).adapt == kind


@pytest.mark.parametrize(
    ("params", "serves_all"),
    [({}, True), ({"objective": "short"}, False), ({"n_context": 50}, False), ({"n_steps": 0}, True)],
)
def test_all_rows_are_served_unless_told_otherwise(params: dict, serves_all: bool):
    assert check(**params).serves_all is serves_all


BAD = [
    ("objective", "fast", "one of 'accuracy', 'short'"),
    ("objective", "shor", "Did you mean 'short'"),
    ("objective", None, "'accuracy'"),
    ("column_kinds", "number", "a mapping of column names to kinds, or None"),
    ("column_kinds", ["number"], "a mapping"),
    ("random_state", -1, "a non-negative integer"),
    ("random_state", True, "a non-negative integer"),
    ("random_state", "0", "a non-negative integer"),
    ("verbose", -1, "an integer of at least 0"),
    ("verbose", "loud", "an integer"),
    ("n_context", 0, "an integer of at least 1, or 'auto'"),
    ("n_context", -5, "an integer of at least 1"),
    ("n_context", 2.5, "an integer"),
    ("n_context", "many", "'auto'"),
    ("n_context", None, "'auto'"),
    ("n_context", True, "an integer"),
    ("n_steps", -1, "an integer of at least 0, or 'auto'"),
    ("n_steps", float("nan"), "an integer"),
    ("n_steps", [1], "an integer"),
    ("step_size", 0.0, "a positive finite number, or 'auto'"),
    ("step_size", -1e-3, "a positive finite number"),
    ("step_size", float("inf"), "a positive finite number"),
    ("step_size", float("nan"), "a positive finite number"),
    ("step_size", "large", "'auto'"),
    ("step_size", None, "'auto'"),
    ("adapt", "encoder", "Did you mean 'encoders'"),
    ("adapt", None, "'lora'"),
    ("adapt", 3, "'lora'"),
    ("rank", 0, "an integer from 1 to 100,000"),
    ("rank", 1.5, "an integer from 1 to 100,000"),
    ("guard", 1, "True or False"),
    ("guard", "yes", "True or False"),
    ("n_members", 0, "an integer of at least 1"),
    ("n_members", "all", "an integer of at least 1, or 'auto'"),
    ("device", "gpu", "'cuda'"),
    ("device", None, "'cuda'"),
    ("device", "meta", "'cpu'"),
    ("precision", "float16", "'float32'"),
    ("precision", 64, "'float64'"),
    ("precision", ["float32"], "'float32'"),
    ("time_limit", 0, "a positive finite number, or None"),
    ("time_limit", -3.0, "a positive finite number, or None"),
    ("time_limit", "1h", "a positive finite number, or None"),
    ("time_limit", float("inf"), "None"),
]


@pytest.mark.parametrize(("name", "value", "expected"), BAD, ids=[f"{n}={v!r}" for n, v, _ in BAD])
def test_a_bad_argument_is_named_with_what_to_do(name: str, value: object, expected: str):
    with pytest.raises(InputError) as caught:
        check(**{name: value})
    assert f"{name}={value!r}" in str(caught.value)
    assert expected in str(caught.value)


def test_a_missing_gpu_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device='cuda:0', but PyTorch finds no CUDA device.*device='cpu'"):
        check(device="cuda:0")
