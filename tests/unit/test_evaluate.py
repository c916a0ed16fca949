"""The scores of a fitted model on rows it has not seen, against scikit-learn's."""

import numpy as np
import pandas as pd
import pytest

import testtime
from testtime.evaluation.evaluate import evaluate


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
