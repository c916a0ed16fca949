"""What fit takes can be saved and loaded again, or is refused before anything is trained."""

from __future__ import annotations

import pickle
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from tests.support.commands import run
from testtime import InputError, StoreError, TTTClassifier, adapt_groups, load
from testtime.estimators.beside import moments
from testtime.estimators.together import fit_together
from testtime.table.tail_episodes import TailRecipe

pytestmark = pytest.mark.usefixtures("tiny_embedded")
RNG = np.random.default_rng(0)
FRAME = pd.DataFrame({"$price": RNG.normal(size=60), "b": RNG.normal(size=60)})
Y = (FRAME["b"] > 0).astype(int)


@pytest.mark.parametrize(
    ("frame", "kinds"),
    [
        (FRAME, {"$price": "number"}),
        (FRAME.rename(columns={"b": "$$b"}), {"$$b": "ignored", "$price": "number"}),
        (pd.DataFrame(FRAME.to_numpy()), {0: "number"}),
    ],
    ids=["$", "$$", "0"],
)
def test_declared_kinds_are_saved_under_any_name(tmp_path, frame, kinds):
    model = TTTClassifier(n_steps=0, column_kinds=kinds).fit(frame, Y)
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert loaded.column_kinds == {str(name): kind for name, kind in kinds.items()}
    assert np.array_equal(loaded.predict_proba(frame), model.predict_proba(frame))


@pytest.mark.parametrize(
    "params",
    [{"step_size": Fraction(1, 100)}, {"time_limit": Fraction(100)}, {"device": torch.device("cpu")}],
)
def test_numbers_and_devices_of_other_types_are_saved(tmp_path, params):
    TTTClassifier(n_steps=0, **params).fit(FRAME, Y).save(tmp_path / "m")
    loaded = load(tmp_path / "m").get_params()
    assert all(
        loaded[name] == (str(value) if name == "device" else float(value)) for name, value in params.items()
    )


LATER = [
    {"precision": "bogus"},
    {"n_context": 5.5},
    {"n_steps": -5},
    {"device": "cuda:7"},
    {"column_kinds": 5},
    {"random_state": "no seed"},
    {"n_context": 5, "precision": "float32", "random_state": 7, "column_kinds": {"b": "nominal"}},
]


def arguments(model) -> dict[str, object]:
    return {name: value for name, value in model.get_params().items() if name != "backbone"}


@pytest.mark.parametrize(
    ("way", "later"),
    [("as it is", later) for later in LATER]
    + [(way, LATER[-1]) for way in ("pickled", "loaded", "together")],
)
def test_what_is_saved_are_the_arguments_of_the_fit(tmp_path, way, later):
    model = TTTClassifier(n_steps="auto" if way == "together" else 0, column_kinds={"$price": "number"})
    if way == "together":
        assert fit_together([model], [(FRAME, Y)], TailRecipe()) == [None]
    else:
        model.fit(FRAME, Y)
    fitted, expected = arguments(model), model.predict_proba(FRAME)
    if way == "pickled":
        model = pickle.loads(pickle.dumps(model.set_params(**later)))
    if way == "loaded":
        model.save(tmp_path / "first")
        model = load(tmp_path / "first")
    model.set_params(**later).save(tmp_path / "m")
    assert arguments(model) == fitted | later
    assert arguments(clone(model)) == fitted | later
    loaded = load(tmp_path / "m")
    assert arguments(loaded) == fitted
    assert loaded._table.dtype == model._table.dtype
    assert np.array_equal(loaded.predict_proba(FRAME), expected)


def test_another_fit_is_saved_with_its_own_arguments(tmp_path):
    kinds = {"$price": "number"}
    model = TTTClassifier(n_steps=0, column_kinds=kinds).fit(FRAME, Y)
    kinds["b"] = "nominal"  # the mapping is the caller's, who may change it
    model.save(tmp_path / "first")
    assert load(tmp_path / "first").column_kinds == {"$price": "number"}
    with pytest.raises(InputError, match="precision='bogus'"):
        model.set_params(precision="bogus", column_kinds=None).fit(FRAME, Y)
    model.save(tmp_path / "still the first")
    assert load(tmp_path / "still the first").column_kinds == {"$price": "number"}
    model.set_params(precision="float32").fit(FRAME, Y).save(tmp_path / "second")
    assert (load(tmp_path / "second").precision, load(tmp_path / "second").column_kinds) == ("float32", None)


def test_a_pickle_of_before_is_saved_with_the_arguments_it_has(tmp_path):
    model = TTTClassifier(n_steps=0).fit(FRAME, Y)
    del model._fitted_params
    model.save(tmp_path / "m")
    assert arguments(load(tmp_path / "m")) == arguments(model)


def test_moments_may_be_objects():
    moments_of = np.linspace(0, 10, 60)
    assert np.array_equal(moments(moments_of.astype(object), 60), moments_of)
    assert np.array_equal(moments(np.arange(60).astype(object), 60), np.arange(60.0))


