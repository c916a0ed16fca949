"""What is said of a target that can be used, and is hardly meant as it is."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from testtime.errors import InputError
from testtime.table.columns import DataWarning
from testtime.table.read_target import class_target, numeric_target

DAYS = pd.date_range("2019-11-01", periods=120)


def said(check, *arguments: object) -> list[str]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        check(*arguments)
    assert {one.category for one in seen} <= {DataWarning}
    return [str(one.message) for one in seen]


@pytest.mark.parametrize("form", ["%Y%m%d", "%Y%m", "%Y%m%d%H%M%S"])
def test_numbers_that_are_dates_are_told_of(form: str):
    days = pd.date_range("2019-11-01", periods=24, freq="MS") if form == "%Y%m" else DAYS
    (note,) = said(numeric_target, days.strftime(form).astype("int64"), len(days))
    assert note.startswith(
        f"The target holds numbers such as {days[0].strftime(form)}, which look like dates and are"
    )
    assert note.endswith("Write them as days since the first one if they are dates.")


@pytest.mark.parametrize(
    "values", [np.arange(120) + 20191101, np.arange(120) * 1000.0, np.linspace(2e5, 2.1e5, 120)]
)
def test_other_numbers_are_not(values: np.ndarray):
    assert said(numeric_target, values, 120) == []


@pytest.mark.parametrize("kind", [str, int])
def test_a_class_for_each_row_is_told_of_in_our_words(kind: type):
    labels = np.array([kind(value) for value in np.arange(60) % 40])
    single, note = said(class_target, labels, 60, 500)
    assert single.startswith("Classes with a single row are kept in the context")
    assert note.startswith("The target has 40 classes in 60 rows, with hardly a row to learn each from.")
    assert ("--task regress" in note) == (kind is int)  # no text is a number


@pytest.mark.parametrize(
    ("kind", "remedy"), [(str, "Choose another column"), (int, "Use TTTRegressor (--task regress)")]
)
def test_a_class_of_its_own_in_each_row_is_refused(kind: type, remedy: str):
    labels = np.array([kind(value) for value in range(60)])
    with pytest.raises(InputError, match="class of its own in each of 60 rows, such as") as refused:
        class_target(labels, 60, 500)
    assert remedy in str(refused.value)
    assert len(said(class_target, labels[:20], 20, 500)) == 1  # so few may be a trial


def test_fewer_classes_are_not():
    assert said(class_target, np.arange(60) % 30, 60, 500) == []
