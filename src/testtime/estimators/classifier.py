"""``TTTClassifier``: a scikit-learn classifier that adapts an in-context learner to the table it is given."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from testtime.backbones.base import Backbone
from testtime.backbones.many_class import MOST_CLASSES
from testtime.estimators.base import TTTBase
from testtime.table.read_target import class_target
from testtime.table.target import ClassTarget

__all__ = ["TTTClassifier"]


class TTTClassifier(ClassifierMixin, TTTBase):
    """Classifier that takes a few gradient steps on the labelled rows before it predicts in context.

    ``fit`` trains small changes of the model's weights (adapters) on folds of the rows. Each fold is predicted by the
    adapter that has not seen it, and by the frozen model; the mixture of both that is best there is served. Where the
    adapters bring nothing, their weight is zero and the frozen model is served alone, averaged over several views of
    the table. What is served is therefore never worse, on rows that were not trained on, than the frozen model.

    Numeric, boolean, categorical, text, date and missing columns are accepted, from pandas, NumPy and polars.

    Parameters
    ----------
    backbone
        The pretrained model: ``"embedded"``, which ships with the package; ``"tabicl"`` or ``"tabpfn"`` with the
        weights these packages download, ``"tabicl:FILE"`` or ``"tabpfn:FILE"`` with those of a file, ``"tabpfn:v2"``
        with those of a version; or an object that implements :class:`testtime.backbones.base.Backbone`. Targets of
        more classes than the model knows are predicted digit by digit.
    objective
        "accuracy" serves all rows as context, up to the model's limit. "short" serves as few as the loss allows, for
        less memory and faster predictions.
    n_context
        Rows kept as context at prediction; "auto" lets `objective` decide. A number serves that many.
    n_steps
        Gradient steps of each adapter. 0 is plain in-context learning; 1 is one step whose length is chosen on held-out
        rows, zero allowed; "auto" depends on the number of rows, with fewer steps under `time_limit` and more where the
        first ones paid much.
    step_size
        AdamW's first rate, decayed to zero; "auto" takes the backbone's recipe. With ``n_steps=1`` a number replaces
        the line search.
    adapt
        What is trained: "encoders" (column and row stages; the embedded model's "auto"), "lora" (low rank on every
        matrix), "norms" (norms and biases), "tail" (those of the last stage), "head" or "all". "planned" is "auto"
        where the forecast of :func:`testtime.plan_table` says that training is worth its time, and trains nothing
        elsewhere.
    rank
        Rank of "lora".
    guard
        False serves the adapters alone, whatever they do.
    n_members
        Adapters, each trained without one of four folds and in its own view of the table; "auto" is eight, or four for
        ``n_steps=1``. The frozen model is averaged over eight views (one for ``n_members=1``).
    column_kinds
        What columns are, by name, where you know better than what is found: "number", "date", "nominal", "ordinal",
        "boolean", "id" or "ignored".
    device
        "cpu", "cuda", "cuda:1", ... or "auto".
    precision
        Of predictions: "auto" (float64 on a CPU, which makes them independent of batching; float32 elsewhere),
        "float32" or "float64". Training is in float32.
    time_limit
        Seconds for ``fit``; None for no limit. With a limit, results depend on the machine's speed.
    random_state
        Seed of every random choice. The same seed on the same machine gives the same adapters, whatever the number of
        threads.
    verbose
        1 shows a progress bar.

    Attributes
    ----------
    adaptation_ : Adaptation
        What was done and why; ``adaptation_.explain()`` says it in sentences.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    context_indices_ : ndarray of shape (n_context,)
        Rows of the training table that are served as context.
    n_features_in_ : int
        Number of columns seen at fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, when all are strings.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> classifier = TTTClassifier(n_steps=0, n_context=64, random_state=0).fit(X[:300], y[:300])
    >>> bool(classifier.score(X[300:], y[300:]) > 0.9)
    True
    """

    _task = "classifier"

    def _read_target(self, y: Any, n_rows: int, backbone: Backbone) -> tuple[ClassTarget, NDArray[np.int64]]:
        return class_target(y, n_rows, MOST_CLASSES)

    def _set_target(self, target: ClassTarget) -> None:
        self.classes_ = target.classes

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return class probabilities, ``(q, n_classes)``, columns in the order of ``classes_``.

        Raises
        ------
        InputError
            When the columns are not those of fit, or hold values that cannot be used.
        """
        return self._predict_at(X)

    def predict_log_proba(self, X: Any) -> NDArray[np.float64]:
        """Return logarithms of the class probabilities, ``(q, n_classes)``."""
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row, ``(q,)``."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba_at(self, X: Any, n_context: int, *, adapted: bool = True) -> NDArray[np.float64]:
        """Return probabilities with another context length or with the frozen model, for learning curves.

        Contexts are prefixes of one ordering of the rows, which begins with the served ones.

        Parameters
        ----------
        n_context
            Context rows, from the number of classes to the number of rows at hand.
        adapted
            False takes the frozen model.

        Raises
        ------
        InputError
            When that many context rows are not there; a loaded estimator has those that it serves, and 1,024 where
            there are as many.
        """
        return self._predict_at(X, n_context, adapted=adapted)
