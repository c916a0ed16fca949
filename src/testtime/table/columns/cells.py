"""One column, whatever it came as, in one of three forms: numbers, times or words.

Words are kept once each, with a code per row, so that every rule about messy text looks at different values only.
"""

# pyright: reportAttributeAccessIssue=false
# (pyarrow.compute makes its functions when it is imported)

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from testtime.errors import InputError, sentence
from testtime.table.columns.typed import text_of_frame, text_of_values, were_numbers

__all__ = ["Cells", "NumberCells", "TimeCells", "WordCells", "as_words", "composed", "read_cells", "spell"]

NOTHING = pa.array(
    ["", "?", "NA", "N/A", "n/a", "#N/A", "<NA>", "nan", "NaN", "NAN", "null", "NULL", "Null", r"\N"],
    pa.large_string(),
)
"""Words that are no value in a column of any kind."""

_STRUCTURES = (complex, np.complexfloating, list, dict, set, frozenset, tuple, np.ndarray, bytes, bytearray)
_NUMERIC = {"integer", "floating", "mixed-integer-float", "boolean", "decimal"}
_EXACT, _LARGEST = 2**53, 2**1023
"""float64 holds every whole number up to the first, and none beyond twice the other."""
_TICKS_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}


@dataclass(frozen=True)
class NumberCells:
    """Numbers, truth values (0 and 1) or durations (seconds); NaN is missing.

    `too_large` counts the integers that no float64 can hold; they are missing. `truth` tells truth values.
    """

    values: NDArray[np.float64]
    too_large: int = 0
    truth: bool = False

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether each cell holds no value."""
        return np.isnan(self.values)

    def take(self, rows: NDArray[np.int64]) -> NumberCells:
        """Return some rows."""
        return NumberCells(self.values[rows], truth=self.truth)


@dataclass(frozen=True)
class TimeCells:
    """Points in time as ``datetime64[us]`` in UTC; NaT is missing. `zoned` tells whether they had a time zone."""

    values: NDArray[np.datetime64]
    zoned: bool = False

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether each cell holds no value."""
        return np.isnat(self.values)

    def take(self, rows: NDArray[np.int64]) -> TimeCells:
        """Return some rows."""
        return TimeCells(self.values[rows], self.zoned)


