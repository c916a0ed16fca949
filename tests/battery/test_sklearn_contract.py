"""The estimator contract of scikit-learn, with no expected failure."""

from __future__ import annotations

from dataclasses import replace
from unittest import SkipTest

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from testtime import TTTClassifier, TTTRegressor
from testtime.backbones.embedded import load_embedded

pytestmark = pytest.mark.slow

# scikit-learn's checks fit small tables several hundred times; two steps of one adapter exercise every path of ``fit``,
# and zero steps the answers of several views.
_ESTIMATORS = [
    kind(**how)
    for kind in (TTTClassifier, TTTRegressor)
    for how in ({"n_steps": 0}, {"n_steps": 2, "n_members": 1, "guard": False})
]


@parametrize_with_checks(_ESTIMATORS)
def test_scikit_learn_check(request, monkeypatch, estimator, check):
    # Only the checks of training ask how well a model predicts; the others run on tiny weights. Two views are several.
    if "_train" in str(check):
        backbone = load_embedded(estimator._task)
        monkeypatch.setattr(backbone, "recipe", replace(backbone.recipe, n_views=2))
    else:
        request.getfixturevalue("tiny_embedded")
    try:
        check(estimator)
    except SkipTest as why:
        if "SCIPY_ARRAY_API" not in str(
            why
        ):  # arrays of other libraries, which no estimator here claims to take
            pytest.fail(f"skipped: {why}")
        raise


def test_there_are_as_many_checks_as_ever():
    """A change of scikit-learn or of our tags that drops checks silently must be noticed."""
    assert sum(len(list(estimator_checks_generator(estimator))) for estimator in _ESTIMATORS) >= 180
