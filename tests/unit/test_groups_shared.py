"""Groups that say nothing to learn from: the shared model answers for them, on every run, and the reason is said."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from tests.support.commands import run
from testtime import AdapterStore, TTTClassifier, TTTRegressor, adapt_groups
from testtime.scale.groups import Outcome

pytestmark = pytest.mark.usefixtures("tiny_embedded")
NO_COLUMN = "none of the 2 columns holds two different values."


def group(name: str, **changed) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 2))
    return pd.DataFrame({"shop": name, "x": x[:, 0], "w": x[:, 1], "y": x[:, 0] > 0}).assign(**changed)


def found(tmp_path, groups, **params):
    kind = params.pop("kind", TTTRegressor)
    together = params.pop("together", None)
    return adapt_groups(
        pd.concat(groups, ignore_index=True).astype({"y": object}).infer_objects(),
        target="y",
        by="shop",
        store=tmp_path / "store",
        estimator=kind(n_steps="auto" if together else 0, **params),
        together=together,
    )


@pytest.mark.parametrize("together", [None, True])
@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"y": 2.5}, "all 64 rows have the target 2.5."),
        ({"y": Decimal(3)}, "all 64 rows have the target 3."),
        ({"x": 1.0, "w": 7.0}, NO_COLUMN),
        ({"x": np.nan, "w": 1.0}, NO_COLUMN),
    ],
    ids=["target", "decimals", "columns", "nothing"],
)
def test_a_group_without_anything_to_learn_is_shared_on_every_run(tmp_path, changed, reason, together):
    groups = [group("a", y=np.arange(64.0)), group("b", **{"y": np.arange(64.0)} | changed)]
    for _ in range(2):
        done = {one.name: one for one in found(tmp_path, groups, together=together)}
        assert (done["b"].outcome, done["b"].reason) == (Outcome.SHARED, reason)
        assert done["a"].outcome is not Outcome.FAILED
    store = AdapterStore(tmp_path / "store")
    assert [version.number for version in store.versions("b")] == [1]
    rows = groups[1][["x", "w"]]
    assert np.array_equal(store.load("b").predict(rows), store.load("(shared)").predict(rows))


def test_a_group_of_classes_whose_columns_do_not_vary_is_shared(tmp_path):
    groups = [group("a"), group("b", x="same", w="1.0")]
    done = {one.name: one for one in found(tmp_path, groups, kind=TTTClassifier)}
    assert (done["b"].outcome, done["b"].reason) == (Outcome.SHARED, NO_COLUMN)


@pytest.mark.parametrize(
    ("changed", "params"),
    [
        ({"x": [f"row {i}" for i in range(64)], "w": 1.0}, {}),
        ({"x": [1.0] * 32 + [np.nan] * 32, "w": 1.0}, {}),
        ({"x": 1.0, "w": 1.0}, {"column_kinds": {"x": "number"}}),
    ],
    ids=["names of rows", "missing", "declared"],
)
def test_what_a_fit_takes_has_a_model_of_its_own(tmp_path, changed, params):
    done = {one.name: one for one in found(tmp_path, [group("a"), group("b", **changed)], **params)}
    assert done["b"].outcome is Outcome.FROZEN


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"y": np.inf}, "infinity"),
        ({"y": "many"}, "'many'"),
        ({"x": 1.0, "w": [np.inf] + [1.0] * 63}, "infinity"),
    ],
)
def test_what_cannot_be_used_still_fails(tmp_path, changed, said):
    groups = [group("a", y=np.arange(64.0)), group("b", **changed)]
    (failed,) = [one for one in found(tmp_path, groups) if one.outcome is Outcome.FAILED]
    assert failed.name == "b"
    assert said in failed.reason


def test_the_command_ends_well(tmp_path, capsys):
    table = pd.concat([group("a", y=np.arange(64.0)), group("b", y=1.0)])
    table.to_csv(tmp_path / "t.csv", index=False)
    options = ("--target", "y", "--by", "shop", "--task", "regress", "--n-steps", "0")
    code, out, err = run(capsys, "adapt", tmp_path / "t.csv", *options, "--out", tmp_path / "store")
    assert code == 0, err
    assert "1 too little to adapt to: served by the shared model" in " ".join(out.split())
