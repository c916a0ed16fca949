"""Predictions over HTTP: the same as from Python, by name, swapped without a restart, within bounds."""

from __future__ import annotations

import asyncio
import io
import os
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from tests.support.models import load_tiny
from tests.support.served import SENT, client, expected, fitted, make_store, rows
from testtime import AdapterStore, BackboneError, InputError, MissingExtra
from testtime.backbones import embedded
from testtime.serve.batching import Batcher
from testtime.serve.drift import Watch, compare
from testtime.serve.models import Models, _Slot
from testtime.serve.refusals import Refused
from testtime.serve.rows import ARROW, read_rows
from testtime.serve.settings import ServeSettings


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(embedded, "load_embedded", load_tiny)
        patched.setattr(os, "fsync", lambda handle: None)
        yield make_store(tmp_path_factory.mktemp("serve") / "store")


@pytest.fixture(scope="module")
def served(store):
    with client(store) as opened:
        yield opened


def test_answers_are_those_of_the_estimator_and_carry_the_hash(served, store):
    sent = rows()
    answer = served.post("/v1/models/a:predict", json={"rows": sent})
    assert answer.status_code == 200
    found, (number, sha256) = answer.json(), store.current("a")
    assert (found["adapter"], found["version"], found["model"]) == (sha256, number, "a")
    assert answer.headers["x-testtime-adapter"] == sha256
    wanted = expected(store, "a", sent)
    assert np.allclose(found["probabilities"], wanted, rtol=0, atol=1e-10)
    assert found["predictions"] == [found["classes"][k] for k in wanted.argmax(axis=1)]


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v2/models", 404), ("GET", "/v1/models/a:predict", 405)]
)
def test_paths_that_are_not_there_are_errors_like_all_others(served, method, path, status):
    answer = served.request(method, path)
    assert answer.status_code == status
    assert answer.json() == {"error": f"{method} {path}: {answer.reason_phrase}. GET /docs lists the paths."}


@pytest.mark.parametrize("path", ["north/7", "north%2F7"])
def test_a_name_may_hold_a_slash(served, store, path):
    answer = served.post(f"/v1/models/{path}:predict", json={"rows": rows(1)})
    assert answer.json()["adapter"] == store.current("north/7")[1]


def test_arrow_in_and_out(served, store):
    sent, sink = pa.Table.from_pylist(rows(5)), io.BytesIO()
    with pa.ipc.new_stream(sink, sent.schema) as stream:
        stream.write_table(sent)
    headers = {"Content-Type": ARROW, "Accept": ARROW}
    answer = served.post("/v1/models/a:predict", content=sink.getvalue(), headers=headers)
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table.column_names == ["prediction", "probability_0", "probability_1"]
    assert table.schema.metadata[b"adapter"].decode() == store.current("a")[1]
    assert np.allclose(
        table["probability_1"].to_numpy(), expected(store, "a", rows(5))[:, 1], rtol=0, atol=1e-10
    )


def test_a_number_comes_with_quantiles(served, store):
    found = served.post("/v1/models/number:predict", json={"rows": rows(4)}).json()
    frame = pd.DataFrame(rows(4))
    assert np.allclose(found["predictions"], store.load("number").predict(frame))
    assert list(found["quantiles"]) == ["0.1", "0.5", "0.9"]
    assert np.allclose(found["quantiles"]["0.9"], store.load("number").predict_quantiles(frame, [0.9])[:, 0])


def test_what_is_served_and_health_and_metrics_and_openapi(served, store):
    listed = served.get("/v1/models").json()["models"]
    assert [one["name"] for one in listed] == ["a", "north/7", "number"]
    assert served.get("/healthz", headers={"Authorization": ""}).json()["status"] == "ok"
    served.post("/v1/models/a:predict", json={"rows": rows(2)})
    text = served.get("/metrics").text
    assert 'testtime_rows_total{model="a"}' in text
    assert "testtime_adapters_loaded" in text
    assert "/v1/models/{name}:predict" in served.get("/openapi.json").json()["paths"]


