"""Groups of one file are read as the file is written, also where the rows of a group alone would tell otherwise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from testtime import AdapterStore, TTTRegressor, adapt_groups
from testtime.scale.groups import Outcome

pytestmark = pytest.mark.filterwarnings("ignore::testtime.table.columns.DataWarning")


def prices() -> pd.DataFrame:
    """Decimal commas; the prices of one group have three decimals, which alone look like thousands."""
    rng = np.random.default_rng(0)
    price = np.concatenate([rng.uniform(1, 9, 80).round(3), rng.uniform(1, 9, 80).round(2)])
    spelled = [f"{one:.3f}" for one in price[:80]] + [f"{one:.2f}" for one in price[80:]]
    text = [one.replace(".", ",") for one in spelled]
    return pd.DataFrame(
        {"shop": ["a"] * 80 + ["b"] * 80, "price": text, "x": rng.normal(size=160), "y": 10 * price}
    )


def dates() -> pd.DataFrame:
    """The day comes first; those of one group are up to twelve, which alone may be months."""
    rng = np.random.default_rng(1)
    day = np.concatenate([rng.integers(1, 13, 80), rng.integers(1, 29, 80)])
    month = rng.integers(1, 13, 160)
    when = [f"{one:02d}/{other:02d}/2024" for one, other in zip(day, month, strict=True)]
    return pd.DataFrame(
        {"shop": ["a"] * 80 + ["b"] * 80, "when": when, "x": rng.normal(size=160), "y": 1.0 * month}
    )


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize(("table", "column"), [(prices, "price"), (dates, "when")])
def test_what_a_group_does_not_tell_the_file_tells(tmp_path, tiny_embedded, table, column, together):
    frame = table()
    estimator = TTTRegressor(n_steps="auto" if together else 0)
    run = {
        "target": "y",
        "by": "shop",
        "store": tmp_path / "store",
        "estimator": estimator,
        "together": together,
    }
    assert not adapt_groups(frame, **run).failed
    store = AdapterStore(tmp_path / "store")
    read = [store.load(name)._table.encoding.columns for name in ("a", "b", "(shared)")]
    new = frame.drop(columns=["shop", "y"]).iloc[75:85]
    first, *others = (columns.transform(new).x[:, 0] for columns in read)
    assert len(np.unique(first)) > 5
    for one in others:
        np.testing.assert_array_equal(first, one)
    assert {group.outcome for group in adapt_groups(frame, **run)} == {Outcome.UNCHANGED}


def test_what_a_group_shows_itself_counts(tmp_path, tiny_embedded):
    frame = dates()
    own = frame["shop"].eq("a").to_numpy()
    frame.loc[own, "when"] = [
        f"{1 + k % 12:02d}/{13 + k % 15}/2024" for k in range(own.sum())
    ]  # the month first
    adapt_groups(frame, target="y", by="shop", store=tmp_path / "store", estimator=TTTRegressor(n_steps=0))
    columns = AdapterStore(tmp_path / "store").load("a")._table.encoding.columns
    assert "missing" not in " ".join(columns.notes)
    day = columns.transform(pd.DataFrame({"when": ["02/13/2024"], "x": [0.0]})).x[0, 0]
    assert day == (np.datetime64("2024-02-13") - np.datetime64("1970-01-01")).astype(int)
