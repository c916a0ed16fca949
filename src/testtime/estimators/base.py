"""What the estimators share: arguments, input checking, the encoded table, what is served, files."""

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

from testtime.adapt.adapters import AdapterSpec, merge
from testtime.backbones.base import Backbone
from testtime.errors import InputError, nearest, sentence
from testtime.estimators.columns import ColumnEncoder, as_frame
from testtime.estimators.fitting import fit_members
from testtime.estimators.members import Member, member_outputs
from testtime.estimators.progress import progress
from testtime.estimators.settings import Settings, check_settings
from testtime.estimators.targets import one_line

__all__ = ["TTTBase", "load_backbone"]

_BACKBONES = ("embedded",)


def load_backbone(name: Any, task: str) -> Backbone:
    """Return the backbone called `name`.

    Parameters
    ----------
    name
        As users pass it.
    task
        "classifier" or "regressor".

    Raises
    ------
    InputError
        For a name that is not known.
    """
    if name == "embedded":
        from testtime.backbones.embedded import load_embedded

        return load_embedded(task)
    raise InputError(
        sentence(
            f"backbone={name!r}",
            expected="one of " + ", ".join(map(repr, _BACKBONES)),
            remedy=nearest(str(name), _BACKBONES),
        )
    )


def _has_text(rows: Any) -> bool:
    """Whether a list of rows holds a text anywhere."""
    return any(isinstance(value, str) for row in rows if isinstance(row, (list, tuple)) for value in row)


