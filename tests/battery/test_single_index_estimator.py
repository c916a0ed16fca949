"""The scikit-learn contract of the single-index regressor: every check, no expected failure."""

from __future__ import annotations

import warnings

from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from testtime import SingleIndexRegressor


def estimator() -> SingleIndexRegressor:
    return SingleIndexRegressor(n_queries=200, n_restarts=4, width=20)


@parametrize_with_checks([estimator()])
def test_scikit_learn_contract(estimator: SingleIndexRegressor, check: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        check(estimator)  # type: ignore[operator]


def test_the_contract_is_not_empty() -> None:
    assert len(list(estimator_checks_generator(estimator()))) >= 40
