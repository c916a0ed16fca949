"""What stands in text that is no level as a whole: parts of a code, words of titles and names, answers of a list.

``SHIRT-RED-M-417`` occurs once, and so do most names of persons, but ``RED`` and ``Mrs`` occur often. Where nearly all
texts of a column are built alike, each place in them is a part: a level or a number. Else the words that many rows have
are columns of 0 and 1. So are the answers of a question with several, ``Red wine;Blue cheese``, whose combinations may
repeat.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from testtime.table.columns.cells import Cells, WordCells, as_words
from testtime.table.columns.identity import like_a_counter, why_identity
from testtime.table.columns.kinds.base import Output, is_constant

__all__ = [
    "AnyParts",
    "CodeParts",
    "ListItems",
    "Parts",
    "TextWords",
    "find_beginnings",
    "find_items",
    "find_parts",
]

# No decimal sign is in 1.2.10 and 10.12.3.4.
_TOKEN = re.compile(r"(?<![\d.,])\d+[.,]\d+(?!\d*[.,]?\d)|\d+|[^\W\d_]+")
_LONGEST, _MOST_TOKENS = 2_000, 200  # characters of a text that are read, and tokens
_BUILT_ALIKE = 0.9  # share of the rows
_MOST_PLACES, _MOST_WORDS, _MOST_LEVELS = 8, 24, 1_000
_THOUSAND = 1000
_GROUPED = re.compile(r"[1-9]\d{0,2}[.,]\d{3}")
_REPEATED = 0.5  # levels per row, at most: others say nothing of other rows
_FEWEST, _FEWEST_SHARE = 5, 0.01  # rows that have a word, and as many that do not
_SEPARATORS = (";", "|", "\n", ",", "/")
_SEPARATED = 0.2  # of the texts are lists, at least
_MOST_RARE = 0.1  # of the items, at most, are in too few rows


class _Parts(BaseModel):
    """Columns that are made from the text of another one."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    said: ClassVar[str]

    source: str = Field(max_length=100_000)

    @property
    def names(self) -> list[str]:
        """Names of the columns for the model."""
        return [name for _, name, _, _ in self._of([])]

    def outputs(self, cells: Cells) -> list[Output]:
        """Return the columns for the model, of rows whose text is given."""
        words = as_words(cells)
        tokens = [self.apart(text) for text in words.words.to_pylist()]
        return [
            Output(words.spread(values, np.nan), name, kind, n_levels)
            for values, name, kind, n_levels in self._of(tokens)
        ]

    def apart(self, text: str) -> list[str]:
        """Take a text apart."""
        return _tokens(text)

    def _of(self, tokens: list[list[str]]) -> list[_Column]:
        raise NotImplementedError


_Column: TypeAlias = tuple[NDArray[np.float64], str, str, int]
"""Values of each different text, name, kind, number of levels."""


