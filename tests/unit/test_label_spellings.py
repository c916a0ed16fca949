"""Labels that are one value in several spellings: one class at fit, and known again when a report is made."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from tests.support.commands import run
from testtime import AdapterStore, TTTClassifier, load
from testtime.cli.prediction import labelled_table
from testtime.table.columns import DataWarning
from testtime.table.read_target import class_target

pytestmark = pytest.mark.usefixtures("tiny_embedded")


def table(path, spell, n: int = 60):
    x = np.random.default_rng(0).normal(size=n)
    rows = [f"{value:.4f},{spell(value > 0, i)}\n" for i, value in enumerate(x)]
    path.write_text("x,y\n" + "".join(rows))
    return path


def test_spellings_of_one_number_are_one_class(tmp_path, capsys):
    """That of most rows, wherever they stand."""
    path = table(tmp_path / "t.csv", lambda positive, i: f"{int(positive)}{'.0' if i < 20 else ''}")
    code, said, _ = run(capsys, "adapt", path, "--target", "y", "--out", tmp_path / "m", "--n-steps", "0")
    assert code == 0
    assert "only 2 different whole numbers" in said
    assert "Spellings of one number in the target 'y' are one class." in said
    assert load(tmp_path / "m").classes_.tolist() == ["0", "1"]


def test_a_plan_and_groups_take_the_same_classes(tmp_path, capsys):
    path = table(tmp_path / "t.csv", lambda positive, i: f"{int(positive)}{['', '', '.0'][i % 3]}", n=150)
    code, said, _ = run(capsys, "plan", path, "--target", "y")
    assert code == 0
    assert "Spellings of one number in the target 'y' are one class." in said
    assert "--task" not in said.splitlines()[-1], "asked for, classes would be as they are spelled"
    pd.read_csv(path, dtype=str).assign(g="a").to_csv(tmp_path / "g.csv", index=False)
    arguments = ("--target", "y", "--by", "g", "--out", tmp_path / "s", "--n-steps", "0")
    assert run(capsys, "adapt", tmp_path / "g.csv", *arguments)[0] == 0
    assert AdapterStore(tmp_path / "s").load("a").classes_.tolist() == ["0", "1"]


def test_who_asks_for_classes_gets_them_as_they_are_spelled(tmp_path, capsys):
    path = table(tmp_path / "t.csv", lambda positive, i: ["1", "01"][int(positive)])
    arguments = ("--target", "y", "--out", tmp_path / "m", "--n-steps", "0", "--task", "classify")
    code, said, _ = run(capsys, "adapt", path, *arguments)
    assert code == 0
    assert "Spellings" not in said
    assert load(tmp_path / "m").classes_.tolist() == ["01", "1"]


def test_keys_that_are_too_large_for_floats_are_classes_of_their_own(tmp_path, capsys):
    path = table(tmp_path / "t.csv", lambda positive, i: 2**60 + int(positive))
    code, _, _ = run(capsys, "adapt", path, "--target", "y", "--out", tmp_path / "m", "--n-steps", "0")
    assert code == 0
    assert load(tmp_path / "m").classes_.tolist() == [str(2**60), str(2**60 + 1)]


def test_many_keys_are_no_classes_and_can_be_numbers_where_asked(tmp_path, capsys):
    """They differ by less than floats can tell, or by more."""
    path = table(tmp_path / "t.csv", lambda positive, i: 2**60 + 10**12 * i)
    arguments = ("--target", "y", "--out", tmp_path / "m", "--n-steps", "0")
    assert run(capsys, "adapt", path, *arguments, "--task", "regress")[0] == 0
    path = table(tmp_path / "t.csv", lambda positive, i: 2**60 + i)
    code, _, said = run(capsys, "adapt", path, *arguments, "--overwrite")
    assert code == 2
    assert "the target is 1.15292150460685e+18 in all 60 rows" in said


@pytest.mark.parametrize(
    ("classes", "words", "expected"),
    [
        (np.array(["0", "1"]), ["1.0", "0", "1"], ["1", "0", "1"]),
        (np.array([0, 1]), ["1.0", "0", "01"], [1, 0, 1]),
        (np.array([False, True]), ["TRUE", "false", "1"], [True, False, True]),
        (np.array(["No", "Yes"]), ["YES", "no", "Yes"], ["Yes", "No", "Yes"]),
        (np.array(["Yes", "yes"]), ["yes", "YES", "Yes"], ["yes", "YES", "Yes"]),
    ],
)
def test_held_out_labels_are_known_in_other_spellings(tmp_path, classes, words, expected):
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "".join(f"{i},{word}\n" for i, word in enumerate(words)))
    assert labelled_table(path, "y", classes)[1].tolist() == expected


def test_classes_that_differ_in_case_are_said():
    with pytest.warns(DataWarning, match=r"The classes 'Yes', 'yes' differ in case or blanks only"):
        class_target(["Yes", "yes", "no"] * 4, 12, 10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        class_target(["yes", "no"] * 4, 8, 10)
        class_target([1, 2] * 4, 8, 10)


@pytest.mark.parametrize("dtype", ["boolean", "Int64", "bool[pyarrow]", "int64[pyarrow]"])
def test_a_target_keeps_its_type_in_whatever_it_comes(dtype: str):
    X = pd.DataFrame({"a": np.linspace(-1, 1, 40)})
    y = (
        pd.Series((X["a"] > 0).astype(int), name="y")
        .astype("bool" if "bool" in dtype else "int64")
        .astype(dtype)
    )
    expected = TTTClassifier(n_steps=0).fit(X, y).classes_.tolist()
    assert {type(label) for label in expected} == {bool if "bool" in dtype else int}
    for given in (y.array, pd.Index(y)):
        assert TTTClassifier(n_steps=0).fit(X, given).classes_.tolist() == expected
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert TTTClassifier(n_steps=0).fit(X, y.to_frame()).classes_.tolist() == expected
