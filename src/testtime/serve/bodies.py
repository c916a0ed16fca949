"""Bodies of requests, read within limits: nothing that is too long or too slow is kept."""

from __future__ import annotations

from fastapi import Request

from testtime.serve.refusals import Refused

__all__ = ["read_body"]


async def read_body(request: Request, most_bytes: int) -> bytes:
    """Return the body of a request.

    Raises
    ------
    Refused
        With status 413 as soon as it is known to be too long.
    """
    too_long = Refused(413, f"The body is longer than {most_bytes:,} bytes. Send the rows in pieces.")
    stated = request.headers.get("content-length", "0")
    if stated.isdigit() and int(stated) > most_bytes:
        raise too_long
    pieces, length = [], 0
    async for piece in request.stream():
        length += len(piece)
        if length > most_bytes:
            raise too_long
        pieces.append(piece)
    return b"".join(pieces)
