"""What the estimators share: arguments, input checking in scikit-learn's terms, and an adapted table behind them."""

from __future__ import annotations

import numbers
import os
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from testtime.adapt.budget import Budget
from testtime.backbones.base import Backbone
from testtime.backbones.registry import load_backbone
from testtime.errors import InputError
from testtime.estimators.beside import group_codes, moments
from testtime.estimators.progress import progress
from testtime.estimators.settings import check_settings, written
from testtime.results import Adaptation
from testtime.table.adapted import AdaptedTable
from testtime.table.build import fit_table
from testtime.table.columns.file_habits import FileHabits
from testtime.table.columns.frame import as_frame, dense, refuse_no_table
from testtime.table.read_target import one_line
from testtime.table.target import Target

__all__ = ["TTTBase"]


def _unmasked(X: Any) -> Any:
    """Return a masked array with NaN where it is masked, and anything else as it is."""
    if not isinstance(X, np.ma.MaskedArray):
        return X
    numbers = X.dtype.kind in "biuf"
    return np.where(np.ma.getmaskarray(X), np.nan, np.asarray(X, np.float64 if numbers else object))


def _has_text(rows: Any) -> bool:
    """Whether a list of rows holds a text anywhere."""
    return any(isinstance(value, str) for row in rows if isinstance(row, (list, tuple)) for value in row)


