"""Rows of a customer, a shop or a household nobody has seen: what rows of a level say must not decide their answer."""

from __future__ import annotations

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest

from testtime import TTTClassifier, TTTRegressor, load
from testtime.backbones.base import Encoded
from testtime.table.columns import DataWarning, TableColumns
from testtime.table.encoding import TableEncoding
from testtime.table.levels import LevelStatistics, _Column

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


def panel(units, n_rows: int, name=lambda unit: unit) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of units with an effect of their own, part of which a column tells."""
    rng = np.random.default_rng(list(units))
    of_row = np.repeat(np.arange(len(units)), n_rows)
    told, effect = rng.normal(size=(2, len(units)))
    noise = rng.normal(size=(3, len(of_row)))
    y = 1.5 * told[of_row] + 0.5 * effect[of_row] + 0.3 * noise[0] + 0.2 * noise[1]
    columns = {
        "customer": [name(units[at]) for at in of_row],
        "told": told[of_row] + 0.5 * noise[2],
        "z": noise[0],
    }
    return pd.DataFrame(columns), y


NUMBERS = np.random.default_rng(0).permutation(1000)
WAYS = {"numbers that are codes": int, "categories": lambda unit: f"C{unit}"}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("estimator", [TTTClassifier, TTTRegressor])
def test_new_units_are_predicted_as_without_statistics(estimator, way):
    X, y = panel(NUMBERS[:40], 12, WAYS[way])
    new, true = panel(NUMBERS[40:80], 10, WAYS[way])
    y, true = (y > 0, true > 0) if estimator is TTTClassifier else (y, true)
    model = estimator(n_steps=0, n_members=1, random_state=0).fit(X, y)
    assert len(model._table.encoding.levels.columns) == 1
    without = estimator(n_steps=0, n_members=1, random_state=0)
    if way == "categories":
        without.fit(X.drop(columns="customer"), y)
    else:
        without.set_params(column_kinds={"customer": "number"}).fit(X, y)

    def loss(fitted, rows):
        if estimator is TTTClassifier:
            return float(np.mean(fitted.predict_proba(rows)[:, 1] - true) ** 2)
        return float(np.mean((fitted.predict(rows) - true) ** 2))

    assert loss(model, new) < 1.16 * loss(without, new)  # 1.47 to 2.45 where what levels say is kept


@pytest.fixture(scope="module")
def fitted():
    X, y = panel(NUMBERS[:40], 12)
    return TTTClassifier(n_steps=2, n_members=2, guard=False, random_state=0).fit(X, y > 0)


def test_a_row_gets_the_same_answer_alone_among_others_after_saving_and_from_a_pickle(fitted, tmp_path):
    known, new = panel(NUMBERS[:40], 2)[0], panel(NUMBERS[40:50], 2)[0]
    mixed = pd.concat([known, new]).sample(frac=1.0, random_state=0)
    together = fitted.predict_proba(mixed)
    alone = np.concatenate([fitted.predict_proba(mixed.iloc[[at]]) for at in range(len(mixed))])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6)
    fitted.save(tmp_path / "model")
    for other in (load(tmp_path / "model"), pickle.loads(pickle.dumps(fitted)), copy.deepcopy(fitted)):
        np.testing.assert_array_equal(other.predict_proba(mixed), together)
    context = fitted.adaptation_.n_context
    np.testing.assert_allclose(fitted.predict_proba_at(mixed, context), together, rtol=0, atol=1e-6)


def test_each_set_of_new_values_has_its_own_context():
    X, y = panel(NUMBERS[:40], 8, WAYS["categories"])
    X["town"] = "T" + X["customer"].str[-1]
    model = TTTClassifier(n_steps=0, n_members=1, random_state=0).fit(X, y > 0)
    rows = X.iloc[[0, 0, 0, 0]].assign(
        customer=["new", X["customer"][0]] * 2, town=["new", "new", X["town"][0], X["town"][0]]
    )
    together = model.predict_proba(rows)
    assert len({len(table.names) for table in model._table._others.values()}) == 3
    for order in ([0], [1], [2], [3], [2, 0, 3, 1]):
        model._table._others.clear()
        np.testing.assert_allclose(model.predict_proba(rows.iloc[order]), together[order], rtol=0, atol=1e-6)
    assert len(np.unique(together.round(9), axis=0)) == 4


def test_only_strange_rows_are_answered_by_the_frozen_model(fitted):
    known, new = panel(NUMBERS[:40], 2)[0], panel(NUMBERS[40:50], 2)[0]
    table = fitted._table
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = fitted.predict_proba(known)
    with pytest.warns(DataWarning, match=r"In 20 of 100 rows 'customer' holds what was not there at fit"):
        answers = fitted.predict_proba(pd.concat([known, new]))
    np.testing.assert_allclose(answers[:80], plain, rtol=0, atol=1e-6)
    other, left = table._without(np.array([True]))
    assert left.tolist() == [0, 1, 2]
    assert all(member.state is None for member in other.members)
    missing = new.assign(customer=np.nan)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        fitted.predict_proba(missing)  # a missing value is no new one
    (warning,) = seen
    assert str(warning.message).startswith("Missing in rows to predict, and never at fit: 'customer'.")


def encoded(x) -> Encoded:
    x = np.asarray(x, dtype=float)
    return Encoded(x, tuple("abc"[: x.shape[1]]), ("number",) * x.shape[1], (0,) * x.shape[1])


def test_a_new_combination_of_known_values_is_called_one():
    frame = pd.DataFrame({"bill": np.repeat(np.arange(20), 6), "ship": np.repeat(np.arange(40) % 4 + 0.5, 3)})
    columns = TableColumns()
    levels = LevelStatistics.fit(columns.fit_transform(frame), np.arange(120) % 2, 2, keys=[(0, 1), (0,)])
    notes: list[str] = []
    new = pd.DataFrame({"bill": [0, 0, 7], "ship": [0.5, 2.5, 0.5]})
    TableEncoding(columns, levels).transform(new, notes=notes)
    assert notes == [
        "In 2 of 3 rows 'bill' and 'ship' hold a combination that was not there at fit, where nearly all combinations "
        "occurred several times; they are answered by the frozen model, without what rows of the same combination say."
    ]


def test_what_is_strange_where_many_rows_are_alone():
    x = np.column_stack([np.repeat(np.arange(100.0), 3), np.arange(300.0) % 2])
    y = np.arange(300) % 2
    often = LevelStatistics.fit(encoded(x), y, 2, keys=[(0,)])
    assert often.columns[0].alone == 0
    assert often.strange(np.array([[5.0, 0.0], [500.0, 0.0], [np.nan, 0.0]]))[:, 0].tolist() == [
        False,
        True,
        False,
    ]
    x[:9, 0] = 1000 + np.arange(9)
    some = LevelStatistics.fit(encoded(x), y, 2, keys=[(0,)])
    assert some.columns[0].alone == pytest.approx(9 / 300)
    assert not some.strange(np.array([[500.0, 0.0]])).any()
    groups = np.repeat(np.arange(100), 3)  # rows of a group count once: each level is that of one group
    apart = LevelStatistics.fit(encoded(x[9:]), y[9:], 2, groups[9:], keys=[(0,)])
    assert apart.columns[0].alone == 1
    arrays = some.to_arrays()
    assert LevelStatistics.from_arrays(arrays).columns[0].alone == some.columns[0].alone
    old = {name: array for name, array in arrays.items() if not name.startswith("alone")}
    assert LevelStatistics.from_arrays(old).columns[0].alone == 1  # as before there was such a share


def test_what_the_columns_of_a_strange_key_say_misleads_too():
    units = np.arange(40)
    x = np.repeat(np.column_stack([units % 5, units // 5, units % 3]).astype(float), 6, axis=0)
    keys = [(0,), (0, 1), (2,)]
    levels = LevelStatistics.fit(encoded(x), np.arange(len(x)) % 2, 2, keys=keys)
    assert [column.key for column in levels.columns] == [(0,), (0, 1), (2,)]
    asked = np.array([[0.0, 0.0, 0.0], [4.0, 90.0, 0.0], [0.0, 0.0, 7.0]])
    assert levels.strange(asked).tolist() == [[False] * 3, [False, True, False], [False, False, True]]
    assert levels.misleading(asked).tolist() == [[False] * 3, [True, True, False], [False, False, True]]
    assert levels.left_without(np.array([True, True, False]), 3 + 6).tolist() == [0, 1, 2, 7, 8]


def test_of_a_category_that_is_left_out_nothing_is_left():
    rows = Encoded(np.arange(60.0).reshape(-1, 1) % 6, ("a",), ("nominal",), (6,))
    levels = LevelStatistics.fit(rows, np.arange(60) % 2, 2)
    assert levels.left_without(np.array([True]), 2).tolist() == [0]  # unless there is nothing else
    rows = Encoded(np.column_stack([rows.x, rows.x]), ("a", "b"), ("nominal", "number"), (6, 0))
    levels = LevelStatistics.fit(rows, np.arange(60) % 2, 2)
    assert levels.left_without(np.array([True]), 3).tolist() == [1]
    assert levels.left_without(np.array([False]), 3).tolist() == [0, 1, 2]


def test_a_new_level_is_answered_as_those_that_a_fold_does_not_see():
    """Its code is between those of its neighbours; behind all others a model would take it for more than any."""
    rng = np.random.default_rng(1)
    code, x = rng.integers(0, 300, 700), rng.normal(size=700)
    y = code / 50 + x + rng.normal(scale=0.3, size=700)
    for names in (np.arange(300), rng.permutation(300)):
        frame = pd.DataFrame({"code": [f"K{names[c]:03d}" for c in code], "x": x})
        kinds = {"code": "nominal"}  # else it is taken apart
        model = TTTRegressor(n_steps=0, random_state=0, column_kinds=kinds).fit(frame[:400], y[:400])
        with pytest.warns(DataWarning, match="not there at fit"):
            errors = model.predict(frame[400:]) - y[400:]
        new = ~frame["code"][400:].isin(frame["code"][:400])
        in_order = names[0] == 0 and names[1] == 1
        assert np.sqrt((errors[new] ** 2).mean()) < (0.5 if in_order else 1.9)  # 1.7 without the column
        assert abs(errors[new].mean()) < 0.5


def test_a_level_between_two_others_has_no_statistics_of_either():
    codes = np.array([0.0, 0.5, 1.0, 1.5, -0.5, np.nan, 2.0])
    column = _Column((0,), np.array([[1.0], [2.0], [9.0]]), np.array([0.5, 0.5, 0.0]))
    assert column.knows(codes).tolist() == [True, False, True, False, False, False, False]
    assert column.lookup(codes)[:, 0].tolist() == [1.0, 9.0, 2.0, 9.0, 9.0, 9.0, 9.0]
