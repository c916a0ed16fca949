"""The scores of a fitted model on rows it has not seen, against scikit-learn's."""

import numpy as np
import pandas as pd
import pytest

import testtime
from testtime.backbones.base import Encoded
from testtime.evaluation.baselines import baselines
from testtime.evaluation.calibration import reliability
from testtime.evaluation.evaluate import evaluate
from testtime.evaluation.influence import root_mean_square


class Known:
    """A fitted classifier that answers with probabilities made for the test."""

    def __init__(self, probabilities, kept=True, n_context=32):
        self.classes_ = np.array(["a", "b", "c"][: probabilities[True].shape[1]])
        self.adaptation_ = type("Record", (), {"kept": kept, "n_context": n_context})()
        self._probabilities = probabilities

    def _predict_at(self, X, n_context, *, adapted):
        return self._probabilities[adapted][X["row"].to_numpy()]


def test_scores_agree_with_scikit_learn():
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

    rng = np.random.default_rng(0)
    probabilities = {which: rng.dirichlet(np.ones(3), size=300) for which in (False, True)}
    codes = rng.integers(0, 3, 300)
    labels = np.array(["a", "b", "c"])[codes]
    rows = pd.DataFrame({"row": range(300)})
    found = evaluate(Known(probabilities), rows, labels, sizes=[16], source="a test", importances=False)
    assert [(p.n_context, p.adapted) for p in found.points] == [
        (16, False),
        (16, True),
        (32, False),
        (32, True),
    ]
    for point in found.points:
        table = probabilities[point.adapted]
        assert point.scores["log_loss"].value == pytest.approx(log_loss(labels, table), rel=1e-12)
        assert point.scores["accuracy"].value == accuracy_score(codes, table.argmax(axis=1))
        assert point.scores["auc"].value == pytest.approx(
            roc_auc_score(labels, table, multi_class="ovr", average="macro")
        )
    losses = {which: -np.log(table[np.arange(300), codes]) for which, table in probabilities.items()}
    gap = losses[True] - losses[False]
    assert found.difference == pytest.approx(gap.mean())
    assert found.error == pytest.approx(np.std(gap, ddof=1) / np.sqrt(300))
    for which in (False, True):
        bins = [part for part in found.calibration if part.adapted == which]
        assert sum(part.rows for part in bins) == 300
        right = sum(part.came_true * part.rows for part in bins) / 300
        assert right == pytest.approx(np.mean(probabilities[which].argmax(axis=1) == codes))
        assert [part.promised for part in bins] == sorted(part.promised for part in bins)


def test_the_error_of_a_difference_counts_groups():
    rng = np.random.default_rng(0)
    half = rng.dirichlet(np.ones(2), size=100)
    probabilities = {False: np.repeat(half, 4, axis=0), True: np.tile([[0.5, 0.5]], (400, 1))}
    rows, labels = pd.DataFrame({"row": range(400)}), ["a"] * 400
    alone = evaluate(Known(probabilities), rows, labels, sizes=[], source="x", importances=False)
    grouped = evaluate(
        Known(probabilities),
        rows,
        labels,
        sizes=[],
        source="x",
        importances=False,
        groups=np.arange(400) // 4,
    )
    assert grouped.error == pytest.approx(2 * alone.error, rel=0.01)


def test_many_rows_are_drawn_and_unknown_labels_refused():
    table = np.tile([[0.25, 0.75]], (5000, 1))
    rows = pd.DataFrame({"row": range(5000)})
    found = evaluate(
        Known({False: table, True: table}, kept=False),
        rows,
        ["b"] * 5000,
        sizes=[],
        source="x",
        importances=False,
    )
    assert found.n_rows == 2000
    assert [point.adapted for point in found.points] == [False]
    assert found.points[0].scores["log_loss"].value == pytest.approx(-np.log(0.75))
    assert np.isnan(found.points[0].scores["auc"].value)
    with pytest.raises(testtime.InputError, match="held-out label 'z'; expected one of 'a', 'b'"):
        evaluate(
            Known({False: table, True: table}),
            rows.iloc[:2],
            ["a", "z"],
            sizes=[],
            source="x",
            importances=False,
        )
    with pytest.raises(testtime.InputError, match="no held-out rows"):
        evaluate(
            Known({False: table, True: table}), rows.iloc[:0], [], sizes=[], source="x", importances=False
        )


