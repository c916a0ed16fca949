"""The estimator contract of scikit-learn, with no expected failure."""

from __future__ import annotations

from sklearn.utils.estimator_checks import parametrize_with_checks

from testtime import TTTClassifier, TTTRegressor

# scikit-learn's checks fit small tables several hundred times; a few steps exercise every path of ``fit``.
_ESTIMATORS = [
    kind(**how)
    for kind in (TTTClassifier, TTTRegressor)
    for how in ({"n_steps": 0}, {"n_steps": 2, "guard": False})
]
_EXECUTED: list[str] = []


@parametrize_with_checks(_ESTIMATORS)
def test_scikit_learn_check(estimator, check):
    check(estimator)
    _EXECUTED.append(str(check))


def test_enough_checks_were_executed():
    """A change of scikit-learn or of our tags that skips checks silently must be noticed."""
    assert len(_EXECUTED) >= 180
