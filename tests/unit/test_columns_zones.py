"""Times with a zone at prediction where fit had none, and the other way round: all are UTC, and it is said."""

import warnings

import numpy as np
import pandas as pd
import pytest

from testtime.table.columns import DataWarning, TableColumns

TIMES = pd.Series(pd.date_range("2024-01-01 10:30", periods=60, freq="37h"))
NAIVE = {
    "times": TIMES,
    "text": TIMES.dt.strftime("%Y-%m-%d %H:%M:%S"),
    "days": TIMES.dt.strftime("%Y-%m-%d"),
    "german": TIMES.dt.strftime("%d.%m.%Y %H:%M"),
    "American": TIMES.dt.strftime("%m/%d/%Y %I:%M %p"),
    "objects": TIMES.astype(object),
}
ZONED = {
    "times": TIMES.dt.tz_localize("Europe/Oslo"),
    "arrow": TIMES.dt.tz_localize("Europe/Oslo").astype("timestamp[us, tz=Europe/Oslo][pyarrow]"),
    "text": TIMES.dt.strftime("%Y-%m-%dT%H:%M:%S+01:00"),
    "UTC": TIMES.dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
    "names": TIMES.dt.strftime("%Y-%m-%d %H:%M CET"),
    "objects": TIMES.dt.tz_localize("Europe/Oslo").astype(object),
}


def frame(times: pd.Series) -> pd.DataFrame:
    return pd.DataFrame({"when": times, "other": np.arange(len(times)) ** 2 % 31.0})


def told(fit: pd.Series, new: pd.Series) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        columns = TableColumns().fit(frame(fit))
        columns = TableColumns.from_state(columns.to_state())
        caught.clear()
        columns.transform(frame(new))
    return [
        str(one.message)
        for one in caught
        if issubclass(one.category, DataWarning) and "zone" in str(one.message)
    ]


@pytest.mark.parametrize("zoned", ZONED)
@pytest.mark.parametrize("naive", NAIVE)
def test_another_manner_is_told_of_and_the_same_is_not(naive: str, zoned: str):
    (said,) = told(NAIVE[naive], ZONED[zoned])
    assert said.startswith(
        "Times of column 'when' have a time zone, and had none at fit: all are read in UTC"
    )
    (said,) = told(ZONED[zoned], NAIVE[naive])
    assert said.startswith(
        "Times of column 'when' have no time zone, and had one at fit: all are read in UTC"
    )
    assert told(NAIVE[naive], NAIVE["text"]) == told(ZONED[zoned], ZONED["UTC"]) == []


def test_a_zone_is_converted_and_none_is_utc():
    columns = TableColumns().fit(frame(NAIVE["text"]))
    new = pd.DataFrame(
        {"when": ["2024-03-01 12:00", "2024-03-01T13:00+01:00", "2024-03-01T12:00Z"], "other": 1.0}
    )
    with pytest.warns(DataWarning, match="as if they were UTC"):
        days = columns.transform(new).x[:, 0]
    assert len(set(days.tolist())) == 1
