"""What a server of many adapters does: requests per second, latency, memory, swaps; and one full model per tenant.

    python -m benchmarks.serve [--adapters 10 100 1000] [--full 50] [--clients 32] [--requests 2000]
                               [--together] [--context 64] [--out benchmarks/results/serve.json]

Adapters are one fit under other hashes, so that each is loaded and kept for itself: of 400 rows and 10 columns, as
`testtime adapt --by COL` makes it, then also with `--context` rows as context, or as with its option `--together`.
Clients are threads that ask for one row of one adapter after the other, round robin, over HTTP on this machine; every
adapter is asked for once before the clock starts. `--full` adapters are also served with a copy of the base model for
each. Memory is the server process's resident set. A swap is timed from the change of the store to the first answer with
the new hash.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import numpy as np
import pandas as pd

from benchmarks.groups import table_of_groups
from testtime import AdapterStore, TTTClassifier
from testtime.estimators.saved import save
from testtime.estimators.together import fit_together
from testtime.scale.groups.adapt import LIGHT
from testtime.table.tail_episodes import TailRecipe

_CACHE_BYTES = 8 * 2**30  # of adapters beyond it the least used are read again

_FULL = """
import copy, sys
from testtime.serve import models
shared = models.load_saved_backbone
models.Models._base = lambda self, *named: _own(shared(*named))
def _own(base):
    return type(base)(copy.deepcopy(base._module.base), base.fingerprint, base.limits.classes)
from testtime.cli import main
main(sys.argv[1:])
"""


def make_store(folder: Path, n_adapters: int, together: bool, n_context: int | None) -> AdapterStore:
    """Return a store of one adapter under so many names and hashes, and one more for swaps."""
    rows = table_of_groups(1, 400)
    X, y = rows.drop(columns=["y", "group"]), rows["y"]
    if together:
        fitted = TTTClassifier()
        [error] = fit_together([fitted], [(X, y)], TailRecipe())
        if error is not None:
            raise error
    else:
        fitted = TTTClassifier(**LIGHT, n_context=n_context or "auto").fit(X, y)
    store = AdapterStore(folder / "store")
    for k in range(n_adapters + 1):
        adapter = save(fitted, folder / str(k), documents={"tenant": {"number": k}})
        store.add(f"tenant {k}", adapter)
    return store


class Server:
    """A server in a process of its own."""

    def __init__(self, store: AdapterStore, *, full: bool) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        start = ["-c", _FULL] if full else ["-m", "testtime"]
        arguments = ["serve", store.where, "--port", str(port), "--no-token", "--most-waiting", "1000"]
        cache = ["--cache-bytes", str(_CACHE_BYTES), "--seconds", "120"]
        self.process = subprocess.Popen(
            [sys.executable, *start, *arguments, *cache], stdout=subprocess.DEVNULL
        )
        self.url = f"http://127.0.0.1:{port}"
        while True:
            try:
                httpx.get(f"{self.url}/healthz", timeout=5)
                return
            except httpx.TransportError:
                if self.process.poll() is not None:
                    raise
                time.sleep(0.1)

    def ask(self, client: httpx.Client, name: str, row: dict[str, float]) -> tuple[float, str]:
        """Return the seconds to an answer, and the adapter that gave it."""
        start = time.perf_counter()
        answer = client.post(f"{self.url}/v1/models/{quote(name)}:predict", json={"rows": [row]}, timeout=120)
        answer.raise_for_status()
        return time.perf_counter() - start, answer.json()["adapter"]

    def memory(self) -> float:
        """Return the resident set in MB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+)", status)
        return int(found[1]) / 1024 if found else float("nan")

    def close(self) -> None:
        """Ask it to end, as an operator would."""
        self.process.terminate()
        self.process.wait(30)


def measure(n_adapters: int, given: argparse.Namespace, *, full: bool) -> dict[str, Any]:
    """Serve so many adapters and ask."""
    row = table_of_groups(1, 10).drop(columns=["y", "group"]).iloc[0].to_dict()
    names = [f"tenant {k}" for k in range(n_adapters)]
    with tempfile.TemporaryDirectory() as folder:
        store = make_store(Path(folder), n_adapters, given.together, given.context)
        server = Server(store, full=full)
        try:
            with httpx.Client(limits=httpx.Limits(max_connections=given.clients)) as client:
                server.ask(client, f"tenant {n_adapters}", row)
                before = server.memory()
                first = [server.ask(client, name, row)[0] for name in names]
                after = server.memory()
                with ThreadPoolExecutor(given.clients) as pool:
                    start = time.perf_counter()
                    asked = pool.map(
                        lambda name: server.ask(client, name, row), islice(cycle(names), given.requests)
                    )
                    seconds = [one for one, _ in asked]
                    wall = time.perf_counter() - start
                swaps = [_swap(server, client, store, row, k) for k in range(10)]
        finally:
            server.close()
    return {
        "served": "a full model per tenant" if full else "adapters on one base",
        "adapters": n_adapters,
        "requests_per_second": given.requests / wall,
        "p50_ms": 1000 * float(np.quantile(seconds, 0.5)),
        "p99_ms": 1000 * float(np.quantile(seconds, 0.99)),
        "first_request_ms": 1000 * float(np.median(first)),
        "memory_mb": after,
        "mb_per_adapter": (after - before) / n_adapters,
        "swap_ms": 1000 * float(np.median(swaps)),
    }


def _swap(server: Server, client: httpx.Client, store: AdapterStore, row: dict[str, float], k: int) -> float:
    """Let one tenant stand for the adapter of another, and back."""
    start = time.perf_counter()
    if k % 2:
        store.rollback("tenant 0", 1)
    else:
        store.share("tenant 0", "tenant 1")
    wanted = store.current("tenant 0")[1]
    while server.ask(client, "tenant 0", row)[1] != wanted:
        pass
    return time.perf_counter() - start


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--adapters", nargs="*", type=int, default=[10, 50, 100, 1000])
    parser.add_argument("--full", nargs="*", type=int, default=[50])
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--together", action="store_true", help="Adapters of the shared step.")
    parser.add_argument(
        "--context", type=int, default=None, help="Context rows; default all that were fitted."
    )
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/serve.json"))
    given = parser.parse_args()
    found = [measure(n, given, full=False) for n in given.adapters]
    found += [measure(n, given, full=True) for n in given.full]
    settings = {name: value for name, value in vars(given).items() if name != "out"}
    content = {"settings": settings, "load": os.getloadavg()[0], "served": found}
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(content, indent=1) + "\n")
    print(pd.DataFrame(found).round(2).to_string(index=False))


if __name__ == "__main__":
    main()
