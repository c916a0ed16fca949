"""``TTTClassifier``: a scikit-learn classifier that adapts an in-context learner to the table it is given."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, column_or_1d

from testtime.adapt.adapters import AdapterSpec, merge
from testtime.errors import InputError, sentence
from testtime.estimators.base import TTTBase, load_backbone, one_line
from testtime.estimators.columns import DataWarning
from testtime.estimators.fitting import fit_members
from testtime.estimators.members import Member, member_probabilities
from testtime.estimators.progress import progress
from testtime.estimators.settings import Settings, check_settings

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
        allowed; "auto" is 10 to 200 by the number of rows, fewer under `time_limit`.
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
        Members that are averaged, each with its own seed, column order and class codes. Fit and predict take as many
        times longer.
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

    def __init__(
        self,
        *,
        backbone: str = "embedded",
        n_context: int | str = "auto",
        n_steps: int | str = "auto",
        step_size: float | str = "auto",
        adapt: str = "auto",
        rank: int = 8,
        guard: bool = True,
        n_members: int = 1,
        device: str = "cpu",
        precision: str = "auto",
        time_limit: float | None = None,
        random_state: Any = 0,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.n_context = n_context
        self.n_steps = n_steps
        self.step_size = step_size
        self.adapt = adapt
        self.rank = rank
        self.guard = guard
        self.n_members = n_members
        self.device = device
        self.precision = precision
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> TTTClassifier:
        """Adapt to a table.

        Parameters
        ----------
        X
            Features ``(N, D)``: pandas or polars frame, or array.
        y
            Class labels ``(N,)``, 2 to 10 classes, without missing values.

        Raises
        ------
        InputError
            When an argument or the data cannot be used; the message says what to do.
        BackboneError
            When the model cannot be loaded.
        """
        before = dict(vars(self))
        try:
            self._fit(X, y)
        except BaseException:  # also an interrupt: the estimator stays what it was, not half of another table
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def _fit(self, X: Any, y: Any) -> None:
        settings = check_settings(self.get_params(deep=False))
        backbone = load_backbone(self.backbone)
        frame = self._check_table(X, reset=True)
        classes, codes = self._check_target(y, len(frame), backbone.max_classes)
        x = self._encode_fit(frame, backbone)
        with progress(self.verbose) as (on_plan, on_step):
            fitted = fit_members(
                backbone, settings, x, codes, len(classes), self._seed(), on_plan=on_plan, on_step=on_step
            )
        self.classes_ = classes
        self.adaptation_ = fitted.adaptation
        self.context_indices_ = fitted.order[: fitted.adaptation.n_context]
        self._members = fitted.members
        # Served context first, then the rows that longer contexts (predict_proba_at) add.
        self._x, self._y = x[fitted.order], codes[fitted.order]
        self._fingerprint = backbone.fingerprint
        self._serve(settings)

    def _check_target(self, y: Any, n_rows: int, max_classes: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return class labels and codes, or say why the target cannot be used."""
        if y is None:
            raise InputError(
                "This classifier requires y to be passed, but the target y is None. Pass the labels."
            )
        if hasattr(y, "to_pandas") and not hasattr(y, "iloc"):
            y = y.to_pandas()
        try:
            given = np.asarray(y, dtype=object)
            missing = pd.isna(given.ravel()) if given.ndim else np.zeros(0, dtype=bool)
            if missing.any():
                raise InputError(
                    sentence(
                        f"the target is missing in {int(missing.sum()):,} of {len(missing):,} rows (the first is row "
                        f"{int(np.flatnonzero(missing)[0])})",
                        expected="a class in every row",
                        remedy="Drop these rows",
                    )
                )
            if isinstance(y, pd.Series) and pd.api.types.is_extension_array_dtype(y.dtype):
                y = y.to_numpy(dtype=object)  # NumPy would make floats of nullable integers and truth values
            y = _plain_labels(column_or_1d(y, warn=True))
            if len(y) != n_rows:
                raise InputError(
                    sentence(f"X has {n_rows:,} rows and y has {len(y):,}", expected="one label per row")
                )
            texts = [label for label in y.tolist() if isinstance(label, str)] if y.dtype == object else []
            if 0 < len(texts) < len(y):
                raise InputError(
                    sentence(
                        f"the target mixes text such as {texts[0]!r} with labels of other types",
                        expected="labels of one type",
                        remedy="Convert them to text",
                    )
                )
            check_classification_targets(y)
            classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(one_line(error)) from error
        if len(classes) < 2:
            raise InputError(
                sentence(
                    f"the target has 1 class, {classes[0]!r}, in {len(y):,} rows",
                    expected="at least two classes",
                    why="there is nothing to tell apart",
                )
            )
        if len(classes) > max_classes:
            raise InputError(
                sentence(
                    f"the target has {len(classes):,} classes",
                    expected=f"at most {max_classes}",
                    why="that is what the model was pretrained for",
                    remedy="Merge rare classes; for a numeric target, bin it first",
                )
            )
        single = [str(label) for label in classes[counts < 2]]
        if single:
            warnings.warn(
                f"Classes with a single row are kept in the context and can be neither trained on nor guarded: "
                f"{', '.join(map(repr, single[:5]))}. Merge or drop them.",
                DataWarning,
                stacklevel=3,
            )
        return classes, codes.astype(np.int64)

    def _serve(self, settings: Settings) -> None:
        """Merge each member's adapter into a private copy of the base, in the dtype of predictions."""
        backbone = load_backbone(self.backbone)
        spec = AdapterSpec(settings.adapt, settings.rank)
        frozen = None
        served = []
        for member in self._members:
            module = frozen
            if module is None or member.state is not None:
                module = backbone.new_module().to(device=settings.device, dtype=settings.predict_dtype)
                if member.state is None:
                    frozen = module
                else:
                    merge(module, member.state, spec)
            served.append(module.requires_grad_(False))
        self._served = served

    def _average(
        self, x: NDArray[np.float64], n_context: int, members: list[tuple[Member, Any]]
    ) -> NDArray[np.float64]:
        backbone = load_backbone(self.backbone)
        context = (self._x[:n_context], self._y[:n_context])
        total = np.zeros((len(x), len(self.classes_)))
        for member, module in members:
            learner = backbone.learner(module, len(self.classes_))
            total += member_probabilities(learner, member, module, context, x)
        return total / len(members)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return class probabilities, ``(q, n_classes)``, columns in the order of ``classes_``.

        Raises
        ------
        InputError
            When the columns are not those of fit, or hold values that cannot be used.
        """
        x = self._encode(X)
        pairs = list(zip(self._members, self._served, strict=True))
        return self._average(x, self.adaptation_.n_context, pairs)

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
        x = self._encode(X)
        if not len(self.classes_) <= n_context <= len(self._y):
            raise InputError(
                sentence(
                    f"n_context={n_context}",
                    expected=f"{len(self.classes_)} to {len(self._y)}, the rows that are at hand",
                )
            )
        if adapted:
            return self._average(x, n_context, list(zip(self._members, self._served, strict=True)))
        settings = check_settings(self.get_params(deep=False))
        module = (
            load_backbone(self.backbone).new_module().to(device=settings.device, dtype=settings.predict_dtype)
        )
        frozen = [(Member(member.columns, member.codes), module) for member in self._members]
        return self._average(x, n_context, frozen)

    def save(self, directory: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the fitted estimator to a folder: adapters, served context, record; not the base weights.

        Parameters
        ----------
        directory
            Folder to make.
        overwrite
            Replace a folder that was saved before.

        Raises
        ------
        StoreError
            When the folder exists, or cannot be written; nothing is left half-written.
        """
        from testtime.estimators.saved import save

        check_is_fitted(self, "adaptation_")
        return save(self, directory, overwrite=overwrite)

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        state.pop("_served", None)  # rebuilt from the base and the adapters
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if hasattr(self, "_members"):
            self._serve(check_settings(self.get_params(deep=False)))


def _plain_labels(y: NDArray[Any]) -> NDArray[Any]:
    """Return labels as truth values, numbers or text: what object and nullable columns hold, in a dtype of its own.

    Raises
    ------
    InputError
        For times, which are hardly meant as classes.
    """
    if y.dtype == object:
        y = pd.Series(y).infer_objects().to_numpy()
    if y.dtype.kind in "mM":
        got = f"the target holds times ({y.dtype})"
        raise InputError(sentence(got, expected="classes", remedy="Convert them to text, or bin them first"))
    return y
