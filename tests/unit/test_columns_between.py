"""Days between two dates stand beside them where the dates do not show them."""

import numpy as np
import pandas as pd
import pytest

from testtime.errors import InputError
from testtime.table.columns import TableColumns
from testtime.table.columns.kinds.between import Between, between_dates

RNG = np.random.default_rng(0)
N = 200
ORDERED = pd.Timestamp("2018-03-01") + pd.to_timedelta(RNG.integers(0, 1500, N), unit="D")
GAP = RNG.integers(0, 30, N)
SHIPPED = ORDERED + pd.to_timedelta(GAP, unit="D")


def frame(**columns: pd.DatetimeIndex) -> pd.DataFrame:
    return pd.DataFrame({name: values.strftime("%Y-%m-%d") for name, values in columns.items()})


def between(encoded) -> list[str]:
    return [name for name in encoded.names if name.startswith("days from")]


class TestFound:
    def test_days_from_the_earlier_to_the_later_one(self):
        encoded = TableColumns().fit_transform(frame(shipped=SHIPPED, ordered=ORDERED))
        assert between(encoded) == ["days from ordered to shipped"]
        np.testing.assert_array_equal(encoded.x[:, -1], GAP)

    def test_the_record_of_the_later_one_says_so(self):
        columns = TableColumns().fit(frame(shipped=SHIPPED, ordered=ORDERED))
        assert columns.records[0].parsed.endswith("; days since 'ordered' beside it")
        assert "days since" not in columns.records[1].parsed

    def test_hours_count(self):
        pick_up = ORDERED + pd.to_timedelta(RNG.integers(0, 86_400, N), unit="s")
        drop_off = pick_up + pd.to_timedelta(60 * GAP, unit="s")
        encoded = TableColumns().fit_transform(pd.DataFrame({"up": pick_up, "off": drop_off}))
        assert between(encoded) == ["days from up to off"]
        np.testing.assert_allclose(encoded.x[:, -1] * 1440, GAP, atol=1e-6)

    def test_of_dates_in_turn_neighbours(self):
        later = SHIPPED + pd.to_timedelta(RNG.integers(2, 20, N), unit="D")
        encoded = TableColumns().fit_transform(frame(ordered=ORDERED, paid=later, shipped=SHIPPED))
        assert between(encoded) == ["days from shipped to paid", "days from ordered to shipped"]

    def test_missing_where_one_of_them_is(self):
        table = frame(ordered=ORDERED, shipped=SHIPPED)
        table.loc[:40, "shipped"] = None
        encoded = TableColumns().fit_transform(table)
        assert between(encoded)
        np.testing.assert_array_equal(np.isnan(encoded.x[:, -1]), table["shipped"].isna())

    def test_some_wrong_dates_do_not_hide_it(self):
        table = frame(ordered=ORDERED, shipped=SHIPPED)
        table.loc[:3, "shipped"] = "1900-01-01"
        assert between(TableColumns().fit_transform(table))

    def test_some_long_distances_do_not_hide_it(self):
        far = ORDERED + pd.to_timedelta(np.where(RNG.random(N) < 0.2, 600, GAP), unit="D")
        assert between(TableColumns().fit_transform(frame(ordered=ORDERED, shipped=far)))

    @pytest.mark.parametrize("share", [0.2, 0.5])
    def test_open_ends_are_no_dates(self, share: float):
        table, is_open = frame(ordered=ORDERED, shipped=SHIPPED), RNG.random(N) < share
        table.loc[is_open, "shipped"] = "9999-12-31"
        columns = TableColumns()
        encoded = columns.fit_transform(table)
        assert between(encoded)
        np.testing.assert_array_equal(encoded.x[:, -1], np.where(is_open, np.nan, GAP))
        new = pd.DataFrame({"ordered": ["2030-05-01"] * 2, "shipped": ["9999-12-31", "2030-05-04"]})
        np.testing.assert_array_equal(columns.transform(new).x[:, -1], [np.nan, 3.0])
        again = TableColumns.from_state(columns.to_state())
        np.testing.assert_array_equal(again.transform(new).x[:, -1], [np.nan, 3.0])

    def test_an_open_end_has_none_at_any_hour(self):
        pair = Between(first="from", second="to", no_dates=[2_932_896.0])
        days = {"from": np.array([0.0, 2_932_896.25, 1.0]), "to": np.array([2_932_896.75, 9.0, 9.0])}
        np.testing.assert_array_equal(pair.output(days).values, [np.nan, np.nan, 8.0])

    @pytest.mark.parametrize(("width", "near"), [(0.3, True), (0.37, False)])
    def test_where_it_is_less_than_a_third_as_wide_as_the_dates(self, width: float, near: bool):
        days, apart = np.arange(1000.0), RNG.permutation(1000) * width
        assert bool(between_dates({"a": days, "b": days + apart})) == near


