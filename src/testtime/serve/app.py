"""The HTTP interface: predictions by adapter name, what is served, health, metrics, a page."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.convertors import PathConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from testtime import __version__
from testtime.errors import BackboneError, InputError, MissingExtra, StoreError, sentence
from testtime.evaluation.saved import report_data
from testtime.plain import plain
from testtime.report.html import render_report
from testtime.scale.adapter_store import AdapterStore, UnknownName
from testtime.serve.auth import check_token
from testtime.serve.batching import Batcher
from testtime.serve.bodies import read_body
from testtime.serve.metrics import Metrics
from testtime.serve.models import Loaded, Models
from testtime.serve.notes import log_notes
from testtime.serve.page import KnownFacts, page_rows, render_page
from testtime.serve.refusals import Refused
from testtime.serve.rows import ARROW, answer_columns, as_arrow, read_rows
from testtime.serve.settings import ServeSettings

__all__ = ["HASH_HEADER", "VERSION_HEADER", "create_app"]

HASH_HEADER = "X-Testtime-Adapter"
VERSION_HEADER = "X-Testtime-Version"

_T = TypeVar("_T")
_READERS = 4  # threads that parse, load and list, beside those that predict
_BODY = {
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["rows"],
                "properties": {"rows": {"type": "array", "items": {"type": "object"}}},
            }
        },
        ARROW: {"schema": {"type": "string", "format": "binary"}},
    },
    "required": True,
}


class _NameConvertor(PathConvertor):
    """Any text: the one for paths stops at the end of a line, which a name may hold."""

    regex = r"[\s\S]*"


register_url_convertor("name", _NameConvertor())


class _Server:
    """What the handlers share."""

    def __init__(self, store: AdapterStore, settings: ServeSettings) -> None:
        self.settings, self.store = settings, store
        self.models = Models(
            store, cache_bytes=settings.cache_bytes, refresh=settings.refresh, device=settings.device
        )
        self.metrics = Metrics(self.models)
        self.known = KnownFacts(store)
        self.readers = ThreadPoolExecutor(_READERS, thread_name_prefix="testtime-read")
        self.computers = ThreadPoolExecutor(settings.threads, thread_name_prefix="testtime-predict")
        self.batcher = Batcher(
            self.computers,
            most_rows=settings.most_rows,
            most_waiting=settings.most_waiting,
            on_batch=self.metrics.batches.observe,
        )

    def close(self) -> None:
        self.readers.shutdown(wait=False, cancel_futures=True)
        self.computers.shutdown(wait=False, cancel_futures=True)

    async def reading(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call something that waits for a disk or parses much, without holding up other requests."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self.readers, functools.partial(function, *arguments))

    async def predict(self, name: str, request: Request) -> Response:
        """Answer one request; all that can go wrong is raised."""
        start = time.perf_counter()
        body = await read_body(request, self.settings.most_bytes)
        request.state.arrived = True  # from here on it is not the client who is slow
        kind = request.headers.get("content-type", "")
        number, loaded, x, notes = await self.reading(self._prepare, name, body, kind)
        answers = await self.batcher.predict(loaded, x)
        wants_arrow = ARROW in request.headers.get("accept", "")
        response = await self.reading(_response, name, number, loaded, answers, notes, wants_arrow)
        self.metrics.answered(name, len(x), time.perf_counter() - start)
        watch = self.metrics.watch(name, loaded)
        self.readers.submit(watch.see, x[:, : len(loaded.names)])
        return response

    def _prepare(self, name: str, body: bytes, kind: str) -> tuple[int, Loaded, Any, list[str]]:
        number, loaded = self.models.get(name)
        most_rows, most_bytes = self.settings.most_rows, self.settings.most_bytes
        frame = read_rows(body, kind, most_rows, most_bytes, loaded.required)
        notes: list[str] = []
        x = loaded.encode(frame, notes)
        log_notes(name, notes)
        return number, loaded, x, notes


def _response(
    name: str, number: int, loaded: Loaded, answers: Any, notes: list[str], wants_arrow: bool
) -> Response:
    columns = answer_columns(loaded, answers)
    headers = {HASH_HEADER: loaded.sha256, VERSION_HEADER: str(number)}
    said = {"model": name, "version": str(number), "adapter": loaded.sha256}
    if wants_arrow:
        said |= {"notes": json.dumps(notes)} if notes else {}
        return Response(as_arrow(columns, said), media_type=ARROW, headers=headers)
    content = {**said, "version": number, "predictions": plain(columns.pop("prediction"))}
    content |= {"notes": notes} if notes else {}
    if loaded.classes is None:
        content["quantiles"] = {name.removeprefix("quantile_"): plain(c) for name, c in columns.items()}
    else:
        content |= {"classes": plain(loaded.classes), "probabilities": plain(answers)}
    return JSONResponse(content, headers=headers)


def create_app(store: AdapterStore, settings: ServeSettings) -> FastAPI:
    """Return the application; it can be mounted in another one, or in Ray Serve.

    Parameters
    ----------
    store
        The adapters; what is added, rolled back or removed there is served from the next request on.
    settings
        Token and limits.
    """
    server = _Server(store, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        server.close()

    def allowed(request: Request) -> None:
        check_token(request.headers.get("authorization"), settings.token)

    app = FastAPI(title="testtime", version=__version__, lifespan=lifespan)
    app.state.server = server

    @app.exception_handler(Refused)
    async def refused(request: Request, error: Refused) -> JSONResponse:
        server.metrics.requests.labels("", str(error.status)).inc()
        return JSONResponse({"error": error.reason}, error.status, error.headers)

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> JSONResponse:
        """A path or a method that is not there, in the shape of all errors."""
        reason = sentence(
            f"{request.method} {request.url.path[:200]}: {error.detail}", remedy="GET /docs lists the paths"
        )
        return JSONResponse({"error": reason}, error.status_code, error.headers)

    @app.exception_handler(RequestValidationError)
    async def unfit(request: Request, error: RequestValidationError) -> JSONResponse:
        """What stands in the address and is no number, in the shape of all errors."""
        first = error.errors()[0]
        given = f"{first['loc'][-1]}={str(first.get('input'))[:60]!r}"
        reason = sentence(f"{request.method} {request.url.path[:200]}: {given}", why=str(first["msg"]))
        return JSONResponse({"error": reason}, 400)

    @app.get("/healthz", summary="Whether the server runs")
    async def health() -> dict[str, str]:
        return {"status": "ok", "version": __version__}

    @app.get("/metrics", dependencies=[Depends(allowed)], summary="Counters for Prometheus")
    async def metrics() -> Response:
        names = await _stored(server.reading(store.names))
        server.metrics.publish_drift(names)
        return Response(generate_latest(server.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/v1/models", dependencies=[Depends(allowed)], summary="The adapters and their versions")
    async def models() -> dict[str, Any]:
        found = await _stored(server.reading(store.list))
        return {"models": [version.to_dict() for version in found]}

    @app.post(
        "/v1/models/{name:name}:predict",
        dependencies=[Depends(allowed)],
        summary="Predict rows with the current version of an adapter",
        openapi_extra={"requestBody": _BODY},
    )
    async def predict(name: str, request: Request) -> Response:
        try:
            async with asyncio.timeout(settings.seconds):
                with server.metrics.seconds.time():
                    return await _stored(server.predict(name, request))
        except TimeoutError as error:
            reason = (
                f"The request took longer than {settings.seconds:g} s. Send fewer rows, or send them faster."
            )
            arrived = getattr(request.state, "arrived", False)
            raise Refused(504 if arrived else 408, reason) from error
        except InputError as error:
            raise Refused(400, str(error)) from error
        except ClientDisconnect as error:
            raise Refused(400, "The client went away.") from error

    @app.get("/v1/models/{name:name}/report", dependencies=[Depends(allowed)], response_class=HTMLResponse)
    async def report(name: str) -> HTMLResponse:
        def draw() -> str:
            with store.folder(name) as folder:
                return render_report(report_data(folder))

        return HTMLResponse(await _stored(server.reading(draw)))

    @app.get("/", dependencies=[Depends(allowed)], response_class=HTMLResponse)
    async def page(page: int = 1) -> HTMLResponse:
        def draw() -> str:
            rows, n_adapters = page_rows(store, server.known, server.metrics, max(1, page))
            return render_page(rows, n_adapters, max(1, page), store.where)

        return HTMLResponse(await _stored(server.reading(draw)))

    return app


async def _stored(answer: Any) -> Any:
    """Turn what the store says into an answer: 404 for a name it has not, 503 for what cannot be
    loaded here, 400 for a name that cannot be one.
    """
    try:
        return await answer
    except UnknownName as error:
        raise Refused(404, str(error)) from error
    except InputError as error:
        raise Refused(400, str(error)) from error
    except (StoreError, BackboneError, MissingExtra) as error:
        raise Refused(503, str(error)) from error
