"""The application inside Ray Serve, as docs/serving.md says."""

from __future__ import annotations

import os
import socket
import sys

import httpx
import pytest

from tests.support.served import SENT, TOKEN, make_store, rows


@pytest.mark.cluster
def test_the_application_mounts_in_ray_serve(tiny_embedded, tmp_path, monkeypatch):
    # Here and not above: a suite without clusters need not load it.
    serve = pytest.importorskip("ray.serve", exc_type=ImportError)
    import ray

    store = make_store(tmp_path / "store")
    where = store.where

    def build():
        from tests.support.models import load_tiny
        from testtime import AdapterStore
        from testtime.backbones import embedded
        from testtime.serve.app import create_app
        from testtime.serve.settings import ServeSettings

        embedded.load_embedded = load_tiny
        return create_app(AdapterStore(where), ServeSettings(token=TOKEN))

    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        serve.start(http_options={"host": "127.0.0.1", "port": port})
        serve.run(serve.deployment(serve.ingress(build)()).bind())
        url = f"http://127.0.0.1:{port}/v1/models/north%2F7:predict"
        answer = httpx.post(url, json={"rows": rows(2)}, headers=SENT, timeout=60)
        assert answer.json()["adapter"] == store.current("north/7")[1]
        assert httpx.post(url, json={"rows": rows(2)}, timeout=60).status_code == 401
    finally:
        serve.shutdown()
        ray.shutdown()
