"""Run the application until the process is asked to end; requests under way are answered first."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

from testtime.errors import InputError, MissingExtra, sentence
from testtime.scale.adapter_store import AdapterStore
from testtime.serve.settings import ServeSettings

__all__ = ["serve"]

_GRACE = 5.0
"""Seconds beyond the time limit of a request that are left to requests under way."""


def serve(
    store: AdapterStore,
    settings: ServeSettings,
    *,
    host: str,
    port: int,
    listens: Callable[[int], object] = str,
) -> None:
    """Serve until SIGTERM or SIGINT, then take no more requests and answer those that are under way.

    Parameters
    ----------
    store, settings
        What is served, and how.
    host, port
        Address to listen on; port 0 takes a free one.
    listens
        Called with the port as soon as connections are taken.

    Raises
    ------
    InputError
        If the address cannot be listened on.
    MissingExtra
        Without the packages of the extra ``serve``.
    """
    try:
        import uvicorn

        from testtime.serve.app import create_app
    except ImportError as error:
        raise MissingExtra(
            sentence(f"serving needs {error.name}", remedy="Install it with: pip install 'testtime[serve]'")
        ) from error
    config = uvicorn.Config(
        create_app(store, settings),
        host=host,
        port=port,
        log_level="warning",
        timeout_keep_alive=10,
        timeout_graceful_shutdown=int(settings.seconds + _GRACE),
        h11_max_incomplete_event_size=64 * 1024,
    )
    listening = _listen(config, host, port)
    listens(listening.getsockname()[1])
    before: dict[int, Any] = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn handles these while it runs, and sends itself what it got when it is done; that is then no error.
        before[number] = signal.signal(number, lambda *_: None)
    try:
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        listening.close()
        for number, handler in before.items():
            signal.signal(number, handler)


def _listen(config: Any, host: str, port: int) -> Any:
    """Bind the address here, since uvicorn would end the process with a code of its own."""
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(config.backlog)
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or str(error)
        raise InputError(
            sentence(f"--host {host} --port {port} cannot be listened on", why=why, remedy="Choose another")
        ) from error
    return listening