class _Place(BaseModel):
    """A place in a code; without levels it holds numbers, whose thousands the mark `grouped` separates, if any."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    at: int = Field(ge=0, lt=_MOST_PLACES)
    levels: list[str] = Field(default=[], max_length=_MOST_LEVELS)
    grouped: Literal["", ",", "."] = ""


class CodeParts(_Parts):
    """Places of texts that are built alike, such as ``C47.3`` or ``40x30x20 cm``; of other texts nothing is known.

    A text may end behind `least` places: what is not there is a level of its own, and no number.
    """

    said: ClassVar[str] = "parts"
    form: Literal["code"] = "code"
    shape: str = Field(pattern=f"^[nw]{{2,{_MOST_PLACES}}}$")
    least: int = Field(ge=2, le=_MOST_PLACES)
    places: list[_Place] = Field(min_length=1, max_length=_MOST_PLACES)

    @model_validator(mode="after")
    def _check(self) -> CodeParts:
        if self.least > len(self.shape) or max(place.at for place in self.places) >= len(self.shape):
            raise ValueError("its places are not those of its shape")
        return self

    def _of(self, tokens: list[list[str]]) -> list[_Column]:
        alike = [_fits(_shape(one), self.shape, self.least) for one in tokens]
        columns: list[_Column] = []
        for place in self.places:
            name = f"{self.source}: part {place.at + 1}"
            own = [_at(one, place.at) if fits else None for one, fits in zip(tokens, alike, strict=True)]
            if not place.levels:
                columns.append((_numbers(own, place.grouped), name, "number", 0))
                continue
            values = np.array([np.nan if one is None else _code(one, place.levels) for one in own])
            columns.append((values, name, "nominal", len(place.levels)))
        return columns


class TextWords(_Parts):
    """Whether words that many rows have are there, and how many there are in all."""

    said: ClassVar[str] = "words"
    form: Literal["words"] = "words"
    words: list[Annotated[str, Field(min_length=1, max_length=_LONGEST)]] = Field(
        min_length=1, max_length=_MOST_WORDS
    )
    counted: bool = False

    def _of(self, tokens: list[list[str]]) -> list[_Column]:
        sets = [set(one) for one in tokens]
        columns: list[_Column] = [
            (np.array([float(word in one) for one in sets]), f"{self.source}: {word!r}", "number", 0)
            for word in self.words
        ]
        if self.counted:
            n = np.array([float(len(one)) for one in tokens])
            columns.append((n, f"{self.source}: number of words", "number", 0))
        return columns


class ListItems(_Parts):
    """Whether an item is on a list."""

    said: ClassVar[str] = "items"
    form: Literal["items"] = "items"
    separator: Literal[";", "|", "\n", ",", "/"]
    items: list[Annotated[str, Field(min_length=1, max_length=_LONGEST)]] = Field(
        min_length=2, max_length=_MOST_WORDS
    )

    def apart(self, text: str) -> list[str]:
        """Take a list apart."""
        return _items(text, self.separator)

    def _of(self, tokens: list[list[str]]) -> list[_Column]:
        sets = [set(one) for one in tokens]
        return [
            (np.array([float(item in one) for one in sets]), f"{self.source}: {item!r}", "number", 0)
            for item in self.items
        ]


Parts: TypeAlias = CodeParts | TextWords | ListItems
AnyParts = Annotated[Parts, Field(discriminator="form")]


def find_items(cells: WordCells, source: str) -> ListItems | None:
    """Find the items of which the texts of a column are lists, or None.

    There are more different lists than items, and nearly all items are in several rows, so that names (``Smith,
    John``), addresses and numbers are no lists.

    >>> import pyarrow as pa
    >>> lists = ["Red wine;C++", "Red wine;Go", "C++", "Go;C++", "Red wine;C++;Go"]
    >>> find_items(WordCells(pa.array(lists * 10, pa.large_string())), "likes").items
    ['c++', 'go', 'red wine']
    """
    texts, counts = cells.words.to_pylist(), cells.counts.tolist()
    present = sum(counts)
    fewest = max(_FEWEST, _FEWEST_SHARE * present)
    for separator in _SEPARATORS:
        if sum(n for text, n in zip(texts, counts, strict=True) if separator in text) < _SEPARATED * present:
            continue
        rows = Counter[str]()
        lists = set[tuple[str, ...]]()
        for text, n in zip(texts, counts, strict=True):
            items = tuple(sorted(set(_items(text, separator)))) if n else ()
            rows.update(dict.fromkeys(items, n))
            lists.add(items)
        often = sorted(item for item, n in rows.items() if fewest <= n <= present - fewest)
        rare = sum(n for n in rows.values() if n < fewest)
        told = 1 < len(often) <= _MOST_WORDS and rare <= _MOST_RARE * rows.total() and len(lists) > len(rows)
        if told and not all(item[0].isdecimal() for item in often):
            return ListItems(source=source, separator=separator, items=often)
    return None


def find_parts(
    cells: WordCells, source: str, index: NDArray[np.int64] | None = None
) -> CodeParts | TextWords | None:
    """Find what the texts of a column have in common, or None.

    Parameters
    ----------
    cells, source
        The column and its name.
    index
        Position of each row in the table it was drawn from, if it was: a part that counts rows is none.

    >>> import pyarrow as pa
    >>> skus = [f"SHIRT-{color}-{size}" for color in ("RED", "BLUE") for size in range(30)]
    >>> find_parts(WordCells(pa.array(skus, pa.large_string())), "sku").shape
    'wwn'
    """
    tokens = [_tokens(text) for text in cells.words.to_pylist()]
    present = int(cells.counts.sum())
    if not present:
        return None
    shapes = Counter[str]()
    for one, count in zip(tokens, cells.counts.tolist(), strict=True):
        shapes[_shape(one)] += count
    shape, n_alike = shapes.most_common(1)[0]
    if n_alike >= _BUILT_ALIKE * present and len(shape) <= _MOST_PLACES:
        return _code_parts(cells, source, shape, len(shape), tokens, index) if len(shape) > 1 else None
    return _text_words(cells, source, tokens)


def find_beginnings(
    cells: WordCells, source: str, index: NDArray[np.int64] | None = None
) -> CodeParts | None:
    """Find the parts of texts of which some go on where others end, or None.

    Two shapes are nine in ten, neither is alone, and one begins as the other: ``v1.2.10`` and ``v1.2.10-beta``. The
    shorter one holds a number, and the same words in all texts: others are titles and addresses, of which words say
    more than places.

    >>> import pyarrow as pa
    >>> versions = [f"v1.{k % 7}.{k % 5}{'-beta' if k % 3 else ''}" for k in range(60)]
    >>> found = find_beginnings(WordCells(pa.array(versions, pa.large_string())), "version")
    >>> found.shape, found.least, found.places[-1].levels
    ('wnnnw', 4, ['', 'beta'])
    """
    tokens = [_tokens(text) for text in cells.words.to_pylist()]
    shapes = Counter[str]()
    for one, count in zip(tokens, cells.counts.tolist(), strict=True):
        shapes[_shape(one)] += count
    most = shapes.most_common(2)
    if len(most) < 2 or most[0][1] >= _BUILT_ALIKE * shapes.total():
        return None
    short, long = sorted((shape for shape, _ in most), key=len)
    fits = len(long) <= _MOST_PLACES and _fits(short, long, 2) and "n" in short
    alike = [one for one in tokens if _fits(_shape(one), long, len(short))]
    fits &= all(len({one[at] for one in alike}) == 1 for at, kind in enumerate(short) if kind == "w")
    if not fits or most[0][1] + most[1][1] < _BUILT_ALIKE * shapes.total():
        return None
    return _code_parts(cells, source, long, len(short), tokens, index)


def _code_parts(
    cells: WordCells,
    source: str,
    shape: str,
    least: int,
    tokens: list[list[str]],
    index: NDArray[np.int64] | None,
) -> CodeParts | None:
    alike = np.array([_fits(_shape(one), shape, least) for one in tokens])
    places: list[_Place] = []
    for at, kind in enumerate(shape):
        own = [_at(one, at) if fits else "" for one, fits in zip(tokens, alike, strict=True)]
        if kind == "n":
            grouped = _thousands(own)
            values = cells.spread(_numbers(own, grouped), np.nan)
            there = values[~np.isnan(values)]
            names_rows = why_identity(values, "part", index) or like_a_counter(there)
            if not is_constant(there) and not names_rows:
                places.append(_Place(at=at, grouped=grouped))
            continue
        rows = Counter[str]()
        for one, count in zip(own, cells.counts.tolist(), strict=True):
            rows[one] += count
        levels = sorted(level for level in rows if level or at >= least)
        if 1 < len(levels) <= min(_MOST_LEVELS, _REPEATED * rows.total()):
            places.append(_Place(at=at, levels=levels))
    return CodeParts(source=source, shape=shape, least=least, places=places) if places else None


def _text_words(cells: WordCells, source: str, tokens: list[list[str]]) -> TextWords | None:
    rows, counts = Counter[str](), cells.counts.tolist()
    for one, count in zip(tokens, counts, strict=True):
        rows.update(dict.fromkeys(one, count))
    present = sum(counts)
    fewest = max(_FEWEST, _FEWEST_SHARE * present)
    often = [word for word, n in rows.items() if fewest <= n <= present - fewest]
    often.sort(key=lambda word: (-rows[word], word))
    found: list[str] = []
    seen: set[bytes] = set()
    sets = [set(one) for one in tokens]
    for word in often:
        where = np.packbits([word in one for one in sets]).tobytes()
        if where not in seen:  # words that always occur together are one
            seen.add(where)
            found.append(word)
        if len(found) == _MOST_WORDS:
            break
    lengths = {len(one) for one in tokens}
    return TextWords(source=source, words=found, counted=len(lengths) > 1) if found else None


def _tokens(text: str) -> list[str]:
    """Return the numbers and words of a text, in lower case.

    >>> _tokens("Smith, Mrs. J. (C85)"), _tokens("1.5 x 30,25 cm"), _tokens("v1.2.10-beta")
    (['smith', 'mrs', 'j', 'c', '85'], ['1.5', 'x', '30,25', 'cm'], ['v', '1', '2', '10', 'beta'])
    """
    return _TOKEN.findall(text[:_LONGEST].lower())[:_MOST_TOKENS]


def _items(text: str, separator: str) -> list[str]:
    found = (item.strip().lower() for item in text[:_LONGEST].split(separator))
    return [item for item in found if item][:_MOST_TOKENS]


def _code(token: str, levels: list[str]) -> float:
    """Place of a token among sorted levels; between two of them if it is none, as in other columns of levels."""
    at = bisect_left(levels, token)
    return float(at) if at < len(levels) and levels[at] == token else at - 0.5


def _fits(own: str, shape: str, least: int) -> bool:
    """Whether a shape is the beginning of another one, of at least so many places."""
    return len(own) >= least and shape.startswith(own)


def _at(tokens: list[str], place: int) -> str:
    return tokens[place] if place < len(tokens) else ""


def _shape(tokens: list[str]) -> str:
    return "".join("n" if one[0].isdecimal() else "w" for one in tokens)


def _numbers(tokens: Sequence[str | None], grouped: str) -> NDArray[np.float64]:
    """Return the numbers of tokens, NaN for none."""
    return np.array([_number(one, grouped) if one else np.nan for one in tokens])


def _number(token: str, grouped: str) -> float:
    if grouped and _GROUPED.fullmatch(token):
        token = token.replace(grouped, "")
    value = float(token.replace(",", "."))
    return value if np.isfinite(value) else np.nan  # of more than 300 digits


def _thousands(tokens: Sequence[str]) -> Literal["", ",", "."]:
    """Return the mark that separates thousands: three digits follow each, and without one nothing reaches 1,000.

    >>> _thousands(["923", "1,020", "12,117"]), _thousands(["1.5", "1.020"]), _thousands(["1,020", "1500"])
    (',', '', '')
    """
    for mark in (",", "."):
        marked = [one for one in tokens if mark in one]
        plain = [one for one in tokens if one and one not in marked]
        if marked and plain and all(_GROUPED.fullmatch(one) for one in marked):
            return mark if all(one.isdecimal() and int(one[:5]) < _THOUSAND for one in plain) else ""
    return ""
