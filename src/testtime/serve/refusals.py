"""Requests that get no prediction: a status code and one sentence."""

from __future__ import annotations

__all__ = ["Refused"]


class Refused(Exception):
    """Ends a request.

    Parameters
    ----------
    status
        HTTP status code.
    reason
        The sentence.
    headers
        Of the answer.
    """

    def __init__(self, status: int, reason: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers
