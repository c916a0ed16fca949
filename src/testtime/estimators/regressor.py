"""``TTTRegressor``: a scikit-learn regressor that adapts an in-context learner to the table it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from testtime.backbones.base import Backbone
from testtime.errors import InputError, sentence
from testtime.estimators.base import TTTBase
from testtime.table.read_target import numeric_target
from testtime.table.target import NumericTarget

__all__ = ["TTTRegressor", "at_levels"]


class TTTRegressor(RegressorMixin, TTTBase):
    """Regressor that takes a few gradient steps on the labelled rows before it predicts in context.

    The twin of :class:`~testtime.TTTClassifier` for numeric targets: the same split of the rows, the same steps, the
    same guard. The embedded model answers with 199 quantiles of the target of each row; training and guard minimise and
    compare the continuous ranked probability score (CRPS), twice the pinball loss averaged over the quantiles.

    Numeric, boolean, categorical, text and missing columns are accepted, from pandas, NumPy and polars. The unit of the
    target does not matter: predictions of ``a * y + b`` are ``a`` times those of ``y``, plus ``b``, for ``a > 0``. Of a
    skewed target that is modelled as its logarithm, since other rows are predicted better so, it holds for ``b = 0``.

    Parameters
    ----------
    backbone
        The pretrained model: ``"embedded"``, ``"tabicl"``, ``"tabpfn"``, a file of theirs, or an object.
    objective
        "accuracy" or "short".
    n_context
        Rows kept as context at prediction, or "auto".
    n_steps
        Gradient steps, or "auto". 0 is plain in-context learning; 1 is one step with a line search.
    step_size
        AdamW's first rate, decayed to zero, or "auto".
    adapt
        What is trained: "auto", "encoders", "lora", "norms", "tail", "head", "all" or "planned".
    rank
        Rank of "lora".
    guard
        False serves the adapters alone, whatever they do.
    n_members
        Adapters whose quantiles are averaged with those of the frozen model, or "auto".
    column_kinds
        What columns are, by name, where you know better than what is found.
    device
        "cpu", "cuda", "cuda:1", ... or "auto".
    precision
        Of predictions: "auto", "float32" or "float64".
    time_limit
        Seconds for ``fit``; None for no limit.
    random_state
        Seed of every random choice.
    verbose
        1 shows a progress bar.

    Attributes
    ----------
    adaptation_ : Adaptation
        What was done and why; its losses are CRPS in standard deviations of the target.
    context_indices_ : ndarray of shape (n_context,)
        Rows of the training table that are served as context.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, when all are strings.

    See Also
    --------
    testtime.TTTClassifier : Says more about each argument, which mean the same there.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> regressor = TTTRegressor(n_steps=0, n_context=64, random_state=0).fit(X[:300], y[:300])
    >>> bool(regressor.score(X[300:], y[300:]) > 0.2)
    True
    >>> regressor.predict_quantiles(X[300:], levels=(0.1, 0.9)).shape
    (142, 2)
    """

    _task = "regressor"

    def _read_target(
        self, y: Any, n_rows: int, backbone: Backbone
    ) -> tuple[NumericTarget, NDArray[np.float64]]:
        return numeric_target(y, n_rows)

    def predict(self, X: Any) -> NDArray[np.float64]:
        """Return the mean of the predicted distribution of each row, ``(q,)``, in the units of the target.

        It is the average of the predicted quantiles. The mean minimises the expected squared error; for the smallest
        expected absolute error take the median, ``predict_quantiles(X, levels=(0.5,))``.

        Raises
        ------
        InputError
            When the columns are not those of fit, or hold values that cannot be used.
        """
        return self._mean(self._predict_at(X))

    def predict_quantiles(self, X: Any, levels: Sequence[float] = (0.1, 0.5, 0.9)) -> NDArray[np.float64]:
        """Return quantiles of the target of each row, ``(q, n_levels)``, in the units of the target.

        Parameters
        ----------
        levels
            Probabilities of a smaller value, in any order, from 0.005 to 0.995 for the embedded model: it predicts the
            quantiles 0.005, 0.01, ..., 0.995, between which the answer is linear, and nothing beyond them. TabPFN
            answers with the 99 percentiles.

        Raises
        ------
        InputError
            For other levels, or rows that cannot be used.
        """
        return self._quantiles(levels, X)

    def predict_at(self, X: Any, n_context: int, *, adapted: bool = True) -> NDArray[np.float64]:
        """Return means with another context length or with the frozen model, for learning curves.

        Contexts are prefixes of one ordering of the rows, which begins with the served ones.

        Parameters
        ----------
        n_context
            Context rows, from 1 to the number of rows at hand.
        adapted
            False takes the frozen model.

        Raises
        ------
        InputError
            When that many context rows are not there; a loaded estimator has those that it serves, and 1,024 where
            there are as many.
        """
        return self._mean(self._predict_at(X, n_context, adapted=adapted))

    def predict_quantiles_at(
        self, X: Any, n_context: int, levels: Sequence[float] = (0.1, 0.5, 0.9), *, adapted: bool = True
    ) -> NDArray[np.float64]:
        """Return quantiles as :meth:`predict_quantiles`, with the contexts of :meth:`predict_at`."""
        return self._quantiles(levels, X, n_context, adapted=adapted)

    def _mean(self, quantiles: NDArray[np.float64]) -> NDArray[np.float64]:
        return quantiles.mean(axis=1)

    def _quantiles(self, levels: Any, *args: Any, **where: Any) -> NDArray[np.float64]:
        wanted = _probabilities(levels)  # checked before anything is computed
        return at_levels(self._predict_at(*args, **where), wanted)


def at_levels(quantiles: NDArray[np.float64], levels: Any) -> NDArray[np.float64]:
    """Return quantiles at other levels, linear between those of a row, ``(q, A) -> (q, n_levels)``.

    Raises
    ------
    InputError
        For levels that are no probabilities, or beyond those that are predicted.
    """
    wanted = _probabilities(levels)
    # Positions in units of the spacing: a level the model predicts is a whole number, and its quantile is exact.
    position = wanted * (quantiles.shape[1] + 1) - 1
    position = np.where(np.abs(position - np.round(position)) < 1e-9, np.round(position), position)
    outside = (position < 0) | (position > quantiles.shape[1] - 1)
    if outside.any():
        lowest = 1 / (quantiles.shape[1] + 1)
        raise InputError(
            sentence(
                f"the level {wanted[outside][0]:g}",
                expected=f"{lowest:g} to {1 - lowest:g}",
                why="the model predicts no quantiles beyond these",
            )
        )
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, quantiles.shape[1] - 1)
    share = position - below
    return (1 - share) * quantiles[:, below] + share * quantiles[:, above]


def _probabilities(levels: Any) -> NDArray[np.float64]:
    try:
        wanted = np.asarray(levels, dtype=np.float64)
    except (TypeError, ValueError):
        wanted = np.array(np.nan)
    if wanted.ndim != 1 or not ((wanted > 0) & (wanted < 1)).all():
        raise InputError(
            sentence(f"levels={levels!r}", expected="a sequence of probabilities between 0 and 1")
        )
    return wanted
