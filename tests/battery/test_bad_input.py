"""Input that cannot be used: our exception, the offending value, and what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from testtime import InputError, TTTClassifier
from testtime.table.columns import DataWarning

pytestmark = pytest.mark.usefixtures("tiny_embedded")

N = 40
X = np.random.default_rng(0).standard_normal((N, 3))
Y = np.arange(N) % 2
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])


def cell(value: Any, column: str = "b", row: int = 5) -> pd.DataFrame:
    """The frame with one cell replaced, in a column of objects."""
    changed = FRAME.astype({column: object})
    changed.at[row, column] = value
    return changed


def label(value: Any, row: int = 3) -> np.ndarray:
    changed = Y.astype(object)
    changed[row] = value
    return changed


@dataclass(frozen=True)
class Bad:
    """One way to go wrong: arguments, data, and what the message must hold."""

    says: tuple[str, ...]
    X: Any = None
    y: Any = None
    params: dict[str, Any] | None = None

    def fit(self) -> None:
        data = X if self.X is None else self.X
        target = Y if self.y is None else self.y
        TTTClassifier(**{"n_steps": 0, **(self.params or {})}).fit(data, target)


AT_FIT: dict[str, Bad] = {
    "one class": Bad(("1 class", "'yes'", "at least two"), y=["yes"] * N),
    "real-valued target": Bad(("continuous",), y=X[:, 0]),
    "missing label None": Bad(("missing in 1 of 40", "row 3", "Drop"), y=label(None)),
    "missing label NaN": Bad(
        ("missing in 1 of 40", "row 3", "Drop"), y=np.where(np.arange(N) == 3, np.nan, Y)
    ),
    "missing label NA": Bad(
        ("missing in 1 of 40", "row 3", "Drop"), y=pd.Series(label(pd.NA), dtype="Int64")
    ),
    "missing label NaT": Bad(("missing in 1 of 40", "row 3"), y=label(pd.NaT)),
    "missing text label": Bad(("missing in 1 of 40",), y=pd.Series(label(None)).map({0: "a", 1: "b"})),
    "damaged label": Bad(
        ("'b\\udc80'", "UTF-8", "surrogate"), y=np.where(Y == 1, "a", "b\udc80").astype(object)
    ),
    "infinite label": Bad(("inf",), y=np.where(np.arange(N) == 3, np.inf, Y)),
    "labels of two types": Bad(("'x'",), y=label("x")),
    "no target": Bad(("y",), y=[]),
    "too few labels": Bad(("40 rows", "39"), y=Y[:-1]),
    "too many labels": Bad(("40 rows", "41"), y=np.append(Y, 0)),
    "two targets": Bad(("2",), y=np.column_stack([Y, Y])),
    "no rows": Bad(("0 sample",), X=X[:0], y=Y[:0]),
    "no rows in a frame": Bad(("0 sample",), X=FRAME[:0], y=Y[:0]),
    "no columns": Bad(("0",), X=X[:, :0]),
    "no columns in a frame": Bad(("0 columns",), X=FRAME[[]]),
    "a vector": Bad(("1D",), X=X[:, 0]),
    "a cube": Bad(("3",), X=X[:, :, None]),
    "a number": Bad(("3.5",), X=3.5),
    "a text": Bad(("table.csv",), X="table.csv"),
    "nothing": Bad(("None",), X=np.array(None)),
    "ragged rows": Bad((), X=[[1, 2], [3]] * (N // 2)),
    "constant columns": Bad(("3 columns", "varies"), X=np.ones((N, 3))),
    "nothing but missing": Bad(("3 columns", "varies"), X=np.full((N, 3), np.nan)),
    "repeated names": Bad(("'a'", "more than once", "Rename"), X=FRAME.set_axis(["a", "b", "a"], axis=1)),
    "infinity": Bad(("'b'", "infinity", "row 5", "Replace"), X=cell(np.inf)),
    "a list in a cell": Bad(
        ("'b'", "[1, 2]"), X=cell((1, 2)).map(lambda v: list(v) if isinstance(v, tuple) else v)
    ),
    "a complex number": Bad(("omplex",), X=X + 1j),
    "a complex column": Bad(("'b'", "1j"), X=FRAME.assign(b=FRAME["b"] + 1j)),
    "too many columns": Bad(
        ("columns", "at most 500", "SelectKBest"), X=np.random.default_rng(1).normal(size=(N, 600))
    ),
    "context beyond the rows": Bad(("n_context=41", "40 rows", "Lower"), params={"n_context": 41}),
    "context below the classes": Bad(("n_context=1", "classes, 2"), params={"n_context": 1}),
    "no rows left to train on": Bad(("n_context=36", "8 of them"), params={"n_context": 36, "n_steps": 2}),
    "unknown backbone": Bad(("'embeded'", "Did you mean 'embedded'"), params={"backbone": "embeded"}),
    "backbone None": Bad(("backbone=None", "'embedded'"), params={"backbone": None}),
    "unknown part": Bad(("adapt='heads'", "Did you mean 'head'"), params={"adapt": "heads"}),
    "negative steps": Bad(("n_steps=-1", "at least 0"), params={"n_steps": -1}),
    "half a step": Bad(("n_steps=0.5",), params={"n_steps": 0.5}),
    "step size of zero": Bad(("step_size=0", "positive"), params={"step_size": 0}),
    "no members": Bad(("n_members=0",), params={"n_members": 0}),
    "no time": Bad(("time_limit=0", "positive"), params={"time_limit": 0}),
    "unknown device": Bad(("device='tpu0'",), params={"device": "tpu0"}),
    "half precision": Bad(("precision='float16'", "'float32'"), params={"precision": "float16"}),
    "guard as a word": Bad(("guard='no'", "True or False"), params={"guard": "no"}),
    "a word as seed": Bad(("random_state='seed'",), params={"random_state": "seed"}),
    "negative seed": Bad(("random_state=-1",), params={"random_state": -1}),
    "half a seed": Bad(("random_state=0.5",), params={"random_state": 0.5}),
    "a word as verbosity": Bad(("verbose='loud'",), params={"verbose": "loud"}),
}


def test_there_are_enough_of_them():
    assert len(AT_FIT) + len(AT_PREDICTION) >= 55


@pytest.mark.parametrize("name", AT_FIT)
@pytest.mark.filterwarnings("ignore")
def test_at_fit(name: str):
    bad = AT_FIT[name]
    with pytest.raises(InputError) as caught:
        bad.fit()
    message = str(caught.value)
    for part in bad.says:
        assert part in message
    assert "\n" not in message
    assert len(message) < 500


AT_PREDICTION: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    "a column less": (lambda: FRAME[["a", "b"]], ("'c'|c",)),
    "another name": (lambda: FRAME.rename(columns={"b": "bb"}), ("bb", "b")),
    "an array with a column less": (lambda: X[:, :2], ("2 features", "3 features")),
    "infinity": (lambda: cell(-np.inf), ("'b'", "infinity", "row 5")),
    "a list in a cell": (lambda: cell((1, 2)), ("'b'", "(1, 2)")),
    "no rows": (lambda: FRAME[:0], ("0 sample",)),
    "a vector": (lambda: X[0], ("1D",)),
    "a text": (lambda: "new.csv", ("new.csv",)),
    "repeated names": (lambda: FRAME.set_axis(["a", "b", "b"], axis=1), ("'b'", "more than once")),
}


@pytest.mark.parametrize("name", AT_PREDICTION)
@pytest.mark.filterwarnings("ignore")
def test_at_prediction(name: str):
    make, says = AT_PREDICTION[name]
    fitted = TTTClassifier(n_steps=0, n_context=16).fit(FRAME, Y)
    with pytest.raises(InputError) as caught:
        fitted.predict_proba(make())
    for part in says:
        assert any(option in str(caught.value) for option in part.split("|"))


def test_a_class_with_one_row_works_and_is_said():
    y = Y.copy()
    y[7] = 2
    with pytest.warns(DataWarning, match="single row.*'2'"):
        fitted = TTTClassifier(n_steps=0, n_context=16).fit(X, y)
    assert 7 in fitted.context_indices_
    assert fitted.predict_proba(X).shape == (N, 3)


def test_useless_columns_work_and_are_said():
    frame = FRAME.assign(same="x", gone=np.nan)
    with pytest.warns(DataWarning, match="'same', 'gone'"):
        wide = TTTClassifier(n_steps=0).fit(frame, Y)
    narrow = TTTClassifier(n_steps=0).fit(FRAME, Y)
    assert np.array_equal(wide.predict_proba(frame), narrow.predict_proba(FRAME))


def test_columns_are_matched_by_name():
    model = TTTClassifier(n_steps=0, n_members=1).fit(FRAME, Y)
    expected = model.predict_proba(FRAME)
    assert np.array_equal(model.predict_proba(FRAME[["c", "b", "a"]]), expected)
    assert np.array_equal(model.predict_proba(FRAME.assign(d=1.0)), expected)


def test_more_classes_than_the_model_knows():
    model = TTTClassifier(n_steps=0, n_members=1).fit(X, np.arange(N) % 13)
    assert model.predict_proba(X).shape == (N, 13)


def test_what_is_under_a_mask_is_missing(tiny_embedded):
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 2)), np.arange(60) % 2
    hidden = rng.random(X.shape) < 0.3
    masked = np.ma.masked_array(np.where(hidden, -999.0, X), hidden)
    one = TTTClassifier(n_steps=0, random_state=0).fit(masked, y)
    other = TTTClassifier(n_steps=0, random_state=0).fit(np.where(hidden, np.nan, X), y)
    assert np.array_equal(one.predict_proba(masked), other.predict_proba(np.where(hidden, np.nan, X)))
