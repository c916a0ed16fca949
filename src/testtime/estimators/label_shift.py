r"""Probabilities of a classifier for rows whose classes have other shares than those it was fitted to.

A classifier answers with :math:`p(y\mid x)` under the shares :math:`\pi` of its training rows. Where only the shares
have changed, to :math:`\pi'`, and rows of a class look as before, Bayes' rule gives

.. math:: p'(y\mid x)\propto p(y\mid x)\,\pi'(y)/\pi(y).

In-context models need this as much as others: their context tells them the shares.
"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils.validation import check_is_fitted

from testtime.errors import InputError, nearest, sentence

__all__ = ["LabelShiftClassifier", "corrected", "shifted_shares"]

_TINY = 1e-15

Array = NDArray[np.float64]


def corrected(probabilities: ArrayLike, shares: ArrayLike, new_shares: ArrayLike) -> Array:
    r"""Probabilities under other shares of the classes, :math:`p(y\mid x)\,\pi'(y)/\pi(y)` made to sum to 1.

    Parameters
    ----------
    probabilities
        Of each row, ``(N, K)``.
    shares, new_shares
        Of the classes in training, positive, and where the rows come from, ``(K,)``.

    Reference: Saerens, Latinne and Decaestecker (2002), equation 2.4.

    Raises
    ------
    InputError
        For shapes that do not fit, a share in training of zero, what is negative or not finite, and a row whose
        probability is all on classes without a new share.

    >>> corrected([[0.5, 0.5]], [0.5, 0.5], [0.9, 0.1]).tolist()
    [[0.9, 0.1]]
    """
    answers, known = _checked(probabilities, shares)
    wanted = np.asarray(new_shares, dtype=float)
    if wanted.shape not in (known.shape, answers.shape) or not _no_less_than_zero(wanted):
        got = f"new_shares={new_shares!r}" if wanted.size <= 20 else "new shares"
        raise InputError(sentence(got, expected=f"a number of at least 0 for each of {len(known)} classes"))
    impossible = np.flatnonzero((answers * wanted).sum(axis=1) == 0)
    if len(impossible):
        raise InputError(
            sentence(
                f"row {impossible[0]} has no probability on a class whose new share is above 0",
                why="Bayes' rule would divide zero by zero",
                remedy="Bound the probabilities away from zero, as LabelShiftClassifier does",
            )
        )
    return _by_bayes(answers, known, wanted)


def _by_bayes(answers: Array, shares: Array, new_shares: Array) -> Array:
    weighted = answers * (new_shares / shares)
    return weighted / weighted.sum(axis=1, keepdims=True)


def _checked(probabilities: ArrayLike, shares: ArrayLike) -> tuple[Array, Array]:
    """Return probabilities ``(N, K)`` and positive shares ``(K,)``, or say which of them cannot be used."""
    answers, known = np.asarray(probabilities, dtype=float), np.asarray(shares, dtype=float)
    if answers.ndim != 2 or known.shape != answers.shape[1:]:
        got = f"probabilities of the shape {answers.shape} and shares of the shape {known.shape}"
        raise InputError(sentence(got, expected="(N, K) and (K,)"))
    if not _no_less_than_zero(known) or not known.all():
        raise InputError(
            sentence(
                f"shares={known.tolist()}",
                expected="a positive share of each class in training",
                why="they divide the probabilities",
                remedy="Leave a class without rows out of the probabilities, too",
            )
        )
    if not _no_less_than_zero(answers):
        row = int(np.flatnonzero(~(np.isfinite(answers) & (answers >= 0)).all(axis=1))[0])
        raise InputError(
            sentence(
                f"the probabilities {answers[row].tolist()} of row {row}", expected="numbers from 0 to 1"
            )
        )
    return answers, known


def _no_less_than_zero(values: Array) -> bool:
    return bool((np.isfinite(values) & (values >= 0)).all())


def shifted_shares(
    probabilities: ArrayLike, shares: ArrayLike, *, tolerance: float = 1e-10, max_iter: int = 10_000
) -> Array:
    r"""Shares of the classes among rows without labels, by maximum likelihood.

    The expectation-maximisation iteration :math:`\pi'\leftarrow\frac1N\sum_i p'(y\mid x_i)` begins at
    :math:`\pi'=\pi`. The log likelihood :math:`\sum_i\log\sum_y p(y\mid x_i)\,\pi'(y)/\pi(y)` is concave and never
    falls.

    Parameters
    ----------
    probabilities
        What the classifier says of each row, ``(N, K)``.
    shares
        Of the classes in its training rows, ``(K,)``, positive.
    tolerance, max_iter
        The iteration ends when no share changes by more, or after so many rounds.

    Returns
    -------
    array
        Shares ``(K,)`` that sum to 1.

    Raises
    ------
    InputError
        Without a row, and as :func:`corrected`.

    Reference: Saerens, Latinne and Decaestecker (2002), section 2.3.

    >>> certain = np.repeat(np.eye(2), [9, 1], axis=0)  # rows that leave no doubt: shares are counted
    >>> shifted_shares(certain, [0.5, 0.5]).tolist()
    [0.9, 0.1]
    """
    answers, known = _checked(probabilities, shares)
    if not len(answers) or not answers.any(axis=1).all():
        got = "a row without probability on any class" if len(answers) else "no rows"
        raise InputError(sentence(got, expected="rows with probabilities of the classes"))
    found = known
    for _ in range(max_iter):
        before, found = found, _by_bayes(answers, known, found).mean(axis=0)
        if np.abs(found - before).max() <= tolerance:
            break
    return found


class LabelShiftClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """A classifier whose probabilities follow the shares of the classes where it is used.

    Parameters
    ----------
    estimator
        A classifier with ``predict_proba``. ``fit`` fits a copy of it; wrap one that is fitted in
        :class:`sklearn.frozen.FrozenEstimator`, and ``fit`` only counts the classes.
    method
        "em": :meth:`adapt` estimates the new shares from rows without labels (Saerens et al., 2002); until it is called
        nothing is corrected. "row": every row is corrected by itself, with its own probabilities as the new shares,
        :math:`p(y|x)^2/\\pi(y)`, which is how DistPFN (arXiv:2605.04363) is reported to do it; it needs no other rows,
        and sharpens probabilities where the shares have not changed.

    Attributes
    ----------
    classes_, estimator_
        Labels in the order of the columns of ``predict_proba``, and the fitted classifier.
    shares_, new_shares_
        Of the classes in training and, for "em", where the classifier is used, ``(K,)``.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> rng = np.random.default_rng(0)
    >>> def rows(n, share):
    ...     y = (rng.random(n) < share).astype(int)
    ...     return rng.normal(size=(n, 1)) + 2.0 * y[:, None], y
    >>> x, y = rows(2000, 0.5)
    >>> model = LabelShiftClassifier(LogisticRegression()).fit(x, y)
    >>> new, labels = rows(2000, 0.1)
    >>> model.adapt(new).new_shares_.round(2).tolist()
    [0.88, 0.12]
    """

    def __init__(self, estimator: Any, *, method: Literal["em", "row"] = "em") -> None:
        self.estimator = estimator
        self.method = method

    def fit(self, X: Any, y: Any) -> Self:
        """Fit a copy of the classifier, and count the classes.

        Raises
        ------
        InputError
            For an unknown method, a classifier without probabilities, `y` of another length than `X`, a label that the
            classifier does not know, or a class of the classifier without a row in `y`.
        """
        if self.method not in ("em", "row"):
            raise InputError(
                sentence(
                    f"method={self.method!r}",
                    expected="'em' or 'row'",
                    remedy=nearest(str(self.method), ["em", "row"]),
                )
            )
        copy: Any = clone(self.estimator)
        self.estimator_ = copy.fit(X, y)
        if not hasattr(self.estimator_, "predict_proba"):
            raise InputError(
                sentence(
                    f"{type(self.estimator_).__name__} has no predict_proba",
                    expected="a classifier with probabilities",
                    why="they are what is corrected",
                    remedy="Wrap it in sklearn.calibration.CalibratedClassifierCV",
                )
            )
        self.classes_ = self.estimator_.classes_
        labels = np.asarray(y).ravel()
        n_rows = X.shape[0] if hasattr(X, "shape") else len(np.asarray(X))
        if len(labels) != n_rows:
            got = f"{n_rows} rows and {len(labels)} labels"
            raise InputError(sentence(got, expected="one label for each row"))
        of_class = np.array([labels == label for label in self.classes_])
        strange = labels[~of_class.any(axis=0)]
        if len(strange):  # a classifier that is frozen takes any labels
            known = ", ".join(map(repr, self.classes_[:10].tolist()))
            raise InputError(
                sentence(
                    f"the label {strange.tolist()[0]!r}, which the classifier does not know",
                    expected=f"one of {known}",
                    why="shares are counted among its classes",
                    remedy="Pass the labels that the classifier was fitted to",
                )
            )
        self.shares_ = of_class.mean(axis=1)
        if not self.shares_.all():
            missing = self.classes_[self.shares_ == 0].tolist()[0]
            raise InputError(
                sentence(
                    f"no row of class {missing!r} among {len(labels)}",
                    expected="rows of every class that the classifier knows",
                    why="its share in training divides the probabilities",
                    remedy="Pass the labels that the classifier was fitted to",
                )
            )
        self.new_shares_ = self.shares_
        for name in ("n_features_in_", "feature_names_in_"):
            if hasattr(self.estimator_, name):
                setattr(self, name, getattr(self.estimator_, name))
        return self

    def adapt(self, X: Any) -> Self:
        """Estimate the shares of the classes where rows without labels come from; "row" has nothing to estimate."""
        check_is_fitted(self)
        if self.method == "em":
            self.new_shares_ = shifted_shares(self._answers(X), self.shares_)
        return self

    def predict_proba(self, X: Any) -> Array:
        """Return corrected probabilities, ``(N, K)``."""
        check_is_fitted(self)
        answers = self._answers(X)
        return corrected(answers, self.shares_, self.new_shares_ if self.method == "em" else answers)

    def predict(self, X: Any) -> NDArray:
        """Return the most probable class of each row."""
        codes = self.predict_proba(X).argmax(axis=1)
        return self.classes_[codes]

    def _answers(self, X: Any) -> Array:
        """Probabilities of the classifier, none of them zero: zeros of all classes at once cannot be corrected."""
        return np.maximum(self.estimator_.predict_proba(X), _TINY)

    def __sklearn_tags__(self) -> Any:
        """Take the kinds of input that the classifier takes."""
        from sklearn.utils import get_tags

        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.input_tags = inner.input_tags
        return tags
