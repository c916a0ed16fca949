"""Other shares of the classes: exact values, the maximum of the likelihood, scikit-learn's contract."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from testtime.errors import InputError
from testtime.estimators.label_shift import LabelShiftClassifier, corrected, shifted_shares


def rows(n, share, seed):
    """One column, normal around 0 and 2; ``p(1 | x)`` is known exactly."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < share).astype(int)
    return rng.normal(size=(n, 1)) + 2.0 * y[:, None], y


class Exact(LogisticRegression):
    """Answers with the exact probabilities under equal shares."""

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X):
        one = 1.0 / (1.0 + np.exp(-(2.0 * np.asarray(X)[:, 0] - 2.0)))
        return np.column_stack([1.0 - one, one])


def test_bayes_rule():
    found = corrected([[0.8, 0.2], [0.5, 0.5]], [0.5, 0.5], [0.2, 0.8])
    assert np.allclose(found, [[0.5, 0.5], [0.2, 0.8]], rtol=1e-15)
    same = [[0.7, 0.2, 0.1]]
    assert np.allclose(corrected(same, [0.2, 0.3, 0.5], [0.2, 0.3, 0.5]), same, rtol=1e-15)


def test_the_first_round_of_the_iteration():
    found = shifted_shares([[0.8, 0.2], [0.4, 0.6]], [0.5, 0.5], max_iter=1)
    assert np.allclose(found, [0.6, 0.4], rtol=1e-15)
    second = shifted_shares([[0.8, 0.2], [0.4, 0.6]], [0.5, 0.5], max_iter=2)
    assert np.allclose(second[0], (0.48 / 0.56 + 0.24 / 0.48) / 2, rtol=1e-14)


def test_the_shares_are_those_of_greatest_likelihood():
    x, _ = rows(500, 0.2, seed=1)
    answers, shares = Exact().fit(x, [0, 1] * 250).predict_proba(x), np.array([0.5, 0.5])

    def cost(one):
        return -np.log(answers @ (np.array([1 - one, one]) / shares)).sum()

    best = minimize_scalar(cost, bounds=(1e-6, 1 - 1e-6), method="bounded", options={"xatol": 1e-10}).x
    assert shifted_shares(answers, shares)[1] == pytest.approx(best, abs=1e-6)


def test_adapting_finds_the_shares_and_lowers_the_loss():
    x, y = rows(4000, 0.5, seed=2)
    new, labels = rows(4000, 0.05, seed=3)
    model = LabelShiftClassifier(FrozenEstimator(Exact().fit(x, y))).fit(x, y)
    before = model.predict_proba(new)
    assert np.allclose(before, corrected(model.estimator_.predict_proba(new), [1, 1], [1, 1]))
    after = model.adapt(new).predict_proba(new)
    assert model.new_shares_[1] == pytest.approx(labels.mean(), abs=0.015)

    def loss(answers):
        return -np.log(answers[np.arange(len(labels)), labels]).mean()

    assert loss(after) < 0.7 * loss(before)
    exact = corrected(before, model.shares_, [0.95, 0.05])
    assert np.abs(after - exact).max() < 0.05


def test_by_row_is_the_square_over_the_share():
    x, y = rows(300, 0.25, seed=4)
    model = LabelShiftClassifier(LogisticRegression(), method="row").fit(x, y)
    p = model.estimator_.predict_proba(x)
    raw = p**2 / [1 - y.mean(), y.mean()]
    assert np.allclose(model.adapt(x).predict_proba(x), raw / raw.sum(1, keepdims=True), rtol=1e-12)
    assert np.array_equal(model.predict(x), raw.argmax(1))


def test_certain_answers_stay_finite():
    certain = np.repeat(np.eye(2), [3, 1], axis=0)
    assert np.allclose(shifted_shares(certain, [0.9, 0.1]), [0.75, 0.25])


def test_what_is_refused():
    x, y = rows(50, 0.5, seed=5)
    with pytest.raises(InputError, match=r"method='ems'.*'em'"):
        LabelShiftClassifier(LogisticRegression(), method="ems").fit(x, y)
    with pytest.raises(InputError, match="no row of class"):
        LabelShiftClassifier(FrozenEstimator(LogisticRegression().fit(x, y))).fit(x[y == 0], y[y == 0])


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ([2] + [0, 1] * 20, r"the label 2, which the classifier does not know; expected one of 0, 1"),
        ([np.nan] + [0, 1] * 20, "the label nan"),
        ([0, 1], "41 rows and 2 labels"),
    ],
)
def test_shares_are_counted_among_the_classes_of_the_classifier(labels, said):
    """A frozen classifier takes any labels without a look."""
    x = np.linspace(-1, 1, 41)[:, None]
    model = LabelShiftClassifier(FrozenEstimator(LogisticRegression().fit(x, (x[:, 0] > 0).astype(int))))
    with pytest.raises(InputError, match=said):
        model.fit(x, labels)


@pytest.mark.parametrize("estimator", [LinearSVC(), LinearRegression()])
def test_a_model_without_probabilities_is_refused(estimator):
    x, y = rows(50, 0.5, seed=6)
    with pytest.raises(InputError, match="has no predict_proba; expected a classifier with probabilities"):
        LabelShiftClassifier(estimator).fit(x, y)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([[0.5, 0.5]], [1.0, 0.0], [0.5, 0.5]), r"shares=\[1.0, 0.0\]; expected a positive share"),
        (([[1.0, 0.0]], [0.5, 0.5], [0.0, 1.0]), "row 0 has no probability on a class whose new share"),
        (([[0.5, np.nan]], [0.5, 0.5], [0.5, 0.5]), "of row 0; expected numbers from 0 to 1"),
        (([[0.5, 0.5]], [0.2, 0.3, 0.5], [0.5, 0.5]), r"expected \(N, K\) and \(K,\)"),
        (([[0.5, 0.5]], [0.5, 0.5], [0.5, -0.5]), "a number of at least 0 for each of 2 classes"),
    ],
)
def test_what_would_divide_by_zero_or_be_no_number_is_refused(arguments, said):
    with pytest.raises(InputError, match=said):
        corrected(*arguments)


@pytest.mark.parametrize("probabilities", [np.empty((0, 2)), [[0.0, 0.0]], [[np.nan, 0.5]]])
def test_shares_are_of_rows_with_probabilities(probabilities):
    with pytest.raises(InputError, match="expected"):
        shifted_shares(probabilities, [0.5, 0.5])


@parametrize_with_checks([LabelShiftClassifier(LogisticRegression())])
def test_the_contract_of_scikit_learn(estimator, check):
    check(estimator)
