"""What clients, disks and operators do to a server; each gets a sentence, and the others go on."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import httpx
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from tests.support.commands import run as run_command
from tests.support.models import load_tiny
from tests.support.served import SENT, TOKEN, client, make_store, rows
from testtime import AdapterStore, InputError
from testtime.backbones import embedded
from testtime.serve.run import serve
from testtime.serve.settings import ServeSettings

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(embedded, "load_embedded", load_tiny)
        patched.setattr(os, "fsync", lambda handle: None)
        yield make_store(tmp_path_factory.mktemp("serve") / "store")


@pytest.fixture
def own(store, tmp_path):
    """A store of the same adapters that may be damaged."""
    copy = AdapterStore(tmp_path / "own")
    for name in store.names():
        with store.folder(name) as folder:
            copy.add(name, folder)
    return copy


def payload(store: AdapterStore, name: str):
    with store.folder(name) as folder:
        return next(folder.glob("arrays-*"))


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (b"", 400, "is not JSON"),
        (b"{", 400, "is not JSON"),
        (b"[" * 100_000, 400, "is not JSON"),
        (b"\xff\xfe", 400, "is not JSON"),
        (b"[]", 400, "holds no rows"),
        (b'{"rows": []}', 400, "holds no rows"),
        (b'{"rows": [1]}', 400, "holds no rows"),
        (b'{"rows": [{"a": NaN}]}', 400, "NaN is no value of JSON; write null"),
        (b'{"rows": [{"a": -Infinity}]}', 400, "-Infinity is no value of JSON"),
        (b'{"rows": [{"a": [1]}]}', 400, "column 'a' holds a list"),
        (b'{"rows": [{"a": 1}]}', 400, "b"),
        (json.dumps({"rows": rows(6)}).encode(), 413, "a request of 6 rows; expected at most 5"),
        (b" " * 10_001, 413, "longer than 10,000 bytes"),
    ],
)
def test_bad_bodies_get_a_sentence_and_the_next_request_an_answer(store, body, status, says):
    with client(store, most_rows=5, most_bytes=10_000 if len(body) < 50_000 else 10**6) as opened:
        answer = opened.post("/v1/models/a:predict", content=body, headers=JSON)
        assert (answer.status_code, says in answer.json()["error"]) == (status, True), answer.text
        assert opened.post("/v1/models/a:predict", json={"rows": rows(1)}).status_code == 200


def test_missing_values_are_null_and_give_finite_answers(store):
    holes = [{**row, "b": None} for row in rows(2)] + [dict.fromkeys("abcd")]
    with client(store) as opened:
        found = opened.post("/v1/models/a:predict", json={"rows": holes}).json()
    assert np.isfinite(found["probabilities"]).all()


@pytest.mark.parametrize(
    ("content_type", "status"), [("text/csv", 415), ("", 415), ("application/vnd.apache.arrow.stream", 400)]
)
def test_other_types_and_what_is_no_arrow(store, content_type, status):
    with client(store) as opened:
        headers = {"Content-Type": content_type}
        assert (
            opened.post("/v1/models/a:predict", content=b"a,b\n1,2\n", headers=headers).status_code == status
        )


def test_a_million_rows_are_refused_by_their_bytes(store):
    body = b'{"rows": [' + b'{"a":1,"b":1,"c":1,"d":1},' * 10**6 + b"{}]}"
    with client(store, most_bytes=2**20) as opened:
        assert opened.post("/v1/models/a:predict", content=body, headers=JSON).status_code == 413

        def pieces():  # without a length in the header, it is counted
            for start in range(0, len(body), 2**16):
                yield body[start : start + 2**16]

        assert opened.post("/v1/models/a:predict", content=pieces(), headers=JSON).status_code == 413


def test_an_unknown_name_is_answered_with_the_nearest(store):
    with client(store) as opened:
        answer = opened.post("/v1/models/numbr:predict", json={"rows": rows(1)})
    assert answer.status_code == 404
    assert "Did you mean 'number'" in answer.json()["error"]


@pytest.mark.parametrize("loaded_before", [False, True])
@pytest.mark.parametrize("damage", ["truncated", "flipped", "gone"])
def test_a_damaged_adapter_answers_503_and_the_others_go_on(own, damage, loaded_before):
    with client(own) as opened:
        if loaded_before:
            assert opened.post("/v1/models/a:predict", json={"rows": rows(1)}).status_code == 200
        path = payload(own, "a")
        data = path.read_bytes()
        if damage == "gone":
            path.unlink()
        else:
            flipped = data[:100] + bytes([data[100] ^ 1]) + data[101:]
            path.write_bytes(data[:-1] if damage == "truncated" else flipped)
        answer = opened.post("/v1/models/a:predict", json={"rows": rows(1)})
        assert answer.status_code == 503
        assert any(word in answer.json()["error"] for word in ("damaged", "missing"))
        assert opened.post("/v1/models/number:predict", json={"rows": rows(1)}).status_code == 200
        assert answer.json()["error"][:20] in opened.get("/").text.replace("&#39;", "'")
        path.write_bytes(data)
        assert opened.post("/v1/models/a:predict", json={"rows": rows(1)}).status_code == 200


def test_many_swaps_under_load_never_give_another_adapters_answer(own, store):
    sent, wanted = rows(2), {}
    for name in ("a", "north/7"):
        wanted[store.current(name)[1]] = store.load(name).predict_proba(pd.DataFrame(sent))
    own.share("x", "a")
    stop = threading.Event()

    def ask(opened: TestClient) -> list[str]:
        seen = []
        while not stop.is_set() or len(seen) < 10:
            answer = opened.post("/v1/models/x:predict", json={"rows": sent})
            found = answer.json()
            assert answer.headers["x-testtime-adapter"] == found["adapter"]
            assert np.allclose(found["probabilities"], wanted[found["adapter"]], rtol=0, atol=1e-10)
            seen.append(found["adapter"])
        return seen

    with client(own, threads=2) as opened, ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, opened) for _ in range(3)]
        try:
            for k in range(250):
                own.share("x", ("north/7", "a")[k % 2])
        finally:
            stop.set()
        seen = [sha256 for one in asking for sha256 in one.result()]
        last = opened.post("/v1/models/x:predict", json={"rows": sent}).json()
    assert set(seen) == set(wanted)
    assert (last["version"], last["adapter"]) == (251, store.current("a")[1])


@pytest.fixture
def running(store):
    """A server in a process of its own, and its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = ServeSettings(token=TOKEN, seconds=1.5)
    arguments = {"host": "127.0.0.1", "port": port}
    process = multiprocessing.get_context("fork").Process(
        target=serve, args=(store, settings), kwargs=arguments
    )
    process.start()
    for _ in range(600):
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5)
            break
        except httpx.TransportError:
            time.sleep(0.05)
    yield process, port
    process.kill()
    process.join()