def test_the_page_and_the_report(served, store):
    page = served.get("/").text
    assert "3 adapters" in page
    assert "v1/models/north%2F7/report" in page
    assert store.current("number")[1][:8] in page
    assert "<script" not in page
    report = served.get("/v1/models/north%2F7/report")
    assert report.status_code == 200
    assert "testtime" in report.text


def test_a_new_version_and_a_roll_back_are_served_at_once(store, tmp_path):
    own = AdapterStore(tmp_path / "store")
    with store.folder("a") as first, store.folder("north/7") as second, client(own) as opened:
        for folder in (first, second):
            own.add("x", folder)
            answer = opened.post("/v1/models/x:predict", json={"rows": rows(1)}).json()
            assert answer["adapter"] == own.current("x")[1]
        own.rollback("x")
        answer = opened.post("/v1/models/x:predict", json={"rows": rows(1)}).json()
        assert answer["adapter"] == own.current("x")[1] == store.current("a")[1]
        own.remove("x")
        assert opened.post("/v1/models/x:predict", json={"rows": rows(1)}).status_code == 404


def test_memory_is_bounded_and_the_least_used_goes_first(store):
    size = Models(store, cache_bytes=1).get("a")[1].n_bytes
    models = Models(store, cache_bytes=size * 2 + size // 2)
    base = models.get("a")[1].table.backbone
    assert models.get("north/7")[1].table.backbone is base  # one base for all
    models.get("a")
    models.get("number")
    assert models.n_bytes <= size * 2 + size // 2
    assert models.n_evictions >= 1
    loads = models.n_loads
    models.get("number")
    assert models.n_loads == loads
    models.get("north/7")
    assert models.n_loads == loads + 1


def test_an_adapter_is_loaded_once_however_many_ask(store):
    models = Models(store, cache_bytes=2**30)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: models.get("a")[1], range(16)))
    assert models.n_loads == 1
    assert all(one is found[0] for one in found)


def test_what_is_put_out_meanwhile_is_served_all_the_same(store):
    """Another adapter may need the memory between the look at a slot and the answer."""
    models = Models(store, cache_bytes=2**30)
    models.get("a")
    slot = models._slots[store.current("a")[1]]

    class Watched(_Slot):
        looks = 0

        @property
        def loaded(self):
            self.looks += 1
            return whole if self.looks == 1 else None

        @loaded.setter
        def loaded(self, value):
            pass

    whole = slot.loaded
    models._slots[whole.sha256] = watched = Watched(slot.lock)
    watched.stamp = slot.stamp
    assert models.get("a")[1] is whole


@pytest.mark.parametrize("error", [BackboneError("no weights here"), MissingExtra("tabicl is not installed")])
def test_what_cannot_be_loaded_on_this_machine_is_said_in_the_answer(store, monkeypatch, error):
    def refuse(*arguments):
        raise error

    monkeypatch.setattr(Models, "_base", refuse)
    with client(store) as opened:
        answer = opened.post("/v1/models/a:predict", json={"rows": rows(1)})
        assert (answer.status_code, answer.json()["error"]) == (503, str(error))
        assert 'status="503"' in opened.get("/metrics").text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_refused_before_the_server_starts():
    with pytest.raises(InputError, match="finds no CUDA device"):
        ServeSettings(token=None, device="cuda")


def test_bytes_are_those_in_memory_whoever_loads_and_forgets(store):
    """Several threads, and room for one adapter: a place may be given up while somebody waits at it."""
    models = Models(store, cache_bytes=1)
    kept = {name: models.get(name)[1] for name in ("a", "north/7")}
    models._load = lambda sha256: next(one for one in kept.values() if one.sha256 == sha256)
    with ThreadPoolExecutor(6) as pool:
        for found in pool.map(lambda k: models.get(("a", "north/7")[k % 2]), range(600)):
            assert found[1] in kept.values()
    models.get("a")
    assert len(models) == 1
    assert models.n_bytes == kept["a"].n_bytes


def test_a_place_that_was_given_up_does_not_count_twice(store):
    models = Models(store, cache_bytes=2**30)
    loaded = models.get("a")[1]
    given_up, stamp = _Slot(), store.stamp(loaded.sha256)
    models._keep(given_up, loaded, stamp)
    models._keep(_Slot(), loaded, stamp)
    models._drop(given_up)
    assert models.n_bytes == loaded.n_bytes


def test_the_current_version_is_believed_for_a_while(store, tmp_path):
    own, now = AdapterStore(tmp_path / "store"), [0.0]
    models = Models(own, cache_bytes=2**30, refresh=5.0, clock=lambda: now[0])
    with store.folder("a") as first, store.folder("north/7") as second:
        own.add("x", first)
        old = models.get("x")[1].sha256
        own.add("x", second)
    now[0] = 4.9
    assert models.get("x")[1].sha256 == old
    now[0] = 5.0
    assert models.get("x")[1].sha256 == own.current("x")[1]


def test_waiting_requests_are_predicted_together_with_the_same_answers(store):
    loaded, sizes = Models(store, cache_bytes=2**30).get("a")[1], []
    xs = [loaded.encode(pd.DataFrame(rows(n, seed=n)), []) for n in (1, 2, 3, 4)]

    async def ask() -> list[np.ndarray]:
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(pool, most_rows=5, most_waiting=4, on_batch=sizes.append)
            tasks = [asyncio.create_task(batcher.predict(loaded, x)) for x in xs]
            await asyncio.sleep(0)
            with pytest.raises(Refused, match="4 requests wait already"):
                await batcher.predict(loaded, xs[0])
            return await asyncio.gather(*tasks)

    answers = asyncio.run(ask())
    assert sizes == [2, 1, 1]  # 1 + 2 rows fit into 5, 3 more would not
    for x, answer in zip(xs, answers, strict=True):
        assert np.allclose(answer, loaded.table.predict_encoded(x), rtol=0, atol=1e-10)


def test_a_request_that_was_given_up_does_not_hold_up_the_others(store):
    loaded = Models(store, cache_bytes=2**30).get("a")[1]
    x = loaded.encode(pd.DataFrame(rows(1)), [])

    async def ask() -> None:
        with ThreadPoolExecutor(1) as pool:
            batcher = Batcher(pool, most_rows=5, most_waiting=9, on_batch=lambda n: None)
            first, second = (asyncio.create_task(batcher.predict(loaded, x)) for _ in range(2))
            await asyncio.sleep(0)
            first.cancel()
            assert len(await second) == 1
            assert batcher.n_waiting == 0

    asyncio.run(ask())


def test_drift_is_seen_where_it_is_and_nowhere_else():
    rng = np.random.default_rng(0)
    reference, same = rng.standard_normal((400, 3)), rng.standard_normal((300, 3))
    moved, holes = same + np.array([0, 1, 0]), same.copy()
    holes[:120, 2] = np.nan
    names = ("a", "b", "c")
    assert not any(column.moved for column in compare(reference, same, names))
    assert [column.name for column in compare(reference, moved, names) if column.moved] == ["b"]
    assert [column.name for column in compare(reference, holes, names) if column.moved] == ["c"]
    watch = Watch(reference, names)
    for start in range(0, 300, 30):
        watch.see(moved[start : start + 30])
    assert watch.moved == ("b",)
    assert watch.advice() == "Incoming rows differ from the context in b: adapting again is due."


def test_drift_is_told_in_the_metrics_and_on_the_page(store, tmp_path):
    own = AdapterStore(tmp_path / "store")
    own.add("x", fitted(5, n_rows=120))
    far = [{**row, "c": row["c"] + 4} for row in rows(150)]
    with client(own) as opened:
        for _ in range(2):
            assert opened.post("/v1/models/x:predict", json={"rows": far}).status_code == 200
        watch, late = opened.app.state.server.metrics.watches["x"][1], time.monotonic() + 30
        while not watch.columns and time.monotonic() < late:
            time.sleep(0.01)  # rows are looked at after the answer
        assert watch.moved == ("c",)
        assert 'testtime_readapt_due{model="x"} 1.0' in opened.get("/metrics").text
        assert "adapting again is due" in opened.get("/").text
        own.add("x", fitted(6, n_rows=120))  # it was adapted again
        assert opened.post("/v1/models/x:predict", json={"rows": far[:1]}).status_code == 200
        assert "testtime_readapt_due{" not in opened.get("/metrics").text
        own.remove("x")
        assert "testtime_drift{" not in opened.get("/metrics").text
        assert not opened.app.state.server.metrics.watches


