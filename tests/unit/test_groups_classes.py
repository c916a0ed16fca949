"""Classes of groups: whole numbers are the same classes however the file of a group holds them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.support.commands import run
from tests.support.grouped import grouped_table, quick
from testtime import AdapterStore, InputError, TTTClassifier, TTTRegressor, adapt_groups
from testtime.cli.target import choose_task
from testtime.scale.groups import adapt
from testtime.scale.groups.labels import whole_classes

pytestmark = pytest.mark.usefixtures("tiny_embedded")


def partitions(root, **changes):
    """A folder of groups, the target of each changed by a function."""
    table = grouped_table(dict.fromkeys(changes, 70))
    for name, change in changes.items():
        own = table[table["shop"] == name].drop(columns="shop").reset_index(drop=True)
        (root / f"shop={name}").mkdir(parents=True)
        own.assign(y=change(own["y"])).to_parquet(root / f"shop={name}" / "part.parquet")
    return root


def with_a_hole(y):
    return y.astype(float).mask(y.index == 0)


def as_text(y):
    return with_a_hole(y).astype(object).map(lambda value: value if value != value else str(value))


def classes(store):
    opened = AdapterStore(store)
    found = {}
    for name in opened.names():
        model = opened.load(name)
        assert isinstance(model, TTTClassifier)
        found[name] = model.classes_.tolist()
    return found


def by_command(capsys, train, store, *options):
    arguments = ("--target", "y", "--by", "shop", "--out", store, "--n-steps", "0", *options)
    code, out, err = run(capsys, "adapt", train, *arguments)
    assert code == 0, err + out
    return " ".join(out.split())


def same(found, expected):
    assert found == dict.fromkeys(found, expected)
    assert {type(label) for labels in found.values() for label in labels} == {type(expected[0])}


def test_a_missing_target_of_one_partition_changes_no_class(tmp_path, capsys):
    root = partitions(tmp_path / "data", a=lambda y: y, b=with_a_hole)
    said = by_command(capsys, root, tmp_path / "store")
    assert "holds only 2 different whole numbers" in said
    same(classes(tmp_path / "store"), [0, 1])
    by_command(capsys, root, tmp_path / "asked", "--task", "classify")
    same(classes(tmp_path / "asked"), [0, 1])
    adapt_groups(str(root), target="y", by="shop", store=tmp_path / "python", estimator=quick(n_steps=0))
    same(classes(tmp_path / "python"), [0, 1])


def test_a_partition_of_text_has_the_same_classes(tmp_path, capsys):
    root = partitions(tmp_path / "data", a=lambda y: y, b=with_a_hole, c=as_text)
    said = by_command(capsys, root, tmp_path / "store")
    assert "holds only 2 different whole numbers" in said
    same(classes(tmp_path / "store"), [0, 1])


def test_partitions_of_text_have_the_same_classes(tmp_path, capsys):
    root = partitions(tmp_path / "data", a=lambda y: y.astype(str), b=as_text)
    said = by_command(capsys, root, tmp_path / "store")
    assert "holds numbers that are stored as text; it has 2 classes" in said
    same(classes(tmp_path / "store"), ["0", "1"])


def test_a_file_of_text_has_the_classes_it_would_have_without_the_hole(tmp_path, capsys):
    table = grouped_table({"a": 70, "b": 70})
    for name, change in {"whole": lambda y: y, "hole": with_a_hole}.items():
        table.assign(y=change(table["y"])).to_csv(tmp_path / f"{name}.csv", index=False)
        by_command(capsys, tmp_path / f"{name}.csv", tmp_path / name)
        same(classes(tmp_path / name), ["0", "1"])
    by_command(capsys, tmp_path / "hole.csv", tmp_path / "asked", "--task", "classify")
    same(classes(tmp_path / "asked"), ["0.0", "1.0"])


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (["0", "1"] * 40, "holds numbers that are stored as text; it has 2 classes"),
        ([0, "1"] * 40, "holds numbers, of which some are stored as text; it has 2 classes"),
        (["a", "b"] * 40, "holds no numbers; it has 2 classes"),
        (["1", "2", "2", "no"] * 40, "holds words between its numbers: 'no'"),
    ],
)
def test_why_labels_are_classes_is_never_an_empty_list(labels, said):
    assert said in choose_task("auto", pd.Series(labels, dtype=object, name="y"))[1]


@pytest.mark.parametrize(
    "labels",
    [
        pd.Series([1.0, np.inf]),
        pd.Series([1.0, 2.0**60]),
        pd.Series([True, False]),
        pd.Series([True, 1.0], dtype=object),
        pd.Series(["1.0", "01"]),
        pd.Series(["1.0", "no"]),
        pd.Series(pd.to_datetime(["2024-01-01"])),
    ],
)
def test_what_stands_for_no_integers_stays(labels):
    assert whole_classes(labels, "number") is labels


@pytest.mark.parametrize("dtype", ["float32", "Float64", "double[pyarrow]", object])
def test_floats_of_any_kind_are_integers(dtype):
    found = whole_classes(pd.Series([1.0, 0.0], dtype=dtype, name="y"))
    assert (found.dtype, found.tolist(), found.name) == (np.int64, [1, 0], "y")


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (lambda rng, n: rng.normal(size=n), TTTRegressor),
        (lambda rng, n: rng.integers(0, 50, n), TTTRegressor),
        (lambda rng, n: rng.integers(0, 50, n).astype(float), TTTRegressor),
        (lambda rng, n: rng.integers(0, 3, n), TTTClassifier),
        (lambda rng, n: rng.integers(0, 2, n).astype(bool), TTTClassifier),
        (lambda rng, n: rng.choice(["a", "b"], n), TTTClassifier),
    ],
)
def test_without_an_estimator_the_task_is_the_one_of_the_command(values, kind, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(adapt, "LIGHT", {"n_members": 1, "n_steps": 0})
    table = grouped_table({"a": 70, "b": 70})
    table["y"] = values(np.random.default_rng(0), len(table))
    groups = adapt_groups(table, target="y", by="shop", store=tmp_path / "python")
    assert not groups.failed, groups.explain()
    table.to_parquet(tmp_path / "rows.parquet")
    by_command(capsys, tmp_path / "rows.parquet", tmp_path / "command")
    for store in ("python", "command"):
        assert {type(AdapterStore(tmp_path / store).load(name)) for name in ("a", "b")} == {kind}


def test_without_an_estimator_many_dates_are_neither_classes_nor_numbers(tmp_path):
    table = grouped_table({"a": 70, "b": 70})
    table["y"] = pd.date_range("2020-01-01", periods=len(table))
    with pytest.raises(InputError, match=r"which are dates.*or pass estimator=TTTClassifier\(\) if each"):
        adapt_groups(table, target="y", by="shop", store=tmp_path / "store")
    assert not (tmp_path / "store").exists()
    table["y"] = [[1]] * len(table)
    assert len(adapt_groups(table, target="y", by="shop", store=tmp_path / "store").failed) == 2
