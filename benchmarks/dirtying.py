"""Ways in which tables come that differ from how libraries want them; each keeps what the table says."""

from __future__ import annotations

import bz2
import gzip
import lzma
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

__all__ = ["WAYS", "Way"]

TARGET = "target"
Dirty = Callable[[pd.DataFrame, np.random.Generator, bool], pd.DataFrame]


@dataclass(frozen=True)
class Way:
    """A way to dirty a table.

    Attributes
    ----------
    dirty
        Changes a frame; the last argument tells whether it is the test half, which may come written differently.
    write
        Writes it to a file.
    """

    dirty: Dirty
    write: Callable[[pd.DataFrame, Path], None]


def _numeric(frame: pd.DataFrame) -> list[str]:
    return [name for name in frame if pd.api.types.is_numeric_dtype(frame[name].dtype)]


def _text(frame: pd.DataFrame) -> pd.DataFrame:
    """Write every cell as a program would; missing stays missing."""
    return frame.apply(
        lambda column: column.astype(object).where(column.notna()).map(_spell, na_action="ignore")
    )


def _spell(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _cells(change: Callable[[float], str]) -> Dirty:
    """Write every number in some dress."""

    def dirty(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
        text = _text(frame)
        for name in _numeric(frame):
            text[name] = frame[name].astype(float).map(change, na_action="ignore")
        return text

    return dirty


def _words(words: list[str], share: float) -> Dirty:
    """Replace some numbers by words."""

    def dirty(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
        text = _text(frame)
        for name in _numeric(frame):
            gone = rng.random(len(frame)) < share
            text.loc[gone, name] = rng.choice(words, gone.sum())
        return text

    return dirty


def _days(form: str, form_later: str | None = None) -> Dirty:
    """Make a date of every number: the days keep its order, and its distances where it has few values."""

    def dirty(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
        text = _text(frame)
        for name in _numeric(frame):
            values = frame[name].astype(float)
            days = pd.Timestamp("2010-01-01") + pd.to_timedelta(_day_numbers(name, values), unit="D")
            text[name] = pd.Series(days).dt.strftime(form_later if later and form_later else form)
        return text

    return dirty


def _day_numbers(name: str, values: pd.Series) -> np.ndarray:
    """Whole days: a number as it is if that is possible, else ten thousandths of a unit of its size."""
    size = 10.0 ** np.ceil(np.log10(max(values.abs().max(), 1e-300)))
    whole = bool((values.dropna() == values.dropna().round()).all()) and size <= 10_000
    return np.round(values if whole else values / size * 10_000).to_numpy()


def _added(make: Callable[[int, np.random.Generator], object], name: str, front: bool = False) -> Dirty:
    """Add a column that says nothing about new rows."""

    def dirty(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
        text = _text(frame)
        text.insert(0 if front else text.shape[1] - 1, name, make(len(frame), rng))
        return text

    return dirty


def _sorted_index(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
    """Sort by target and number the rows."""
    text = _text(frame).sort_values(TARGET, kind="stable", ignore_index=True)
    text.insert(0, "", range(len(text)))
    return text


def _two_levels(words: tuple[str, str], words_later: tuple[str, str]) -> Dirty:
    """Write columns of two levels in words for true and false."""

    def dirty(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
        text = _text(frame)
        for name in frame.columns.drop(TARGET):
            levels = _levels(frame[name])
            if len(levels) == 2:
                spoken = dict(zip(levels, words_later if later else words, strict=True))
                text[name] = frame[name].astype(object).map(spoken)
            elif pd.api.types.is_numeric_dtype(frame[name].dtype):
                median = frame[name].median()
                spoken = words_later if later else words
                text[f"{name} high"] = np.where(frame[name] > median, spoken[1], spoken[0])
        return text[[*text.columns.drop(TARGET), TARGET]]

    return dirty


def _levels(column: pd.Series) -> list[object]:
    return list(
        column.cat.categories
        if isinstance(column.dtype, pd.CategoricalDtype)
        else sorted(set(column.dropna()))
    )


def _to_levels(change: Callable[[str], str], change_later: Callable[[str], str] | None = None) -> Dirty:
    """Spell the levels of nominal columns in another way."""

    def dirty(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
        text = _text(frame)
        for name in text.columns.drop([*_numeric(frame), TARGET]):
            text[name] = text[name].map(
                change_later if later and change_later else change, na_action="ignore"
            )
        return text

    return dirty


def _present_or_blank(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
    """Write one of two levels as a blank."""
    text = _text(frame)
    for name in frame.columns.drop(TARGET):
        levels = _levels(frame[name])
        if len(levels) == 2:
            text[name] = np.where(frame[name].astype(object) == levels[0], "x", None)
    return text


def _plain(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
    return _text(frame)


def _typed(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
    return frame


def _permuted(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
    return _text(frame)[rng.permutation(frame.columns)] if later else _text(frame)


def _scaled(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
    return _text(frame.assign(**{name: frame[name] * 1e-19 for name in _numeric(frame)}))


def _spaced(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
    return (
        _text(frame)
        .map(lambda cell: f"  {cell} ", na_action="ignore")
        .rename(columns=lambda name: f" {name} ")
    )


def _repeated(frame: pd.DataFrame, rng: np.random.Generator, later: bool) -> pd.DataFrame:
    text = _text(frame)
    return text if later else pd.concat([text, text.sample(frac=0.2, random_state=int(rng.integers(2**31)))])


def _csv(
    separator: str = ",", encoding: str = "utf-8", end: str = "\n", before: str = "", after: str = ""
) -> Callable:
    def write(frame: pd.DataFrame, path: Path) -> None:
        text = frame.to_csv(index=False, sep=separator, lineterminator=after + "\n")
        path.write_bytes((before + text).replace("\n", end).encode(encoding))

    return write


def _packed(pack: Callable[[bytes], bytes]) -> Callable:
    def write(frame: pd.DataFrame, path: Path) -> None:
        path.write_bytes(pack(frame.to_csv(index=False).encode()))

    return write


def _zip(frame: pd.DataFrame, path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("table.csv", frame.to_csv(index=False))


def _excel(frame: pd.DataFrame, path: Path) -> None:
    with open(path, "wb") as stream:
        frame.to_excel(stream, index=False, engine="openpyxl")


def _euro(value: float) -> str:
    return f"{value:,.10f}".rstrip("0").rstrip(".").translate(str.maketrans(",.", ".,")) + " €"


def _parentheses(value: float) -> str:
    return f"({-value!r})" if value < 0 else repr(value)


def _uuids(n: int, rng: np.random.Generator) -> list[str]:
    return [str(uuid.UUID(bytes=rng.bytes(16))) for _ in range(n)]


def _remarks(n: int, rng: np.random.Generator) -> list[str]:
    said = [
        "the customer",
        "our office",
        "nobody",
        "a neighbour",
        "called twice",
        "was content",
        "sent a letter",
        "moved",
    ]
    return [" ".join(rng.choice(said, 6)) for _ in range(n)]


COMMA = _cells(lambda value: repr(value).replace(".", ","))
WAYS: dict[str, Way] = {
    "clean": Way(_plain, _csv()),
    "dash in 0.5% of numbers": Way(_words(["-"], 0.005), _csv()),
    "words in 2% of numbers": Way(_words(["unknown", "n.a.", ".", "None"], 0.02), _csv()),
    "other words in 1% of numbers": Way(_words(["see note", "broken"], 0.01), _csv()),
    "thousands separated": Way(_cells(lambda value: f"{value:,.6f}"), _csv()),
    "dollars": Way(_cells(lambda value: f"${value:,.6f}"), _csv()),
    "euros, decimal comma": Way(_cells(_euro), _csv(";")),
    "per cent": Way(_cells(lambda value: f"{value!r}%"), _csv()),
    "units": Way(_cells(lambda value: f"{value!r} kg"), _csv()),
    "accounting parentheses": Way(_cells(_parentheses), _csv()),
    "decimal comma, semicolon": Way(COMMA, _csv(";")),
    "decimal comma, tab": Way(COMMA, _csv("\t")),
    "vertical bar": Way(_plain, _csv("|")),
    "Windows-1252": Way(_to_levels(lambda level: f"{level} € ü"), _csv(encoding="cp1252")),
    "UTF-16": Way(_to_levels(lambda level: f"{level} € ü"), _csv(";", encoding="utf-16")),
    "byte order mark, CRLF": Way(_plain, _csv(encoding="utf-8-sig", end="\r\n")),
    "sep= line of Excel": Way(_plain, _csv(";", before="sep=;\n")),
    "title above the header": Way(_plain, _csv(before="Report of the year\n\n")),
    "trailing comma": Way(_plain, _csv(after=",")),
    "gzip": Way(_plain, _packed(gzip.compress)),
    "bz2": Way(_plain, _packed(bz2.compress)),
    "xz": Way(_plain, _packed(lzma.compress)),
    "zip": Way(_plain, _zip),
    "Excel": Way(_typed, _excel),
    "Parquet": Way(_typed, lambda frame, path: frame.to_parquet(path)),
    "Feather": Way(_typed, lambda frame, path: frame.to_feather(path)),
    "JSON lines": Way(_typed, lambda frame, path: frame.to_json(path, orient="records", lines=True)),
    "dates, day first": Way(_days("%d.%m.%Y"), _csv()),
    "dates, month first": Way(_days("%m/%d/%Y"), _csv()),
    "dates, ISO then Zulu": Way(_days("%Y-%m-%d", "%Y-%m-%dT00:00:00Z"), _csv()),
    "row numbers, sorted by target": Way(_sorted_index, _csv()),
    "UUID per row": Way(_added(_uuids, "key"), _csv()),
    "increasing id": Way(_added(lambda n, rng: np.cumsum(rng.integers(1, 9, n)), "id", front=True), _csv()),
    "constant and empty columns": Way(_added(lambda n, rng: ["same"] * n, "always"), _csv()),
    "free text": Way(_added(_remarks, "remark"), _csv()),
    "truth values spelled otherwise": Way(_two_levels(("False", "True"), ("no", "YES")), _csv()),
    "one level left blank": Way(_present_or_blank, _csv()),
    "levels in other case": Way(_to_levels(str, str.upper), _csv()),
    "columns in other order": Way(_permuted, _csv()),
    "blanks around cells": Way(_spaced, _csv()),
    "numbers of size 1e-19": Way(_scaled, _csv()),
    "rows twice": Way(_repeated, _csv()),
}