class TestNotFound:
    @pytest.mark.parametrize(
        "other",
        [
            ORDERED + pd.to_timedelta(7, unit="D"),
            ORDERED + pd.to_timedelta([7] * (N - 3) + [8, 9, 6], unit="D"),
            ORDERED[RNG.permutation(N)],
            pd.Timestamp("1950-01-01") + pd.to_timedelta(RNG.integers(0, 9000, N), unit="D"),
        ],
        ids=["always the same", "hardly ever another", "no neighbour", "a birthday"],
    )
    def test_where_it_would_say_nothing_new(self, other: pd.DatetimeIndex):
        assert not between(TableColumns().fit_transform(frame(ordered=ORDERED, other=other)))

    def test_a_date_alone(self):
        assert not between(TableColumns().fit_transform(frame(ordered=ORDERED)))

    def test_dates_that_are_never_there_together(self):
        days = np.arange(float(N))
        assert not between_dates(
            {"a": np.where(days < 100, days, np.nan), "b": np.where(days < 100, np.nan, days)}
        )

    def test_of_many_dates_one_less_than_there_are(self):
        days = {str(i): np.arange(0.0, 1000.0) + RNG.integers(0, 9, 1000) for i in range(12)}
        assert len(between_dates(days)) == 11


class TestLater:
    def columns(self) -> TableColumns:
        return TableColumns().fit(frame(ordered=ORDERED, shipped=SHIPPED))

    def test_new_rows(self):
        new = pd.DataFrame({"shipped": ["2030-05-04", None], "ordered": ["2030-05-01", "2030-05-01"]})
        np.testing.assert_array_equal(self.columns().transform(new).x[:, -1], [3.0, np.nan])

    def test_saved_and_loaded(self):
        columns = self.columns()
        again = TableColumns.from_state(columns.to_state())
        table = frame(ordered=ORDERED, shipped=SHIPPED)
        np.testing.assert_array_equal(again.transform(table).x, columns.transform(table).x)

    def test_what_was_saved_before_has_none(self):
        state = self.columns().to_state()
        del state["between"]
        table = frame(ordered=ORDERED, shipped=SHIPPED)
        assert not between(TableColumns.from_state(state).transform(table))

    @pytest.mark.parametrize("one", ["first", "second"])
    @pytest.mark.parametrize("of", ["dates", "numbers"])
    def test_a_saved_pair_must_be_of_columns_of_its_kind(self, of: str, one: str):
        table = frame(ordered=ORDERED, shipped=SHIPPED).assign(
            low=RNG.normal(size=N), high=RNG.normal(size=N)
        )
        pair = Between(first="low", second="high", of="numbers")
        state = TableColumns().fit(table).with_beside(between=[pair]).to_state()
        assert TableColumns.from_state(state).transform(table).names[-1] == "high less low"
        (saved,) = (saved for saved in state["between"] if saved["of"] == of)
        for other in ("elsewhere", "low" if of == "dates" else "ordered"):
            saved[one] = other
            with pytest.raises(InputError, match="saved columns are not valid"):
                TableColumns.from_state(state)
