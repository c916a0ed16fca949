"""Who may ask: whoever sends the token, compared in constant time."""

from __future__ import annotations

import base64
import secrets

from testtime.serve.refusals import Refused

__all__ = ["check_token"]


def check_token(header: str | None, token: str | None) -> None:
    """Raise unless an ``Authorization`` header carries the token.

    Programs send ``Bearer TOKEN``. Browsers cannot, and ask for a password, which is the token; the name is ignored.

    Raises
    ------
    Refused
        With status 401.
    """
    if token is None:
        return
    scheme, _, given = (header or "").partition(" ")
    if scheme.lower() == "basic":
        try:
            given = base64.b64decode(given, validate=True).decode().partition(":")[2]
        except ValueError:  # neither base64 nor UTF-8
            given = ""
    elif scheme.lower() != "bearer":
        given = ""
    if not secrets.compare_digest(given.encode(), token.encode()):
        what = "no token was sent" if header is None else "the token is wrong"
        asked = {"WWW-Authenticate": 'Bearer realm="testtime", Basic realm="testtime", charset="UTF-8"'}
        raise Refused(401, f"{what}; expected the header Authorization: Bearer TOKEN.", asked)