def test_rows_of_one_probability_are_one_bin_though_the_table_is_sorted():
    half = np.full((60, 2), 0.5)
    sorted_by_class = np.repeat([0, 1], 30)
    (only,) = reliability(half, sorted_by_class, adapted=False)
    assert (only.promised, only.came_true, only.rows) == (0.5, 0.5, 60)
    second = np.where(np.arange(60) % 4 == 0, 0.25, 0.75) + 1e-15 * np.arange(60)
    low, high = reliability(np.column_stack([1 - second, second]), sorted_by_class, adapted=False)
    assert (low.rows, high.rows) == (15, 45)


@pytest.mark.parametrize("names", [["self", "b"], [0, 1], [("a", "b"), "c"]])
def test_columns_of_any_name_have_an_importance(names):
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.normal(size=(60, 2))).set_axis(pd.Index(names, tupleize_cols=False), axis=1)
    y = np.where(X.iloc[:, 0] > 0, "u", "v")
    model = testtime.TTTClassifier(n_steps=0, n_members=1).fit(X[:40], y[:40])
    before = X.copy()
    found = evaluate(model, X[40:], y[40:], sizes=[], source="x").importances
    assert sorted(one.column for one in found) == sorted(map(str, names))
    assert X.equals(before)


def test_rows_in_the_form_of_the_fit_are_scored_and_counted():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    y = (X[:, 0] > 0).astype(int)
    model = testtime.TTTClassifier(n_steps=0, n_members=1).fit(X[:40], y[:40])
    found = evaluate(model, X[40:], y[40:, None], sizes=[], source="x", fitted=(X[:40], y[:40]))
    losses = -np.log(model.predict_proba(X[40:])[np.arange(20), y[40:]])
    assert found.points[0].scores["log_loss"].value == pytest.approx(losses.mean())
    assert len(found.importances) == 2
    with pytest.raises(testtime.InputError, match=r"20 held-out rows and labels of the shape \(19,\)"):
        evaluate(model, X[40:], y[41:], sizes=[], source="x")


def test_rmse_and_its_error_do_not_depend_on_the_unit():
    values, groups = np.array([1.0, -2.0, 4.0, 0.5]), np.array([0, 0, 1, 2])
    one = root_mean_square(values)
    assert one.value == np.sqrt(np.mean(values**2))
    for unit in (2.0**700, 2.0**-700):
        scaled = root_mean_square(unit * values)
        assert (scaled.value, scaled.error(groups)) == (unit * one.value, unit * one.error(groups))
    assert root_mean_square(np.zeros(3)).value == 0.0


def described(x):
    return Encoded(x, ("a", "b"), ("number",) * 2, (0, 0))


def test_rivals_do_not_depend_on_the_unit_of_the_target():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = x[:, 0]
    for model in baselines(described(x), y, 0):
        one, tiny = model.fit(x, y)(x), model.fit(x, y * 2.0**-60)(x)
        np.testing.assert_allclose(tiny * 2.0**60, one, rtol=1e-9, err_msg=model.name)
        assert np.isfinite(model.fit(x, y * 2.0**700)(x)).all(), model.name


@pytest.mark.parametrize("numeric", [True, False])
def test_rivals_take_values_beyond_single_precision(numeric):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 2))
    y = x[:, 0] if numeric else (x[:, 0] > 0).astype(int)
    x[3], x[4] = [1e300, -1e300], [-1e300, 1e39]
    for model in baselines(described(x), y, 0 if numeric else 2):
        assert np.isfinite(model.fit(x, y)(x)).all(), model.name


@pytest.mark.parametrize("labels", [[0] * 300 + [1] * 200 + [2], np.arange(504) % 56])
def test_rivals_are_fitted_where_a_class_has_one_row_or_classes_are_many(labels):
    """Neither can be set aside for early stopping with every class on both sides."""
    x, y = np.random.default_rng(0).normal(size=(len(labels), 2)), np.array(labels)
    trees = next(model for model in baselines(described(x), y, y.max() + 1) if model.name == "boosted trees")
    trees._model.set_params(histgradientboostingclassifier__max_iter=1)
    assert trees.fit(x, y)(x).shape == (len(y), y.max() + 1)
