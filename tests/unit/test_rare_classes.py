"""What scikit-learn offers for rare classes works on the classifier; sparse rows are read as dense ones."""

import numpy as np
import pytest
import scipy.sparse
from sklearn.model_selection import TunedThresholdClassifierCV

import testtime
from testtime.table.columns.frame import dense

pytestmark = pytest.mark.usefixtures("tiny_embedded")


def rare(n=120, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 3))
    return x, (x[:, 0] + 0.3 * rng.normal(size=n) > 1).astype(int)


def classifier():
    return testtime.TTTClassifier(n_steps=0, n_members=1, random_state=0)


def test_a_threshold_is_tuned_out_of_fold():
    x, y = rare()
    tuned = TunedThresholdClassifierCV(classifier(), scoring="balanced_accuracy", cv=2, thresholds=20).fit(
        x, y
    )
    shown = tuned.estimator_.predict_proba(x)[:, 1]
    assert (tuned.predict(x) == (shown >= tuned.best_threshold_)).all()
    assert np.array_equal(tuned.estimator_.predict_log_proba(x), np.log(tuned.estimator_.predict_proba(x)))


def test_sparse_rows_are_read_as_dense_ones():
    x, y = rare()
    x[np.abs(x) < 0.5] = 0
    expected = classifier().fit(x, y).predict_proba(x)
    for form in (scipy.sparse.csr_matrix, scipy.sparse.coo_array):
        assert np.array_equal(classifier().fit(form(x), y).predict_proba(form(x)), expected)
    with pytest.raises(
        testtime.InputError, match=r"sparse matrix of 1,000,000 rows .* at most 50,000,000 cells"
    ):
        dense(scipy.sparse.csr_matrix((1_000_000, 200)))