def test_rows_with_columns_of_their_own_are_refused_before_a_table_is_made(served):
    sent = [{**row, **{f"own {i} {k}": 1 for k in range(30)}} for i, row in enumerate(rows(1000))]
    answer = served.post("/v1/models/a:predict", json={"rows": sent})
    assert answer.status_code == 413
    assert "1,000 rows with 30,0" in answer.json()["error"]
    some = [{**row, **({"more": 1} if i % 2 else {})} for i, row in enumerate(rows(50))]
    assert served.post("/v1/models/a:predict", json={"rows": some}).status_code == 200


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_what_is_long_once_it_is_unpacked_is_refused(codec):
    table, sink = pa.table({"a": ["x" * 20_000] * 50}), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as stream:
        stream.write_table(table)
    body = sink.getvalue()
    assert len(body) < 50_000
    with pytest.raises(Refused, match="longer than 900,000 bytes once it is unpacked") as caught:
        read_rows(body, ARROW, 100, 900_000)
    assert caught.value.status == 413
    assert len(read_rows(body, ARROW, 100, 1_100_000)) == 50


@pytest.mark.parametrize("said", [None, b"{}", b'{"index_columns": ["city"], "columns": []}'])
def test_what_pandas_calls_an_index_is_a_column(said):
    table, sink = (
        pa.Table.from_pandas(pd.DataFrame({"city": ["x"], "a": [1.0]}).set_index("city")),
        io.BytesIO(),
    )
    if said is not None:
        table = table.replace_schema_metadata({"pandas": said})
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    assert set(read_rows(sink.getvalue(), ARROW, 10)) == {"a", "city"}


@pytest.mark.parametrize("path", ["/v1/models//report", f"/v1/models/{'x' * 300}/report"])
def test_a_report_of_a_name_that_cannot_be_one(served, path):
    answer = served.get(path)
    assert answer.status_code == 400
    assert "adapter name" in answer.json()["error"]


@pytest.mark.parametrize(
    "settings",
    [
        {"seconds": float("inf")},
        {"refresh": -1.0},
        {"refresh": float("nan")},
        {"token": "caf\udce9_0123456789abcdef"},
        {"token": "a" * 20 + "\n"},
    ],
)
def test_settings_that_could_not_be_kept_are_refused(settings):
    with pytest.raises(InputError):
        ServeSettings(**{"token": None, **settings})


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", "Basic !!", "Basic é", "Digest x", "Bearer ä"]
)
def test_without_the_token_nothing_but_health_is_told(store, header):
    with client(store) as opened:
        opened.headers.pop("Authorization")
        headers = {} if header is None else {"Authorization": header.encode()}
        for method, path in [
            ("get", "/"),
            ("get", "/metrics"),
            ("get", "/v1/models"),
            ("post", "/v1/models/a:predict"),
        ]:
            assert getattr(opened, method)(path, headers=headers).status_code == 401
        assert opened.get("/v1/models", headers=SENT).status_code == 200
        assert (
            opened.get("/v1/models", auth=("anybody", SENT["Authorization"].split(" ", 1)[1])).status_code
            == 200
        )


def test_no_token_lets_anybody_in(store):
    with client(store, token=None) as opened:
        opened.headers.pop("Authorization")
        assert opened.get("/v1/models").status_code == 200


@pytest.mark.parametrize("body", [b'{"rows": [{"x0": 1, "c": "\\ud800"}]}', b'{"rows": [{"\\ud800": 1}]}'])
def test_half_of_a_pair_is_no_text(body):
    with pytest.raises(Refused, match="half of a pair; expected text that is valid Unicode") as caught:
        read_rows(body, "application/json", 10)
    assert caught.value.status == 400
    assert len(read_rows(b'{"rows": [{"c": "\\ud83d\\ude00"}]}', "application/json", 10)) == 1
