"""``TTTClassifier``: a scikit-learn classifier that adapts an in-context learner to the table it is given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from testtime.backbones.base import Backbone
from testtime.estimators.base import TTTBase
from testtime.estimators.members import Member
from testtime.estimators.targets import class_target

__all__ = ["TTTClassifier"]


class TTTClassifier(ClassifierMixin, TTTBase):
    """Classifier that takes a few gradient steps on the labelled rows before it predicts in context.

    ``fit`` keeps some rows as context, trains small changes of the model's weights on the others, and lets a guard
    compare the adapted and the frozen model, row by row, on rows that were not trained on. If the guard is not
    convinced, the frozen model is used. ``predict`` needs only the kept context.

    Numeric, boolean, categorical, text and missing columns are accepted, from pandas, NumPy and polars.

    Parameters
    ----------
    backbone
        The pretrained model: ``"embedded"``, which ships with the package.
    n_context
        Rows kept as context at prediction. "auto" measures the frozen model at 32 to 256 rows and takes the shortest
        context that is as good as the longest; the guard then also requires that the adapted model beats the frozen
        one with *all* rows as context, and falls back to that one.
    n_steps
        Gradient steps. 0 is plain in-context learning; 1 is one step whose length is chosen on held-out rows, zero
        allowed; "auto" is 10 to 150 by the number of rows, fewer under `time_limit`.
    step_size
        AdamW's first rate, decayed to zero; "auto" is 1e-3 for "encoders" and "head", 3e-3 for "lora" and "norms", 5e-4
        for "all". With ``n_steps=1`` a number replaces the line search.
    adapt
        What is trained: "encoders" (column and row stages; the "auto" choice), "lora" (low rank on every matrix),
        "norms", "head" or "all".
    rank
        Rank of "lora".
    guard
        False keeps the adapted weights whatever they do, trained on all rows outside the context.
    n_members
        Members that are averaged, each with its own seed, column order and class codes, and each with the adapters of
        its folds (two in most tables). Fit and predict take as many times longer.
    device
        "cpu", "cuda", "cuda:1", ... or "auto".
    precision
        Of predictions: "auto" (float64 on a CPU, which makes them independent of batching; float32 elsewhere),
        "float32" or "float64". Training is in float32.
    time_limit
        Seconds for ``fit``; None for no limit. With a limit, results depend on the machine's speed.
    random_state
        Seed of every random choice. The same seed, machine and number of threads give the same adapter.
    verbose
        1 shows a progress bar.

    Attributes
    ----------
    adaptation_ : Adaptation
        What was done and why; ``adaptation_.explain()`` says it in sentences.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    context_indices_ : ndarray of shape (n_context,)
        Rows of the training table that are served as context. When the adapted weights are kept, none was trained on.
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

    @property
    def _n_classes(self) -> int:
        return len(self.classes_)

    def _read_target(self, y: Any, n_rows: int, backbone: Backbone) -> NDArray[np.int64]:
        self.classes_, codes = class_target(y, n_rows, backbone.max_classes)
        return codes

    def _target_arrays(self) -> dict[str, NDArray]:
        return {"classes": self.classes_}

    def _load_target(self, arrays: Mapping[str, NDArray]) -> None:
        self.classes_ = arrays["classes"]

    def _answer(self, outputs: NDArray[np.float64], member: Member) -> NDArray[np.float64]:
        return torch.softmax(torch.from_numpy(outputs), dim=-1).numpy()[:, member.codes]

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return class probabilities, ``(q, n_classes)``, columns in the order of ``classes_``.

        Raises
        ------
        InputError
            When the columns are not those of fit, or hold values that cannot be used.
        """
        return self._predict_at(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the most probable class of each row, ``(q,)``."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]

    def predict_proba_at(self, X: Any, n_context: int, *, adapted: bool = True) -> NDArray[np.float64]:
        """Return probabilities with another context length or with the frozen model, for learning curves.

        Contexts are prefixes of one ordering: the served context, then guard rows, then training rows; a longer
        context than the served one therefore holds rows the adapter was trained on.

        Parameters
        ----------
        n_context
            Context rows, from the number of classes to the number of rows at fit.
        adapted
            False takes the frozen model.

        Raises
        ------
        InputError
            When that many context rows are not there; a loaded estimator has the served ones only.
        """
        return self._predict_at(X, n_context, adapted=adapted)
