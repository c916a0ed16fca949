"""The page at ``/``: what is served, how much it was asked, and what to look at. Plain HTML, no script."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from importlib.resources import files
from urllib.parse import quote

from jinja2 import Environment, StrictUndefined

from testtime.errors import StoreError
from testtime.estimators.saved import read_meta
from testtime.results import Adaptation
from testtime.scale.adapter_store import AdapterStore, Version
from testtime.serve.metrics import Metrics
from testtime.store import open_adapter

__all__ = ["ON_A_PAGE", "Facts", "KnownFacts", "Row", "page_rows", "render_page"]

ON_A_PAGE = 100


@dataclass(frozen=True)
class Facts:
    """What a saved adapter says of itself; `reason` says why nothing can be read, and the rest is then empty."""

    n_rows: str = "-"
    n_classes: str = "-"
    n_context: str = "-"
    gain: str = "-"
    reason: str = ""


@dataclass(frozen=True)
class Row:
    """A line of the page."""

    version: Version
    facts: Facts
    link: str
    n_requests: int
    latency: str
    advice: str


class KnownFacts:
    """Facts by hash, read again only when somebody touched the files of the adapter."""

    def __init__(self, store: AdapterStore) -> None:
        self._store, self._lock = store, threading.Lock()
        self._known: dict[str, tuple[object, Facts]] = {}

    def of(self, sha256: str) -> Facts:
        """Return what an adapter says of itself, or why it cannot be read."""
        stamp = self._store.stamp(sha256)
        with self._lock:
            seen = self._known.get(sha256)
        if seen is not None and seen[0] == stamp:
            return seen[1]
        try:
            facts = _read(self._store, sha256)
        except StoreError as error:
            return Facts(reason=str(error))
        with self._lock:
            self._known[sha256] = stamp, facts
        return facts


def _read(store: AdapterStore, sha256: str) -> Facts:
    with store.folder_of(sha256) as folder, open_adapter(folder) as saved:
        meta, arrays = read_meta(saved, str(folder)), saved.arrays()
        table = (saved.document("training") or {}).get("table") or {}
    record = Adaptation.from_dict(meta.table.record.model_dump())
    n_rows = table.get("rows", max(record.n_guard, len(arrays["x"])))
    share = record.gain / record.loss_before if record.loss_before else float("nan")
    return Facts(
        f"{n_rows:,}",
        f"{len(arrays['classes'])}" if "classes" in arrays else "number",
        f"{record.n_context:,}",
        f"{share:+.1%}" if share == share else "-",
    )


def page_rows(store: AdapterStore, known: KnownFacts, metrics: Metrics, page: int) -> tuple[list[Row], int]:
    """Return the lines of a page, counted from 1, and the number of adapters."""
    versions = store.list()
    found = []
    for version in versions[(page - 1) * ON_A_PAGE : page * ON_A_PAGE]:
        traffic, watched = metrics.traffic.get(version.name), metrics.watches.get(version.name)
        latency = "-"
        if traffic is not None:
            latency = " / ".join(f"{1000 * traffic.quantile(level):,.0f}" for level in (0.5, 0.99))
        advice = watched[1].advice() if watched is not None else ""
        link = f"v1/models/{quote(version.name, safe='')}/report"
        n_requests = traffic.n_requests if traffic is not None else 0
        found.append(Row(version, known.of(version.sha256), link, n_requests, latency, advice))
    return found, len(versions)


def render_page(rows: list[Row], n_adapters: int, page: int, where: str) -> str:
    """Return the page as text."""
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("testtime.serve").joinpath("templates", "adapters.html.j2").read_text(encoding="utf-8")
    last = max(1, -(-n_adapters // ON_A_PAGE))
    return environment.from_string(source).render(
        rows=rows, n_adapters=n_adapters, page=page, last=last, where=where
    )