class TTTBase(BaseEstimator):
    """Everything but the target and the form of the answer, which subclasses add."""

    _task: str
    _file: FileHabits | None = None  # how the file is written of which a table is a part, set by who parts it
    n_features_in_: int
    feature_names_in_: NDArray[Any]

    def __init__(
        self,
        *,
        backbone: Any = "embedded",
        objective: str = "accuracy",
        n_context: int | str = "auto",
        n_steps: int | str = "auto",
        step_size: float | str = "auto",
        adapt: str = "auto",
        rank: int = 8,
        guard: bool = True,
        n_members: int | str = "auto",
        column_kinds: Mapping[str, str] | None = None,
        device: str = "cpu",
        precision: str = "auto",
        time_limit: float | None = None,
        random_state: Any = 0,
        verbose: int = 0,
    ) -> None:
        self.backbone = backbone
        self.objective = objective
        self.n_context = n_context
        self.n_steps = n_steps
        self.step_size = step_size
        self.adapt = adapt
        self.rank = rank
        self.guard = guard
        self.n_members = n_members
        self.column_kinds = column_kinds
        self.device = device
        self.precision = precision
        self.time_limit = time_limit
        self.random_state = random_state
        self.verbose = verbose

    @abstractmethod
    def _read_target(self, y: Any, n_rows: int, backbone: Backbone) -> tuple[Target, NDArray]:
        """Check the target, and return it with its encoded values."""

    def _set_target(self, target: Any) -> None:
        """Set the public attributes that describe the target."""

    def fit(self, X: Any, y: Any, *, groups: Any = None, time: Any = None) -> Self:
        """Adapt to a table.

        Parameters
        ----------
        X
            Features ``(N, D)``: pandas or polars frame, array, or sparse matrix, which is made dense.
        y
            Targets ``(N,)`` without missing values: class labels for a classifier, finite numbers for a regressor.
        groups
            Group of each row, ``(N,)``, or None: rows of one group (a patient, a shop) are never on both sides of a
            split. Rows that repeat each other are kept together without it.
        time
            Position of each row in time, ``(N,)``: numbers or dates, or None. With it, what is served is measured on
            rows later than those it was trained on.

        Raises
        ------
        InputError
            When an argument or the data cannot be used; the message says what to do.
        BackboneError
            When the model cannot be loaded.
        """
        before = dict(vars(self))
        try:
            self._fit(X, y, groups, time)
        except BaseException:  # also an interrupt: the estimator stays what it was, not half of another table
            vars(self).clear()
            vars(self).update(before)
            raise
        return self

    def _fit(self, X: Any, y: Any, groups: Any, time: Any) -> None:
        params = self.get_params(deep=False)
        config = check_settings(params)
        budget = Budget(config.time_limit)
        backbone = load_backbone(self.backbone, self._task)
        frame = self._check_table(X, reset=True)
        target, values = self._read_target(y, len(frame), backbone)
        codes, positions = group_codes(groups, len(frame)), moments(time, len(frame))
        with progress(bool(self.verbose)) as work:
            table, context = fit_table(
                frame,
                target,
                values,
                backbone,
                config,
                self._seed(),
                kinds=self.column_kinds,
                groups=codes,
                time=positions,
                file=self._file,
                budget=budget,
                work=work,
            )
        self._set_fitted(table, context, params)

    def _set_fitted(self, table: AdaptedTable, context: NDArray[np.int64], params: Mapping[str, Any]) -> None:
        """Take over what was fitted, and the arguments it was fitted with: those set later say nothing about it."""
        self._table, self.context_indices_ = table, context
        self._fitted_params = written(params)
        self._set_target(table.target)

    @property
    def adaptation_(self) -> Adaptation:
        """What was done and why."""
        if "_table" not in vars(self):
            raise AttributeError(f"{type(self).__name__} has no adaptation_ before fit")
        return self._table.record

    def __sklearn_is_fitted__(self) -> bool:
        return "_table" in vars(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.sparse = True
        tags.input_tags.categorical = True
        return tags

    def _check_table(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Return `X` as a frame; at fit, remember its columns.

        Raises
        ------
        InputError
            For what is not a table, has no rows, or repeats a column name.
        """
        refuse_no_table(X)
        X = dense(X)
        try:
            if hasattr(X, "columns") and hasattr(X, "shape"):
                frame = as_frame(X)
                if reset:
                    named = all(isinstance(name, str) for name in frame.columns)
                    table: Any = frame if named else frame.to_numpy()
                    validate_data(self, table, reset=True, skip_check_array=True)
                if len(frame) == 0:
                    raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
                return frame
            if isinstance(X, (list, tuple)):  # NumPy would turn numbers beside text into text
                X = np.asarray(X, dtype=object) if _has_text(X) else X
            X = _unmasked(X)
            array = np.asarray(validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False))
            return as_frame(array) if reset else self._named(array)
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(one_line(error)) from error

    def _named(self, array: NDArray) -> pd.DataFrame:
        """An array at prediction: its columns are those of fit, in the order they had there."""
        return as_frame(array).set_axis(
            [record.name for record in self._table.encoding.columns.records], axis=1
        )

    def _seed(self) -> np.random.SeedSequence:
        """Return the root seed: reproducible for an integer or a RandomState, fresh for None."""
        if self.random_state is None:
            return np.random.SeedSequence()
        if isinstance(self.random_state, numbers.Integral):
            return np.random.SeedSequence(int(self.random_state))
        if isinstance(self.random_state, np.random.Generator):
            return np.random.SeedSequence(int(self.random_state.integers(2**31)))
        return np.random.SeedSequence(int(check_random_state(self.random_state).randint(2**31 - 1)))

    def _predict_at(
        self,
        X: Any,
        n_context: int | None = None,
        *,
        adapted: bool = True,
        file: FileHabits | None = None,
    ) -> NDArray[np.float64]:
        """Answers ``(q, A)`` as served, or with another context length or the frozen model.

        `file` says how the file is written of which `X` is a piece.
        """
        check_is_fitted(self)
        frame = self._check_table(X, reset=False)
        with progress(bool(self.verbose)) as work:
            work.say("predicting")
            if n_context is None and adapted:
                return self._table.predict(frame, file=file, work=work)
            n_context = self._table.record.n_context if n_context is None else n_context
            return self._table.predict_at(frame, n_context, adapted=adapted, work=work)

    def save(self, directory: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write the fitted estimator to a folder: adapters, reference rows, record; not the base weights.

        Arguments are those of ``fit``; what ``set_params`` changed since is not saved.

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

        check_is_fitted(self)
        return save(self, directory, overwrite=overwrite)
