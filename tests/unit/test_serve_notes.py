"""What the rows of a request give cause for is said in its answer, and in a line of the log."""

from __future__ import annotations

import io
import json
import logging
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tests.support.commands import run
from tests.support.models import load_tiny
from tests.support.served import client
from testtime import AdapterStore, TTTClassifier
from testtime.backbones import embedded
from testtime.serve.notes import log_notes
from testtime.serve.rows import ARROW
from testtime.table.columns import DataWarning


def unknown(n_rows: int) -> str:
    what = "stand where their names would be among the others"
    return f"Categories that were not there at fit {what}: 'town' ({n_rows} rows)."


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(embedded, "load_embedded", load_tiny)
        patched.setattr(os, "fsync", lambda handle: None)
        rng = np.random.default_rng(0)
        frame = pd.DataFrame({"town": rng.choice(["Oslo", "Rome"], 60), "size": rng.normal(size=60)})
        store = AdapterStore(tmp_path_factory.mktemp("notes") / "store")
        store.add("a", TTTClassifier(n_steps=0, n_members=1).fit(frame, np.arange(60) % 2))
        with client(store) as opened:
            yield opened


def ask(served, *rows, **headers):
    return served.post("/v1/models/a:predict", json={"rows": list(rows)}, headers=headers)


KNOWN, NEW = {"town": "Oslo", "size": 1.0}, {"town": "Bonn", "size": 1.0}


def test_notes_are_in_the_answer_and_in_one_line_of_the_log_every_time(served, caplog, recwarn):
    for _ in range(2):
        caplog.clear()
        with caplog.at_level(logging.WARNING, "testtime.serve"):
            found = ask(served, KNOWN, NEW).json()
        assert found["notes"] == [unknown(1)]
        assert len(found["predictions"]) == 2
        assert [one.getMessage() for one in caplog.records if one.name == "testtime.serve"] == [
            f"'a': {unknown(1)}"
        ]
        caplog.clear()
        assert "notes" not in ask(served, KNOWN).json()
        assert not caplog.records
    assert not [one for one in recwarn if issubclass(one.category, DataWarning)]


def test_a_number_that_cannot_be_read_is_said(served):
    found = ask(served, *[KNOWN] * 60, KNOWN | {"size": "abc"})
    assert found.json()["notes"] == ["Column 'size' holds numbers; counted as missing: 'abc' (1)."]


@pytest.mark.parametrize("others", [0, 1, 18])
def test_words_that_are_many_among_numbers_are_refused(served, others):
    found = ask(served, *[KNOWN] * others, KNOWN | {"size": "abc"})
    assert found.status_code == 400
    assert "column 'size' holds 'abc'; expected numbers" in found.json()["error"]
    assert ask(served, *[KNOWN] * 19, KNOWN | {"size": "abc"}).status_code == 200


def test_what_rows_hold_begins_no_line_of_the_log(caplog):
    log_notes("a\nb", ["holds 'x\nERROR \x1b[2J'.", "And more."])
    log_notes("a", [])
    (line,) = [one.getMessage() for one in caplog.records]
    assert line == r"'a\nb': holds 'x\nERROR \x1b[2J'. And more."


def test_arrow_has_them_in_its_metadata(served):
    def metadata(rows):
        sent, sink = pa.Table.from_pylist(rows), io.BytesIO()
        with pa.ipc.new_stream(sink, sent.schema) as stream:
            stream.write_table(sent)
        headers = {"Content-Type": ARROW, "Accept": ARROW}
        answer = served.post("/v1/models/a:predict", content=sink.getvalue(), headers=headers)
        return pa.ipc.open_stream(answer.content).read_all().schema.metadata

    assert json.loads(metadata([NEW])[b"notes"]) == [unknown(1)]
    assert b"notes" not in metadata([KNOWN])


def test_requests_that_are_predicted_together_have_the_notes_of_their_own_rows(served):
    sent = [[KNOWN] + [NEW] * (i % 5) for i in range(60)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda rows: ask(served, *rows).json().get("notes", []), sent))
    assert found == [[unknown(i % 5)] if i % 5 else [] for i in range(60)]


def test_columns_that_the_model_does_not_know_are_named(served):
    found = ask(served, KNOWN | {"foo": 1}).json()
    assert found["notes"] == ["Columns that are not in the training table are ignored: 'foo'."]
    assert found["predictions"] == ask(served, KNOWN).json()["predictions"]
    many = ask(served, KNOWN | {f"c{i}": i for i in range(7)}).json()["notes"]
    assert many[0].endswith("'c0', 'c1', 'c2', 'c3', 'c4' and 2 more.")
    assert "notes" not in ask(served, {" town": "Oslo", "size ": 1.0}).json()


def test_columns_that_were_left_out_at_fit_and_the_target_are_known(tmp_path, tiny_embedded, capsys):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"size": rng.normal(size=80), "same": 1, "key": [f"k{i}" for i in range(80)]})
    frame.assign(y=np.arange(80) % 2).to_csv(tmp_path / "t.csv", index=False)
    arguments = ("--target", "y", "--out", tmp_path / "model", "--n-steps", "0", "--held-out", "0")
    assert run(capsys, "adapt", tmp_path / "t.csv", *arguments)[0] == 0
    store = AdapterStore(tmp_path / "store")
    store.add("a", tmp_path / "model")
    with client(store) as opened:
        sent = {"size": 1.0, "same": 1, "key": "k1", "y": 0}
        assert "notes" not in ask(opened, sent).json()
        assert "'why'" in ask(opened, sent | {"why": 1}).json()["notes"][0]


def test_a_page_that_is_no_number_is_answered_with_a_sentence(served):
    answer = served.get("/?page=abc")
    assert answer.status_code == 400
    assert list(answer.json()) == ["error"]
    assert answer.json()["error"].startswith("GET /: page='abc' (")
    assert answer.json()["error"].endswith(".")
    assert served.get("/?page=abc", headers={"Authorization": "Bearer no"}).status_code == 401
    assert served.get("/?page=7").status_code == 200


@pytest.mark.parametrize("sent", [[True], [False, None], [None, True, True]])
def test_truth_in_a_column_of_other_numbers_is_refused(served, sent):
    answer = ask(served, *[KNOWN | {"size": value} for value in sent])
    assert answer.status_code == 400
    first = "true" if True in sent else "false"
    assert answer.json()["error"] == (
        f"column 'size' holds {first}; expected numbers (it held others than 0 and 1 at fit). "
        "Give the number, or leave it empty if it is not known."
    )
    table, sink = pa.table({"size": pa.array(sent, pa.bool_()), "town": ["Oslo"] * len(sent)}), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    posted = served.post("/v1/models/a:predict", content=sink.getvalue(), headers={"Content-Type": ARROW})
    assert (posted.status_code, posted.json()) == (400, answer.json())
    assert ask(served, KNOWN | {"size": None}).status_code == 200


def test_truth_where_fit_had_zeros_and_ones_is_answered(tmp_path, tiny_embedded):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"flag": rng.integers(0, 2, 60), "size": rng.normal(size=60)})
    store = AdapterStore(tmp_path / "store")
    store.add("a", TTTClassifier(n_steps=0, n_members=1).fit(frame, np.arange(60) % 2))
    with client(store) as opened:
        found = ask(opened, {"flag": True, "size": 1.0})
        assert found.status_code == 200
        assert found.json()["probabilities"] == ask(opened, {"flag": 1, "size": 1.0}).json()["probabilities"]
