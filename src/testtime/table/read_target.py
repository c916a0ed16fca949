"""What ``fit`` accepts as a target, and what it says about one that cannot be used."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from testtime.backbones.scaling import TargetScaler
from testtime.errors import InputError, sentence
from testtime.table.columns import DataWarning
from testtime.table.columns.cells import NumberCells
from testtime.table.columns.words.dates import are_compact
from testtime.table.target import ClassTarget, NumericTarget

__all__ = ["MOST_CODES", "class_target", "numeric_target", "one_line", "with_inferred_type"]

MOST_CODES = 10
"""Different whole numbers that are taken for codes of classes; more of them are numbers, if nothing else is asked."""

_FEW_ROWS = 20  # of which most may have a class of their own without a word


def one_line(error: Exception, most: int = 300) -> str:
    """Return the text of another library's error as one line; long ones lose their middle."""
    text = " ".join(str(error).split())
    return text if len(text) <= most else f"{text[: most // 2]} ... {text[-most // 2 :]}"


def class_target(y: Any, n_rows: int, max_classes: int) -> tuple[ClassTarget, NDArray[np.int64]]:
    """Return the class labels and the code of each row.

    Parameters
    ----------
    y
        Labels as given to ``fit``.
    n_rows
        Rows of the table.
    max_classes
        Limit.

    Raises
    ------
    InputError
        Naming the offending value and what to do.
    """
    labels = _vector(y, n_rows, "classifier", "label", "class")
    if labels.dtype.kind in "mM":
        got = f"the target holds times ({labels.dtype})"
        raise InputError(sentence(got, expected="classes", remedy="Convert them to text, or bin them first"))
    texts = [label for label in labels.tolist() if isinstance(label, str)] if labels.dtype == object else []
    if 0 < len(texts) < len(labels):
        raise InputError(
            sentence(
                f"the target mixes text such as {texts[0]!r} with labels of other types",
                expected="labels of one type",
                remedy="Convert them to text",
            )
        )
    try:
        with warnings.catch_warnings():  # what it says of many classes is said below
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)
            check_classification_targets(labels)
        classes, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    except (TypeError, ValueError) as error:
        raise InputError(one_line(error)) from error
    if len(classes) < 2:
        raise InputError(
            sentence(
                f"the target has 1 class, {classes.tolist()[0]!r}, in {len(labels):,} rows",
                expected="at least two classes",
                why="there is nothing to tell apart",
            )
        )
    if len(classes) > max_classes:
        raise InputError(
            sentence(
                f"the target has {len(classes):,} classes",
                expected=f"at most {max_classes}",
                why="each needs rows in every context",
                remedy="Merge rare classes; for a numeric target, use TTTRegressor or bin it first",
            )
        )
    if len(labels) > _FEW_ROWS and len(classes) == len(labels):
        are_texts = labels.dtype.kind in "OUS"
        raise InputError(
            sentence(
                f"the target has a class of its own in each of {len(labels):,} rows, such as {classes.tolist()[0]!r}",
                expected="classes of which several have two rows or more",
                why="nothing can be learned of a class from rows of others",
                remedy="Choose another column, such as one that says of what kind each row is"
                if are_texts
                else "Use TTTRegressor (--task regress) if they are numbers",
            )
        )
    alike: dict[str, list[str]] = {}
    for label in classes.tolist():
        alike.setdefault(str(label).strip().casefold(), []).append(repr(label))
    same = next((labels for labels in alike.values() if len(labels) > 1), None)
    if same is not None:
        warnings.warn(
            f"The classes {', '.join(same)} differ in case or blanks only and are kept apart; write them in one way "
            "if they are one.",
            DataWarning,
            stacklevel=5,
        )
    single = [str(label) for label in classes[counts < 2]]
    if single:
        warnings.warn(
            f"Classes with a single row are kept in the context and can be neither trained on nor guarded: "
            f"{', '.join(map(repr, single[:5]))}. Merge or drop them.",
            DataWarning,
            stacklevel=5,
        )
    if len(labels) > _FEW_ROWS and 2 * len(classes) > len(labels):
        advice = "" if labels.dtype.kind in "OUS" else " Use TTTRegressor (--task regress) if it is a number."
        warnings.warn(
            f"The target has {len(classes):,} classes in {len(labels):,} rows, with hardly a row to learn each "
            f"from.{advice}",
            DataWarning,
            stacklevel=5,
        )
    return ClassTarget(classes), codes.astype(np.int64)