@dataclass(frozen=True)
class WordCells:
    """Text: trimmed, null for missing.

    `order` is "ordinal" or "nominal" when a pandas type declares levels. `typed` is None unless number cells are among
    the text, as in a spreadsheet; it is then the text that looks like one of them and is none.
    """

    text: pa.Array  # large_string, or a dictionary of them
    order: str = ""
    typed: tuple[str, ...] | None = None

    @cached_property
    def _dictionary(self) -> pa.DictionaryArray:
        return self.text if pa.types.is_dictionary(self.text.type) else self.text.dictionary_encode()

    @property
    def words(self) -> pa.Array:
        """The different words."""
        return self._dictionary.dictionary

    @cached_property
    def codes(self) -> NDArray[np.int64]:
        """Position in `words` of each row, ``len(words)`` for missing."""
        return (
            self._dictionary.indices.fill_null(len(self.words))
            .to_numpy(zero_copy_only=False)
            .astype(np.int64)
        )

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """Number of rows of each word."""
        return np.bincount(self.codes, minlength=len(self.words) + 1)[:-1]

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Whether each cell holds no value."""
        return self.codes == len(self.words)

    @cached_property
    def were_numbers(self) -> NDArray[np.bool_]:
        """Which of `words` spell number cells."""
        return were_numbers(self.words, self.typed)

    def take(self, rows: NDArray[np.int64]) -> WordCells:
        """Return some rows."""
        return WordCells(self.text.take(pa.array(rows)), self.order, self.typed)

    def sample(self, most: int) -> WordCells:
        """Return rows at even distances, `most` of them or all."""
        if len(self.text) <= most:
            return self
        rows = np.linspace(0, len(self.text) - 1, most).astype(np.int64)
        return WordCells(self.text.take(pa.array(rows)), typed=self.typed)

    def spread(self, of_words: NDArray[Any], missing: Any) -> NDArray[Any]:
        """Give each row what was found for its word."""
        return np.append(of_words, np.array([missing], dtype=of_words.dtype))[self.codes]


Cells: TypeAlias = NumberCells | TimeCells | WordCells


def read_cells(values: pd.Series, name: str) -> Cells:
    """Read a column of pandas into one of the three forms.

    Raises
    ------
    InputError
        When a cell holds a list, complex number or the like, or text that is no Unicode.
    """
    dtype = values.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        return _from_categories(values, name)
    if isinstance(dtype, pd.ArrowDtype):
        return _from_arrow(_one_piece(pa.array(values)), name)
    if isinstance(dtype, pd.PeriodDtype):
        return _times(values.dt.to_timestamp())
    if pd.api.types.is_datetime64_any_dtype(dtype):
        return _times(values)
    if pd.api.types.is_timedelta64_dtype(dtype):
        # In seconds whatever the unit: the same file read by another library may come in another one.
        ticks = values.astype("int64").to_numpy(np.float64) / _TICKS_PER_SECOND[values.dt.unit]
        return NumberCells(np.where(values.isna(), np.nan, ticks))
    if pd.api.types.is_complex_dtype(dtype):
        raise _structure(values.iloc[0], name)
    if pd.api.types.is_numeric_dtype(dtype):  # truth values among them
        if pd.api.types.is_integer_dtype(dtype) and _inexact(values):
            return _spelled(values.astype(object), name)
        truth = pd.api.types.is_bool_dtype(dtype)
        return NumberCells(values.to_numpy(dtype=np.float64, na_value=np.nan), truth=truth)
    if isinstance(dtype, pd.StringDtype):
        return replace(_from_text(values, name), typed=text_of_frame(values))
    if pd.api.types.is_object_dtype(dtype):
        return _from_objects(values, name)
    return _spelled(values.astype(object), name)  # intervals and what else pandas may come to have


def as_words(cells: Cells) -> WordCells:
    """Spell numbers and times, so that they can be matched with the words of another table."""
    if isinstance(cells, WordCells):
        return cells
    values = cells.values
    codes, distinct = pd.factorize(values)
    words = (
        [spell(value, "") for value in distinct.tolist()]
        if isinstance(cells, NumberCells)
        else [str(value).replace("T00:00:00.000000", "") for value in distinct]
    )
    return _coded(codes, words)


def spell(value: Any, name: str) -> str:
    """Write a value as a file would: ``1.0`` as "1", dates in ISO form.

    Raises
    ------
    InputError
        For lists, complex numbers and other cells that hold no single value.
    """
    if isinstance(value, np.generic) and not isinstance(value, np.complexfloating):
        value = value.item()
    if isinstance(value, _STRUCTURES):
        raise _structure(value, name)
    if isinstance(value, Decimal):
        value = float(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 1024:
        return "-1e999" if value < 0 else "1e999"  # Python refuses to spell thousands of digits
    if isinstance(value, (dt.date, dt.datetime)):
        return value.isoformat().removesuffix("T00:00:00")
    return str(value).strip()


def composed(text: pa.Array) -> pa.Array:
    """Write letters with their accents in one way: macOS has them apart in names of files, others as one character.

    >>> composed(pa.array(["Cafe\u0301"])).to_pylist() == ["Caf\u00e9"]
    True
    """
    if pc.all(pc.string_is_ascii(text)).as_py() is not False:
        return text
    # Not with utf8_normalize, whose NFC takes characters apart in pyarrow 18.
    encoded = text.dictionary_encode()
    words = [
        word if word is None else unicodedata.normalize("NFC", word)
        for word in encoded.dictionary.to_pylist()
    ]
    return pa.array(words, text.type).take(encoded.indices)


def _one_piece(array: pa.Array | pa.ChunkedArray) -> pa.Array:
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def _trimmed(text: pa.Array, order: str = "") -> WordCells:
    text = composed(pc.utf8_trim_whitespace(text.cast(pa.large_string())))
    nothing = pc.is_in(text, value_set=NOTHING)
    return WordCells(pc.if_else(nothing, pa.scalar(None, pa.large_string()), text), order)


def _coded(codes: NDArray[np.int64], words: Sequence[str], order: str = "") -> WordCells:
    """Build words from codes, -1 for missing; words that are nothing, or equal once trimmed, are put in order."""
    trimmed = _trimmed(pa.array(words, pa.large_string()))
    again = trimmed.text.dictionary_encode()  # words that differed by blanks only are one
    lookup = again.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    codes = np.append(lookup, -1)[codes]
    indices = pa.array(codes, pa.int64(), mask=codes < 0)
    return WordCells(pa.DictionaryArray.from_arrays(indices, again.dictionary), order)


def _from_categories(values: pd.Series, name: str) -> WordCells:
    order = "ordinal" if values.cat.ordered else "nominal"
    words = [spell(level, name) for level in values.cat.categories]
    return _coded(values.cat.codes.to_numpy(np.int64), _checked(words, name), order)


def _from_text(values: pd.Series, name: str) -> WordCells:
    try:
        return _trimmed(_one_piece(pa.array(values, pa.large_string(), from_pandas=True)))
    except UnicodeEncodeError as error:
        raise _no_unicode(error, name) from error


def _checked(words: list[str], name: str) -> list[str]:
    try:
        "".join(words).encode()
    except UnicodeEncodeError as error:
        raise _no_unicode(error, name) from error
    return words


def _from_objects(values: pd.Series, name: str) -> Cells:
    found = pd.api.types.infer_dtype(values, skipna=True)
    if found == "string":
        return replace(_from_text(values, name), typed=text_of_frame(values))
    if found == "empty":
        return NumberCells(np.full(len(values), np.nan))
    if found in _NUMERIC:
        if found == "integer" and _inexact(values):
            return _spelled(values, name)
        try:
            numbers = values.where(values.notna(), np.nan).to_numpy().astype(np.float64)
            return NumberCells(numbers, truth=found == "boolean")
        except OverflowError:
            numbers = np.array([_bounded(value) for value in values])
            return NumberCells(numbers, int((np.isnan(numbers) & values.notna().to_numpy()).sum()))
    if found in ("date", "datetime", "datetime64"):
        zoned = any(getattr(value, "tzinfo", None) is not None for value in values.dropna())
        times = _times(pd.to_datetime(values, utc=True, errors="coerce", format="mixed"))
        return TimeCells(times.values, zoned)
    if found == "timedelta":
        return read_cells(pd.to_timedelta(values), name)
    return _spelled(values, name)


def _inexact(values: pd.Series) -> bool:
    """Tell whether whole numbers, as keys are, are so large that float64 may make two of them one."""
    present = values.dropna()
    return len(present) > 0 and _EXACT < max(-int(present.min()), int(present.max())) < _LARGEST


def _bounded(value: Any) -> float:
    try:
        return np.nan if pd.isna(value) else float(value)
    except OverflowError:
        return np.nan


def _spelled(values: pd.Series, name: str) -> WordCells:
    objects = values.to_numpy(dtype=object)
    try:
        codes, distinct = pd.factorize(objects)
    except TypeError:  # what cannot be hashed is no value
        raise _structure(next(v for v in objects if isinstance(v, _STRUCTURES)), name) from None
    words = _checked([spell(value, name) for value in distinct], name)
    return replace(_coded(codes, words), typed=text_of_values(distinct))


def _times(values: pd.Series) -> TimeCells:
    zoned = getattr(values.dt, "tz", None) is not None
    if zoned:
        values = values.dt.tz_convert("UTC").dt.tz_localize(None)
    return TimeCells(values.to_numpy().astype("datetime64[us]"), zoned)


def _from_arrow(array: pa.Array, name: str) -> Cells:
    kind = array.type
    if pa.types.is_dictionary(kind):
        return _from_categories(array.to_pandas(), name)
    if array.null_count == len(array):  # whatever the type says, lists among them
        return NumberCells(np.full(len(array), np.nan))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return _trimmed(array)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        if pa.types.is_date64(kind):
            array = array.cast(pa.timestamp("ms"))
        return TimeCells(
            array.cast(pa.timestamp("us"), safe=False)
            .to_numpy(zero_copy_only=False)
            .astype("datetime64[us]"),
            pa.types.is_timestamp(kind) and kind.tz is not None,
        )
    if pa.types.is_boolean(kind):
        array = array.cast(pa.int8())
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        ticks = array.cast(pa.int32() if pa.types.is_time32(kind) else pa.int64()).cast(
            pa.float64(), safe=False
        )
        return NumberCells(ticks.to_numpy(zero_copy_only=False) / _TICKS_PER_SECOND[kind.unit])
    if pa.types.is_integer(array.type) and _inexact(whole := array.to_pandas(types_mapper=pd.ArrowDtype)):
        return _spelled(whole.astype(object), name)
    if pa.types.is_integer(array.type) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return NumberCells(numbers, truth=pa.types.is_boolean(kind))
    raise _structure(array.drop_null()[0].as_py(), name)


def _structure(value: Any, name: str) -> InputError:
    shown = repr(value)
    coded = isinstance(value, (bytes, bytearray))
    return InputError(
        sentence(
            f"column {name!r} holds {shown[:80] + ' ...' if len(shown) > 80 else shown}, a {type(value).__name__}",
            expected="a number, a text or a missing value in each cell",
            remedy="Decode it, as with .str.decode('utf-8'), if it is text"
            if coded
            else "Split it into columns of its own",
        )
    )


def _no_unicode(error: UnicodeEncodeError, name: str) -> InputError:
    bad = error.object[error.start : error.start + 1]
    return InputError(
        sentence(
            f"column {name!r} holds the character {bad!r}, half of a pair",
            expected="text that is valid Unicode",
            why="it can be neither compared nor saved",
            remedy="Decode the text again with errors='replace'",
        )
    )