class TTTBase(BaseEstimator):
    """Everything but the target and the form of the answer, which subclasses add.

    A subclass sets `_task` and turns targets into what the model takes (:meth:`_read_target`) and the model's outputs
    into answers that can be averaged over members (:meth:`_answer`).
    """

    _task: str

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

    @property
    @abstractmethod
    def _n_classes(self) -> int:
        """Number of classes, 0 for a numeric target."""

    @abstractmethod
    def _read_target(self, y: Any, n_rows: int, backbone: Backbone) -> NDArray:
        """Check the target, keep what answers need of it, and return it as the model takes it, ``(N,)``."""

    @abstractmethod
    def _target_arrays(self) -> dict[str, NDArray]:
        """Return what :meth:`_read_target` kept, for the store."""

    @abstractmethod
    def _load_target(self, arrays: Mapping[str, NDArray]) -> None:
        """Take back what :meth:`_target_arrays` returned."""

    @abstractmethod
    def _answer(self, outputs: NDArray[np.float64], member: Member) -> NDArray[np.float64]:
        """Turn a member's outputs ``(q, K)`` into an answer that does not depend on the member's codes."""

    def fit(self, X: Any, y: Any) -> Self:
        """Adapt to a table.

        Parameters
        ----------
        X
            Features ``(N, D)``: pandas or polars frame, or array.
        y
            Targets ``(N,)`` without missing values: labels of 2 to 10 classes for a classifier, finite numbers for a
            regressor.

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
        backbone = load_backbone(self.backbone, self._task)
        frame = self._check_table(X, reset=True)
        target = self._read_target(y, len(frame), backbone)
        x = self._encode_fit(frame, backbone)
        with progress(self.verbose) as (on_plan, on_step):
            fitted = fit_members(
                backbone, settings, x, target, self._n_classes, self._seed(), on_plan=on_plan, on_step=on_step
            )
        self.adaptation_ = fitted.adaptation
        self.context_indices_ = fitted.order[: fitted.adaptation.n_context]
        self._members = fitted.members
        # Served context first, then the rows that longer contexts add.
        self._x, self._y = x[fitted.order], target[fitted.order]
        self._fingerprint = backbone.fingerprint
        self._serve(settings)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _check_table(self, X: Any, *, reset: bool) -> pd.DataFrame:
        """Return `X` as a frame whose columns agree with those at fit.

        Raises
        ------
        InputError
            For what is not a table, has no rows, repeats a column name, or has other columns than at fit.
        """
        try:
            if hasattr(X, "columns") and hasattr(X, "shape"):
                frame = as_frame(X)
                named = frame if all(isinstance(name, str) for name in frame.columns) else frame.to_numpy()
                validate_data(self, named, reset=reset, skip_check_array=True)
                if len(frame) == 0:
                    raise ValueError("Found array with 0 sample(s) while a minimum of 1 is required.")
            else:
                if isinstance(X, (list, tuple)):  # NumPy would turn numbers beside text into text
                    X = np.asarray(X, dtype=object) if _has_text(X) else X
                array = validate_data(self, X, reset=reset, dtype=None, ensure_all_finite=False)
                frame = as_frame(array)
        except InputError:
            raise
        except (TypeError, ValueError) as error:
            raise InputError(one_line(error)) from error
        return frame

    def _seed(self) -> np.random.SeedSequence:
        """Return the root seed: reproducible for an integer or a RandomState, fresh for None."""
        if self.random_state is None:
            return np.random.SeedSequence()
        if isinstance(self.random_state, numbers.Integral):
            return np.random.SeedSequence(int(self.random_state))
        if isinstance(self.random_state, np.random.Generator):
            return np.random.SeedSequence(int(self.random_state.integers(2**31)))
        return np.random.SeedSequence(int(check_random_state(self.random_state).randint(2**31 - 1)))

    def _encode_fit(self, frame: pd.DataFrame, backbone: Backbone) -> NDArray[np.float64]:
        """Learn column kinds and scaling, and return the scaled rows."""
        encoder = ColumnEncoder()
        if frame.shape[1] > backbone.max_features:
            raise InputError(
                sentence(
                    f"{frame.shape[1]:,} columns",
                    expected=f"at most {backbone.max_features}",
                    why=f"the {backbone.name} model attends over all columns of a row",
                    remedy="Select columns first, for example with sklearn.feature_selection.SelectKBest",
                )
            )
        numbers = encoder.fit_transform(frame)
        self._encoder = encoder
        self._scaler = backbone.fit_scaler(numbers)
        return self._scaler.transform(numbers)

    def _encode(self, X: Any) -> NDArray[np.float64]:
        """Return new rows, checked against fit, scaled."""
        check_is_fitted(self, "adaptation_")
        frame = self._check_table(X, reset=False)
        return self._scaler.transform(self._encoder.transform(frame))

    def _serve(self, settings: Settings) -> None:
        """Merge each member's adapter into a private copy of the base, in the dtype of predictions."""
        spec = AdapterSpec(settings.adapt, settings.rank)
        frozen = None
        served = []
        for member in self._members:
            module = frozen
            if module is None or member.state is not None:
                module = self._frozen_module(settings)
                if member.state is None:
                    frozen = module
                else:
                    merge(module, member.state, spec)
            served.append(module.requires_grad_(False))
        self._served = served

    def _frozen_module(self, settings: Settings) -> Any:
        backbone = load_backbone(self.backbone, self._task)
        return backbone.new_module().to(device=settings.device, dtype=settings.predict_dtype)

    def _predict_at(
        self, X: Any, n_context: int | None = None, *, adapted: bool = True
    ) -> NDArray[np.float64]:
        """Answers ``(q, K)`` averaged over members, for the served context or the first `n_context` rows.

        Raises
        ------
        InputError
            When the columns are not those of fit, or that many context rows are not there.
        """
        x = self._encode(X)
        n_context = self.adaptation_.n_context if n_context is None else n_context
        least = max(1, self._n_classes)
        if not least <= n_context <= len(self._y):
            raise InputError(
                sentence(
                    f"n_context={n_context}", expected=f"{least} to {len(self._y)}, the rows that are at hand"
                )
            )
        members, modules = self._members, self._served
        if not adapted:
            module = self._frozen_module(check_settings(self.get_params(deep=False)))
            # Adapters of one member share its columns and codes: without them it is one view of the table.
            views = {(m.columns.tobytes(), m.codes.tobytes()): Member(m.columns, m.codes) for m in members}
            members = tuple(views.values())
            modules = [module] * len(members)
        backbone = load_backbone(self.backbone, self._task)
        context = (self._x[:n_context], self._y[:n_context])
        answers = (
            self._answer(
                member_outputs(backbone.learner(module, self._n_classes), member, context, x), member
            )
            for member, module in zip(members, modules, strict=True)
        )
        return sum(answers, start=np.zeros(())) / len(members)

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
