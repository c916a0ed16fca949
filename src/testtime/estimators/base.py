"""What the estimators share: input checking, the encoded table, what is served."""

from __future__ import annotations

import numbers
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from testtime.backbones.base import Backbone
from testtime.errors import InputError, nearest, sentence
from testtime.estimators.columns import ColumnEncoder, as_frame

__all__ = ["TTTBase", "load_backbone"]

_BACKBONES = ("embedded",)


def load_backbone(name: Any) -> Backbone:
    """Return the backbone called `name`.

    Raises
    ------
    InputError
        For a name that is not known.
    """
    if name == "embedded":
        from testtime.backbones.embedded import load_embedded

        return load_embedded()
    raise InputError(
        sentence(
            f"backbone={name!r}",
            expected="one of " + ", ".join(map(repr, _BACKBONES)),
            remedy=nearest(str(name), _BACKBONES),
        )
    )


def one_line(error: Exception, most: int = 300) -> str:
    """Return the text of another library's error as one line; long ones lose their middle."""
    text = " ".join(str(error).split())
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def _has_text(rows: Any) -> bool:
    """Whether a list of rows holds a text anywhere."""
    return any(isinstance(value, str) for row in rows if isinstance(row, (list, tuple)) for value in row)


class TTTBase(BaseEstimator):
    """Checks inputs and turns tables into numbers; subclasses fit and predict."""

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
