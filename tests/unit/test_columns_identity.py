"""Columns that count or name rows: left out, or said to look like it."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest

from testtime.table.columns import TableColumns

N = 60
SHUFFLED = np.random.default_rng(0).permutation(np.arange(7, 7 + 3 * N, 3))


def fitted(name: str, values, **columns) -> TableColumns:
    frame = pd.DataFrame({name: values, "z": np.random.default_rng(1).normal(size=len(values)), **columns})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TableColumns().fit(frame)


@pytest.mark.parametrize(
    ("begin", "why"),
    [
        (0, "it counts the rows"),
        (1, "it counts the rows"),
        (1001, "it counts the rows, from 1,001 on"),
        (100, "it counts the rows, from 100 on"),
        (2000, "it counts the rows, from 2,000 on"),  # up to 2299: no years
    ],
)
def test_a_column_that_counts_the_rows_is_left_out_wherever_it_begins(begin, why):
    assert fitted("k", np.arange(begin, begin + 300)).records[0].left_out == why


@pytest.mark.parametrize(("name", "begin"), [("age", 18), ("year", 1950), ("v", 99)])
def test_years_and_small_numbers_may_describe_rows_that_they_count(name, begin):
    assert fitted(name, np.arange(begin, begin + N)).records[0].kind == "number"


def test_a_draw_of_counted_rows_is_known_by_its_index():
    at = np.sort(np.random.default_rng(0).choice(5000, N, replace=False))
    frame = pd.DataFrame({"k": at + 7001, "z": np.sin(at)}, index=at)
    with pytest.warns(match="it counts the rows, from 7,001 on"):
        TableColumns().fit(frame)


@pytest.mark.parametrize(
    ("values", "way"),
    [
        (np.arange(0, 10 * N, 10), "rises"),
        (np.arange(5000, 5000 - N, -1), "falls"),
        (np.cumsum(np.random.default_rng(0).integers(1, 5, N)), "rises"),
    ],
)
def test_what_rises_or_falls_in_every_row_is_kept_and_said(values, way):
    found = fitted("k", values)
    assert found.records[0].kind == "number"
    assert found.notes == (
        f"Column 'k' {way} from row to row, as numbers of rows do; declare it as id if it only names them.",
    )


@pytest.mark.parametrize(
    "values",
    [
        np.sort(np.random.default_rng(0).normal(size=N)),  # no whole numbers
        np.arange(1950, 1950 + N),
        np.sort(SHUFFLED // 7),  # the same twice
        np.arange(19),
    ],
)
def test_other_numbers_have_no_such_note(values):
    assert not any("from row to row" in note for note in fitted("k", values).notes)


KEYS = (
    "Kundennr;Kunden-Nr.;Auftragsnummer;Belegnr;Order No.;invoice_number;CaseNo;account #;numéro client;n° facture;"
    "numero_de_pedido;studyid;person id;idno;seqno;member_nr"
)


@pytest.mark.parametrize("name", KEYS.split(";"))
def test_names_of_keys(name):
    assert fitted(name, SHUFFLED).records[0].left_out == "its name is that of a key and no value occurs twice"
    assert fitted(name, SHUFFLED // 7).records[0].kind == "number"


@pytest.mark.parametrize("name", ["Lfd. Nr.", "lfd.Nr", "phone number", "Hausnummer", "nº"])
def test_names_of_counters_need_values_that_rise(name):
    assert fitted(name, SHUFFLED).records[0].kind == "number"
    why = "its values only rise and its name is that of a counter"
    assert fitted(name, np.sort(SHUFFLED)).records[0].left_out == why


@pytest.mark.parametrize(
    "name", ["casino", "piano", "acidno2", "liquid", "humid", "number of rooms", "nonresident"]
)
def test_other_names_name_nothing(name):
    assert fitted(name, SHUFFLED).records[0].kind == "number"