def half_a_request(port: int, body: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port))
    head = f"POST /v1/models/a:predict HTTP/1.1\r\nHost: x\r\nAuthorization: {SENT['Authorization']}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body[:10])
    return connection


def test_slow_bytes_end_in_408_and_hold_up_nobody(running):
    _, port = running
    slow = half_a_request(port, json.dumps({"rows": rows(1)}).encode())
    url = f"http://127.0.0.1:{port}/v1/models/number:predict"
    assert httpx.post(url, json={"rows": rows(1)}, headers=SENT, timeout=30).status_code in (200, 504)
    slow.settimeout(30)
    assert b"408" in slow.recv(1000)
    slow.close()


def test_sigterm_answers_what_is_under_way_and_takes_nothing_new(running):
    process, port = running
    body = json.dumps({"rows": rows(1)}).encode()
    url = f"http://127.0.0.1:{port}/v1/models/a:predict"
    httpx.post(url, content=body, headers=SENT | JSON, timeout=30)  # what is loaded once does not count here
    with half_a_request(port, body) as waiting:
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGTERM)
        time.sleep(0.2)
        waiting.sendall(body[10:])
        waiting.settimeout(30)
        assert b"200 OK" in waiting.recv(4000)
    process.join(30)
    assert process.exitcode == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=5)


def test_where_it_listens_is_said_once_connections_are_taken(store, monkeypatch):
    said = []

    def listens(port):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        said.append(port)

    monkeypatch.setattr("uvicorn.Server.run", lambda server, sockets: said.append("runs"))
    serve(store, ServeSettings(token=TOKEN), host="127.0.0.1", port=0, listens=listens)
    assert said[0] > 0
    assert said[1:] == ["runs"]


def test_an_address_that_is_taken(store):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"--port {port} cannot be listened on"):
            serve(store, ServeSettings(token=TOKEN), host="127.0.0.1", port=port)


def test_the_command_wants_a_token(store, capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("TESTTIME_TOKEN", raising=False)
    code, _, err = run_command(capsys, "serve", store.where)
    assert (code, "there is no token" in err) == (2, True)
    (tmp_path / "token").write_text("short\n")
    code, _, err = run_command(capsys, "serve", store.where, "--token-file", tmp_path / "token")
    assert (code, "a token of 5 characters; expected at least 16" in err) == (2, True)
    code, _, err = run_command(capsys, "serve", store.where, "--no-token", "--most-rows", "0")
    assert (code, "--most-rows 0" in err) == (2, True)


def test_any_name_is_served_by_every_path(store, tmp_path):
    """Groups are called what a column holds; a name that was adapted to is one that can be asked for."""
    own = AdapterStore(tmp_path / "own")
    for name in ("new\nline", "\n", "a\r\n", "tab\t", "x:predict", "y/report", "Zürich 50%"):
        with store.folder("a") as folder:
            own.add(name, folder)
    with client(own) as opened:
        for name in own.names():
            path = f"/v1/models/{quote(name, safe='')}"
            answer = opened.post(f"{path}:predict", json={"rows": rows(1)})
            assert (answer.status_code, answer.json()["model"]) == (200, name)
            assert opened.get(f"{path}/report").status_code == 200, name
