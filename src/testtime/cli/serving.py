"""``testtime serve``: the adapters of a store over HTTP."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Annotated

import typer

from testtime.cli.stores import existing_store
from testtime.errors import InputError, sentence

__all__ = ["register"]

_VARIABLE = "TESTTIME_TOKEN"


def register(app: typer.Typer) -> None:
    """Add the subcommands of this file to `app`."""
    app.command()(serve)


def serve(
    store: Annotated[
        str, typer.Argument(help="Folder or URL of adapters, as `testtime adapt --by` made it.")
    ],
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is this machine only.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.")] = 8000,
    token_file: Annotated[
        Path | None, typer.Option(help=f"File with the token clients must send; default ${_VARIABLE}.")
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let anybody in who reaches the port.")
    ] = False,
    most_rows: Annotated[int, typer.Option(help="Rows of one request.")] = 10_000,
    most_bytes: Annotated[int, typer.Option(help="Bytes of one request.")] = 32 * 2**20,
    seconds: Annotated[float, typer.Option(help="From the first byte of a request to its answer.")] = 30.0,
    most_waiting: Annotated[int, typer.Option(help="Requests that may wait.")] = 256,
    cache_bytes: Annotated[int, typer.Option(help="Memory for adapters and their contexts.")] = 2 * 2**30,
    refresh: Annotated[
        float | None,
        typer.Option(help="Seconds between looks for a new version; default 0 in a folder, 5 behind a URL."),
    ] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, ...; default that of each fit.")] = None,
    threads: Annotated[
        int | None, typer.Option(help="Predictions at the same time; default one a core.")
    ] = None,
) -> None:
    """Serve the adapters of a store: one base model, POST /v1/models/NAME:predict, a page at /.

    What is added, rolled back or removed in the store is served without a restart.
    """
    token = _token(token_file, no_token)

    from testtime.adapt.parallel import available_cores
    from testtime.serve.run import serve as run
    from testtime.serve.settings import ServeSettings

    opened = existing_store(store)
    for option, value in (
        ("--most-rows", most_rows),
        ("--most-bytes", most_bytes),
        ("--seconds", seconds),
        ("--most-waiting", most_waiting),
        ("--cache-bytes", cache_bytes),
        ("--threads", threads),
    ):
        if value is not None and not 0 < value < math.inf:
            raise InputError(sentence(f"{option} {value}", expected="a positive number"))
    if refresh is not None and not 0 <= refresh < math.inf:
        raise InputError(sentence(f"--refresh {refresh}", expected="0 or a positive number"))
    settings = ServeSettings(
        token=token,
        most_rows=most_rows,
        most_bytes=most_bytes,
        seconds=seconds,
        most_waiting=most_waiting,
        cache_bytes=cache_bytes,
        refresh=(5.0 if "://" in store else 0.0) if refresh is None else refresh,
        device=device,
        threads=available_cores() if threads is None else threads,
    )
    n = len(opened.names())

    def say(taken: int) -> None:
        what = f"{n:,} {'adapter' if n == 1 else 'adapters'}"
        typer.echo(f"Serving {what} of {opened.where} on http://{host}:{taken}/")

    run(opened, settings, host=host, port=port, listens=say)


def _token(file: Path | None, none: bool) -> str | None:
    """Return the token, or None if there is to be none."""
    if none:
        if file is not None:
            raise InputError(sentence("--no-token does not go with --token-file", remedy="Leave one out"))
        return None
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(sentence(f"--token-file {file} cannot be read", why=str(error))) from error
    found = os.environ.get(_VARIABLE, "").strip()  # a secret that is mounted often ends a line
    if not found:
        raise InputError(
            sentence(
                "there is no token",
                expected=f"one in --token-file or in ${_VARIABLE}",
                why="whoever reaches the port could use the models",
                remedy="Make one with: python -c 'import secrets; print(secrets.token_urlsafe())', or pass --no-token",
            )
        )
    return found