def numeric_target(y: Any, n_rows: int) -> tuple[NumericTarget, NDArray[np.float64]]:
    """Return the scaling of a numeric target and its standardised values.

    Parameters
    ----------
    y
        Numbers as given to ``fit``.
    n_rows
        Rows of the table.

    Raises
    ------
    InputError
        Naming the offending value and what to do.
    """
    values = _numbers(_vector(y, n_rows, "regressor", "number", "number"))
    infinite = ~np.isfinite(values)
    if infinite.any():
        raise InputError(
            sentence(
                f"the target contains infinity in {int(infinite.sum()):,} of {len(values):,} rows (the first is row "
                f"{int(np.flatnonzero(infinite)[0])})",
                expected="a finite number in every row",
                remedy="Correct or drop these rows",
            )
        )
    if len(values) < 2:
        raise InputError(
            sentence(
                f"the table has 1 sample, with the target {values[0]:.15g}",
                expected="at least two rows",
                why="one value says nothing about the spread of the others",
                remedy="Add rows",
            )
        )
    # All rows of fit, not those of one context: the model standardises every context by itself, as in pretraining, so
    # this scale only sets the unit of losses ("standard deviations of the target") and keeps float32 in range.
    scaler = TargetScaler.fit(values)
    if scaler.scale == 0 or values.min() == values.max():
        raise InputError(
            sentence(
                f"the target is {values[0]:.15g} in all {len(values):,} rows",
                expected="at least two different numbers",
                why="there is nothing to predict",
            )
        )
    if not np.isfinite(scaler.scale):
        raise InputError(
            sentence(
                f"the target ranges from {values.min():.15g} to {values.max():.15g}",
                expected="a range that float64 holds",
                remedy="Divide it by a constant",
            )
        )
    if are_compact(NumberCells(values)):
        warnings.warn(
            f"The target holds numbers such as {values[0]:.15g}, which look like dates and are predicted as plain "
            "numbers: the last day of a year is then thousands before the first of the next. Write them as days since "
            "the first one if they are dates.",
            DataWarning,
            stacklevel=5,
        )
    return NumericTarget(scaler), scaler.transform(values)


def _vector(y: Any, n_rows: int, estimator: str, one: str, kind: str) -> NDArray[Any]:
    """Return a target without missing values as a vector: truth values, numbers, times, text or objects."""
    if y is None:
        raise InputError(
            f"This {estimator} requires y to be passed, but the target y is None. Pass the {one}s."
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
                    expected=f"a {kind} in every row",
                    remedy="Drop these rows",
                )
            )
        if (
            isinstance(y, pd.DataFrame)
            and y.shape[1] == 1
            and pd.api.types.is_extension_array_dtype(y.dtypes.iloc[0])
        ):
            y = y.iloc[:, 0]
        if isinstance(y, (pd.Series, pd.Index, pd.api.extensions.ExtensionArray)) and (
            pd.api.types.is_extension_array_dtype(y.dtype)
        ):
            y = y.to_numpy(dtype=object)  # NumPy would make floats of nullable integers and truth values
        vector = column_or_1d(y, warn=True)
    except InputError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(one_line(error)) from error
    if len(vector) != n_rows:
        raise InputError(
            sentence(f"X has {n_rows:,} rows and y has {len(vector):,}", expected=f"one {one} per row")
        )
    return with_inferred_type(vector).to_numpy() if vector.dtype == object else vector


def with_inferred_type(values: NDArray[Any]) -> pd.Series:
    """Return numbers, times and truth values among objects as such; what is of no one type stays objects.

    Raises
    ------
    InputError
        For text with half of a surrogate pair, which cannot be written as UTF-8.
    """
    try:
        column = pd.Series(values)
    except UnicodeEncodeError as error:
        raise InputError(
            sentence(
                f"the target holds the text {error.object[:60]!a}",
                expected="text that can be written as UTF-8",
                why="it holds half of a surrogate pair, as damaged text does",
                remedy="Read the file in the encoding it was written in",
            )
        ) from None
    try:
        return column.infer_objects()
    except OverflowError:  # pandas before 3 fails at whole numbers beyond floats
        return column


def _numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers and truth values as float64.

    Raises
    ------
    InputError
        For text, times and whatever else is no real number.
    """
    if values.dtype.kind in "biuf":
        return values.astype(np.float64)
    remedy = "Convert it to numbers, or use TTTClassifier for classes"
    if values.dtype.kind in "mM":
        got = f"the target holds times ({values.dtype})"
    elif values.dtype.kind == "c":
        got = f"the target holds complex numbers such as {values[0]}"
    else:
        numbers = []
        for value in values.tolist():  # decimals, fractions and mixtures of number types are numbers as well
            try:
                numbers.append(math.nan if isinstance(value, str) else float(value))
            except (TypeError, ValueError, OverflowError):
                numbers.append(math.nan)
            if math.isnan(numbers[-1]):  # missing values were refused before
                got = f"the target holds {str(value)[:60]!r}"
                break
        else:
            return np.array(numbers)
    raise InputError(sentence(got, expected="a number in every row", remedy=remedy))