@pytest.mark.parametrize("names", [[2, 0, 1], ["c", "a", "b"], [10, 11, 12]])
def test_an_array_has_the_columns_of_fit_in_their_order(names):
    frame = pd.DataFrame(RNG.normal(size=(80, 3)), columns=names)
    labels = (frame.iloc[:, 0] > 0).astype(int)
    model = TTTClassifier(n_steps=0).fit(frame, labels)
    assert np.array_equal(model.predict_proba(frame.to_numpy()), model.predict_proba(frame))


def test_a_model_of_another_device_is_loaded_on_the_one_that_is_named(tmp_path):
    """What was fitted on a GPU is served without one."""
    model = TTTClassifier(n_steps=0).fit(FRAME, Y)
    expected = model.predict_proba(FRAME)
    model._fitted_params["device"] = "cuda:7"  # as if it had been fitted there
    model.save(tmp_path / "m")
    loaded = load(tmp_path / "m", device="cpu")
    assert loaded.device == "cpu"
    assert np.array_equal(loaded.predict_proba(FRAME), expected)
    if not torch.cuda.is_available():
        with pytest.raises(StoreError, match="finds no CUDA device"):
            load(tmp_path / "m")


@pytest.mark.parametrize(
    "time",
    [
        pd.to_datetime(["2020-01-01", None] * 30),
        [pd.Timestamp(2020, 1, 1), None] * 30,
        np.r_[np.inf, np.arange(59)],
    ],
    ids=["NaT", "None", "inf"],
)
def test_a_moment_that_is_missing_is_not_the_first_one(time):
    missing = 1 if isinstance(time, np.ndarray) else 30
    with pytest.raises(InputError, match=f"time is missing or infinite in {missing} of 60 rows"):
        TTTClassifier(n_steps=0).fit(FRAME, Y, time=time)


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"step_size": 1e38}, r"step_size=1e\+38; expected a positive number up to 1e\+30, or 'auto'"),
        ({"rank": 200_000}, "rank=200000; expected an integer from 1 to 100,000"),
    ],
)
def test_what_could_not_be_computed_or_saved_is_refused_first(params, said):
    with pytest.raises(InputError, match=said):
        TTTClassifier(**params).fit(FRAME, Y)


@pytest.mark.parametrize(("one", "said"), [({1}, r"'\{1\}', a set"), ((1, [2]), r"'\(1, \[2\]\)', a tuple")])
def test_groups_that_cannot_be_told_apart_are_refused_by_name(one, said):
    groups = pd.Series([*[("a", 1)] * 30, *[one] * 30])
    with pytest.raises(InputError, match=rf"groups holds {said}; expected a name, a number or a date"):
        TTTClassifier(n_steps=0).fit(FRAME, Y, groups=groups)
    TTTClassifier(n_steps=0).fit(FRAME, Y, groups=groups.map(str))


@pytest.mark.parametrize("n_context", [2.5, 4.0, "4", True, np.float64(4), [4]])
def test_a_number_of_context_rows_that_is_none_is_refused(n_context):
    model = TTTClassifier(n_steps=0).fit(FRAME, Y)
    with pytest.raises(
        InputError, match=r"n_context=.*; expected an integer from 2 to 60, the rows that are"
    ):
        model.predict_proba_at(FRAME, n_context)
    assert np.array_equal(model.predict_proba_at(FRAME, np.int64(4)), model.predict_proba_at(FRAME, 4))


def test_groups_with_cells_that_are_lists_are_refused_by_name(tmp_path):
    frame = FRAME.assign(y=Y, g=["a", "b"] * 30, l=[[1, 2]] * 60)
    groups = adapt_groups(frame, target="y", by="g", store=tmp_path / "s", estimator=TTTClassifier(n_steps=0))
    assert len(groups.failed) == 2
    assert all("column 'l' holds [1, 2], a list" in (group.reason or "") for group in groups.failed)


@pytest.mark.parametrize("option", ["--max-rows", "--held-out"])
def test_options_of_one_model_do_not_go_with_groups(tmp_path, capsys, option):
    FRAME.assign(y=Y, g="a").to_csv(tmp_path / "t.csv", index=False)
    arguments = (
        "--target",
        "y",
        "--by",
        "g",
        "--out",
        tmp_path / "s",
        option,
        "0.5" if "held" in option else "50",
    )
    code, _, said = run(capsys, "adapt", tmp_path / "t.csv", *arguments)
    assert code == 2
    assert f"{option} does not go with --by" in said
    assert not (tmp_path / "s").exists()


@pytest.mark.parametrize("rows", ["0", "-3"])
def test_a_plan_of_no_rows_is_refused(tmp_path, capsys, rows):
    FRAME.assign(y=Y).to_csv(tmp_path / "t.csv", index=False)
    code, _, said = run(capsys, "plan", tmp_path / "t.csv", "--target", "y", "--max-rows", rows)
    assert code == 2
    assert f"--max-rows {rows}; expected at least 1" in said
