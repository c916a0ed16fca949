"""What a server is told, with limits that hold before anything is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass

from testtime.errors import InputError, sentence
from testtime.estimators.settings import device_of

__all__ = ["ServeSettings"]

_SHORTEST_TOKEN = 16


@dataclass(frozen=True)
class ServeSettings:
    """Settings of a server.

    Attributes
    ----------
    token
        What clients must send; None lets anybody in.
    most_rows, most_bytes
        Rows and bytes of one request.
    seconds
        From the first byte of a request to its answer.
    most_waiting
        Requests that may wait for the model; more are turned away at once.
    cache_bytes
        Memory for adapters with what was read of their contexts; the least used ones go first.
    refresh
        Seconds for which the current version of a name is believed. 0 looks each time, which is cheap in a folder.
    device
        Where to predict; None takes what each adapter was fitted on.
    threads
        Predictions at the same time.

    Raises
    ------
    InputError
        For a limit that is not positive, a negative `refresh`, a device that is not there, or a token that is too short
        or cannot be sent.
    """

    token: str | None
    most_rows: int = 10_000
    most_bytes: int = 32 * 2**20
    seconds: float = 30.0
    most_waiting: int = 256
    cache_bytes: int = 2 * 2**30
    refresh: float = 0.0
    device: str | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        for name in ("most_rows", "most_bytes", "seconds", "most_waiting", "cache_bytes", "threads"):
            if not 0 < getattr(self, name) < math.inf:
                raise InputError(sentence(f"{name}={getattr(self, name)!r}", expected="a positive number"))
        if not 0 <= self.refresh < math.inf:
            raise InputError(sentence(f"refresh={self.refresh!r}", expected="0 or a positive number"))
        if self.device is not None:
            device_of(self.device)
        if self.token is not None and not (self.token.isascii() and self.token.isprintable()):
            raise InputError(
                sentence("the token holds characters that no header can", expected="letters and digits")
            )
        if self.token is not None and len(self.token) < _SHORTEST_TOKEN:
            raise InputError(
                sentence(
                    f"a token of {len(self.token)} characters",
                    expected=f"at least {_SHORTEST_TOKEN}",
                    remedy="Make one with: python -c 'import secrets; print(secrets.token_urlsafe())'",
                )
            )
